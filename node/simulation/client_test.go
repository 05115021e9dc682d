package simulation

import (
	"errors"

	"souk/node/books"
	"souk/node/ledger"
	"souk/protocol/market"
)

const (
	lostAfter = minute
	askAgain  = 4 * second
)

var (
	errNotReconciled = errors.New("the channel's status was not exchanged")
	errUnknown       = errors.New("no such quote")
)

// slot is one job of a client at a time: what it remembers of its lease. All
// jobs of a client are the same, so that one quote for two of them is one lease.
type slot struct {
	n       int
	at      *provider
	lease   market.Hash // zero: none
	fresh   bool        // this life made the lease
	here    bool        // and asked for its start
	began   uint64      // true time of that
	heard   uint64
	tries   int
	settles int
	wants   bool // a quote was asked for and is to be used
}

type client struct {
	node
	caps   books.Caps
	deals  map[market.Hash]deal // as on disk
	jobs   int                  // still to do
	slots  []*slot
	agreed map[*provider]bool
	// refused are the lost leases that it doesn't pay, as vouchers don't cover them
	refused []market.Hash

	channels map[*provider]market.Hash
}

func newClient(w *world, id byte) *client {
	c := &client{channels: map[*provider]market.Hash{}, deals: map[market.Hash]deal{}, jobs: 2 + w.rng.IntN(2), caps: books.Caps{PerPeer: market.NewAmount(4 * tickPrice), InAll: market.NewAmount(5 * tickPrice)}}
	c.node = newNode(w, "C"+string('0'+rune(id)), 100+id)
	c.wake, c.died = c.begin, func() { c.agreed = map[*provider]bool{} }
	c.begin()
	return c
}

func (c *client) begin() {
	c.agreed, c.slots, c.refused = map[*provider]bool{}, nil, nil
	for n := range 2 {
		s := &slot{n: n, heard: c.w.now}
		c.slots = append(c.slots, s)
		c.after(uint64(n)*second+1, func() { c.poke(s) })
	}
	for _, h := range c.disk.order { // take up what lives
		if l := c.disk.leases[h]; l.State != market.Closed {
			for _, s := range c.slots {
				if s.lease.IsZero() {
					s.lease, s.at = h, c.providerOf(l)
					break
				}
			}
		}
	}
}

func (c *client) providerOf(l ledger.Lease) *provider {
	q := c.deals[quoteHash(l.Quote)].quote
	for _, p := range c.w.provs {
		if p.side.Signer.Address() == q.Provider {
			return p
		}
	}
	panic("a lease with nobody")
}

func (c *client) channelWith(p *provider) market.Hash {
	id, known := c.channels[p]
	if !known {
		id = c.side.Chain.ChannelID(market.ChannelConfig{
			Payer: c.side.Signer.Address(), PayerAuthorizer: c.side.Signer.Address(), Receiver: p.side.Signer.Address(), ReceiverAuthorizer: p.side.Signer.Address(),
		})
		c.channels[p] = id
	}
	return id
}

func (c *client) channel(id market.Hash) ledger.Channel {
	ch, err := c.disk.Channel(ledger.Client, id)
	if err != nil {
		return ledger.Channel{ID: id, Role: ledger.Client}
	}
	return ch
}

// change edits a slot's lease in one write.
func (c *client) change(s *slot, what string, edit func(ledger.Lease) (ledger.Lease, error)) bool {
	return c.write(what, func() error {
		l, err := edit(c.disk.leases[s.lease])
		return errors.Join(err, books.PutLease(c.disk, l))
	})
}

func (c *client) account(ch ledger.Channel, except market.Hash) books.Account {
	a := books.Account{Channel: ch, Caps: c.caps}
	for _, h := range c.disk.order {
		if l := c.disk.leases[h]; l.Channel == ch.ID && l.Hash != except && l.State != market.Closed {
			a.Others = a.Others.Add(l.Paid)
		}
	}
	for id, other := range c.disk.channels {
		if id != ch.ID {
			a.Elsewhere = a.Elsewhere.Add(other.Voucher.Sub(other.Due))
		}
	}
	return a
}

func (c *client) slotOf(lease market.Hash) *slot {
	for _, s := range c.slots {
		if s.lease == lease {
			return s
		}
	}
	return nil
}
