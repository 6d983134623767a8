package config

import (
	"regexp"
	"strconv"
	"strings"
)

var nameStart = regexp.MustCompile(`^[A-Za-z0-9_.-]{0,64}`)

// name is as much of an unknown key as is safe to tell: a forgotten space makes the key "password:secret".
func name(key string) string {
	start := nameStart.FindString(key)
	if start != key {
		start += "…"
	}
	return start
}

// show quotes a value for an error, on one line.
func show(value string) string {
	const most = 64
	if runes := []rune(value); len(runes) > most {
		return strconv.Quote(string(runes[:most])) + "…"
	}
	return strconv.Quote(value)
}

// nearest returns the candidate with the fewest differences to name; of several, the first.
func nearest(name string, candidates []string) string {
	fold := func(s string) []rune {
		runes := []rune(strings.ReplaceAll(strings.ToLower(s), "-", "_"))
		return runes[:min(len(runes), 64)]
	}
	best, least := "", 0
	for _, c := range candidates {
		if d := distance(fold(name), fold(c)); best == "" || d < least {
			best, least = c, d
		}
	}
	return best
}

// distance is the optimal string alignment distance: insertions, deletions, substitutions and swaps of neighbours.
func distance(a, b []rune) int {
	rows := [3][]int{make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		row, above, twoAbove := rows[i%3], rows[(i+2)%3], rows[(i+1)%3]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(row[j-1]+1, above[j]+1, above[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], twoAbove[j-2]+1)
			}
		}
	}
	return rows[len(a)%3][len(b)]
}
