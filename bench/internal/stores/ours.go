package stores

import (
	"context"
	"fmt"
	"sync"

	"github.com/entsession/entsession"
	_ "github.com/entsession/entsession/mysql"
	_ "github.com/entsession/entsession/sqlite"
)

var servers3 = []string{Postgres, MariaDB, SQLite}

var ours = Contestant{
	Name:  "ours",
	About: "this module's store, as it is by default; on a server with as many connections as the others",
	Kinds: servers3,
	Open: func(ctx context.Context, p Place, s Setup) (Store, error) {
		return openOurs(ctx, p.config(s.Conns), s)
	},
}

var oursUnbatched = Contestant{
	Name:  "unbatched",
	About: "this module's store with DisableBatching: a statement for each call",
	Kinds: servers3,
	Open: func(ctx context.Context, p Place, s Setup) (Store, error) {
		cfg := p.config(s.Conns)
		cfg.DisableBatching = true
		return openOurs(ctx, cfg, s)
	},
}

// entSession keeps the sessions, for a Save is guarded by what the session was when it was loaded.
type entSession struct {
	store    *entsession.Store
	sessions []*entsession.Session
	ids      []string
}

func openOurs(ctx context.Context, cfg entsession.Config, setup Setup) (Store, error) {
	o := &entSession{ids: make([]string, setup.Rows)}
	var err error
	if o.sessions, err = seed(ctx, cfg, setup); err != nil {
		return nil, err
	}
	for i, s := range o.sessions {
		o.ids[i] = s.ID()
		s.Data = nil // 20,000 payloads would be most of the heap, and none of them is the store's
	}
	if o.store, err = entsession.Open(ctx, cfg); err != nil {
		return nil, err
	}
	return o, nil
}

func (o *entSession) Load(ctx context.Context, row int) ([]byte, error) {
	s, err := o.store.Load(ctx, o.ids[row])
	if err != nil {
		return nil, err
	}
	return s.Data, nil
}

func (o *entSession) Save(ctx context.Context, row int, data []byte) error {
	s := o.sessions[row]
	s.Data = data
	return o.store.Save(ctx, s)
}

func (o *entSession) Close() error { return o.store.Close() }

// seed makes our table and its rows.
func seed(ctx context.Context, cfg entsession.Config, setup Setup) (_ []*entsession.Session, err error) {
	if cfg.Driver == "sqlite" {
		cfg.Params = map[string]string{"synchronous": "off"} // of the connections that seed; the measured ones are opened after
	}
	store, err := entsession.Open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer func() {
		if cerr := store.Close(); err == nil {
			err = cerr
		}
	}()
	if err := store.Migrate(ctx); err != nil {
		return nil, err
	}
	sessions := make([]*entsession.Session, setup.Rows)
	return sessions, each(setup.Rows, func(row int) (err error) {
		sessions[row], err = store.Create(ctx, setup.Payload)
		return err
	})
}

// each calls f for every row, from many goroutines.
func each(rows int, f func(row int) error) error {
	const workers = 32
	errs := make([]error, workers)
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			for row := w; row < rows && errs[w] == nil; row += workers {
				errs[w] = f(row)
			}
		})
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return fmt.Errorf("making %d rows: %w", rows, err)
		}
	}
	return nil
}
