package batch

import (
	"os"
	"strconv"
	"time"
)

type limit struct {
	places int
}

func newLimit(most int) limit {
	n := most
	if v, _ := strconv.Atoi(os.Getenv("XLIMIT")); v > 0 {
		n = min(v, most)
	}
	return limit{places: n}
}

func (l *limit) seen(calls int, took time.Duration) {}
