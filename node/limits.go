package node

import (
	"math"
	"slices"

	"souk/internal/limit"
	"souk/node/blob"
	"souk/node/books"
	"souk/node/client"
	"souk/node/config"
	"souk/node/control"
	"souk/node/executor"
	"souk/node/executor/docker"
	"souk/node/executor/docker/egress"
	"souk/node/executor/docker/egress/forward"
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

// Limits is what bounds a peer, a job or a file, in one table, as a node
// with this configuration enforces it: what goes over the wire first, then
// what a node gives, then what its own user hands it.
func Limits(c config.Config) []limit.Limit {
	all := slices.Concat(
		wire.LimitRows(), market.LimitRows(), offer.LimitRows(), run.LimitRows(), protoblob.LimitRows(), status.LimitRows(),
		challenge.LimitRows(), receiptfile.LimitRows(),
		books.LimitRows(), provider.LimitRows(), client.LimitRows(), prover.LimitRows(), blob.LimitRows(), p2p.LimitRows(),
		executor.LimitRows(), wasm.LimitRows(), docker.LimitRows(), egress.LimitRows(), forward.LimitRows(),
		image.LimitRows(), jobfile.LimitRows(), config.LimitRows(), identity.LimitRows(), control.LimitRows(), ledger.LimitRows(),
	)
	for i, l := range all {
		if n, set := configured(c, l.Key); set {
			all[i].Value = n
		}
	}
	return all
}

// configured is what the configuration says of a limit, if anything.
func configured(c config.Config, key string) (n int64, set bool) {
	switch key {
	case "docker.max_image":
		return c.Docker.MaxImage, c.Docker.MaxImage > 0
	case "client.lost_after":
		return c.Client.LostAfter.Milliseconds(), c.Client.LostAfter > 0
	case "client.cap_peer":
		return micros(c.Client.CapPeer), true
	case "client.cap_total":
		return micros(c.Client.CapTotal), true
	case "provider.cap_peer":
		return micros(c.Provider.CapPeer), true
	case "provider.cap_total":
		return micros(c.Provider.CapTotal), true
	}
	return 0, false
}

func micros(a market.Amount) int64 {
	if n := a.Big(); n.IsInt64() {
		return n.Int64()
	}
	return math.MaxInt64
}
