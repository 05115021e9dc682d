package main

import (
	"fmt"
	"io"
	"strconv"

	"souk/node/client"
	"souk/node/jobfile"
)

// writeConsidered shows who was considered, the chosen one marked, and what
// the job can cost at worst.
func writeConsidered(w io.Writer, p client.Plan) {
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
		fmt.Fprintf(w, "worst case: %s USD over all executions\n", usd(p.WorstCost))
	}
}

func candidateHead() []string {
	return []string{"PROVIDER", "DEVICES", "REGION", "PRICE", "SPEED", "AT WORST", "PREPAID", "WHY"}
}

func candidateRow(c client.Candidate) []string {
	why := c.Why
	if c.WhyNot != "" {
		why = "not: " + c.WhyNot
	}
	cost, prepaid := "–", "–"
	if c.WhyNot == "" || c.Quoted {
		cost, prepaid = usd(c.WorstCost), usd(c.Prepaid)
	}
	return []string{
		short(c.Peer), orDash(c.Devices), orDash(c.Region), perHour(c.PricePerHour), speedText(c), cost, prepaid, orDash(why),
	}
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
	if s.GPU != nil {
		fmt.Fprintln(w, "note: a WASM job cannot use a GPU; the one asked for is leased and stays unused")
	}
}
