package receiptfile_test

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/ipfs/go-cid"
	carv2 "github.com/ipld/go-car/v2"
	"github.com/ipld/go-car/v2/storage"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"souk/internal/fuzztest"
	"souk/protocol/market"
	"souk/protocol/market/markettest"
	"souk/protocol/receiptfile"
)

func file(t require.TestingT, b market.Bundle) []byte {
	var out bytes.Buffer
	require.NoError(t, receiptfile.Write(&out, b))
	return out.Bytes()
}

func TestAFileGivesBackItsBundle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 6).Draw(t, "receipts")
		plan := markettest.Plan{Countersigned: rapid.IntRange(0, n).Draw(t, "countersigned")}
		for i := range n {
			plan.Units = append(plan.Units, uint64(i+1)*1000)
		}
		if rapid.Bool().Draw(t, "on a chain") {
			plan.Chain = market.Chain{ID: 8453, Contract: market.Address{1, 2, 3}}
		}
		want := markettest.Bundle(plan)
		raw := file(t, want)
		got, err := receiptfile.Read(iotest.OneByteReader(bytes.NewReader(raw)))
		require.NoError(t, err)
		require.Equal(t, want, got)
		require.Equal(t, raw, file(t, want), "one bundle has one file")
		_, err = got.Verify()
		require.NoError(t, err)
	})
}

func TestALongLeaseIsCutIntoPages(t *testing.T) {
	b := markettest.Bundle(markettest.Plan{})
	for len(b.Receipts) < 2500 {
		b.Receipts = append(b.Receipts, b.Receipts[len(b.Receipts)%3])
	}
	raw := file(t, b)
	got, err := receiptfile.Read(bytes.NewReader(raw))
	require.NoError(t, err)
	require.Equal(t, b, got)
}

func TestTheRootComesFirstAndEveryBlockOnce(t *testing.T) {
	b := markettest.Bundle(markettest.Plan{})
	b.Receipts = append(b.Receipts, b.Receipts[0])
	car, err := carv2.NewBlockReader(bytes.NewReader(file(t, b)))
	require.NoError(t, err)
	seen := map[cid.Cid]bool{}
	for first := true; ; first = false {
		block, err := car.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		require.False(t, seen[block.Cid()])
		seen[block.Cid()] = true
		if first {
			require.Equal(t, car.Roots[0], block.Cid())
		}
	}
	require.Len(t, seen, 6+3+3+2+3+1) // documents, receipts, bodies, pages, vouchers, manifest
	q, err := market.DecodeQuote(b.Quote)
	require.NoError(t, err)
	require.True(t, seen[q.Hash().CID()], "a document's CID bears its struct hash")
	require.True(t, seen[market.BlockHash(b.Job).JSONCID()])
}

func TestEveryChangedByteIsNamedOrHarmless(t *testing.T) {
	want := markettest.Bundle(markettest.Plan{Units: []uint64{1000, 1500}, Countersigned: 1})
	sum, err := want.Verify()
	require.NoError(t, err)
	raw := file(t, want)
	for i := range raw {
		bad := bytes.Clone(raw)
		bad[i] ^= 1 << (i % 8)
		got, err := receiptfile.Read(bytes.NewReader(bad))
		if err != nil {
			require.True(t, errors.Is(err, receiptfile.ErrFormat) || errors.Is(err, receiptfile.ErrDamaged) || errors.Is(err, receiptfile.ErrTooLarge), "byte %d: %v", i, err)
			continue
		}
		if again, err := got.Verify(); err == nil {
			require.Equal(t, sum, again, "byte %d", i)
		}
	}
}

func TestATruncatedFileIsNotWhole(t *testing.T) {
	raw := file(t, markettest.Bundle(markettest.Plan{}))
	for n := range raw {
		_, err := receiptfile.Read(bytes.NewReader(raw[:n]))
		require.True(t, errors.Is(err, receiptfile.ErrFormat) || errors.Is(err, receiptfile.ErrDamaged), "%d of %d bytes: %v", n, len(raw), err)
	}
}

func TestTheChangedDocumentIsNamed(t *testing.T) {
	b := markettest.Bundle(markettest.Plan{Units: []uint64{1000, 2000, 3000}})
	raw := file(t, b)
	for want, block := range map[string][]byte{
		"it is damaged: the receipt 2 (block": b.Receipts[1].Block, "it is damaged: the body of receipt 3 (block": b.Receipts[2].Body,
		"it is damaged: the terms (block": b.Terms, "it is damaged: the channel config (block": b.ChannelConfig,
	} {
		at := bytes.Index(raw, block) + len(block) - 1
		bad := bytes.Clone(raw)
		bad[at] ^= 1
		_, err := receiptfile.Read(bytes.NewReader(bad))
		require.ErrorIs(t, err, receiptfile.ErrDamaged)
		require.ErrorContains(t, err, want)
	}
}

