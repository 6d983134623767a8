package recipes

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession/examples/recipes/ent"
	"github.com/entsession/entsession/examples/recipes/ent/session"
)

// walker goes from one gate to the next when it is told to.
type walker struct {
	at, on chan struct{} // it has come to a gate; it may go on
	done   chan struct{}
	left   int // gates that it stops at
}

type walkerKey struct{}

// start runs f as far as its first gate, which is its beginning.
func start(ctx context.Context, f func(context.Context)) *walker {
	w := &walker{at: make(chan struct{}), on: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(w.done)
		<-w.on
		f(context.WithValue(ctx, walkerKey{}, w))
	}()
	return w
}

// gate stops whoever walks in this context.
func gate(ctx context.Context) {
	if w, ok := ctx.Value(walkerKey{}).(*walker); ok {
		w.at <- struct{}{}
		<-w.on
	}
}

// step lets it go on to its next gate, or to its end.
func (w *walker) step() {
	select {
	case w.on <- struct{}{}:
	case <-w.done:
		return
	}
	select {
	case <-w.at:
	case <-w.done:
	}
}

// interleavings are all orders of a's and b's steps.
func interleavings(a, b int) []string {
	if a == 0 && b == 0 {
		return []string{""}
	}
	var all []string
	if a > 0 {
		for _, rest := range interleavings(a-1, b) {
			all = append(all, "L"+rest)
		}
	}
	if b > 0 {
		for _, rest := range interleavings(a, b-1) {
			all = append(all, "P"+rest)
		}
	}
	return all
}

// TestPasswordChangeEndsASignInUnderWay goes through every order of what a sign-in does (reads the password, begins a session, looks again) and
// what a change of the password does (commits it, ends the sessions).
func TestPasswordChangeEndsASignInUnderWay(t *testing.T) {
	onEach(t, func(t *testing.T, e *env) {
		e.client.User.Intercept(ent.InterceptFunc(func(next ent.Querier) ent.Querier {
			return ent.QuerierFunc(func(ctx context.Context, q ent.Query) (ent.Value, error) {
				w, _ := ctx.Value(walkerKey{}).(*walker)
				if w != nil {
					w.left++
					if w.left == 2 { // before it looks again
						gate(ctx)
					}
				}
				v, err := next.Query(ctx, q)
				if w != nil && w.left == 1 { // after it has read the password
					gate(ctx)
				}
				return v, err
			})
		}))
		e.client.User.Use(func(next ent.Mutator) ent.Mutator {
			return ent.MutateFunc(func(ctx context.Context, m ent.Mutation) (ent.Value, error) {
				v, err := next.Mutate(ctx, m)
				gate(ctx) // between the commit and the end of the sessions
				return v, err
			})
		})
		outcomes := map[string]int{}
		for i, order := range interleavings(3, 2) {
			name := fmt.Sprint("user", i)
			id := e.user(t, name, "old")
			before := e.signIn(t, name, "old")
			var s *ent.StoredSession
			var signInErr, changeErr error
			l := start(t.Context(), func(ctx context.Context) { s, signInErr = e.SignIn(ctx, name, "old") })
			p := start(t.Context(), func(ctx context.Context) { changeErr = e.ChangePassword(ctx, id, "new") })
			for _, who := range order {
				map[rune]*walker{'L': l, 'P': p}[who].step()
			}
			<-l.done
			<-p.done
			require.NoError(t, changeErr, order)
			switch {
			case signInErr == nil:
				require.False(t, e.live(t, s), "%s: signed in with the old password", order)
				outcomes["ended"]++
			case errors.Is(signInErr, ErrWrong):
				outcomes["wrong"]++
			default:
				require.ErrorIs(t, signInErr, ErrSignedOut, order)
				outcomes["stopped"]++
			}
			require.False(t, e.live(t, before), order)
			e.requireCount(t, 0, id)
			require.True(t, e.live(t, e.signIn(t, name, "new")))
		}
		require.Len(t, outcomes, 3, "each way of losing happens: %v", outcomes)
	})
}

// TestPasswordChangesAndSignIns does so at full speed, with two processes.
func TestPasswordChangesAndSignIns(t *testing.T) {
	onEach(t, func(t *testing.T, e *env) {
		other := e.open(t)
		id := e.user(t, "ann", "0")
		for round := range 15 {
			old, fresh := fmt.Sprint(round), fmt.Sprint(round+1)
			var all sync.WaitGroup
			for n := range 6 {
				all.Go(func() {
					_, err := []*App{e.App, other}[n%2].SignIn(t.Context(), "ann", old)
					if err != nil && !errors.Is(err, ErrWrong) && !errors.Is(err, ErrSignedOut) {
						t.Errorf("signing in: %v", err)
					}
				})
			}
			all.Go(func() {
				if err := other.ChangePassword(t.Context(), id, fresh); err != nil {
					t.Errorf("changing the password: %v", err)
				}
			})
			all.Wait()
			n, err := e.sessions.Count(t.Context(), session.UserID(id))
			require.NoError(t, err)
			require.Zero(t, n, "all of them had the old password")
		}
	})
}
