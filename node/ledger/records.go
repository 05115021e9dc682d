package ledger

import (
	"souk/protocol/market"
)

// Role is which side of a lease or channel this node is.
type Role string

// The roles.
const (
	Provider Role = "provider"
	Client   Role = "client"
)

// Quote is a quote that this node signed as a provider. It is written before
// the quote is sent, so that a restart knows what it promised.
type Quote struct {
	Hash      market.Hash
	Peer      string // the client's peer ID
	Block     []byte
	Signature []byte
	Request   []byte
	Terms     []byte
	Channel   market.Hash
	Config    []byte
	ExpiresAt uint64      // Unix ms
	Void      bool        // never to be accepted any more
	Lease     market.Hash // the lease that accepted it; zero while none did
}

// Mark is where a lease's chain of receipts stands.
type Mark struct {
	Seq     uint32
	Hash    market.Hash
	Units   uint64
	Charged market.Amount
}

// Lease is a lease as this side knows it.
type Lease struct {
	Hash    market.Hash
	Role    Role
	Peer    string // the other side's peer ID
	Channel market.Hash
	Chain   market.Chain

	Quote             []byte
	QuoteSignature    []byte
	Request           []byte
	Terms             []byte
	Block             []byte // the lease document
	ClientSignature   []byte
	ProviderSignature []byte // empty on the client until the provider answered
	Job               []byte

	State   market.State
	Outcome market.Outcome
	Lost    bool   // client: the provider can't be reached any more; provider: it closed without a last receipt
	Reason  string // one sentence on why it ended, for people

	JobID   string // client: the job that this is an execution of
	Attempt int    // client: which execution of it, from 1

	Created uint64 // Unix ms
	Started uint64
	Ended   uint64

	Newest        Mark          // the newest receipt here
	Countersigned Mark          // the newest receipt that the client signed too
	Paid          market.Amount // client: the part of the channel's voucher that this lease asked for
	Raised        market.Amount // client: by how much this lease raised the channel's voucher
	Credit        market.Amount // client: what it may run ahead of the voucher
	Cancelled     bool          // the client asked to cancel
	Holding       []byte        // provider: what of the machine it holds, for capacity.Restore
	Waited        uint64        // provider: ms that the process was held back for, once it began
	Hold          bool          // client: the process waits until the lease's devices stood a challenge
	Unproven      bool          // client: they didn't, or weren't challenged to the end; the process never began
	Outputs       string        // CID of the outputs, empty if none yet
	Fetched       bool          // client: outputs and log are here
}

// Receipt is one receipt with its body and whichever signatures there are.
type Receipt struct {
	Lease             market.Hash
	Seq               uint32
	Block             []byte
	ProviderSignature []byte
	ClientSignature   []byte
	Body              []byte
}

// Voucher is one voucher, in the order in which they were signed.
type Voucher struct {
	Channel   market.Hash
	Block     []byte
	Max       market.Amount
	Signature []byte
	At        uint64 // Unix ms
}

// Channel is one payment channel as this side knows it.
type Channel struct {
	ID     market.Hash
	Role   Role // this node's role in it
	Peer   string
	Config []byte
	Chain  market.Chain

	Voucher   market.Amount // the highest signed (client) or held (provider)
	Signature []byte        // of that voucher
	Vouchers  uint64        // how many there were
	Signed    market.Amount // sum over leases of the charge in their newest receipt
	Due       market.Amount // sum over leases of the charge in their newest countersigned receipt
	Ended     market.Amount // client: sum of Paid over the leases that are closed
	Live      market.Amount // client: sum of Paid over those that aren't
	Credit    market.Amount // client: sum of Credit over those that aren't
}

// JobState is where a client's job stands.
type JobState string

// The states of a job.
const (
	JobPlaced JobState = "placed" // no lease yet, or between two executions
	JobActive JobState = "active" // an execution is live
	JobDone   JobState = "done"
)

// Job is a job that this node runs as a client.
type Job struct {
	ID       string
	Name     string
	Spec     []byte // the job file as submitted, JSON
	Job      []byte // the job document, once inputs have their CIDs
	Created  uint64 // Unix ms
	Ended    uint64
	State    JobState
	Leases   []market.Hash // its executions in order
	Declined []market.Hash // leases that providers didn't take, but got a higher voucher with
	Total    market.Amount // limits.total
	Spent    market.Amount // what its ended executions were paid
	Exit     int           // exit code, valid once done
	Source   string        // whose code it is: "job" or "souk"
	Code     string        // souk's code, such as "no_provider"
	Reason   string        // one sentence
	Outputs  string        // CID
	Cancel   bool          // the user asked to cancel
	Retries  int
	Unproven int // executions that ended before their process began, over a challenge
	Detached bool
}

// Peer is what this node learned about another one by trading with it.
type Peer struct {
	ID        string
	Addrs     []string // last known multiaddrs
	Good      uint64   // leases that ended with succeeded or job_failed
	Failed    uint64   // leases that ended with provider_failed, or lost
	Cheated   uint64   // leases ended over a document that can't be honest
	Receipts  uint64   // countersigned receipts
	Paid      market.Amount
	Speed     uint64 // measured by own receipts; 0 if never
	SeenAt    uint64 // Unix ms
	LastFault string
}