func TestTheReadersOwnErrorIsPassedOn(t *testing.T) {
	raw := file(t, markettest.Bundle(markettest.Plan{}))
	broken := errors.New("disk gone")
	_, err := receiptfile.Read(io.MultiReader(bytes.NewReader(raw[:len(raw)/2]), iotest.ErrReader(broken)))
	require.ErrorIs(t, err, broken)
	require.NotErrorIs(t, err, receiptfile.ErrFormat)
}

func TestWritingStopsAtTheLimits(t *testing.T) {
	for name, change := range map[string]func(*market.Bundle){
		"receipts":   func(b *market.Bundle) { b.Receipts = make([]market.SignedReceipt, receiptfile.MaxReceipts+1) },
		"vouchers":   func(b *market.Bundle) { b.Vouchers = make([]market.SignedVoucher, receiptfile.MaxVouchers+1) },
		"block size": func(b *market.Bundle) { b.Job = make([]byte, receiptfile.MaxBlockBytes) },
	} {
		b := markettest.Bundle(markettest.Plan{})
		change(&b)
		require.ErrorIs(t, receiptfile.Write(io.Discard, b), receiptfile.ErrTooLarge, name)
	}
	gone := errors.New("disk full")
	require.ErrorIs(t, receiptfile.Write(failing{gone}, markettest.Bundle(markettest.Plan{})), gone)
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// car writes blocks as a CAR, hashed as want says, with the first as root.
func car(t *testing.T, blocks ...string) []byte {
	prefix := cid.Prefix{Version: 1, Codec: cid.DagJSON, MhType: 0x12, MhLength: 32}
	root, err := prefix.Sum([]byte(blocks[0]))
	require.NoError(t, err)
	var out bytes.Buffer
	w, err := storage.NewWritable(struct{ io.Writer }{&out}, []cid.Cid{root}, carv2.WriteAsCarV1(true), carv2.AllowDuplicatePuts(true))
	require.NoError(t, err)
	for _, b := range blocks {
		c, err := prefix.Sum([]byte(b))
		require.NoError(t, err)
		require.NoError(t, w.Put(t.Context(), c.KeyString(), []byte(b)))
	}
	return out.Bytes()
}

func TestHostileFilesAreRefused(t *testing.T) {
	raw := file(t, markettest.Bundle(markettest.Plan{}))
	for name, c := range map[string]struct {
		file io.Reader
		want error
	}{
		"empty":               {bytes.NewReader(nil), receiptfile.ErrFormat},
		"text":                {bytes.NewReader([]byte("hello, I'm a receipt file")), receiptfile.ErrFormat},
		"huge header":         {bytes.NewReader([]byte{0xff, 0xff, 0xff, 0xff, 0x7f}), receiptfile.ErrFormat},
		"huge block":          {bytes.NewReader(append(bytes.Clone(raw), 0xff, 0xff, 0xff, 0xff, 0x7f)), receiptfile.ErrDamaged},
		"not a manifest":      {bytes.NewReader(car(t, `{}`)), receiptfile.ErrFormat},
		"manifest is no map":  {bytes.NewReader(car(t, `[]`)), receiptfile.ErrFormat},
		"another version":     {bytes.NewReader(car(t, `{"version":2}`)), receiptfile.ErrFormat},
		"a key nobody knows":  {bytes.NewReader(car(t, `{"surprise":1}`)), receiptfile.ErrFormat},
		"endless small block": {io.MultiReader(bytes.NewReader(raw), endless(section(t, `{}`))), receiptfile.ErrTooLarge},
		"endless large block": {io.MultiReader(bytes.NewReader(raw), endless(section(t, `"`+strings.Repeat("a", 1_000_000)+`"`))), receiptfile.ErrTooLarge},
	} {
		_, err := receiptfile.Read(c.file)
		require.ErrorIs(t, err, c.want, name)
	}
}

// remade is a good file whose manifest was changed, with one more block.
func remade(t *testing.T, extra string, change func(manifest string) string) io.Reader {
	good, err := carv2.NewBlockReader(bytes.NewReader(file(t, markettest.Bundle(markettest.Plan{}))))
	require.NoError(t, err)
	first, err := good.Next()
	require.NoError(t, err)
	text := change(string(first.RawData()))
	require.NotEqual(t, string(first.RawData()), text)
	prefix := cid.Prefix{Version: 1, Codec: cid.DagJSON, MhType: 0x12, MhLength: 32}
	root, err := prefix.Sum([]byte(text))
	require.NoError(t, err)
	var out bytes.Buffer
	w, err := storage.NewWritable(struct{ io.Writer }{&out}, []cid.Cid{root}, carv2.WriteAsCarV1(true), carv2.UseWholeCIDs(true))
	require.NoError(t, err)
	require.NoError(t, w.Put(t.Context(), root.KeyString(), []byte(text)))
	c, err := prefix.Sum([]byte(extra))
	require.NoError(t, err)
	require.NoError(t, w.Put(t.Context(), c.KeyString(), []byte(extra)))
	for {
		b, err := good.Next()
		if errors.Is(err, io.EOF) {
			return &out
		}
		require.NoError(t, err)
		require.NoError(t, w.Put(t.Context(), b.Cid().KeyString(), b.RawData()))
	}
}

// receiptLinks is the list of pages in a manifest.
var receiptLinks = regexp.MustCompile(`"receipts":\[(\{"/":"[a-z0-9]+"\})\]`)

func repeated(n int) func(string) string {
	return func(m string) string {
		link := receiptLinks.FindStringSubmatch(m)[1]
		return receiptLinks.ReplaceAllLiteralString(m, `"receipts":[`+strings.TrimSuffix(strings.Repeat(link+",", n), ",")+`]`)
	}
}

func TestManifestsAreRefusedThatAskForTooMuch(t *testing.T) {
	empty := `{"receipts":[]}`
	c := market.BlockHash([]byte(empty)).JSONCID().String()
	links := func(to string) func(string) string {
		return func(m string) string { return receiptLinks.ReplaceAllLiteralString(m, `"receipts":[{"/":"`+to+`"}]`) }
	}
	for name, v := range map[string]struct {
		change func(string) string
		want   error
	}{
		"another version": {func(m string) string { return strings.Replace(m, `"version":1`, `"version":2`, 1) }, receiptfile.ErrFormat},
		"an empty page":   {links(c), receiptfile.ErrFormat},
		"no such page":    {links(market.Hash{1}.JSONCID().String()), receiptfile.ErrDamaged},
		"a wrong kind":    {links(market.Hash{1}.CID().String()), receiptfile.ErrFormat},
		"too many pages":  {repeated(receiptfile.MaxReceipts/1000 + 1), receiptfile.ErrTooLarge},
	} {
		_, err := receiptfile.Read(remade(t, empty, v.change))
		require.ErrorIs(t, err, v.want, name)
	}
	b, err := receiptfile.Read(remade(t, empty, repeated(2)))
	require.NoError(t, err)
	require.Len(t, b.Receipts, 6)
	_, err = receiptfile.Read(remade(t, empty, func(m string) string { return strings.TrimSuffix(m, "}") + `,"x-note":"hi"}` }))
	require.NoError(t, err, "keys of others are let through")
}

// section is one block as it stands in a CAR.
func section(t *testing.T, block string) []byte {
	return car(t, block, block)[len(car(t, block)):]
}

func TestSmallBlocksAreCounted(t *testing.T) {
	small := &repeat{b: section(t, `{}`)}
	_, err := receiptfile.Read(io.MultiReader(bytes.NewReader(car(t, `{}`)), small))
	require.ErrorIs(t, err, receiptfile.ErrTooLarge)
	require.Less(t, small.total, receiptfile.MaxFileBytes/2, "their number stops it, long before their bytes")
}

// endless repeats b for ever.
func endless(b []byte) io.Reader { return &repeat{b: b} }

type repeat struct {
	b         []byte
	at, total int
}

func (r *repeat) Read(p []byte) (int, error) {
	n := copy(p, r.b[r.at:])
	r.at = (r.at + n) % len(r.b)
	r.total += n
	return n, nil
}

func FuzzRead(f *testing.F) {
	var out bytes.Buffer
	if err := receiptfile.Write(&out, markettest.Bundle(markettest.Plan{Countersigned: 2})); err != nil {
		f.Fatal(err)
	}
	f.Add(out.Bytes())
	f.Add(out.Bytes()[:out.Len()/2])
	f.Add([]byte{0x0a, 0xa1, 0x67, 'v', 'e', 'r', 's', 'i', 'o', 'n', 2})
	f.Fuzz(func(t *testing.T, raw []byte) {
		fuzztest.Bound(t)
		b, err := receiptfile.Read(bytes.NewReader(raw))
		if err != nil {
			return
		}
		again, err := receiptfile.Read(bytes.NewReader(file(t, b)))
		if err != nil {
			t.Fatalf("what was read can't be written and read again: %v", err)
		}
		require.Equal(t, b, again)
		_, _ = b.Verify()
	})
}
