package client_test

import (
	"cmp"
	"context"
	"crypto/rand"
	"io"
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

// script is how a fake provider behaves. The zero script is honest: it logs,
// ticks, exits with 0 and gives its outputs.
type script struct {
	leased int           // cores that are not free
	closed bool          // takes no inputs
	skew   time.Duration // of its clock
	price  uint64        // per hour, smallest units
	speed  uint64
	ticks  int // receipts before the last one
	exit   int
	output string // file with the outputs; empty: none
	device *offer.Device
	runs   []string // executors; nil: both
	net    bool     // grants egress
	proves offer.Challenge

	loseAnswers  int       // accepts that are taken but never answered
	loseAccepts  int       // accepts that never arrive
	refuseAccept wire.Code // for every accept
	hurried      int       // accepts that come too fast
	hurry        wire.Code // what they are told; default rate_limited

	hurriedQuotes int           // requests that come too fast
	overCharge    bool          // the first receipt charges an hour
	equivocate    bool          // two receipts with number 1
	withhold      bool          // outputs are named, never given
	dieAfter      int           // receipts after which the provider vanishes
	forever       bool          // runs until it is cancelled
	silent        bool          // always says that it shuts down
	exitFails     bool          // the provider itself fails
	unfit         bool          // says that the job, or its image, is to blame
	badLog        bool          // its log has a gap, each time
	cut           bool          // breaks the outputs off, each time
	stall         bool          // never comes to the outputs
	hangUp        bool          // ends the conversation after the last receipt
	dearer        uint64        // its quotes ask that many times what its offer says
	longTick      bool          // its quotes have ticks of an hour
	hugeLog       bool          // its terms have a log of 1 TiB
	longer        bool          // its quotes are for twice the time
	uncovered     int           // leases that it stops for want of cover
	unreconciled  *wire.Refusal // answers every channel status
	hideAfter     int           // receipts after which it can't be reached, until it appears again
	strict        bool          // takes no lease whose voucher doesn't cover what it has signed, too
	sly           bool          // shows a channel's leases without their last receipts and countersignatures
	idle          bool          // runs until it is cancelled, without a receipt
	deafToLast    bool          // loses the first countersignatures on the last receipt
}

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

func (f *fake) SealedOffers(context.Context, int) ([][]byte, error) {
	o := offer.Offer{
		Network: network, Peer: f.host.ID(), Sequence: uint64(time.Now().UnixNano()), ExpiresAt: time.Now().Add(time.Minute + f.script.skew), Addrs: f.host.Addrs(),
		CPU: 8 - f.script.leased, CPUTotal: 8, Memory: 8 << 30, Disk: 8 << 30, Executors: f.executors(), Speed: max(f.script.speed, 1), Region: "eu",
		PricePerHour: f.perHour(), Settlement: "none", Chain: f.chain, Tick: time.Second, MaxTime: time.Hour,
		Egress: f.script.net, Challenge: f.script.proves,
	}
	if f.script.device != nil {
		o.Devices = []offer.Device{*f.script.device}
	}
	sealed, err := offer.Seal(o, f.key)
	return [][]byte{sealed}, err
}

func (f *fake) Quote(_ context.Context, _ peer.ID, a lease.Asked) (lease.Quoted, error) {
	now := uint64(time.Now().UnixMilli())
	f.mu.Lock()
	f.asked = a.Request
	f.quoted++
	hurried := f.quoted <= f.script.hurriedQuotes
	f.mu.Unlock()
	if hurried {
		return lease.Quoted{}, wire.Refuse(wire.RateLimited, "slower")
	}
	terms := market.Terms{
		Network: network, CPU: a.Request.CPU, Memory: a.Request.Memory, Disk: a.Request.Disk, Executor: a.Request.Executor, Egress: a.Request.Egress, Unit: "ms",
		PrepayTicks: 1, KeepUntil: now + 3600_000, MaxOutput: 1 << 20, MaxLog: 1 << 20, PricePerHour: f.perHour(),
	}
	if f.script.device != nil && a.Request.GPU != nil {
		terms.Devices = []market.Device{f.script.device.Device}
	}
	block, err := terms.Encode()
	if err != nil {
		return lease.Quoted{}, err
	}
	if f.script.hugeLog {
		terms.MaxLog = 1 << 40
		if block, err = terms.Encode(); err != nil {
			return lease.Quoted{}, err
		}
	}
	q := market.Quote{
		RequestHash: market.BlockHash(a.Block), TermsHash: market.BlockHash(block), Provider: f.signer.Address(), Client: a.Config.Payer,
		Channel: a.Channel, TickUnits: 1000, TickPrice: market.TickPrice(f.perHour(), 1000), MaxTicks: uint32((a.Request.MaxMillis + 999) / 1000),
		MaxMillis: a.Request.MaxMillis, ExpiresAt: now + 30_000, StartBy: now + 60_000,
	}
	if f.script.dearer > 0 {
		q.TickPrice = q.TickPrice.Times(f.script.dearer)
	}
	if f.script.longTick {
		q.TickUnits, q.TickPrice, q.MaxTicks = 3600_000, market.TickPrice(f.perHour(), 3600_000), 1
	}
	if f.script.longer {
		q.MaxMillis *= 2
	}
	_, _ = rand.Read(q.Nonce[:])
	sig, err := f.signer.Sign(f.chain.Digest(q.Hash()))
	out := lease.Quoted{Quote: q, Block: q.Encode(), Signature: sig, Terms: terms, TermBlock: block, Config: a.Config, SignedAt: now}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.quotes[q.Hash()] = out
	return out, err
}

func (f *fake) Accept(_ context.Context, client peer.ID, a lease.Accepted) (market.Signature, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.accepts++
	if a.Voucher != nil && f.script.refuseAccept != "" {
		f.keepVoucher(&pb.Voucher{Voucher: a.Voucher.Encode(), Signature: a.VoucherSignature[:]})
	}
	if f.script.refuseAccept != "" {
		return market.Signature{}, wire.Refuse(f.script.refuseAccept, "not today")
	}
	if err := f.covered(a); err != nil {
		return market.Signature{}, err
	}
	if f.accepts <= f.script.hurried {
		return market.Signature{}, wire.Refuse(cmp.Or(f.script.hurry, wire.RateLimited), "slower")
	}
	if f.accepts <= f.script.loseAccepts {
		return market.Signature{}, context.Canceled // the dispatcher resets the stream
	}
	if f.void[a.Quote.Hash()] {
		return market.Signature{}, wire.Refuse(wire.Void, "voided")
	}
	h := a.Lease.Hash()
	if f.leases[h] == nil {
		sig, err := f.signer.Sign(f.chain.Digest(h))
		if err != nil {
			return sig, err
		}
		f.leases[h] = &fakeLease{client: client, a: a, sig: sig, counter: map[uint32][]byte{}}
		if a.Voucher != nil {
			f.keepVoucher(&pb.Voucher{Voucher: a.Voucher.Encode(), Signature: a.VoucherSignature[:]})
		}
	}
	if f.accepts <= f.script.loseAnswers {
		return market.Signature{}, context.Canceled
	}
	return f.leases[h].sig, nil
}

// keepVoucher keeps the highest voucher and notes one that fell. mu is held.
func (f *fake) keepVoucher(m *pb.Voucher) {
	v, err := market.DecodeVoucher(m.GetVoucher())
	if err != nil {
		f.t.Errorf("voucher: %v", err)
		return
	}
	f.fell = f.fell || v.Max.Less(f.highest)
	if !v.Max.Less(f.highest) {
		f.highest, f.voucher = v.Max, m
	}
}

func (f *fake) LeaseStatus(_ context.Context, _ peer.ID, q market.Quote, _ market.Signature) (*pb.LeaseStatus, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.statuses++
	for _, l := range f.leases {
		if l.a.Quote.Hash() == q.Hash() {
			return &pb.LeaseStatus{State: string(market.Agreed), Documents: l.documents()}, nil
		}
	}
	f.void[q.Hash()] = true
	return &pb.LeaseStatus{State: status.Void}, nil
}

func (l *fakeLease) documents() *pb.LeaseDocuments {
	d := &pb.LeaseDocuments{
		Quote: l.a.Block, QuoteSignature: l.a.Signature[:], Terms: l.a.TermBlock, Lease: l.a.LeaseBlock, ClientSignature: l.a.ClientSignature[:],
		ProviderSignature: l.sig[:], Job: l.a.JobBlock,
	}
	if n := len(l.receipts); n > 0 {
		last := l.receipts[n-1]
		d.Receipt = &pb.Receipt{Receipt: last.GetReceipt(), ProviderSignature: last.GetProviderSignature(), Body: last.GetBody(), ClientSignature: l.counter[uint32(n)]}
	}
	return d
}

func (f *fake) ChannelStatus(_ context.Context, _ peer.ID, channel market.Hash, _ status.BootID, _ uint64) (*pb.ChannelStatus, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.script.unreconciled != nil {
		return nil, f.script.unreconciled
	}
	st := &pb.ChannelStatus{BootId: f.boot[:], Voucher: f.voucher}
	for _, l := range f.leases {
		if l.a.Quote.Channel == channel {
			d := l.documents()
			if n := len(l.receipts); f.script.sly && n > 1 {
				r := l.receipts[n-2]
				d.Receipt = &pb.Receipt{Receipt: r.GetReceipt(), ProviderSignature: r.GetProviderSignature(), Body: r.GetBody()}
			}
			st.Leases = append(st.Leases, d)
		}
	}
	return st, nil
}

func (f *fake) Sink(ctx context.Context, p peer.ID, h market.Hash, root cid.Cid) (protoblob.Sink, error) {
	if f.script.closed {
		return nil, wire.Refuse(wire.Busy, "later")
	}
	space, err := f.blobs.Space(p.String())
	if err != nil {
		return nil, err
	}
	r, err := blob.NewReceiver(ctx, space, root, blob.Limits{})
	return fakeSink{r, f}, err
}

type fakeSink struct {
	*blob.Receiver
	f *fake
}

func (s fakeSink) Close() error {
	defer s.f.wake()
	return s.Receiver.Close()
}

func (f *fake) Source(ctx context.Context, _ peer.ID, _ market.Hash, root cid.Cid, skip int) (protoblob.Source, error) {
	if f.script.withhold || root != f.root {
		return nil, wire.Refuse(wire.Unknown, "no such blocks")
	}
	f.mu.Lock()
	f.gets++
	f.mu.Unlock()
	if f.script.cut {
		return func(yield func([]byte, error) bool) { yield(nil, io.EOF) }, nil
	}
	if f.script.stall {
		return func(yield func([]byte, error) bool) {
			<-ctx.Done()
			yield(nil, ctx.Err())
		}, nil
	}
	local, err := f.blobs.Space(blob.Local)
	return func(yield func([]byte, error) bool) {
		for b, err := range local.Walk(ctx, root, skip, blob.Limits{}) {
			if !yield(b.Data, err) {
				return
			}
		}
	}, err
}

func (f *fake) wake() {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.changed)
	f.changed = make(chan struct{})
}
