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

// byHand needs nothing but what ent generates by itself: the columns' names and the predicates.
func byHand(ctx context.Context, out io.Writer, client *ent.Client, store *entsession.Store) error {
	ann, err := client.User.Create().SetName("ann").Save(ctx)
	if err != nil {
		return err
	}
	visit, err := store.Create(ctx, []byte(`{"cart":["tea"]}`), entsession.Set(session.FieldDevice, "laptop"))
	if err != nil {
		return err
	}
	// Ann signs in: a new id for the session, and her name on it.
	visit, err = store.Rotate(ctx, visit.ID(), entsession.Set(session.FieldUserID, ann.ID), entsession.Set(session.FieldSignedIn, time.Now()))
	if err != nil {
		return err
	}
	if _, err = store.Create(ctx, nil, entsession.Set(session.FieldUserID, ann.ID), entsession.Set(session.FieldDevice, "phone")); err != nil {
		return err
	}

	visit, err = store.Load(ctx, visit.ID())
	if err != nil {
		return err
	}
	device, err := entsession.Get[string](visit, session.FieldDevice)
	if err != nil {
		return err
	}
	at, err := entsession.Get[time.Time](visit, session.FieldSignedIn)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "by hand: %s on her %s with %s, just signed in: %v\n", ann.Name, device, visit.Data, time.Since(at) < time.Minute)

	n := 0
	for _, err := range store.List(ctx, session.UserID(ann.ID)) {
		if err != nil {
			return err
		}
		n++
	}
	fmt.Fprintf(out, "by hand: %d devices\n", n)

	// Sign out everywhere else.
	ended, err := store.Revoke(ctx, session.UserID(ann.ID), session.IDNEQ(visit.Key()))
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "by hand: %d signed out\n", ended)

	// ent sees the sessions too, as any other table. It knows nothing of expiry: ask the store for what is live.
	if err := client.User.DeleteOne(ann).Exec(ctx); err != nil {
		return err
	}
	_, err = store.Load(ctx, visit.ID())
	fmt.Fprintf(out, "by hand: the user is deleted: %v\n", err)
	return nil
}
