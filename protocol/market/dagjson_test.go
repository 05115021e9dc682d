package market_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/ipfs/go-cid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"souk/internal/fuzztest"
	"souk/protocol/market"
	"souk/protocol/market/markettest"
)

const goodBody = `{"cause":"exited","cpuMillis":12,"exitCode":0}`

func TestDAGJSONHasOneSpelling(t *testing.T) {
	_, err := market.DecodeBody([]byte(goodBody))
	require.NoError(t, err)
	deep := strings.Repeat("[", 40) + strings.Repeat("]", 40)
	for name, block := range map[string]string{
		"empty":                 "",
		"not JSON":              `{"cause"`,
		"a list":                `[]`,
		"a string":              `"exited"`,
		"null":                  `null`,
		"a space":               `{"cause": "exited"}`,
		"a line after it":       goodBody + "\n",
		"two documents":         goodBody + goodBody,
		"keys in another order": `{"exitCode":0,"cause":"exited"}`,
		"a key twice":           `{"cause":"exited","cause":"failed"}`,
		"a key in other case":   `{"Cause":"exited"}`,
		"both cases":            `{"Cause":"failed","cause":"exited"}`,
		"an unknown key":        `{"surprise":1}`,
		"a zero written out":    `{"cpuMillis":0}`,
		"an empty text":         `{"cause":""}`,
		"false written out":     `{"simulated":false}`,
		"null for nothing":      `{"exitCode":null}`,
		"a float":               `{"cpuMillis":1.5}`,
		"a whole float":         `{"cpuMillis":1.0}`,
		"an exponent":           `{"cpuMillis":1e3}`,
		"a leading zero":        `{"cpuMillis":01}`,
		"minus zero":            `{"exitCode":-0}`,
		"a text for a number":   `{"cpuMillis":"12"}`,
		"a number over int64":   `{"cpuMillis":9223372036854775808}`,
		"an escaped letter":     `{"cause":"\u0065xited"}`,
		"half a surrogate":      `{"cause":"\ud800"}`,
		"no UTF-8":              "{\"cause\":\"\xff\"}",
		"no UTF-8 in x-":        "{\"x-a\":\"\xff\"}",
		"a float in x-":         `{"x-a":{"b":[1.5]}}`,
		"x- inside":             `{"outputs":{"x-a":1}}`,
		"X-":                    `{"X-a":1}`,
		"x without a hyphen":    `{"xa":1}`,
		"a link as text":        `{"outputs":"` + markettest.Module().String() + `"}`,
		"bytes for a text":      `{"cause":{"/":{"bytes":"AAAA"}}}`,
		"too deep":              `{"x-a":` + deep + `}`,
		"too long":              `{"x-a":"` + strings.Repeat("a", market.MaxBlock) + `"}`,
		"brackets for ever":     strings.Repeat("[", market.MaxBlock),
	} {
		_, err := market.DecodeBody([]byte(block))
		require.ErrorIs(t, err, market.ErrEncoding, "%s: %.60s", name, block)
	}
}

func TestKeysOfOthersAreLetThrough(t *testing.T) {
	block := `{"cause":"exited","x-note":{"deep":[1,"two",{"/":"` + markettest.Module().String() + `"}]}}`
	b, err := market.DecodeBody([]byte(block))
	require.NoError(t, err)
	require.Equal(t, market.Body{Cause: "exited"}, b)
}

func TestDAGJSONDocumentsDecodeToWhatWasEncoded(t *testing.T) {
	text := rapid.StringN(0, 20, 60)
	rapid.Check(t, func(t *rapid.T) {
		code, root := rapid.IntRange(-1, 255).Draw(t, "exit"), markettest.Module()
		want := market.Body{Cause: text.Draw(t, "cause"), ExitCode: &code, Detail: text.Draw(t, "detail"), LogBytes: rapid.Int64Min(0).Draw(t, "log")}
		if rapid.Bool().Draw(t, "outputs") {
			want.Outputs = &root
		}
		block := markettest.Must(want.Encode())
		got, err := market.DecodeBody(block)
		require.NoError(t, err)
		require.Equal(t, want, got)
		require.Equal(t, block, markettest.Must(got.Encode()))
	})
}

