// Package blob is the content-addressed store for what jobs read and write.
//
// It is for files and folders as UnixFS DAGs, cut into blocks exactly as
// `ipfs add --cid-version=1` cuts them. A Store keeps a Space per peer and one
// of the node's own; a CID gives nothing in a space that was not given the
// block. A space has a byte quota, pins with an end, and a collector for what
// no pin reaches.
//
// It promises that a file of blocks was synced before it got its final name,
// that every read is checked against the CID (only what a Source sends to a
// peer, who checks it, is checked for damage of the disk alone), that a transfer cut at any
// instant goes on from the blocks that are on disk, and that Export writes
// nothing outside its destination, no links and no devices.
//
// It never talks to the network, never trusts a block that it did not hash
// itself, never shares blocks between spaces, and never records file modes or
// times. One process owns a directory; the node's ledger sees to that.
package blob

import (
	"errors"
	"fmt"

	"github.com/ipfs/go-cid"

	protocol "souk/protocol/blob"
)

// The shape of the DAGs that souk makes, and the limits on those it takes.
const (
	ChunkSize = 262_144 // bytes of a file in one leaf, as kubo cuts them
	FileLinks = 174     // links in a file's inner node, as kubo lays them out

	MaxBlock = protocol.MaxBlock // bytes in one block
	MaxLinks = 1_024             // links in one block, so also entries in one folder
	MaxDepth = 64                // blocks on the way from a root to a leaf, both counted
	// maxFolders leaves eight levels of MaxDepth for the file at the bottom.
	maxFolders = MaxDepth - 8

	maxBlocks  = 1 << 20   // blocks of all spaces
	MaxEntries = 100_000   // files and folders in one AddPath or Export
	maxSteps   = 1_000_000 // blocks that one Export reads, repeated ones counted again
	maxName    = 255       // bytes in the name of a file or folder
)

// The errors, by what the caller should do next.
var (
	// ErrNotFound: this space lacks the block. Fetch it.
	ErrNotFound = errors.New("block not in this space")
	// ErrCorrupt: the block on disk is not what its CID says, and was dropped. Fetch it again.
	ErrCorrupt = errors.New("block on disk is damaged")
	// ErrQuota: the space or the store is full. Collect, or raise the quota.
	ErrQuota = errors.New("blob store is full")
	// ErrTooLarge: the data is over a limit that the caller gave. Give up or raise it.
	ErrTooLarge = errors.New("data is over its size limit")
	// ErrInvalid: whoever made this block or DAG broke the rules. Don't ask them again.
	ErrInvalid = errors.New("invalid data")
	// ErrRefused: the file or folder to add can't be stored. Tell the user.
	ErrRefused = errors.New("cannot store this path")
)

// Block is the bytes that a CID names. Neither is changed once it is made.
type Block struct {
	CID  cid.Cid
	Data []byte
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalid, fmt.Sprintf(format, args...))
}

func overLimit(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrTooLarge, fmt.Sprintf(format, args...))
}

func refused(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrRefused, fmt.Sprintf(format, args...))
}
