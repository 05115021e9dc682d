package receiptfile

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/ipfs/go-cid"
	carv2 "github.com/ipld/go-car/v2"

	"souk/protocol/market"
)

// ReadFile reads the receipt file at path, which its errors name; they are those of
// Read and of the file system.
func ReadFile(path string) (market.Bundle, error) {
	f, err := os.Open(path) //nolint:gosec // named by the user
	if err != nil {
		return market.Bundle{}, err
	}
	defer func() { _ = f.Close() }()
	b, err := Read(f)
	if err != nil {
		return b, fmt.Errorf("%s: %w", path, err)
	}
	return b, nil
}

// Read reads a receipt file. The bundle holds what the file says, whether it
// is right or wrong; errors are ErrFormat, ErrDamaged, ErrTooLarge or those of r.
func Read(r io.Reader) (market.Bundle, error) {
	root, blocks, err := readBlocks(r)
	if err != nil {
		return market.Bundle{}, err
	}
	u := unpack{blocks: blocks}
	b := u.bundle(root)
	if u.err == nil {
		u.err = changed(blocks)
	}
	if u.err != nil {
		return market.Bundle{}, u.err
	}
	return b, nil
}

// found is one block of a file that is read.
type found struct {
	data   []byte
	number int  // from 1, for people
	whole  bool // it has the hash that its CID names
}

// changed names the first block that was changed, linked or not.
func changed(blocks map[cid.Cid]found) error {
	first := 0
	for _, b := range blocks {
		if !b.whole && (first == 0 || b.number < first) {
			first = b.number
		}
	}
	if first == 0 {
		return nil
	}
	return fmt.Errorf("%w: block %d was changed, its content is not what it is named by", ErrDamaged, first)
}

func readBlocks(r io.Reader) (cid.Cid, map[cid.Cid]found, error) {
	capped := &cappedReader{r: r, left: MaxFileBytes}
	car, err := carv2.NewBlockReader(bufio.NewReader(capped),
		carv2.MaxAllowedHeaderSize(maxHeaderBytes), carv2.MaxAllowedSectionSize(MaxBlockBytes),
		carv2.WithTrustedCAR(true)) // hashes are checked here, to say what was changed
	if err != nil {
		return cid.Undef, nil, capped.explain(fmt.Errorf("%w: it doesn't begin like a CAR", ErrFormat))
	}
	if car.Version != 1 || len(car.Roots) != 1 || car.Roots[0].Prefix() != jsonPrefix {
		return cid.Undef, nil, fmt.Errorf("%w: a CARv1 with one root, a DAG-JSON block, is needed", ErrFormat)
	}
	blocks := make(map[cid.Cid]found)
	for n := 0; ; n++ {
		next, err := car.Next()
		if errors.Is(err, io.EOF) && capped.err == nil {
			return car.Roots[0], blocks, nil
		}
		if err != nil {
			return cid.Undef, nil, capped.explain(fmt.Errorf("%w: it can't be read on from block %d, so it was cut short or changed there", ErrDamaged, n+1))
		}
		if n == MaxBlocks {
			return cid.Undef, nil, fmt.Errorf("%w: more than %d blocks", ErrTooLarge, MaxBlocks)
		}
		sum, err := next.Cid().Prefix().Sum(next.RawData())
		if blocks[next.Cid()].whole {
			continue // the same again
		}
		blocks[next.Cid()] = found{data: next.RawData(), number: n + 1, whole: err == nil && sum == next.Cid()}
	}
}

// cappedReader fails, unlike io.LimitReader, where the limit is passed, and
// remembers why reading failed.
type cappedReader struct {
	r    io.Reader
	left int
	err  error
}

func (c *cappedReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p[:min(len(p), c.left+1)])
	if n > c.left {
		n, err = c.left, fmt.Errorf("%w: more than %d bytes", ErrTooLarge, MaxFileBytes)
	}
	c.left -= n
	if err != nil && !errors.Is(err, io.EOF) {
		c.err = err
	}
	return n, err
}

// explain tells a reader's own failure from a malformed file.
func (c *cappedReader) explain(malformed error) error {
	if c.err != nil {
		return c.err
	}
	return malformed
}

// unpack follows the links from the root.
type unpack struct {
	blocks map[cid.Cid]found
	err    error
}

func (u *unpack) fail(err error) {
	if u.err == nil {
		u.err = err
	}
}

