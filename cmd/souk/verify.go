package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"souk/node/client"
	"souk/node/control"
	"souk/protocol/market"
	"souk/protocol/receiptfile"
)

func (a *app) receiptsVerify() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "verify [FILE...]",
		Short: "Check receipts; a file needs nothing but itself",
		Long: "Says of each FILE what its documents prove, or of all leases with --all.\n" +
			"Ends with 1 where one is bad and names the first thing that is wrong, also where the file is damaged or no receipt file at all.",
		Args: usageArgs(cobra.ArbitraryArgs),
		RunE: a.action(func(ctx context.Context, cmd *cobra.Command, args []string) error {
			switch {
			case all && len(args) == 0:
				return a.verifyAll(ctx, cmd)
			case !all && len(args) > 0:
				return a.verifyFiles(args)
			}
			return usage("name files, or --all for every lease of this node")
		}),
	}
	cmd.Flags().BoolVar(&all, "all", false, "check every lease of this node")
	return cmd
}

// verifyFiles goes on behind a bad file, and ends with the first one that can't be read.
func (a *app) verifyFiles(files []string) error {
	var bad *exit
	for _, file := range files {
		if err := a.verifyFile(file); err != nil && !errors.As(err, &bad) {
			return err
		}
	}
	if bad != nil {
		return bad
	}
	return nil
}

func (a *app) verifyFile(file string) error {
	f, err := os.Open(file) //nolint:gosec // the user's own path
	if errors.Is(err, os.ErrNotExist) {
		return fail("bad_input", fmt.Errorf("there is no file %s: `souk receipts export ID -o FILE` writes one, and `souk receipts verify --all` checks this node's leases", file))
	}
	if err != nil {
		return fail("bad_input", err)
	}
	defer f.Close()
	bundle, err := receiptfile.Read(f)
	if code := fileFault(err); code != "" {
		err = a.printVerdict(verdict{What: file, Code: code, Sentence: err.Error()})
		return errors.Join(err, &exit{exitFault})
	}
	if err != nil {
		return fail("bad_input", fmt.Errorf("%s can't be read: %w", file, err))
	}
	v, err := a.showVerdict(file, bundle)
	if err == nil && !v.OK {
		err = &exit{exitFault}
	}
	return err
}

// The codes of files that hold no whole bundle.
const (
	faultNoReceiptFile market.FaultCode = "no_receipt_file"
	faultDamaged       market.FaultCode = "damaged"
	faultTooLarge      market.FaultCode = "too_large"
)

// fileFault is what is wrong with a file as such, "" where that is not why it
// can't be read.
func fileFault(err error) market.FaultCode {
	switch {
	case errors.Is(err, receiptfile.ErrDamaged):
		return faultDamaged
	case errors.Is(err, receiptfile.ErrFormat):
		return faultNoReceiptFile
	case errors.Is(err, receiptfile.ErrTooLarge):
		return faultTooLarge
	}
	return ""
}

func (a *app) verifyAll(ctx context.Context, cmd *cobra.Command) error {
	n, err := a.node(ctx, cmd)
	if err != nil {
		return err
	}
	receipts, err := n.Receipts(ctx)
	if err != nil {
		return err
	}
	good, proofs := 0, 0
	for _, r := range receipts {
		bundle, err := n.Bundle(ctx, r.Lease)
		if err != nil {
			return err
		}
		v, err := judge("lease "+short(r.Lease), bundle)
		if err == nil {
			v = v.broken(r)
			err = a.printVerdict(v)
		}
		switch {
		case err != nil:
			return err
		case v.OK:
			good++
		case v.Code == market.FaultEquivocation: // kept against its provider: these books are right
			proofs++
		}
	}
	if !a.json {
		fmt.Fprintf(a.out, "%d of %s verified%s\n", good, soMany(len(receipts), "lease"), proven(proofs))
	}
	if good+proofs < len(receipts) {
		return &exit{exitFault}
	}
	return nil
}

// alone says of a file without a last receipt what can be known from it. That
// one side gave a lease up is in its own books and nowhere else.
func (v verdict) alone(quote []byte, now time.Time) verdict {
	q, err := market.DecodeQuote(quote)
	if !v.OK || v.Code != market.FaultNotEnded || err != nil {
		return v
	}
	over := time.UnixMilli(int64(min(q.StartBy, 1<<61) + min(q.MaxMillis, 1<<61))) //nolint:gosec // capped
	if now.Before(over) {
		v.Sentence += "; the file has no end of the lease: it may still run, or the client gave it up, which only the client's own books tell"
		return v
	}
	v.Sentence += fmt.Sprintf("; the file has no end of the lease, which by its quote was over by %s: the client never countersigned one, and gave the lease up perhaps, which only its own books tell, or the file was made before",
		over.UTC().Format(time.DateTime))
	return v
}

