package stores

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/entsession/entsession/bench/internal/measure"
)

// readLogs makes a round of pgbench's logs, which have a line for each transaction: client, number, microseconds it
// took, script, and the time it ended in seconds and microseconds. The window begins as long after the first one as the
// warm-up is.
func readLogs(dir string, w measure.Window) (measure.Round, error) {
	files, err := filepath.Glob(filepath.Join(dir, "log*"))
	if err != nil {
		return measure.Round{}, err
	}
	type transaction struct{ took, end int64 }
	var all []transaction
	first, last := int64(0), int64(0)
	for _, name := range files {
		if err := func() error {
			f, err := os.Open(name)
			if err != nil {
				return err
			}
			defer f.Close()
			for lines := bufio.NewScanner(f); lines.Scan(); {
				n, ok := sixNumbers(lines.Bytes())
				if !ok {
					return fmt.Errorf("pgbench's log has the line %q", lines.Text())
				}
				t := transaction{n[2], n[4]*1e6 + n[5]}
				if begin := t.end - t.took; first == 0 || begin < first {
					first = begin
				}
				last = max(last, t.end)
				all = append(all, t)
			}
			return nil
		}(); err != nil {
			return measure.Round{}, err
		}
	}
	from := first + w.Warmup.Microseconds()
	to := from + w.Length.Microseconds()
	var took []int64
	for _, t := range all {
		if t.end >= from && t.end < to {
			took = append(took, t.took)
		}
	}
	if len(took) == 0 || last < to-w.Length.Microseconds()/20 {
		return measure.Round{}, errTooShort
	}
	slices.Sort(took)
	return measure.Round{
		Ops: int64(len(took)), Seconds: (time.Duration(to-from) * time.Microsecond).Seconds(),
		P50: float64(took[len(took)/2]), P99: float64(took[len(took)*99/100]),
	}, nil
}

// errTooShort says that pgbench ended before the window did: it takes its time to connect from what it is given.
var errTooShort = errors.New("pgbench ended before the window did")

func sixNumbers(line []byte) (n [6]int64, ok bool) {
	i := 0
	for _, c := range line {
		switch {
		case c == ' ' && i < 5:
			i++
		case c >= '0' && c <= '9':
			n[i] = n[i]*10 + int64(c-'0')
		default:
			return n, false
		}
	}
	return n, i == 5
}
