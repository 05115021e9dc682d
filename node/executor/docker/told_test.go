package docker

import (
	"context"
	"errors"
	"io"
	"net/url"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
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

func TestARegistryThatFailsIsNotTheProvidersFailure(t *testing.T) {
	ref, err := name.NewDigest("example.com/app@" + sum(nil))
	require.NoError(t, err)
	for _, from := range []error{
		&url.Error{Op: "Get", URL: "https://example.com", Err: errors.New("refused")}, context.DeadlineExceeded, io.ErrUnexpectedEOF, &transport.Error{StatusCode: 503},
	} {
		var image *executor.ImageError
		require.ErrorAs(t, registryFault(ref, from), &image)
		var told *executor.ProviderError
		require.ErrorAs(t, registryFault(ref, from), &told, "its sentence is for the client")
		require.ErrorIs(t, registryFault(ref, from), from)
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
