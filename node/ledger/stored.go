package ledger

import "souk/protocol/market"

// What of each record is stored, in which order: see record.

func (q *Quote) fields(f *fields) {
	f.hash(&q.Hash)
	text(f, &q.Peer)
	f.bytes(&q.Block)
	f.bytes(&q.Signature)
	f.bytes(&q.Request)
	f.bytes(&q.Terms)
	f.hash(&q.Channel)
	f.bytes(&q.Config)
	number(f, &q.ExpiresAt)
	f.flag(&q.Void)
	f.hash(&q.Lease)
}

func (l *Lease) fields(f *fields) {
	l.documents(f)
	text(f, &l.State)
	number(f, &l.Outcome)
	f.flag(&l.Lost)
	text(f, &l.Reason)
	text(f, &l.JobID)
	f.count(&l.Attempt)
	number(f, &l.Created)
	number(f, &l.Started)
	number(f, &l.Ended)
	f.mark(&l.Newest)
	f.mark(&l.Countersigned)
	f.amount(&l.Paid)
	f.amount(&l.Raised)
	f.amount(&l.Credit)
	f.flag(&l.Cancelled)
	f.bytes(&l.Holding)
	number(f, &l.Waited)
	f.flag(&l.Hold)
	f.flag(&l.Unproven)
	text(f, &l.Outputs)
	f.flag(&l.Fetched)
}

func (l *Lease) documents(f *fields) {
	f.hash(&l.Hash)
	text(f, &l.Role)
	text(f, &l.Peer)
	f.hash(&l.Channel)
	f.chain(&l.Chain)
	f.bytes(&l.Quote)
	f.bytes(&l.QuoteSignature)
	f.bytes(&l.Request)
	f.bytes(&l.Terms)
	f.bytes(&l.Block)
	f.bytes(&l.ClientSignature)
	f.bytes(&l.ProviderSignature)
	f.bytes(&l.Job)
}

func (r *Receipt) fields(f *fields) {
	f.hash(&r.Lease)
	number(f, &r.Seq)
	f.bytes(&r.Block)
	f.bytes(&r.ProviderSignature)
	f.bytes(&r.ClientSignature)
	f.bytes(&r.Body)
}

func (v *Voucher) fields(f *fields) {
	f.hash(&v.Channel)
	f.bytes(&v.Block)
	f.amount(&v.Max)
	f.bytes(&v.Signature)
	number(f, &v.At)
}

func (c *Channel) fields(f *fields) {
	f.hash(&c.ID)
	text(f, &c.Role)
	text(f, &c.Peer)
	f.bytes(&c.Config)
	f.chain(&c.Chain)
	f.amount(&c.Voucher)
	f.bytes(&c.Signature)
	number(f, &c.Vouchers)
	f.amount(&c.Signed)
	f.amount(&c.Due)
	f.amount(&c.Ended)
	f.amount(&c.Live)
	f.amount(&c.Credit)
}

func (j *Job) fields(f *fields) {
	text(f, &j.ID)
	text(f, &j.Name)
	f.bytes(&j.Spec)
	f.bytes(&j.Job)
	number(f, &j.Created)
	number(f, &j.Ended)
	text(f, &j.State)
	list(f, &j.Leases, f.hash)
	list(f, &j.Declined, f.hash)
	f.amount(&j.Total)
	f.amount(&j.Spent)
	f.count(&j.Exit)
	text(f, &j.Source)
	text(f, &j.Code)
	text(f, &j.Reason)
	text(f, &j.Outputs)
	f.flag(&j.Cancel)
	f.count(&j.Retries)
	f.count(&j.Unproven)
	f.flag(&j.Detached)
}

func (p *Peer) fields(f *fields) {
	text(f, &p.ID)
	list(f, &p.Addrs, func(s *string) { text(f, s) })
	number(f, &p.Good)
	number(f, &p.Failed)
	number(f, &p.Cheated)
	number(f, &p.Receipts)
	f.amount(&p.Paid)
	number(f, &p.Speed)
	number(f, &p.SeenAt)
	text(f, &p.LastFault)
}

// value is a value of this node's own.
type value []byte

func (v *value) fields(f *fields) { f.bytes((*[]byte)(v)) }

// counter is the number of an Update.
type counter uint64

func (c *counter) fields(f *fields) { number(f, c) }

// sum is of amounts.
type sum market.Amount

func (s *sum) fields(f *fields) { f.amount((*market.Amount)(s)) }
