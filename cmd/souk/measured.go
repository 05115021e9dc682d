package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/spf13/cobra"

	"souk/internal/pattern"
	"souk/internal/quantity"
	"souk/node/client"
	"souk/node/control"
	"souk/protocol/challenge"
	"souk/protocol/wire"
)

// caughtCode is the code of a challenge that accuses.
const caughtCode wire.Code = "caught"

// onlyMeasured leaves out offers whose devices nobody measured.
func onlyMeasured(offers []client.Candidate) []client.Candidate {
	return slices.DeleteFunc(offers, func(c client.Candidate) bool { return len(c.Measured) == 0 })
}

func measuredHead() []string {
	return []string{"PROVIDER", "PRICE", "DEVICES", "MULTIPLY", "READ", "TOUCHED", "WHEN", "BY", "WHY"}
}

// measuredRows has a row for each measurement.
func measuredRows(offers []client.Candidate, now time.Time) [][]string {
	var rows [][]string
	for _, c := range offers {
		for _, m := range c.Measured {
			by := short(m.By)
			if m.Own {
				by = "itself"
			}
			rows = append(rows, []string{
				short(c.Peer), perHour(c.PricePerHour), m.Devices, fmt.Sprintf("%.1f G/s", float64(m.Mops)/1e3), fmt.Sprintf("%.1f GB/s", float64(m.MBps)/1e3),
				quantity.Human(int64(m.Touched)), now.Sub(m.At).Round(time.Minute).String() + " ago", by, orDash(whyText(c)), //nolint:gosec // capped when it was read
			})
		}
	}
	return rows
}

func (a *app) showMeasured(offers []client.Candidate) error {
	offers = onlyMeasured(offers)
	return list(a, offers, func() {
		writeTable(a.out, measuredHead(), measuredRows(offers, time.Now()))
		if len(offers) == 0 {
			fmt.Fprintln(a.err, "nobody's devices are measured; `souk bench challenge PEER` measures those of a provider")
		}
	})
}

func (a *app) benchChallengeCommand() *cobra.Command {
	var of challengeOf
	cmd := &cobra.Command{
		Use:   "challenge PEER|JOB",
		Short: "Challenge a provider's free GPUs, or those of a running job: all at once",
		Long: "Has the provider multiply matrices, fill its memory and read it, and checks what it answers. " +
			"What was measured is signed by this node and goes back to the provider, for its offer. Takes up to three minutes of its time; it may refuse.\n" +
			"Of a running job the leased GPUs are challenged beside the job: no time is held against them, " +
			"their memory is left to the job, and nothing is measured; wrong numbers are found out.\n" +
			"PEER is a peer ID, or its end as tables show it where only one provider has it; JOB is a job's ID, or its beginning.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 {
				return nil
			}
			return usage("name one provider or one running job; `souk offers` shows providers, `souk jobs` shows jobs; usage: souk bench challenge PEER|JOB")
		},
		RunE: a.action(func(ctx context.Context, cmd *cobra.Command, args []string) error {
			n, err := a.node(ctx, cmd)
			if err != nil {
				return err
			}
			if of, err = of.named(ctx, n, args[0]); err != nil {
				return err
			}
			v, err := n.Challenge(ctx, control.ChallengeOf(of))
			if err != nil {
				return err
			}
			return a.tellVerdict(v)
		}),
	}
	nodeFlags(cmd)
	cmd.Flags().StringVar(&of.Slug, "model", "", "the model as offers name it, such as rtx-4090; left out, the first that is offered")
	cmd.Flags().IntVar(&of.Count, "count", 0, "how many at once; 0 is all of that model")
	return cmd
}

type challengeOf control.ChallengeOf

var jobPrefix = pattern.Lazy(`^[0-9a-f]{1,64}$`)

// named is what that word means: a peer's ID or the end of one that is offered,
// or else a job's ID or the beginning of one.
func (of challengeOf) named(ctx context.Context, n control.Backend, word string) (challengeOf, error) {
	word = strings.TrimSpace(word)
	if _, err := peer.Decode(word); err == nil {
		of.Peer = word
		return of, nil
	}
	if jobPrefix().MatchString(word) {
		of.Job = word
		return of, nil
	}
	offers, err := n.Offers(ctx, control.Need{AllowSimulated: true, All: true})
	if err != nil {
		return of, err
	}
	of.Peer, err = endingIn(offers, strings.TrimPrefix(word, "…"))
	return of, err
}

// endingIn is the one provider whose peer ID ends so.
func endingIn(offers []client.Candidate, end string) (id string, err error) {
	found := 0
	for _, c := range offers {
		if end != "" && strings.HasSuffix(c.Peer, end) {
			id = c.Peer
			found++
		}
	}
	if found == 1 {
		return id, nil
	}
	return "", wire.Refuse(client.NoProvider, "%d of %d providers that answered have an ID that ends in %.60q; `souk offers --json` shows whole IDs", found, len(offers), end)
}

// tellVerdict prints a verdict; one that accuses is an error besides.
func (a *app) tellVerdict(v challenge.Verdict) error {
	if a.json {
		if err := a.line(v); err != nil {
			return err
		}
	} else if v.Caught == "" {
		fmt.Fprintln(a.out, v.Sentence)
	}
	if v.Caught != "" {
		return wire.Refuse(caughtCode, "caught (%s): %s", v.Caught, v.Sentence)
	}
	return nil
}
