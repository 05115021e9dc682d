package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/libp2p/go-libp2p/core/peer"

	"souk/node/ledger"
	"souk/protocol/market"
	"souk/protocol/wire"
)

// maxDisputes bounds what is kept of one provider; the oldest go first.
const maxDisputes = 256

// disputes are a provider's leases that this client closed by itself, and that
// may not be paid to the end.
type disputes struct {
	Given  market.Amount `json:"given"` // by how much late payments raised the channel's voucher, without anybody being asked
	Leases []disputed    `json:"leases"`
}

// disputed is one of them.
type disputed struct {
	Lease    market.Hash   `json:"lease"`
	Silence  bool          `json:"silence"`        // it was lost because the provider couldn't be reached: what it cost may be paid without asking
	Seq      uint32        `json:"seq"`            // of the newest receipt that the provider showed
	Charged  market.Amount `json:"charged"`        // in it
	Owed     market.Amount `json:"owed"`           // of it: not countersigned
	Obstacle bool          `json:"obstacle"`       // it is more than vouchers cover, so the provider gives no further lease
	Why      string        `json:"why,omitempty"`  // it isn't countersigned
	Left     bool          `json:"left,omitempty"` // a person won't pay it
	At       uint64        `json:"at"`             // Unix ms
	// Tried is when its provider last broke off the conversation in which it was to be paid late, Unix ms.
	Tried uint64 `json:"tried,omitempty"`
}

func disputesName(p string) string { return "client/disputes/" + p }

// readDisputes reads what is in dispute with a provider.
func readDisputes(tx *ledger.Tx, p string) (d disputes, err error) {
	raw, err := tx.Meta(disputesName(p))
	if errors.Is(err, ledger.ErrNotFound) {
		return d, nil
	}
	if err != nil {
		return d, err
	}
	return d, json.Unmarshal(raw, &d)
}

// editDisputes changes it.
func editDisputes(tx *ledger.Tx, p string, edit func(*disputes)) error {
	d, err := readDisputes(tx, p)
	if err != nil {
		return err
	}
	edit(&d)
	raw, err := json.Marshal(d)
	if err != nil {
		return err
	}
	return tx.PutMeta(disputesName(p), raw)
}

// of gives a lease's, the zero one if there is none.
func (d disputes) of(lease market.Hash) disputed {
	if i := d.index(lease); i >= 0 {
		return d.Leases[i]
	}
	return disputed{}
}

func (d disputes) index(lease market.Hash) int {
	return slices.IndexFunc(d.Leases, func(x disputed) bool { return x.Lease == lease })
}

// set puts x in the place of what was known of its lease.
func (d *disputes) set(x disputed) {
	if i := d.index(x.Lease); i >= 0 {
		d.Leases[i] = x
		return
	}
	d.Leases = append(d.Leases, x)
	if more := len(d.Leases) - maxDisputes; more > 0 {
		d.Leases = d.Leases[more:]
	}
}

func (d *disputes) drop(lease market.Hash) {
	d.Leases = slices.DeleteFunc(d.Leases, func(x disputed) bool { return x.Lease == lease })
}

// obstacle is what keeps a provider from giving another lease, if anything does:
// what nobody has decided on, before what a person left.
func (d disputes) obstacle() (found disputed, any bool) {
	for _, x := range d.Leases {
		if x.Obstacle && (!any || found.Left && !x.Left) {
			found, any = x, true
		}
	}
	return found, any
}

// sentence says of a provider what it demands, and why this node hasn't paid it.
func (x disputed) sentence() string {
	if x.Left {
		return fmt.Sprintf("it says that %s USD is owed for lease %s, which you left unpaid", usd(x.Owed), shortLease(x.Lease))
	}
	return fmt.Sprintf("it says that %s USD is owed for lease %s, which this node has not countersigned: %s", usd(x.Owed), shortLease(x.Lease), x.Why)
}

// remedy is what a person can do about it.
func (x disputed) remedy() string {
	id := shortLease(x.Lease)
	if x.Left {
		return fmt.Sprintf("`souk receipts pay %s %s`, or another provider", id, usd(x.Owed))
	}
	return fmt.Sprintf("`souk receipts show %s`, then `souk receipts pay %s %s` or `souk receipts leave %s`; or another provider", id, id, usd(x.Owed), id)
}

// shortLease is enough of a lease's hash to name it to a command.
func shortLease(h market.Hash) string { return h.Hex()[:10] }

// unhindered refuses a provider that would give no lease because of a dispute, and
// one that was caught since it was chosen: by a receipt that was to be paid late, say.
func unhindered(tx *ledger.Tx, p peer.ID) error {
	known, err := tx.Peer(p.String())
	if err != nil && !errors.Is(err, ledger.ErrNotFound) {
		return err
	}
	if known.Cheated > 0 {
		return wire.Refuse(Cheated, "it cheated this node: %s", known.LastFault)
	}
	d, err := readDisputes(tx, p.String())
	if err != nil {
		return err
	}
	if x, any := d.obstacle(); any {
		return wire.Refuse(Disputed, "%s", x.sentence()).Near("%s", x.remedy())
	}
	return nil
}
