package wasm

import (
	"testing"
	"testing/synctest"
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
		"compiling a WASM module": func(t *testing.T, n int64) (err error) {
			synctest.Test(t, func(t *testing.T) {
				e := &Executor{cfg: Config{}.withDefaults(), life: t.Context()}
				ctx, cancel := e.compileContext()
				defer cancel()
				<-time.After(limittest.Wait(n))
				err = ctx.Err()
			})
			return err
		},
	})
}