// broken says of a lease without a last receipt that its client ended it, and
// what that may have cost, or that its provider closed it.
func (v verdict) broken(r control.ReceiptInfo) verdict {
	switch {
	case !v.OK || v.Code != market.FaultNotEnded:
		return v
	case r.Outcome == market.NotEnded.String():
		v.Sentence += "; not ended yet"
		return v
	case r.Role != "client":
		v.Outcome = r.Outcome
		v.Sentence += "; its client was not heard of again, so this node closed it without a last receipt"
		return v
	}
	how := "this node gave the lease up (" + r.Outcome + ")"
	if r.Outcome == string(client.Cheated) {
		how = "its provider cheated, and this node ended the lease"
	}
	ahead := "nothing was prepaid"
	if more := r.Vouchered.Sub(v.Countersigned); !more.IsZero() {
		ahead = usd(more) + " USD of it prepaid"
	}
	v.Outcome = r.Outcome
	v.Sentence = fmt.Sprintf("%s; %s, %s USD countersigned; the provider can keep %s USD at most, %s", how, soMany(v.Receipts, "receipt"), usd(v.Countersigned), usd(r.Vouchered), ahead)
	return v
}

// proven tells of leases whose receipts are proof against their providers.
func proven(leases int) string {
	if leases == 0 {
		return ""
	}
	return fmt.Sprintf("; in %d the provider signed two receipts with one number", leases)
}

// soMany counts things: 1 lease, 2 leases.
func soMany(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// verdict is what a bundle proves, or what is wrong with it.
type verdict struct {
	What          string           `json:"what"`
	OK            bool             `json:"ok"`
	Code          market.FaultCode `json:"code,omitempty"`
	Seq           uint32           `json:"seq,omitempty"`
	Sentence      string           `json:"text"`
	Lease         market.Hash      `json:"lease,omitzero"`
	Provider      market.Address   `json:"provider,omitzero"`
	Client        market.Address   `json:"client,omitzero"`
	Outcome       string           `json:"outcome,omitempty"`
	Receipts      int              `json:"receipts,omitempty"`
	Charged       market.Amount    `json:"charged,omitzero"`
	Countersigned market.Amount    `json:"countersigned,omitzero"`
	Disputed      market.Amount    `json:"disputed,omitzero"`
}

// showVerdict prints what a file's bundle proves. A lease that has not ended is
// no fault of anybody.
func (a *app) showVerdict(file string, bundle market.Bundle) (verdict, error) {
	v, err := judge(file, bundle)
	if err != nil {
		return v, err
	}
	v = v.alone(bundle.Quote, time.Now())
	return v, a.printVerdict(v)
}

// printVerdict prints a verdict, good or bad.
func (a *app) printVerdict(v verdict) error {
	if a.json {
		return a.line(v)
	}
	mark := "ok  "
	if !v.OK {
		mark = "BAD "
	}
	_, err := fmt.Fprintf(a.out, "%s%s: %s\n", mark, v.What, v.Sentence)
	return err
}

func judge(what string, bundle market.Bundle) (verdict, error) {
	s, err := bundle.Verify()
	var f *market.Fault
	if errors.As(err, &f) && f.Code != market.FaultNotEnded {
		return verdict{
			What: what, Code: f.Code, Seq: f.Seq, Sentence: withSeq(f), Lease: s.Lease, Provider: s.Provider, Client: s.Client, // as far as they were good
		}, nil
	}
	if err != nil && f == nil {
		return verdict{}, err
	}
	v := verdict{
		What: what, OK: true, Lease: s.Lease, Provider: s.Provider, Client: s.Client, Outcome: s.Outcome.String(), Receipts: s.Receipts,
		Charged: s.Charged, Countersigned: s.Countersigned, Disputed: s.Disputed,
	}
	v.Sentence = fmt.Sprintf("%s, %s, %s of running, charged %s USD, %s countersigned; the lease's limit was %s USD",
		soMany(s.Receipts, "receipt"), s.Outcome, time.Duration(s.Units)*time.Millisecond, usd(s.Charged), usd(s.Countersigned), usd(s.Ceiling)) //nolint:gosec // at most 30 days
	if s.Receipts == 0 {
		v.Sentence = fmt.Sprintf("quote and lease are as they were signed, no receipt, so nothing is owed; the lease's limit was %s USD", usd(s.Ceiling))
	}
	if !s.Disputed.IsZero() {
		v.Sentence += ", " + usd(s.Disputed) + " disputed"
	}
	if f != nil {
		v.Code = f.Code
	} else if n := len(bundle.Receipts); bundle.Receipts[n-1].Client.IsZero() {
		v.Sentence += "; its end is not countersigned"
	}
	return v, nil
}

func withSeq(f *market.Fault) string {
	if f.Seq == 0 {
		return fmt.Sprintf("%s (%s)", f.Sentence, f.Code)
	}
	return fmt.Sprintf("%s (%s, number %d)", f.Sentence, f.Code, f.Seq)
}
