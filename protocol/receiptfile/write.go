package receiptfile

import (
	"context"
	"fmt"
	"io"

	"github.com/ipfs/go-cid"
	carv2 "github.com/ipld/go-car/v2"
	"github.com/ipld/go-car/v2/storage"

	"souk/protocol/market"
)

// Write writes b as a receipt file. It refuses a bundle that Read would
// refuse to take back, and writes wrong documents as they are: a file may be
// evidence. What it wrote before an error of w is no receipt file.
func Write(w io.Writer, b market.Bundle) error {
	if err := countable(b); err != nil {
		return err
	}
	p := pack{seen: make(map[cid.Cid]bool)}
	m := p.manifest(b)
	root := p.addDocument(m)
	if p.err != nil {
		return p.err
	}
	if p.bytes > MaxFileBytes-maxHeaderBytes || len(p.blocks) > MaxBlocks {
		return fmt.Errorf("%w: %d blocks with %d bytes, %d and %d are allowed", ErrTooLarge, len(p.blocks), p.bytes, MaxBlocks, MaxFileBytes)
	}
	return p.write(w, root)
}

func countable(b market.Bundle) error {
	if len(b.Receipts) > MaxReceipts || len(b.Vouchers) > MaxVouchers {
		return fmt.Errorf("%w: %d receipts and %d vouchers, %d and %d are allowed", ErrTooLarge, len(b.Receipts), len(b.Vouchers), MaxReceipts, MaxVouchers)
	}
	return nil
}

// pack gathers the blocks of a file in order, each once.
type pack struct {
	blocks []block
	seen   map[cid.Cid]bool
	bytes  int
	err    error
}

type block struct {
	cid  cid.Cid
	data []byte
}

// sectionOverhead is the most that a block's length prefix and CID take.
const sectionOverhead = 4 + 37

func (p *pack) add(prefix cid.Prefix, data []byte) cid.Cid {
	c, err := prefix.Sum(data)
	if err != nil && p.err == nil {
		p.err = err
	}
	if len(data) > MaxBlockBytes-sectionOverhead && p.err == nil {
		p.err = fmt.Errorf("%w: a block of %d bytes, %d are allowed", ErrTooLarge, len(data), MaxBlockBytes-sectionOverhead)
	}
	if !p.seen[c] {
		p.seen[c] = true
		p.blocks = append(p.blocks, block{c, data})
		p.bytes += len(data) + sectionOverhead
	}
	return c
}

func (p *pack) addDocument(doc any) cid.Cid {
	data, err := market.EncodeDAGJSON(doc, MaxBlockBytes-sectionOverhead)
	if err != nil && p.err == nil {
		p.err = err
	}
	return p.add(jsonPrefix, data)
}

func (p *pack) manifest(b market.Bundle) manifest {
	return manifest{
		Version: version, Network: b.Network, Chain: chain{ID: b.Chain.ID, Contract: b.Chain.Contract},
		Request: p.add(jsonPrefix, b.Request), Terms: p.add(jsonPrefix, b.Terms), Job: p.add(jsonPrefix, b.Job),
		Quote: signedQuote{Document: p.add(eip712Prefix, b.Quote), Provider: signature(b.QuoteSignature)},
		Lease: signedLease{
			Document: p.add(eip712Prefix, b.Lease),
			Client:   signature(b.ClientSignature), Provider: signature(b.ProviderSignature),
		},
		ChannelConfig: p.add(eip712Prefix, b.ChannelConfig),
		Receipts:      p.receipts(b.Receipts),
		Vouchers:      p.vouchers(b.Vouchers),
	}
}

func (p *pack) receipts(all []market.SignedReceipt) []cid.Cid {
	return pages(all, func(some []market.SignedReceipt) cid.Cid {
		var page receiptPage
		for _, r := range some {
			entry := signedReceipt{Document: p.add(eip712Prefix, r.Block), Provider: signature(r.Provider)}
			if len(r.Body) > 0 {
				c := p.add(jsonPrefix, r.Body)
				entry.Body = &c
			}
			if !r.Client.IsZero() {
				s := signature(r.Client)
				entry.Client = &s
			}
			page.Receipts = append(page.Receipts, entry)
		}
		return p.addDocument(page)
	})
}

func (p *pack) vouchers(all []market.SignedVoucher) []cid.Cid {
	return pages(all, func(some []market.SignedVoucher) cid.Cid {
		var page voucherPage
		for _, v := range some {
			page.Vouchers = append(page.Vouchers, signedVoucher{Document: p.add(eip712Prefix, v.Block), Client: signature(v.Signature)})
		}
		return p.addDocument(page)
	})
}

// pages cuts all into pages; the list of their links is never nil.
func pages[T any](all []T, page func([]T) cid.Cid) []cid.Cid {
	links := []cid.Cid{}
	for len(all) > 0 {
		n := min(len(all), pageEntries)
		links = append(links, page(all[:n]))
		all = all[n:]
	}
	return links
}

// write puts the root first, then the rest in the order in which it was added.
func (p *pack) write(w io.Writer, root cid.Cid) error {
	plain := struct{ io.Writer }{w} // or an *os.File would be written from its start
	car, err := storage.NewWritable(plain, []cid.Cid{root}, carv2.WriteAsCarV1(true), carv2.UseWholeCIDs(true))
	if err != nil {
		return fmt.Errorf("write receipt file: %w", err)
	}
	last := len(p.blocks) - 1 // the root was added last
	for _, b := range append([]block{p.blocks[last]}, p.blocks[:last]...) {
		if err := car.Put(context.Background(), b.cid.KeyString(), b.data); err != nil {
			return fmt.Errorf("write receipt file: %w", err)
		}
	}
	return nil
}
