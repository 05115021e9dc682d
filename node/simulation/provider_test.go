package simulation

import (
	"slices"

	"github.com/ethereum/go-ethereum/crypto"

	"souk/node/books"
	"souk/node/ledger"
	"souk/protocol/market"
)

const (
	tickMillis  = 10 * second
	tickPrice   = 100
	maxTicks    = 12
	outlives    = 8 * second // a process its node
	prepareTime = 2 * minute
	keepTime    = 10 * minute
)

var (
	running = mustBlock(market.Body{})
	zero    = 0
	exited  = mustBlock(market.Body{Cause: "exited", ExitCode: &zero})
	stopped = mustBlock(market.Body{Cause: "stopped"})
)

func mustBlock(b market.Body) []byte {
	block, err := b.Encode()
	if err != nil {
		panic(err)
	}
	return block
}

// process is what runs on the machine, whatever its node does.
type process struct {
	began, ends uint64 // true time
	over        bool
	stopped     uint64
}

func (p *process) ran(now uint64) uint64 {
	if p.over {
		now = p.stopped
	}
	return min(now, p.ends) - p.began
}

func (p *process) stop(now uint64) {
	if !p.over {
		p.over, p.stopped = true, min(now, p.ends)
	}
}

// run is a lease as a provider has it in memory.
type run struct {
	lease     market.Hash
	channel   market.Hash
	quote     market.Quote
	terms     market.Terms
	client    *client
	proc      *process
	exchanged bool
	unsigned  market.Amount
	grace     uint64 // counts graces; odd while one runs
	evicted   bool
	ending    *market.Outcome
}

type provider struct {
	node
	id        byte
	credit    uint32
	nonce     byte
	processes map[market.Hash]*process // of the machine
	deals     map[market.Hash]deal     // what quotes and terms say: documents, as on disk
	runs      []*run
	agreed    map[market.Hash]bool
	asking    map[market.Hash][]func() // who waits for a channel's exchange
	asked     map[market.Hash]int      // which life's question about it is open
}

type deal struct {
	quote  market.Quote
	terms  market.Terms
	client *client
}

func newProvider(w *world, id byte) *provider {
	p := &provider{id: id, processes: map[market.Hash]*process{}, deals: map[market.Hash]deal{}, credit: uint32(w.rng.IntN(3))}
	p.node = newNode(w, "P"+string('0'+rune(id)), 10+id)
	p.wake, p.died = p.begin, p.crashed
	p.forget()
	return p
}

func (p *provider) forget() {
	p.runs, p.agreed, p.asking, p.asked = nil, map[market.Hash]bool{}, map[market.Hash][]func(){}, map[market.Hash]int{}
}

// crashed ends the processes that no node takes up again in time.
func (p *provider) crashed() {
	p.forget()
	life := p.life
	p.w.after(outlives, func() {
		for _, h := range p.disk.order {
			if proc := p.processes[h]; proc != nil && (!p.up && p.life == life) {
				proc.stop(p.w.now)
			}
		}
	})
}

// begin takes up what is on disk, as a start does.
func (p *provider) begin() {
	p.forget()
	p.dropLeftOver()
	for _, h := range slices.Clone(p.disk.order) {
		if !p.up { // a step of taking up crashed it
			return
		}
		l := p.disk.leases[h]
		if l.State == market.Finishing {
			p.closeLate(h)
		}
		if books.Over(l.State) {
			if proc := p.processes[h]; proc != nil {
				proc.stop(p.w.now)
			}
			continue
		}
		r := p.runOf(l)
		p.runs = append(p.runs, r)
		p.exchange(r)
		switch proc := p.processes[h]; {
		case l.State == market.Running && proc != nil && !proc.over:
			r.proc = proc
			p.supervise(r)
		case l.State == market.Running:
			p.finish(r, market.ProviderFailed)
		default:
			p.prepare(r)
		}
	}
}

// dropLeftOver ends the processes that the books, perhaps a backup, have no
// running lease for.
func (p *provider) dropLeftOver() {
	for h, proc := range p.processes {
		if l, known := p.disk.leases[h]; !known || l.State != market.Running && !books.Over(l.State) {
			proc.stop(p.w.now)
			delete(p.processes, h)
		}
	}
}

func (p *provider) runOf(l ledger.Lease) *run {
	d := p.deals[quoteHash(l.Quote)]
	return &run{lease: l.Hash, channel: l.Channel, quote: d.quote, terms: d.terms, client: d.client}
}

// quoteHash is a quote block's struct hash.
func quoteHash(block []byte) market.Hash { return market.Hash(crypto.Keccak256(block)) }
