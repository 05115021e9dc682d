// Package nearest finds the word that was probably meant. It promises only a
// guess that is worth showing to a person, and "" where none is.
package nearest

import "strings"

const maxWord = 64 // bytes; longer words are near to nothing

// To is the candidate that word most likely was meant to be, or "" if none is near.
func To(word string, candidates []string) string {
	best, distance := "", max(2, len(word)/2)
	for _, c := range candidates {
		if d := Distance(strings.ToLower(word), strings.ToLower(c)); d <= distance && d < len(c) {
			best, distance = c, d-1
		}
	}
	return best
}

// Distance is Levenshtein's between two words, in bytes.
func Distance(a, b string) int {
	if len(a) > maxWord || len(b) > maxWord {
		return maxWord
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
