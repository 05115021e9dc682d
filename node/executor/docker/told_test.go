package docker

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/stretchr/testify/require"

	"souk/node/executor"
)

// A registry can lead Docker to a page of the provider's own network; Docker
// then says what was on it.
func TestClientsAreNotToldWhatDockerReadElsewhere(t *testing.T) {
	ref, err := name.NewDigest("example.com/app@" + sum(nil))
	require.NoError(t, err)
	err = pullFault(context.Background(), ref, errors.New(`error parsing HTTP 404 response body: "the router's secret"`))
	var told *executor.ProviderError
	require.ErrorAs(t, err, &told)
	require.NotContains(t, told.Reason, "secret")
	require.ErrorContains(t, err, "secret", "the provider's log has it")
}

func TestWhoWaitsForItsTurnMayGiveUp(t *testing.T) {
	c := &images{bringing: make(chan struct{}, 1)}
	done, err := c.turn(t.Context())
	require.NoError(t, err)
	_, err = c.turn(ended(t))
	require.ErrorIs(t, err, context.Canceled)
	done()
	done, err = c.turn(t.Context())
	require.NoError(t, err)
	done()
}
