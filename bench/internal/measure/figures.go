package measure

import (
	"math"
	"slices"
)

// Spread is a figure over rounds: the median, and the range of the middle half.
type Spread struct {
	Median float64 `json:"median"`
	P25    float64 `json:"p25"`
	P75    float64 `json:"p75"`
}

// SpreadOf the values; zero when there are none.
func SpreadOf(values []float64) Spread {
	if len(values) == 0 {
		return Spread{}
	}
	sorted := slices.Sorted(slices.Values(values))
	return Spread{Median: quantile(sorted, 0.5), P25: quantile(sorted, 0.25), P75: quantile(sorted, 0.75)}
}

// quantile interpolates between neighbours.
func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	below := int(math.Floor(at))
	above := min(below+1, len(sorted)-1)
	return sorted[below] + (at-float64(below))*(sorted[above]-sorted[below])
}

// Of makes a Spread of one figure of each round.
func Of(rounds []Round, figure func(Round) float64) Spread {
	values := make([]float64, len(rounds))
	for i, r := range rounds {
		values[i] = figure(r)
	}
	return SpreadOf(values)
}

// Ratio compares one figure of two stores whose rounds took turns: the median is that of ours over that of the peer,
// the range is of the ratios of the single rounds, which share the machine's mood.
func Ratio(ours, peer []Round, figure func(Round) float64) Spread {
	if len(ours) == 0 || len(peer) == 0 {
		return Spread{}
	}
	ratios := make([]float64, min(len(ours), len(peer)))
	for i := range ratios {
		ratios[i] = divide(figure(ours[i]), figure(peer[i]))
	}
	out := SpreadOf(ratios)
	out.Median = divide(Of(ours, figure).Median, Of(peer, figure).Median)
	return out
}

func divide(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}
