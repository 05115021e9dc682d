package run_test

import (
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"

	"souk/internal/limit/limittest"
	"souk/protocol/pb"
	"souk/protocol/run"
	"souk/protocol/wire"
)

func TestLimits(t *testing.T) {
	limittest.Run(t, run.LimitRows(), map[string]limittest.Probe{
		"log in one frame": func(t *testing.T, n int64) error {
			client, provider := serve(t, func(_ peer.ID, _ run.Attach, c *run.Conversation) error {
				return c.Send(&pb.RunEvent{Event: &pb.RunEvent_Log{Log: &pb.Log{Data: make([]byte, n)}}})
			})
			s, err := run.Open(t.Context(), client, provider.ID(), run.Attach{})
			require.NoError(t, err)
			defer s.Close()
			_, err = s.Next()
			if err != nil {
				require.ErrorIs(t, err, wire.ErrMalformed)
			}
			return err
		},
	})
}
