package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/examples/ownschema/ent"
	"github.com/entsession/entsession/examples/ownschema/ent/session"
)

// typed does the same with the generated store: the compiler knows the columns and their types.
func typed(ctx context.Context, out io.Writer, client *ent.Client, store *entsession.Store) error {
	sessions, err := ent.NewSessionStore(store, client)
	if err != nil {
		return err
	}
	bob, err := client.User.Create().SetName("bob").Save(ctx)
	if err != nil {
		return err
	}
	visit, err := sessions.Create(ctx, []byte(`{"cart":["tea"]}`), session.SetDevice("laptop"))
	if err != nil {
		return err
	}
	visit, err = sessions.Rotate(ctx, visit.ID(), session.SetUserID(bob.ID), session.SetSignedIn(time.Now()))
	if err != nil {
		return err
	}
	if _, err := sessions.Create(ctx, nil, session.SetUserID(bob.ID), session.SetDevice("phone")); err != nil {
		return err
	}

	visit, err = sessions.Load(ctx, visit.ID())
	if err != nil {
		return err
	}
	who, err := visit.QueryUser().Only(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "typed: %s on his %s with %s, just signed in: %v\n", who.Name, visit.Device, visit.Data, time.Since(*visit.SignedIn) < time.Minute)

	_, err = sessions.Update(ctx, visit.ID(), func(s *ent.StoredSession) error {
		s.Data = []byte(`{"cart":["tea","cake"]}`)
		s.Set(session.SetDevice("old " + s.Device))
		return nil
	})
	if err != nil {
		return err
	}
	_, err = sessions.Create(ctx, nil, session.SetDevice("a name that is far too long for any of all the devices"))
	fmt.Fprintf(out, "typed: %v\n", err)

	ended, err := sessions.Revoke(ctx, session.UserID(bob.ID), session.IDNEQ(visit.Key()))
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "typed: %d signed out\n", ended)
	for s, err := range sessions.List(ctx, session.UserID(bob.ID)) {
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "typed: his %s is left\n", s.Device)
	}
	return nil
}
