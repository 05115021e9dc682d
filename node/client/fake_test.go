package client_test

import (
	"crypto/rand"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"

	"souk/node/blob"
	protoblob "souk/protocol/blob"
	"souk/protocol/lease"
	"souk/protocol/market"
	"souk/protocol/offer"
	"souk/protocol/pb"
	"souk/protocol/run"
	"souk/protocol/status"
	"souk/protocol/wire"
)

const network = "test"

// fake is a provider made of the protocols' servers alone.
type fake struct {
	t      *testing.T
	script script
	host   host.Host
	key    crypto.PrivKey
	signer *market.Signer
	chain  market.Chain
	blobs  *blob.Store
	root   cid.Cid // of the outputs
	d      *wire.Dispatcher
	boot   status.BootID

	mu       sync.Mutex
	changed  chan struct{}
	quotes   map[market.Hash]lease.Quoted
	void     map[market.Hash]bool
	leases   map[market.Hash]*fakeLease
	accepts  int
	quoted   int // requests for quotes
	gets     int
	more     time.Duration // that receipts charge beyond what ran
	statuses int
	voucher  *pb.Voucher
	highest  market.Amount
	asked    market.Request // the last one
	fell     bool           // a voucher below an earlier one came
	hidden   bool           // see hideAfter
	appeared bool
}

type fakeLease struct {
	client   peer.ID
	a        lease.Accepted
	sig      market.Signature
	started  time.Time
	receipts []*pb.Receipt
	counter  map[uint32][]byte // client signatures
	cancel   bool
	hold     bool // the newest attach holds the process back
	began    bool
	attaches int
	deaf     bool // no attach is taken any more
}

func newFake(t *testing.T, s script) *fake {
	t.Helper()
	key := newKey(t)
	f := &fake{
		t: t, script: s, key: key, host: newHost(t, key), chain: market.NoChain(network), changed: make(chan struct{}),
		quotes: map[market.Hash]lease.Quoted{}, void: map[market.Hash]bool{}, leases: map[market.Hash]*fakeLease{},
	}
	_, _ = rand.Read(f.boot[:])
	var err error
	f.signer, err = market.NewSigner(key)
	require.NoError(t, err)
	f.blobs, err = blob.Open(t.TempDir(), blob.Options{})
	require.NoError(t, err)
	if s.output != "" {
		local, err := f.blobs.Space(blob.Local)
		require.NoError(t, err)
		f.root, _, err = blob.AddPath(t.Context(), local, folderWith(t, s.output), nil)
		require.NoError(t, err)
	}
	f.d = wire.NewDispatcher(f.host, wire.Strangers{}, slog.New(slog.DiscardHandler))
	offer.Serve(f.d, network, f)
	lease.Serve(f.d, f.chain, f.signer.Address(), f)
	run.Serve(f.d, f)
	status.Serve(f.d, f)
	protoblob.Serve(f.d, f)
	t.Cleanup(f.vanish)
	return f
}

// vanish ends the provider as a crash would.
func (f *fake) vanish() {
	_ = f.host.Close()
	f.d.Close()
}

func (f *fake) info() peer.AddrInfo { return peer.AddrInfo{ID: f.host.ID(), Addrs: f.host.Addrs()} }

func (f *fake) perHour() market.Amount { return market.NewAmount(f.script.price) }

func (f *fake) wake() {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.changed)
	f.changed = make(chan struct{})
}
