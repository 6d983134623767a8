package measure

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Flush is how long a write of 8 kB and its fdatasync take, in microseconds: what a commit waits for at least.
func Flush(dir string) (Spread, error) {
	f, err := os.CreateTemp(dir, "flush-")
	if err != nil {
		return Spread{}, fmt.Errorf("measuring the disk: %w", err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	page := make([]byte, 8<<10)
	var took []float64
	for i := range 70 {
		begin := time.Now()
		if _, err := f.WriteAt(page, int64(i%20)*int64(len(page))); err != nil {
			return Spread{}, fmt.Errorf("measuring the disk: %w", err)
		}
		if err := unix.Fdatasync(int(f.Fd())); err != nil {
			return Spread{}, fmt.Errorf("measuring the disk: %w", err)
		}
		if i >= 20 { // by then its blocks are there
			took = append(took, float64(time.Since(begin).Microseconds()))
		}
	}
	return SpreadOf(took), nil
}
