package blob

import (
	"bytes"
	"crypto/sha256"

	"github.com/ipfs/boxo/ipld/merkledag"
	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"
	"github.com/multiformats/go-multihash"
)

// CheckCID says whether c is one that the store takes: CIDv1, sha2-256, raw or dag-pb.
func CheckCID(c cid.Cid) error {
	if !c.Defined() {
		return invalid("the CID is empty; a CIDv1 was expected")
	}
	p := c.Prefix()
	switch {
	case p.Version != 1:
		return invalid("%s is a CIDv%d; only CIDv1 is taken", c, p.Version)
	case p.MhType != multihash.SHA2_256 || p.MhLength != sha256.Size:
		return invalid("%s is not a sha2-256 CID", c)
	case p.Codec != cid.Raw && p.Codec != cid.DagProtobuf:
		return invalid("%s has codec 0x%x; only raw and dag-pb are taken", c, p.Codec)
	}
	return nil
}

// verify checks the size and hash of data against c, which passed CheckCID.
func verify(c cid.Cid, data []byte) error {
	if len(data) > MaxBlock {
		return invalid("block %s has %d bytes, the most is %d", c, len(data), MaxBlock)
	}
	sum := sha256.Sum256(data)
	decoded, err := multihash.Decode(c.Hash())
	if err != nil || !bytes.Equal(decoded.Digest, sum[:]) {
		return invalid("%d bytes do not hash to %s", len(data), c)
	}
	return nil
}

// decode reads a dag-pb block of at most MaxBlock bytes. Every link that it
// returns names a block that the store could hold.
func decode(c cid.Cid, data []byte) (*merkledag.ProtoNode, error) {
	n, err := merkledag.DecodeProtobuf(data)
	if err != nil {
		return nil, invalid("block %s is not dag-pb: %v", c, err)
	}
	if len(n.Links()) > MaxLinks {
		return nil, invalid("block %s has %d links, the most is %d", c, len(n.Links()), MaxLinks)
	}
	for _, l := range n.Links() {
		if err := CheckCID(l.Cid); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// linksOf lists what a verified block links to, in order; a raw block links to nothing.
func linksOf(c cid.Cid, data []byte) ([]*ipld.Link, error) {
	if c.Prefix().Codec == cid.Raw {
		return nil, nil
	}
	n, err := decode(c, data)
	if err != nil {
		return nil, err
	}
	return n.Links(), nil
}
