package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"charm.land/lipgloss/v2"
	"charm.land/lipgloss/v2/table"
	"golang.org/x/term"

	"souk/internal/money"
	"souk/protocol/market"
)

// writeTable writes rows with a border on a terminal and plainly elsewhere.
func writeTable(w io.Writer, headers []string, rows [][]string) {
	if !isTerminal(w) {
		plainTable(w, headers, rows)
		return
	}
	text := boxed(headers, rows)
	if f, ok := w.(*os.File); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && lipgloss.Width(text) > width { //nolint:gosec // a file descriptor is small
			text = boxed(headers, wrapped(rows, lipgloss.Width(text)-width))
		}
	}
	_, _ = lipgloss.Fprintln(w, text)
}

func boxed(headers []string, rows [][]string) string {
	return table.New().Headers(headers...).Rows(rows...).Border(lipgloss.RoundedBorder()).
		StyleFunc(func(row, _ int) lipgloss.Style {
			return lipgloss.NewStyle().Padding(0, 1).Bold(row == table.HeaderRow)
		}).String()
}

const leastWrap = 16 // columns that a wrapped text has at least

// wrapped makes the widest columns narrower, by so many characters together. A word
// or number is never broken: a narrow terminal breaks the line instead.
func wrapped(rows [][]string, by int) [][]string {
	widths := limitsOf(rows)
	for ; by > 0; by-- {
		widest := slices.MaxFunc(widths, func(a, b *span) int { return cmp.Compare(a.room(), b.room()) })
		if widest.room() <= 0 {
			break
		}
		widest.most--
	}
	out := make([][]string, 0, len(rows))
	for _, row := range rows {
		row = slices.Clone(row)
		for i, cell := range row {
			row[i] = lipgloss.Wrap(cell, widths[i].most, "")
		}
		out = append(out, row)
	}
	return out
}

// span is how wide a column is, and the least that it can be made.
type span struct{ least, most int }

// room is how wide a column is that can still be made narrower, else 0.
func (s *span) room() int {
	if s.most <= s.least {
		return 0
	}
	return s.most
}

func limitsOf(rows [][]string) (all []*span) {
	for _, row := range rows {
		for i, cell := range row {
			if i == len(all) {
				all = append(all, &span{least: leastWrap})
			}
			all[i].most = max(all[i].most, lipgloss.Width(cell))
			for word := range strings.FieldsSeq(cell) {
				all[i].least = max(all[i].least, lipgloss.Width(word))
			}
		}
	}
	return all
}

func plainTable(w io.Writer, headers []string, rows [][]string) {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	for _, row := range append([][]string{headers}, rows...) {
		fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	_ = t.Flush() // into memory
	for line := range strings.Lines(b.String()) {
		fmt.Fprintln(w, strings.TrimRight(line, " \n"))
	}
}

// short is the end of a peer ID, or the beginning of another ID: enough to tell two apart.
func short(id string) string {
	const n = 10
	switch {
	case len(id) <= n:
		return id
	case strings.HasPrefix(id, "16Uiu2") || strings.HasPrefix(id, "Qm") || strings.HasPrefix(id, "12D3"):
		return "…" + id[len(id)-n:]
	}
	return id[:n]
}

func usd(a market.Amount) string { return money.Format(a) }

func perHour(a market.Amount) string { return money.FormatPrice(a) }

func moment(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

func orDash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}

func ran(ms uint64) string {
	return (time.Duration(ms) * time.Millisecond).String() //nolint:gosec // at most 30 days
}
