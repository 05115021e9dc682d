package main

import (
	"crypto/rand"

	"github.com/ipfs/go-cid"
	mh "github.com/multiformats/go-multihash"
	"google.golang.org/protobuf/encoding/protowire"

	"souk/protocol/market"
)

// results is a folder with one file, as UnixFS blocks in transfer order: what
// a job that never ran is said to have written.
type results struct {
	root   cid.Cid
	blocks [][]byte
}

const resultsBytes = 4096

// newResults makes up a folder that no other lease has.
func newResults() results {
	file := make([]byte, resultsBytes)
	_, _ = rand.Read(file) // never fails
	leaf := rawCID(market.BlockHash(file))
	folder := folderOf("result.bin", leaf, len(file))
	return results{root: cidOf(cid.DagProtobuf, market.BlockHash(folder)), blocks: [][]byte{folder, file}}
}

// folderOf is the dag-pb block of a UnixFS folder with one file.
func folderOf(name string, file cid.Cid, size int) []byte {
	var link []byte
	link = protowire.AppendTag(link, 1, protowire.BytesType)
	link = protowire.AppendBytes(link, file.Bytes())
	link = protowire.AppendTag(link, 2, protowire.BytesType)
	link = protowire.AppendString(link, name)
	link = protowire.AppendTag(link, 3, protowire.VarintType)
	link = protowire.AppendVarint(link, uint64(size)) //nolint:gosec // a small constant

	var node []byte // links stand before the data, as every writer of dag-pb puts them
	node = protowire.AppendTag(node, 2, protowire.BytesType)
	node = protowire.AppendBytes(node, link)
	node = protowire.AppendTag(node, 1, protowire.BytesType)
	return protowire.AppendBytes(node, []byte{0x08, 0x01}) // UnixFS: a directory
}

// rawCID names a raw block by its sha2-256.
func rawCID(h market.Hash) cid.Cid { return cidOf(cid.Raw, h) }

func cidOf(codec uint64, h market.Hash) cid.Cid {
	digest, err := mh.Encode(h[:], mh.SHA2_256)
	if err != nil {
		return cid.Undef // not reached: 32 bytes fit sha2-256
	}
	return cid.NewCidV1(codec, digest)
}
