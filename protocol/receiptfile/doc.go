// Package receiptfile writes and reads receipt files: a CARv1 whose root is a
// DAG-JSON manifest with links to every document of one lease, and the
// signatures. Any IPFS tool can open it.
//
// It promises that one bundle always gives the same bytes, that every block
// read has the hash that its CID names, and that a hostile file costs no more
// memory than the limits here and gets one sentence, which names the first
// document that is missing or changed. It never judges what the
// documents say: market.Bundle.Verify does.
package receiptfile

import (
	"errors"

	"github.com/ipfs/go-cid"
	mh "github.com/multiformats/go-multihash"
)

// Limits on a file. A lease of 30 days with a tick of 60 s stays below them.
const (
	MaxFileBytes  = 64 << 20
	MaxBlocks     = 1 << 18
	MaxBlockBytes = 1 << 20 // of one block with its CID
	MaxReceipts   = 100_000
	MaxVouchers   = 100_000

	pageEntries    = 1000 // receipts or vouchers in one page
	maxHeaderBytes = 1 << 10
)

// Reasons why a file is refused.
var (
	ErrFormat   = errors.New("it is no receipt file")
	ErrDamaged  = errors.New("it is damaged") // a receipt file once, cut short or changed since it was written
	ErrTooLarge = errors.New("it is over a limit for receipt files")
)

// The two kinds of CID in a receipt file.
var (
	jsonPrefix   = cid.Prefix{Version: 1, Codec: cid.DagJSON, MhType: mh.SHA2_256, MhLength: 32}
	eip712Prefix = cid.Prefix{Version: 1, Codec: cid.Raw, MhType: mh.KECCAK_256, MhLength: 32}
)
