package wasm

import (
	"testing"
	"time"

	"github.com/ipfs/go-cid"

	"souk/internal/limit/limittest"
	"souk/node/executor"
)

func TestLimits(t *testing.T) {
	some := cid.MustParse("bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy")
	limittest.Run(t, LimitRows(), map[string]limittest.Probe{
		"memory of a WASM job": func(_ *testing.T, n int64) error {
			return validate(executor.Spec{
				ID: "a1", Owner: "peer", Module: some, Limits: executor.Limits{Memory: n, Disk: 1, Log: 1, Time: time.Second},
			})
		},
	})
}
