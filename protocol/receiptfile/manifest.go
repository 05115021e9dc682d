package receiptfile

import (
	"encoding/base64"
	"encoding/json"
	"fmt"

	"github.com/ipfs/go-cid"

	"souk/protocol/market"
)

// version is the manifest's. A reader refuses every other one.
const version = 1

// manifest is the root block. Receipts and vouchers lie in pages, so that no
// block grows with the lease.
type manifest struct {
	Version       int         `json:"version"`
	Network       string      `json:"network"`
	Chain         chain       `json:"chain"`
	Request       cid.Cid     `json:"request"`
	Terms         cid.Cid     `json:"terms"`
	Job           cid.Cid     `json:"job"`
	Quote         signedQuote `json:"quote"`
	Lease         signedLease `json:"lease"`
	ChannelConfig cid.Cid     `json:"channelConfig"`
	Receipts      []cid.Cid   `json:"receipts"` // links to receiptPage
	Vouchers      []cid.Cid   `json:"vouchers"` // links to voucherPage
}

type chain struct {
	ID       uint64         `json:"id"`
	Contract market.Address `json:"contract"`
}

type signedQuote struct {
	Document cid.Cid   `json:"document"`
	Provider signature `json:"provider"`
}

type signedLease struct {
	Document cid.Cid   `json:"document"`
	Client   signature `json:"client"`
	Provider signature `json:"provider"`
}

type receiptPage struct {
	Receipts []signedReceipt `json:"receipts"`
}

type signedReceipt struct {
	Document cid.Cid    `json:"document"`
	Body     *cid.Cid   `json:"body,omitempty"`
	Provider signature  `json:"provider"`
	Client   *signature `json:"client,omitempty"`
}

type voucherPage struct {
	Vouchers []signedVoucher `json:"vouchers"`
}

type signedVoucher struct {
	Document cid.Cid   `json:"document"`
	Client   signature `json:"client"`
}

// signature is 65 bytes in the DAG-JSON form of bytes.
type signature market.Signature

type jsonBytes struct {
	Slash struct {
		Bytes string `json:"bytes"`
	} `json:"/"`
}

func (s signature) MarshalJSON() ([]byte, error) {
	var b jsonBytes
	b.Slash.Bytes = base64.RawStdEncoding.EncodeToString(s[:])
	return json.Marshal(b)
}

func (s *signature) UnmarshalJSON(text []byte) error {
	var b jsonBytes
	if err := json.Unmarshal(text, &b); err != nil {
		return err
	}
	raw, err := base64.RawStdEncoding.DecodeString(b.Slash.Bytes)
	if err != nil {
		return fmt.Errorf("signature: %w", err)
	}
	sig, err := market.SignatureFrom(raw)
	*s = signature(sig)
	return err
}
