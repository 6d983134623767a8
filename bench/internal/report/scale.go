package report

import (
	"fmt"
	"math"
)

// scale maps values from low to high to pixels from bottom to top, and chooses the ticks.
type scale func(low, high, top, bottom float64) (func(float64) float64, []tick)

// linear begins at zero.
func linear(_, high, top, bottom float64) (func(float64) float64, []tick) {
	step := nice(high / 5)
	end := math.Ceil(high/step) * step
	y := func(v float64) float64 { return bottom - v/end*(bottom-top) }
	var ticks []tick
	for v := 0.0; v <= end+step/2; v += step {
		ticks = append(ticks, tick{y(v), short(v)})
	}
	return y, ticks
}

// logarithmic goes from a power of ten to another one, or to three or five times it.
func logarithmic(low, high, top, bottom float64) (func(float64) float64, []tick) {
	steps := []float64{1, 2, 5, 10}
	from := math.Pow(10, math.Floor(math.Log10(low)))
	for _, s := range []float64{5, 2} {
		if from*s <= low {
			from *= s
			break
		}
	}
	to := math.Pow(10, math.Floor(math.Log10(high)))
	for _, s := range steps {
		if to*s >= high {
			to *= s
			break
		}
	}
	if to <= from {
		to = from * 10
	}
	y := func(v float64) float64 {
		return bottom - (math.Log(v)-math.Log(from))/(math.Log(to)-math.Log(from))*(bottom-top)
	}
	var ticks []tick
	for power := math.Pow(10, math.Floor(math.Log10(from))); power <= to; power *= 10 {
		for _, s := range steps[:3] {
			if v := power * s; v >= from*0.999 && v <= to*1.001 {
				ticks = append(ticks, tick{y(v), short(v)})
			}
		}
	}
	return y, ticks
}

// nice is the next of 1, 2, 2.5, 5 times a power of ten.
func nice(v float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, s := range []float64{1, 2, 2.5, 5} {
		if power*s >= v {
			return power * s
		}
	}
	return power * 10
}

func short(v float64) string {
	if v >= 1000 {
		return fmt.Sprintf("%gk", math.Round(v/100)/10)
	}
	return fmt.Sprintf("%.3g", v)
}
