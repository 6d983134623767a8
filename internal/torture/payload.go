package torture

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// A payload tells which session it is of, which write made it, and how often Update counted: its head. The tail, which follows from
// the write's number, is there to be stored in different ways and to be torn.

// head is the part of a payload that histories keep.
func head(family, write, count int) string { return fmt.Sprintf("f%d w%d n%d;", family, write, count) }

func payload(family, write, count int) []byte {
	return []byte(head(family, write, count) + tail(write))
}

func tail(write int) string {
	switch write % 8 {
	case 0, 1, 2:
		return ""
	case 3:
		return " ünïcode 🎉"
	case 4:
		return "\x00\xff\xfe"
	case 5:
		return strings.Repeat(fmt.Sprintf("%d ", write), 40)
	case 6:
		return strings.Repeat(fmt.Sprintf("%d ", write), 800) // more than a network packet
	default:
		return strings.Repeat("x", write%500)
	}
}

// numbers takes them out of a head.
func numbers(head string) (family, write, count int, ok bool) {
	head, _, closed := strings.Cut(head, ";")
	f, rest, spaced := strings.Cut(head, " w")
	w, n, counted := strings.Cut(rest, " n")
	f, begun := strings.CutPrefix(f, "f")
	if !closed || !spaced || !counted || !begun {
		return 0, 0, 0, false
	}
	family, ferr := strconv.Atoi(f)
	write, werr := strconv.Atoi(w)
	count, nerr := strconv.Atoi(n)
	return family, write, count, ferr == nil && werr == nil && nerr == nil
}

// parse takes the numbers out of a payload. It is false for what nobody wrote as a whole.
func parse(data []byte) (family, write, count int, ok bool) {
	family, write, count, ok = numbers(string(data[:min(len(data), 80)]))
	return family, write, count, ok && bytes.Equal(data, payload(family, write, count))
}

// counted is what Update makes of a payload: the write's number, and one more counted.
func counted(data []byte, write int) ([]byte, error) {
	family, _, count, ok := parse(data)
	if !ok {
		return nil, fmt.Errorf("a payload of %d bytes that nobody wrote", len(data))
	}
	return payload(family, write, count+1), nil
}