// get finds the block that a link names, which must be of the right kind.
func (u *unpack) get(what string, c cid.Cid, want cid.Prefix) []byte {
	if !c.Defined() || c.Prefix() != want {
		u.fail(fmt.Errorf("%w: the link to the %s is of the wrong kind", ErrFormat, what))
		return nil
	}
	b, ok := u.blocks[c]
	switch {
	case !ok:
		u.fail(fmt.Errorf("%w: the %s %s is not in the file", ErrDamaged, what, c))
	case !b.whole:
		u.fail(fmt.Errorf("%w: the %s (block %d of the file) was changed, its content is not what it is named by", ErrDamaged, what, b.number))
	}
	return b.data
}

func (u *unpack) document(what string, c cid.Cid, into any) {
	data := u.get(what, c, jsonPrefix)
	if u.err != nil {
		return
	}
	if err := market.DecodeDAGJSON(data, into, MaxBlockBytes); err != nil {
		u.fail(fmt.Errorf("%w: the %s: %w", ErrFormat, what, err))
	}
}

func (u *unpack) bundle(root cid.Cid) market.Bundle {
	var m manifest
	u.document("manifest", root, &m)
	if u.err != nil {
		return market.Bundle{}
	}
	if m.Version != version {
		u.fail(fmt.Errorf("%w: its manifest has version %d, this souk reads %d", ErrFormat, m.Version, version))
		return market.Bundle{}
	}
	return market.Bundle{
		Network: m.Network, Chain: market.Chain{ID: m.Chain.ID, Contract: m.Chain.Contract},
		Request: u.get("request", m.Request, jsonPrefix), Terms: u.get("terms", m.Terms, jsonPrefix), Job: u.get("job", m.Job, jsonPrefix),
		Quote: u.get("quote", m.Quote.Document, eip712Prefix), QuoteSignature: market.Signature(m.Quote.Provider),
		Lease:           u.get("lease", m.Lease.Document, eip712Prefix),
		ClientSignature: market.Signature(m.Lease.Client), ProviderSignature: market.Signature(m.Lease.Provider),
		ChannelConfig: u.get("channel config", m.ChannelConfig, eip712Prefix),
		Receipts:      u.receipts(m.Receipts), Vouchers: u.vouchers(m.Vouchers),
	}
}

func (u *unpack) receipts(pages []cid.Cid) (all []market.SignedReceipt) {
	u.countPages("receipts", len(pages), MaxReceipts)
	for _, c := range pages {
		var page receiptPage
		u.document("page of receipts", c, &page)
		u.count("receipts", len(all), len(page.Receipts), MaxReceipts)
		if u.err != nil {
			return nil
		}
		for _, entry := range page.Receipts {
			r := market.SignedReceipt{Block: u.get(fmt.Sprintf("receipt %d", len(all)+1), entry.Document, eip712Prefix), Provider: market.Signature(entry.Provider)}
			if entry.Body != nil {
				r.Body = u.get(fmt.Sprintf("body of receipt %d", len(all)+1), *entry.Body, jsonPrefix)
			}
			if entry.Client != nil {
				r.Client = market.Signature(*entry.Client)
			}
			all = append(all, r)
		}
	}
	return all
}

func (u *unpack) vouchers(pages []cid.Cid) (all []market.SignedVoucher) {
	u.countPages("vouchers", len(pages), MaxVouchers)
	for _, c := range pages {
		var page voucherPage
		u.document("page of vouchers", c, &page)
		u.count("vouchers", len(all), len(page.Vouchers), MaxVouchers)
		if u.err != nil {
			return nil
		}
		for _, entry := range page.Vouchers {
			all = append(all, market.SignedVoucher{Block: u.get("voucher", entry.Document, eip712Prefix), Signature: market.Signature(entry.Client)})
		}
	}
	return all
}

// countPages keeps the same long page from being read thousands of times.
func (u *unpack) countPages(what string, pages, most int) {
	if pages > most/pageEntries {
		u.fail(fmt.Errorf("%w: %d pages of %s, %d of up to %d are allowed", ErrTooLarge, pages, what, most/pageEntries, pageEntries))
	}
}

// count refuses empty pages, and more entries than a file may have: one page
// can be linked many times.
func (u *unpack) count(what string, have, more, most int) {
	switch {
	case u.err != nil:
	case more == 0:
		u.fail(fmt.Errorf("%w: a page of %s is empty", ErrFormat, what))
	case have+more > most:
		u.fail(fmt.Errorf("%w: more than %d %s", ErrTooLarge, most, what))
	}
}