// Brackets in a text are no maps or lists, also behind a quotation mark in it.
func TestBracketsInATextAreNotCounted(t *testing.T) {
	many := strings.Repeat("[{", 40)
	for _, text := range []string{many, `"` + many, `\` + many, `\"` + many + `\`} {
		want := market.Body{Cause: "exited", Detail: text}
		got, err := market.DecodeBody(markettest.Must(want.Encode()))
		require.NoError(t, err, text)
		require.Equal(t, want, got)
	}
	hidden := `{"cause":"\\","x-a":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`
	_, err := market.DecodeBody([]byte(hidden))
	require.ErrorIs(t, err, market.ErrEncoding, "a text that ends with a backslash hides nothing")
}

func TestADocumentIsWrittenUpToItsLimit(t *testing.T) {
	block, err := market.EncodeDAGJSON(market.Body{Cause: "exited"}, market.MaxBlock)
	require.NoError(t, err)
	_, err = market.EncodeDAGJSON(market.Body{Cause: "exited"}, len(block))
	require.NoError(t, err)
	_, err = market.EncodeDAGJSON(market.Body{Cause: "exited"}, len(block)-1)
	require.ErrorIs(t, err, market.ErrEncoding)
}

func TestARequestKeepsItsPriceLimit(t *testing.T) {
	free := market.Amount{}
	for _, limit := range []*market.Amount{nil, &free} {
		want := goodRequest()
		want.PriceLimit = limit
		got, err := market.DecodeRequest(markettest.Must(want.Encode()))
		require.NoError(t, err)
		require.Equal(t, want, got, "no limit and a limit of 0 are not the same")
	}
}

func TestNumbersThatDAGJSONCannotHoldAreRefused(t *testing.T) {
	terms := goodTerms()
	terms.KeepUntil = 1<<63 + 1
	_, err := terms.Encode()
	require.ErrorIs(t, err, market.ErrEncoding)
	job := goodJob()
	job.Args = []string{strings.Repeat("a", market.MaxBlock)}
	_, err = job.Encode()
	require.ErrorIs(t, err, market.ErrEncoding)
}

func TestACIDInAnotherSpellingIsRefused(t *testing.T) {
	c := markettest.Module()
	other, err := c.StringOfBase('z')
	require.NoError(t, err)
	block := markettest.Must(goodJob().Encode())
	require.True(t, bytes.Contains(block, []byte(c.String())))
	_, err = market.DecodeJob(bytes.ReplaceAll(block, []byte(c.String()), []byte(other)))
	require.ErrorIs(t, err, market.ErrEncoding)
	require.Equal(t, uint64(cid.DagJSON), market.BlockHash(block).JSONCID().Prefix().Codec)
}

type jsonDocument interface{ Encode() ([]byte, error) }

func fuzzJSON[T jsonDocument](f *testing.F, decode func([]byte) (T, error)) {
	b := markettest.Bundle(markettest.Plan{})
	for _, block := range [][]byte{b.Request, b.Terms, b.Job, b.Receipts[2].Body, []byte(goodBody), []byte(`{"x-a":[{}]}`)} {
		f.Add(block)
	}
	f.Fuzz(func(t *testing.T, block []byte) {
		fuzztest.Bound(t)
		doc, err := decode(block)
		if err != nil {
			return
		}
		again, err := doc.Encode()
		if err != nil || (!bytes.Contains(block, []byte(`"x-`)) && !bytes.Equal(again, block)) {
			t.Fatalf("%s is read and written as %s (%v)", block, again, err)
		}
	})
}

func FuzzRequest(f *testing.F) { fuzzJSON(f, market.DecodeRequest) }
func FuzzTerms(f *testing.F)   { fuzzJSON(f, market.DecodeTerms) }
func FuzzJob(f *testing.F)     { fuzzJSON(f, market.DecodeJob) }
func FuzzBody(f *testing.F)    { fuzzJSON(f, market.DecodeBody) }
