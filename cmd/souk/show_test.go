package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"souk/node/client"
	"souk/node/control"
	"souk/node/jobfile"
	"souk/protocol/market"
	"souk/protocol/market/markettest"
)

func TestTheConsideredTable(t *testing.T) {
	plan := client.Plan{
		Summary: "2 providers, 1 can be leased", WorstCost: *amount(67_200),
		Candidates: []client.Candidate{
			{
				Peer: "16Uiu2HAmB4aLknDhiDithBaMZWbVcZp6Wv9BLvYh61GK1jHSqQyz", Devices: "1x RTX 4090 24 GiB (simulated)", Region: "eu",
				PricePerHour: *amount(400_000), Speed: 98_000, SpeedFrom: "own receipts", WorstCost: *amount(67_200), Prepaid: *amount(112),
				Quoted: true, Chosen: true, Why: "cheapest per unit of speed",
			},
			{
				Peer: "16Uiu2HAmQistkrsFJFuYxZKP7T6XSgVF1W8eZDePBcPwiRTx59SV", Devices: "CPU only", PricePerHour: *amount(620_000), Speed: 100_000,
				SpeedFrom: "offer", WhyNot: "asks 0.62/h, your limit is 0.50/h", Code: "over_price",
			},
		},
	}
	var out bytes.Buffer
	writeConsidered(&out, plan, worstOf(plan, jobfile.Spec{Retries: 2, Total: *amount(67_200)}))
	golden := filepath.Join("testdata", "considered.txt")
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), out.String())
}

func TestOnlySentencesAreWrapped(t *testing.T) {
	rows := [][]string{{"0.000112", "not: it asks 0.62/h, your limit is 0.50/h"}}
	require.Equal(t, "0.000112", wrapped(rows, 21)[0][0])
	for line := range strings.Lines(wrapped(rows, 21)[0][1]) {
		require.LessOrEqual(t, len(strings.TrimSpace(line)), 20)
	}
	require.NotContains(t, rows[0][1], "\n", "what was given stays as it is")
	require.Contains(t, boxed([]string{"AT WORST", "WHY"}, wrapped(rows, 1000)), " 0.000112 ")

	two := [][]string{{"streams of a protocol that wait for their first frame", "node/executor/docker/registry", "the stream is reset that has waited longest"}}
	narrow := wrapped(two, 50)[0]
	require.Contains(t, narrow[0], "\n", "each column with sentences gives room, not the last one alone")
	require.Contains(t, narrow[2], "\n")
	require.Equal(t, two[0][1], narrow[1], "a word stays whole")
}

func TestListings(t *testing.T) {
	d := newDesk(t)
	d.node.jobs = []control.JobInfo{{
		ID: "job1", Name: "digits", State: "done", Created: time.Now(), Exit: code(125), Source: "souk", Code: "no_provider", Text: "nobody",
		Executions: []control.ExecutionInfo{{Attempt: 1, Peer: "p", Lease: "l", State: "closed", Outcome: "provider_failed", Text: "it vanished"}},
	}}
	require.Zero(t, d.souk("jobs"))
	require.Contains(t, d.out.String(), "125 no_provider")
	require.Zero(t, d.souk("jobs", "--json"))
	var j control.JobInfo
	require.NoError(t, json.Unmarshal(d.out.Bytes(), &j))
	require.Equal(t, "job1", j.ID)
	require.Zero(t, d.souk("job", "job1"))
	require.Contains(t, d.out.String(), "it vanished")
	require.Equal(t, 125, d.souk("job", "x", "--json"))
	require.Equal(t, "unknown", lastEvent(t, d).Code)
	require.Zero(t, d.souk("node", "status"))
	require.Contains(t, d.out.String(), "from everywhere")
	require.Zero(t, d.souk("config", "show", "--network", "mine"))
	require.Regexp(t, `network +mine +--network`, d.out.String())
	require.Regexp(t, `provider.cpu +\(all\) +default`, d.out.String())
	require.Regexp(t, `docker.cache +\(100GiB\) +default`, d.out.String())
	require.Regexp(t, `docker.host +\(\$DOCKER_HOST, else unix:///var/run/docker.sock\) +default`, d.out.String())
	require.Regexp(t, `metrics +– +default`, d.out.String())
	require.Zero(t, d.souk("version"))
	require.Contains(t, d.out.String(), "souk "+version)
	require.Zero(t, d.souk("version", "--json"))
	require.Contains(t, d.out.String(), `"version":"`+version)
	require.Zero(t, d.souk("completion", "bash"))
	require.NotEmpty(t, d.out.String())
}

