package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"log/slog"

	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"souk/node/blob"
	"souk/node/p2p"
	wireblob "souk/protocol/blob"
	"souk/protocol/market"
	"souk/protocol/wire"
)

// vault takes and gives blobs as a provider does, under every lease that a peer
// names: each has a space of its own.
type vault struct{ store *blob.Store }

func (v vault) space(lease market.Hash) (*blob.Space, error) {
	return v.store.Space(hex.EncodeToString(lease[:]))
}

// Source implements the protocol's store.
func (v vault) Source(ctx context.Context, _ peer.ID, lease market.Hash, root cid.Cid, skip int) (wireblob.Source, error) {
	s, err := v.space(lease)
	if err != nil {
		return nil, err
	}
	return s.Source(ctx, root, skip, blob.Limits{}), nil
}

// Sink implements the protocol's store.
func (v vault) Sink(ctx context.Context, _ peer.ID, lease market.Hash, root cid.Cid) (wireblob.Sink, error) {
	s, err := v.space(lease)
	if err != nil {
		return nil, err
	}
	return blob.NewSink(ctx, s, root, blob.Limits{})
}

// soukHost is souk's own place on the network, alone on this machine.
func soukHost(ctx context.Context) (*p2p.Node, error) {
	key, _, err := crypto.GenerateSecp256k1Key(rand.Reader)
	if err != nil {
		return nil, err
	}
	return p2p.New(ctx, p2p.Config{Key: key, Network: tillNetwork, Version: "bench", Loopback: true})
}

// serveVault is a process that takes blobs.
func serveVault(dir string) (peer.AddrInfo, error) {
	store, err := blob.Open(dir, blob.Options{})
	if err != nil {
		return peer.AddrInfo{}, err
	}
	n, err := soukHost(context.Background())
	if err != nil {
		return peer.AddrInfo{}, err
	}
	wireblob.Serve(wire.NewDispatcher(n.Host(), n, slog.New(slog.DiscardHandler)), vault{store})
	return infoOf(n.Host()), nil
}
