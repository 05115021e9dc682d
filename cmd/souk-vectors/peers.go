package main

import (
	"bytes"
	"context"
	"encoding/hex"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"souk/node/p2p"
	"souk/protocol/market"
)

const netName = "souk-vectors"

// key is the private key whose 32 bytes are all b.
func key(b byte) (crypto.PrivKey, peer.ID, error) {
	k, err := crypto.UnmarshalSecp256k1PrivateKey(bytes.Repeat([]byte{b}, 32))
	if err != nil {
		return nil, "", err
	}
	id, err := peer.IDFromPrivateKey(k)
	return k, id, err
}

type keyVector struct {
	Private string         `json:"private"`
	Public  string         `json:"public"` // compressed
	Peer    string         `json:"peer"`
	Address market.Address `json:"address"`
}

// keys are those of the parties: one key is peer ID and address.
func keys(context.Context) (any, error) {
	var all []keyVector
	for _, b := range []byte{1, 2, 0x7f} {
		k, id, err := key(b)
		if err != nil {
			return nil, err
		}
		private, err := k.Raw()
		if err != nil {
			return nil, err
		}
		public, err := k.GetPublic().Raw()
		if err != nil {
			return nil, err
		}
		address, err := market.AddressOf(id)
		if err != nil {
			return nil, err
		}
		all = append(all, keyVector{hex.EncodeToString(private), hex.EncodeToString(public), id.String(), address})
	}
	return all, nil
}

type advertisedVector struct {
	Peer string `json:"peer"` // whose shard it is
	Key  string `json:"key"`
	CID  string `json:"cid"`
}

// advertised are keys of the DHT, for a peer at several depths.
func advertised(context.Context) (any, error) {
	_, id, err := key(1)
	if err != nil {
		return nil, err
	}
	var all []advertisedVector
	for _, depth := range []int{0, 1, 5, p2p.MaxDepth} {
		at, err := p2p.PlaceOf(id, depth)
		if err != nil {
			return nil, err
		}
		cell, err := p2p.CellKey(netName, "eu", 24, at)
		if err != nil {
			return nil, err
		}
		model, err := p2p.ModelKey(netName, "rtx-4090", at)
		if err != nil {
			return nil, err
		}
		everyone, err := p2p.AllKey(netName, at)
		if err != nil {
			return nil, err
		}
		for _, k := range []p2p.Key{cell, model, everyone} {
			all = append(all, advertisedVector{id.String(), k.String(), k.CID().String()})
		}
	}
	return all, nil
}
