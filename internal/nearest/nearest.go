// Package nearest finds the word that was probably meant. It promises only a
// guess that is worth showing to a person, and "" where none is.
package nearest

import "strings"

const (
	maxWord = 64 // bytes; longer words are near to nothing
	letters = 3  // of a word, for each slip of the finger that is forgiven
)

// To is the candidate that word most likely was meant to be, or "" if none is
// near: one that differs by few slips, or else the one name in parts, such as
// provider.price, that word is the end of.
func To(word string, candidates []string) string {
	word = strings.ToLower(word)
	best, distance := "", max(1, len(word)/letters)
	for _, c := range candidates {
		if d := Distance(word, strings.ToLower(c)); d <= distance && d < len(c) {
			best, distance = c, d-1
		}
	}
	if best == "" && word != "" {
		return ending(word, candidates)
	}
	return best
}

// ending is the one candidate whose last parts are word.
func ending(word string, candidates []string) (found string) {
	for _, c := range candidates {
		rest, ok := strings.CutSuffix(strings.ToLower(c), word)
		if !ok || !strings.ContainsAny(rest[max(0, len(rest)-1):], "._-") {
			continue
		}
		if found != "" {
			return ""
		}
		found = c
	}
	return found
}

// Distance counts the slips between two words, in bytes: one left out, one
// too many, another one, or two neighbours swapped.
func Distance(a, b string) int {
	if len(a) > maxWord || len(b) > maxWord {
		return maxWord
	}
	var rows [maxWord + 1][maxWord + 1]int
	for i := range len(a) + 1 {
		for j := range len(b) + 1 {
			if i == 0 || j == 0 {
				rows[i][j] = i + j
				continue
			}
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
