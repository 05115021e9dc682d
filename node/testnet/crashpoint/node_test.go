package crashpoint_test

import (
	"crypto/rand"
	"errors"
	"log/slog"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"souk/node/blob"
	"souk/node/ledger"
	"souk/protocol/status"
	"souk/protocol/wire"
)

const networkName = "test"

// node is what stays of a node from one life to the next, and its books as long
// as it lives.
type node struct {
	web    *web
	key    crypto.PrivKey
	id     peer.ID
	disk   *vfs.MemFS // as it is, or as the crash left it
	dir    string     // for logs, which are on a real disk
	ill    *ill       // what ails the ledger's disk
	given  promises
	fate   *fate
	host   *memHost
	ledger *ledger.Ledger
	blobs  *blob.Store
	serve  *wire.Dispatcher
}

// open begins a life with what is on the disk.
func (n *node) open(f *fate) (err error) {
	n.fate, n.host, n.serve = f, nil, nil
	if n.ledger, err = ledger.Open("node/ledger", ledger.Options{FS: errorfs.Wrap(n.disk, n.ill)}); err != nil {
		return err
	}
	if err := n.given.kept(n.ledger); err != nil {
		return err
	}
	n.host = n.web.join(n.id, f, n.given.note)
	n.serve = wire.NewDispatcher(n.host, wire.Strangers{}, slog.New(slog.DiscardHandler))
	n.blobs, err = blob.Open("node/blobs", blob.Options{FS: &frailDisk{n.disk, f}})
	return err
}

// close ends what open began; first ends the role, which served it.
func (n *node) close(first func() error) error {
	if n.ledger == nil {
		return nil
	}
	if n.host != nil {
		n.host.leave()
		n.serve.Close()
	}
	return errors.Join(first(), n.ledger.Close())
}

func newBoot() (b status.BootID) {
	_, _ = rand.Read(b[:]) // never fails
	return b
}
