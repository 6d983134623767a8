package torture

import (
	"context"
	"math/rand/v2"
	"time"
)

// NetworkFaults are what proxies can do. Each disturbs some of them, or all.
func NetworkFaults(proxies ...*Proxy) []Fault {
	n := network(proxies)
	return []Fault{
		{Name: "latency", Weight: 2, Inject: func(ctx context.Context, rng *rand.Rand) error {
			return n.disturb(ctx, rng, between(rng, time.Second, 4*time.Second), Trouble{
				Latency: between(rng, 0, 30*time.Millisecond), Jitter: between(rng, time.Millisecond, 100*time.Millisecond),
			})
		}},
		{Name: "bandwidth", Weight: 1, Inject: func(ctx context.Context, rng *rand.Rand) error {
			return n.disturb(ctx, rng, between(rng, time.Second, 4*time.Second), Trouble{Bandwidth: 2000 + rng.IntN(60000)})
		}},
		{Name: "hold packets", Weight: 2, Inject: func(ctx context.Context, rng *rand.Rand) error {
			return n.disturb(ctx, rng, between(rng, 500*time.Millisecond, StatementTimeout+3*time.Second), Trouble{Hold: true})
		}},
		{Name: "black hole", Weight: 2, Inject: func(ctx context.Context, rng *rand.Rand) error {
			return n.disturb(ctx, rng, between(rng, 500*time.Millisecond, StatementTimeout+3*time.Second), Trouble{Swallow: true})
		}},
		{Name: "refuse connections", Weight: 2, Inject: func(ctx context.Context, rng *rand.Rand) error {
			for _, p := range n {
				p.Reset()
			}
			return n.disturb(ctx, rng, between(rng, 200*time.Millisecond, 3*time.Second), Trouble{Refuse: true})
		}},
		{Name: "take answers", Weight: 4, Inject: func(ctx context.Context, rng *rand.Rand) error {
			return n.disturb(ctx, rng, between(rng, 500*time.Millisecond, 3*time.Second), Trouble{TakeAnswer: []float64{0.01, 0.05, 0.3}[rng.IntN(3)]})
		}},
		{Name: "tear messages", Weight: 2, Inject: func(ctx context.Context, rng *rand.Rand) error {
			return n.disturb(ctx, rng, between(rng, 500*time.Millisecond, 3*time.Second), Trouble{Tear: []float64{0.01, 0.05, 0.3}[rng.IntN(3)]})
		}},
		{Name: "reset connections", Weight: 3, Inject: func(ctx context.Context, rng *rand.Rand) error {
			for range 1 + rng.IntN(10) {
				for _, p := range n.some(rng) {
					p.Reset()
				}
				if !sleep(ctx, between(rng, time.Millisecond, 200*time.Millisecond)) {
					break
				}
			}
			return nil
		}},
	}
}

type network []*Proxy

// some are one proxy, or all.
func (n network) some(rng *rand.Rand) []*Proxy {
	if one := rng.IntN(2 * len(n)); one < len(n) {
		return n[one : one+1]
	}
	return n
}

func (n network) disturb(ctx context.Context, rng *rand.Rand, d time.Duration, t Trouble) error {
	some := n.some(rng)
	for _, p := range some {
		p.Disturb(t)
	}
	sleep(ctx, d)
	for _, p := range some {
		p.Calm()
	}
	return nil
}

// between draws a duration.
func between(rng *rand.Rand, low, high time.Duration) time.Duration {
	return low + time.Duration(rng.Int64N(int64(high-low)))
}

// sleep lasts that long, or until ctx ends, and is false then.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
