package docker

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/stretchr/testify/require"

	"souk/node/executor"
)

// A registry can lead this node to whatever it likes, and its answers are in errors.
func TestClientsAreNotToldWhatARegistrySaid(t *testing.T) {
	ref, err := name.NewDigest("example.com/app@" + sum(nil))
	require.NoError(t, err)
	for _, from := range []error{errors.New("the router's secret"), errors.Join(errors.New("the router's secret"), io.ErrUnexpectedEOF)} {
		err = registryFault(ref, from)
		said := err.Error()
		var told *executor.ProviderError
		if errors.As(err, &told) {
			said = told.Reason
		}
		require.NotContains(t, said, "secret")
	}
}

func TestWhoWaitsForItsTurnMayGiveUp(t *testing.T) {
	c := newImages(&Executor{})
	var last func()
	for range loadsAtOnce {
		done, err := c.turn(t.Context())
		require.NoError(t, err)
		last = done
	}
	_, err := c.turn(ended(t))
	require.ErrorIs(t, err, context.Canceled)
	last()
	done, err := c.turn(t.Context())
	require.NoError(t, err)
	done()
}
