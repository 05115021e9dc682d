package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

func writeJSON(w io.Writer, results []result) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	for _, r := range results {
		if err := encoder.Encode(r); err != nil {
			return err
		}
	}
	return nil
}

// writeTable writes a line for each result, and below it the notes.
func writeTable(w io.Writer, results []result) {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "FIGURE\tVALUE\tLIMIT\tRATIO\tGOAL\t")
	for _, r := range results {
		if r.NotRun != "" {
			fmt.Fprintf(t, "%s\t–\t–\t–\t\tnot run: %s\n", r.Figure, r.NotRun)
			continue
		}
		fmt.Fprintf(t, "%s\t%.4g %s\t%.4g %s\t%.3g\t%s\t%s\n", r.Figure, r.Value, r.Unit, r.Limit, r.LimitUnit, r.Ratio, r.Goal, r.verdict())
	}
	_ = t.Flush() // what w refuses is seen by whoever reads it
	var notes strings.Builder
	for _, r := range results {
		if r.Note != "" {
			fmt.Fprintf(&notes, "%s: %s\n", r.Figure, r.Note)
		}
	}
	if notes.Len() > 0 {
		fmt.Fprintf(w, "\n%s", notes.String())
	}
}

func (r result) verdict() string {
	switch {
	case r.Goal == "":
		return ""
	case r.Met:
		return "met"
	}
	return "missed"
}

// writeMarkdown writes the rows of the table in docs/bench.md.
func writeMarkdown(w io.Writer, results []result) {
	fmt.Fprint(w, "| Figure | Value | Limit | Ratio | Goal | | Note |\n|---|---|---|---|---|---|---|\n")
	for _, r := range results {
		if r.NotRun != "" {
			fmt.Fprintf(w, "| `%s` | – | – | – | | not run | %s |\n", r.Figure, r.NotRun)
			continue
		}
		fmt.Fprintf(w, "| `%s` | %.4g %s | %.4g %s | %.3g | %s | %s | %s |\n", r.Figure, r.Value, r.Unit, r.Limit, r.LimitUnit, r.Ratio, r.Goal, r.verdict(), r.Note)
	}
}
