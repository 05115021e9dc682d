package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"souk/node/client"
	"souk/node/jobfile"
)

// writeConsidered shows who was considered, the chosen one marked, and in the
// sentence worst what the job can cost.
func writeConsidered(w io.Writer, p client.Plan, worst string) {
	if len(p.Candidates) > 0 {
		rows := make([][]string, 0, len(p.Candidates))
		for _, c := range p.Candidates {
			mark := ""
			if c.Chosen {
				mark = "→"
			}
			rows = append(rows, append([]string{mark}, candidateRow(c)...))
		}
		writeTable(w, append([]string{""}, candidateHead()...), rows)
	}
	if p.Summary != "" {
		fmt.Fprintln(w, p.Summary)
	}
	if p.Code == "" {
		fmt.Fprintln(w, worst)
	}
}

// worstOf says how a plan's worst cost comes about.
func worstOf(p client.Plan, s jobfile.Spec) string {
	text := fmt.Sprintf("worst case over up to %d executions: %s USD", s.Retries+1, usd(p.WorstCost))
	if s.Retries == 0 {
		text = fmt.Sprintf("worst case: %s USD", usd(p.WorstCost))
	}
	if p.WorstCost.Cmp(s.Total) == 0 {
		text += " (the job's limit)"
	}
	return text
}

func candidateHead() []string {
	return []string{"PROVIDER", "DEVICES", "RUNS", "REGION", "PRICE", "LOOPS/S", "AT WORST", "PREPAID", "WHY"}
}

func candidateRow(c client.Candidate) []string {
	cost, prepaid := "–", "–"
	if c.WhyNot == "" || c.Quoted {
		cost, prepaid = usd(c.WorstCost), usd(c.Prepaid)
	}
	return []string{
		short(c.Peer), orDash(c.Devices), orDash(strings.Join(c.Executors, " ")), orDash(c.Region), perHour(c.PricePerHour), speedText(c), cost, prepaid, orDash(whyText(c)),
	}
}

// whyText is what speaks for a provider, or against it.
func whyText(c client.Candidate) string {
	if c.WhyNot != "" {
		return "not: " + c.WhyNot
	}
	return c.Why
}

// speedText is the speed in loops a second, and a star where it was measured by own receipts.
func speedText(c client.Candidate) string {
	if c.Speed == 0 {
		return "–"
	}
	text := strconv.FormatUint(c.Speed, 10)
	for unit, size := range map[string]float64{"k": 1e3, "M": 1e6, "G": 1e9} {
		if n := float64(c.Speed) / size; n >= 1 && n < 1000 {
			text = strconv.FormatFloat(n, 'f', 1, 64) + unit
		}
	}
	if c.SpeedFrom == "own receipts" {
		text += "*"
	}
	return text
}

// noteGPU says what a job that asked for a GPU may not expect.
func noteGPU(w io.Writer, s jobfile.Spec) {
	switch {
	case s.GPU == nil:
	case s.Image == nil && !s.AllowSimulated:
		fmt.Fprintln(w, "note: a WASM job cannot use a GPU; use an image")
	case s.Image == nil:
		fmt.Fprintln(w, "note: a WASM job cannot use a GPU; a simulated one is leased and stays unused")
	case s.AllowSimulated:
		fmt.Fprintln(w, "note: a simulated GPU is only pretended; an image that gets one runs without")
	}
}