func TestReceiptFilesNeedNothingButThemselves(t *testing.T) {
	d := newDesk(t)
	require.Zero(t, d.souk("receipts", "export", "abc", "-o", "r.car"), d.err.String())
	require.Equal(t, 125, d.souk("receipts", "export", "abc", "-o", "r.car"))
	require.Contains(t, d.err.String(), "exists")
	require.Zero(t, d.souk("receipts", "export", "--all", "-o", "books"), d.err.String())
	require.Equal(t, 125, d.souk("receipts", "export", "--all", "-o", "books"))
	require.Contains(t, d.err.String(), "exists")
	files, err := filepath.Glob("books/*.car")
	require.NoError(t, err)
	require.Len(t, files, 1)
	require.Regexp(t, `^(client|provider)-[0-9a-f]+\.car$`, filepath.Base(files[0]))
	require.Zero(t, d.souk("receipts", "verify", files[0]))
	require.Zero(t, d.souk("receipts", "verify", "--all"))
	require.Contains(t, d.out.String(), "1 of 1 lease verified")
	require.Zero(t, d.souk("receipts", "show", "abc"))

	alone := &app{in: &bytes.Buffer{}, out: &d.out, err: &d.err, environ: []string{"SOUK_DATA_DIR=/nonexistent"}, signals: d.signals}
	d.out.Reset()
	require.Zero(t, alone.main([]string{"receipts", "verify", "r.car", "--json"}), d.err.String())
	var v verdict
	require.NoError(t, json.Unmarshal(d.out.Bytes(), &v))
	require.True(t, v.OK)
	require.Equal(t, market.Outcome(1).String(), v.Outcome)

	d.node.bundle = markettest.Bundle(markettest.Plan{Units: []uint64{1000, 2000, 3000}})
	d.node.bundle.Receipts = append(d.node.bundle.Receipts[:1:1], d.node.bundle.Receipts[2:]...)
	require.Zero(t, d.souk("receipts", "export", "abc", "-o", "gap.car"))
	require.Equal(t, 1, d.souk("receipts", "verify", "gap.car"))
	require.Contains(t, d.out.String(), "BAD gap.car")
	require.Contains(t, d.out.String(), "(gap, number")
	require.Equal(t, 1, d.souk("receipts", "verify", "gap.car", "r.car"))
	require.Regexp(t, `^BAD gap\.car: .*\nok  r\.car: 2 receipts, succeeded, .* countersigned; the lease's limit was 0.01 USD, .*\n$`, d.out.String())
	require.Zero(t, d.souk("receipts", "verify", "r.car", "r.car"))
	require.Equal(t, 1, d.souk("receipts", "verify", "--all"))
	require.Equal(t, 125, d.souk("receipts", "verify", "gone.car"))
}

func TestALeaseThatWasBrokenOffIsNotCalledOpen(t *testing.T) {
	d := newDesk(t)
	d.node.bundle = markettest.Bundle(markettest.Plan{Units: []uint64{1000, 2000}})
	d.node.bundle.Receipts = d.node.bundle.Receipts[:0]
	said := func(outcome string) string {
		d.out.Reset()
		d.node.receipt = &control.ReceiptInfo{Lease: "abc", Role: "client", Outcome: outcome, Vouchered: market.NewAmount(120)}
		require.Zero(t, d.souk("receipts", "verify", "--all"), d.out.String())
		return d.out.String()
	}
	require.Contains(t, said("cheated"), "its provider cheated, and this node ended the lease; 0 receipts, 0.00 USD countersigned; the provider can keep 0.00012 USD at most, 0.00012 USD of it prepaid")
	require.Contains(t, said("lost"), "this node gave the lease up (lost)")
	require.Contains(t, said("running"), "not ended yet")
	d.node.receipt = &control.ReceiptInfo{Lease: "abc", Role: "provider", Outcome: "lost"}
	d.out.Reset()
	require.Zero(t, d.souk("receipts", "verify", "--all"))
	require.Contains(t, d.out.String(), "closed it without a last receipt")
}

// A file doesn't know what one side noted for itself alone.
func TestAFileWithoutAnEndSaysWhatCanBeKnown(t *testing.T) {
	d := newDesk(t)
	b := markettest.Bundle(markettest.Plan{Units: []uint64{1000, 2000}, Countersigned: 1})
	d.node.bundle = b
	require.Zero(t, d.souk("receipts", "export", "abc", "-o", "whole.car"))
	require.Zero(t, d.souk("receipts", "verify", "whole.car"))
	require.Contains(t, d.out.String(), "its end is not countersigned")

	d.node.bundle.Receipts = b.Receipts[:1]
	require.Zero(t, d.souk("receipts", "export", "abc", "-o", "cut.car"))
	d.out.Reset()
	require.Zero(t, d.souk("receipts", "verify", "cut.car"))
	require.Contains(t, d.out.String(), "was over by")
	require.Contains(t, d.out.String(), "the client never countersigned one")
	require.NotContains(t, d.out.String(), "not ended yet")

	v, err := judge("cut.car", d.node.bundle)
	require.NoError(t, err)
	require.Contains(t, v.alone(b.Quote, time.UnixMilli(0)).Sentence, "it may still run, or the client gave it up")
}

