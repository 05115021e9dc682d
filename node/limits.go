package node

import (
	"slices"

	"souk/internal/limit"
	"souk/node/blob"
	"souk/node/client"
	"souk/node/config"
	"souk/node/control"
	"souk/node/executor"
	"souk/node/executor/docker"
	"souk/node/executor/wasm"
	"souk/node/identity"
	"souk/node/image"
	"souk/node/jobfile"
	"souk/node/ledger"
	"souk/node/p2p"
	"souk/node/prover"
	"souk/node/provider"
	protoblob "souk/protocol/blob"
	"souk/protocol/challenge"
	"souk/protocol/market"
	"souk/protocol/offer"
	"souk/protocol/receiptfile"
	"souk/protocol/run"
	"souk/protocol/status"
	"souk/protocol/wire"
)

// Limits is all that bounds a peer, a job or a file, in one table, as a node
// with this configuration enforces it: what goes over the wire first, then
// what a node gives, then what its own user hands it.
func Limits(c config.Config) []limit.Limit {
	all := slices.Concat(
		wire.LimitRows(), market.LimitRows(), offer.LimitRows(), run.LimitRows(), protoblob.LimitRows(), status.LimitRows(),
		challenge.LimitRows(), receiptfile.LimitRows(),
		provider.LimitRows(), client.LimitRows(), prover.LimitRows(), blob.LimitRows(), p2p.LimitRows(),
		executor.LimitRows(), wasm.LimitRows(), docker.LimitRows(),
		image.LimitRows(), jobfile.LimitRows(), config.LimitRows(), identity.LimitRows(), control.LimitRows(), ledger.LimitRows(),
	)
	for i, l := range all {
		if n := configured(c, l.Key); n > 0 {
			all[i].Value = n
		}
	}
	return all
}

// configured is what the configuration says of a limit; 0 is nothing.
func configured(c config.Config, key string) int64 {
	switch key {
	case "docker.max_image":
		return c.Docker.MaxImage
	default:
		return 0
	}
}
