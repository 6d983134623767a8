// Package recipes has what docs/recipes.md shows, word for word, on the schema in ent/schema. Its tests run all of it on each database.
package recipes

import (
	"context"
	"errors"
	"time"

	"github.com/entsession/entsession/examples/recipes/ent"
	"github.com/entsession/entsession/examples/recipes/ent/session"
	"github.com/entsession/entsession/examples/recipes/ent/user"
)

// App is an application: its ent client, and the typed store that was generated for its sessions.
type App struct {
	client   *ent.Client
	sessions *ent.SessionStore
}

// Errors of a sign-in.
var (
	ErrWrong     = errors.New("the name or the password is wrong")
	ErrSignedOut = errors.New("the user was signed out everywhere meanwhile")
	ErrTooMany   = errors.New("the user is signed in on too many devices")
)

// matches stands in for bcrypt or argon2.
func matches(hash, password string) bool { return hash == password }

// Devices are the live sessions of a user.
func (a *App) Devices(ctx context.Context, userID int) (devices []*ent.StoredSession, err error) {
	for s, err := range a.sessions.List(ctx, session.UserID(userID)) {
		if s == nil {
			return nil, err
		}
		devices = append(devices, s) // with an error: a column that can't be read; it can be signed out all the same
	}
	return devices, nil
}

// SignOutDevice ends one of a user's sessions, and nobody else's.
func (a *App) SignOutDevice(ctx context.Context, userID int, key string) (found bool, err error) {
	n, err := a.sessions.Revoke(ctx, session.UserID(userID), session.ID(key))
	return n > 0, err
}

// SignOutOthers ends all of a user's sessions but this one.
func (a *App) SignOutOthers(ctx context.Context, userID int, key string) (int, error) {
	return a.sessions.Revoke(ctx, session.UserID(userID), session.IDNEQ(key))
}

// SignIn begins a session. The check at its end finds out whether the user was signed out everywhere since the password was read.
func (a *App) SignIn(ctx context.Context, name, password string) (*ent.StoredSession, error) {
	u, err := a.client.User.Query().Where(user.Name(name)).Only(ctx)
	if ent.IsNotFound(err) || err == nil && !matches(u.Password, password) {
		return nil, ErrWrong
	}
	if err != nil {
		return nil, err
	}
	s, err := a.sessions.Create(ctx, nil, session.SetUserID(u.ID)) // or a Rotate of the visitor's session
	if err != nil {
		return nil, err
	}
	same, err := a.client.User.Query().Where(user.ID(u.ID), user.Generation(u.Generation)).Exist(ctx)
	if err != nil || !same {
		return nil, errors.Join(ErrSignedOut, err, a.sessions.Delete(ctx, s.ID()))
	}
	return s, nil // not before here does anybody learn its id
}

// ChangePassword ends all sessions of a user, those that are under way among them. First the new generation is committed, then the sessions end.
func (a *App) ChangePassword(ctx context.Context, userID int, hash string) error {
	if err := a.client.User.UpdateOneID(userID).SetPassword(hash).AddGeneration(1).Exec(ctx); err != nil {
		return err
	}
	_, err := a.sessions.Revoke(ctx, session.Or(session.UserID(userID), session.ActorID(userID)))
	return err
}

// TakeSeat makes room for a session of a user that was just begun, with session.SetSeat(rand.Int64()), among at most limit ones. It ends the oldest or, if
// there is no room, this one. Whoever calls it at the same time, on whatever host: no more of those that it returned nil for are ever live at once.
func (a *App) TakeSeat(ctx context.Context, userID int, s *ent.StoredSession, limit int, endOldest bool) error {
	err := a.takeSeat(ctx, userID, s.Seat, limit, endOldest)
	if err != nil {
		err = errors.Join(err, a.sessions.Delete(ctx, s.ID()))
	}
	return err
}

func (a *App) takeSeat(ctx context.Context, userID int, own int64, limit int, endOldest bool) error {
	for {
		u, err := a.client.User.Get(ctx, userID)
		if err != nil {
			return err
		}
		var taken []int64 // those whose session is live, in the order in which they were taken
		for _, seat := range u.Seats {
			n, err := a.sessions.Count(ctx, session.UserID(userID), session.Seat(seat))
			if err != nil {
				return err
			}
			if n > 0 {
				taken = append(taken, seat)
			}
		}
		if over := len(taken) + 1 - limit; over > 0 {
			if !endOldest {
				return ErrTooMany
			}
			if _, err := a.sessions.Revoke(ctx, session.UserID(userID), session.SeatIn(taken[:over]...)); err != nil {
				return err
			}
			taken = taken[over:]
		}
		n, err := a.client.User.Update().Where(user.ID(userID), user.SeatsVersion(u.SeatsVersion)).
			SetSeats(append(taken, own)).AddSeatsVersion(1).Save(ctx)
		if err != nil || n == 1 {
			return err
		}
		// Another sign-in was faster: look again.
	}
}

// Online are the users who were seen within that time and are still signed in.
func (a *App) Online(ctx context.Context, within time.Duration) ([]int, error) {
	now := time.Now().UTC().Truncate(time.Second) // as the column is
	return a.client.Session.Query().
		Where(session.LastSeenGT(now.Add(-within)), session.UserIDNotNil(), session.ActorIDIsNil(), session.TimeoutGTE(now.Unix())).
		Unique(true).Select(session.FieldUserID).Ints(ctx)
}

// ActAs begins a session for another user, beside the own one, whose cookie and row stay as they are. Who may do so is the caller's to
// check.
func (a *App) ActAs(ctx context.Context, own *ent.StoredSession, actorID, userID int) (*ent.StoredSession, error) {
	s, err := a.sessions.Create(ctx, nil, session.SetUserID(userID), session.SetActorID(actorID))
	if err != nil {
		return nil, err
	}
	if _, err := a.sessions.Load(ctx, own.ID()); err != nil { // signed out meanwhile
		return nil, errors.Join(err, a.sessions.Delete(ctx, s.ID()))
	}
	return s, nil
}

// SignOut ends a session and, with it, what its user does in the name of others.
func (a *App) SignOut(ctx context.Context, own *ent.StoredSession, userID int) error {
	if err := a.sessions.Delete(ctx, own.ID()); err != nil {
		return err
	}
	_, err := a.sessions.Revoke(ctx, session.ActorID(userID))
	return err
}