// Whoever gets the file needs no node and no view on who is right.
func TestAFileProvesThatAProviderSignedTwoReceiptsWithOneNumber(t *testing.T) {
	d := newDesk(t)
	b := markettest.Bundle(markettest.Plan{Countersigned: 1})
	second, err := market.DecodeReceipt(b.Receipts[1].Block)
	require.NoError(t, err)
	second.Units++
	b.Receipts = slices.Insert(b.Receipts, 2, markettest.SignReceipt(b.Chain, markettest.Standard().Provider, second))
	d.node.bundle = b
	require.Zero(t, d.souk("receipts", "export", "abc", "-o", "r.car"), d.err.String())

	alone := func(args ...string) int {
		d.out.Reset()
		a := &app{in: &bytes.Buffer{}, out: &d.out, err: &d.err, environ: []string{"SOUK_DATA_DIR=/nonexistent"}, signals: d.signals}
		return a.main(args)
	}
	require.Equal(t, 1, alone("receipts", "verify", "r.car"))
	provider := markettest.Standard().Provider.Address()
	require.Equal(t, "BAD r.car: there are two different receipts with sequence number 2: the provider "+provider.String()+
		" signed both (equivocation, number 2)\n", d.out.String())
	require.Equal(t, 1, alone("receipts", "verify", "r.car", "--json"))
	var v verdict
	require.NoError(t, json.Unmarshal(d.out.Bytes(), &v))
	require.Equal(t, market.FaultEquivocation, v.Code)
	require.EqualValues(t, 2, v.Seq)
	require.Equal(t, provider, v.Provider)
	require.NotZero(t, v.Lease)

	require.Zero(t, d.souk("receipts", "verify", "--all"), "the node's own books are right")
	require.Contains(t, d.out.String(), "0 of 1 lease verified; in 1 the provider signed two receipts with one number")

	b.Receipts[2] = markettest.SignReceipt(b.Chain, markettest.Signer(9), second)
	require.Zero(t, d.souk("receipts", "export", "abc", "-o", "lie.car"), d.err.String())
	require.Equal(t, 1, d.souk("receipts", "verify", "--all"))
	require.Equal(t, 1, alone("receipts", "verify", "lie.car"))
	require.Contains(t, d.out.String(), "(bad_signature, number 2)", "nobody can accuse a provider of what it didn't sign")
}

func TestADamagedReceiptFileIsBad(t *testing.T) {
	d := newDesk(t)
	require.Zero(t, d.souk("receipts", "export", "abc", "-o", "r.car"), d.err.String())
	raw, err := os.ReadFile("r.car")
	require.NoError(t, err)
	receipt := d.node.bundle.Receipts[1].Block
	raw[bytes.Index(raw, receipt)+len(receipt)-1] ^= 1
	require.NoError(t, os.WriteFile("bad.car", raw, 0o600))
	require.NoError(t, os.WriteFile("cut.car", raw[:len(raw)/2], 0o600))
	for file, want := range map[string]struct {
		code market.FaultCode
		text string
	}{
		"bad.car": {"damaged", "it is damaged: the receipt 2 (block"}, "cut.car": {"damaged", "it was cut short or changed there"},
		"m.wasm": {"no_receipt_file", "it is no receipt file: it doesn't begin like a CAR"},
	} {
		require.Equal(t, 1, d.souk("receipts", "verify", file), file)
		require.Contains(t, d.out.String(), "BAD "+file+": it is ")
		require.Contains(t, d.out.String(), want.text)
		require.Empty(t, d.err.String())
		require.Equal(t, 1, d.souk("receipts", "verify", file, "--json"))
		var v verdict
		require.NoError(t, json.Unmarshal(d.out.Bytes(), &v))
		require.Equal(t, want.code, v.Code)
	}
}

func TestInitLeavesWhatIsThere(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	var out, errs bytes.Buffer
	a := func() *app {
		return &app{in: &bytes.Buffer{}, out: &out, err: &errs, environ: []string{"SOUK_DATA_DIR=" + dir}}
	}
	require.Zero(t, a().main([]string{"init"}), errs.String())
	info, err := os.Stat(dir)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
	key, err := os.ReadFile(keyFile(dir))
	require.NoError(t, err)
	require.Zero(t, a().main([]string{"init"}), errs.String())
	require.Contains(t, out.String(), "was there, left alone")
	again, err := os.ReadFile(keyFile(dir))
	require.NoError(t, err)
	require.Equal(t, key, again)
	require.NoError(t, os.WriteFile(keyFile(dir), []byte("nonsense"), 0o600))
	require.Equal(t, 125, a().main([]string{"init"}))
	require.Equal(t, 1, a().main([]string{"doctor"}))
	require.Contains(t, out.String(), "WRONG")
}

func TestNoKeyYet(t *testing.T) {
	d := newDesk(t)
	require.NoError(t, os.Remove(keyFile(d.dir)))
	require.Equal(t, 125, d.souk("jobs"))
	require.Contains(t, d.err.String(), "make one with `souk init`")
}
