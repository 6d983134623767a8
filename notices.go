package entsession

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// noticeEvery is the least time between two lines of one kind.
	noticeEvery = time.Minute
	// settled is how long no call may have failed until a database is said to be back: of a server that is read-only, or a pool in which some
	// connections work, some calls succeed all the time.
	settled = time.Second
)

// notices are what Config.Logger hears. An outage concerns every call, and a line for each would be one more.
type notices struct {
	failing atomic.Bool // calls fail because the database is away

	mu     sync.Mutex
	outage outage
	lines  map[string]*line
}

// outage is the last time the database was away.
type outage struct {
	since, last time.Time // calls failed
	calls       int       // that failed
	said        time.Time // the last line
	announced   bool      // there was one of this outage
}

// line is of one kind.
type line struct {
	said  time.Time
	calls int // since then
}

// unavailable notes a call that failed because the database is away.
func (n *notices) unavailable(s *Store, operation string, err error) {
	if s.cfg.Logger == nil {
		return
	}
	n.mu.Lock()
	o, now := &n.outage, time.Now()
	if !n.failing.Load() {
		*o = outage{since: now, said: o.said}
		n.failing.Store(true)
	}
	o.calls++
	o.last = now
	due := now.Sub(o.said) >= noticeEvery
	if due {
		o.said, o.announced = now, true
	}
	calls, away := o.calls, now.Sub(o.since)
	n.mu.Unlock()
	if due {
		s.log(slog.LevelWarn, "database_away", "the database is unavailable",
			slog.String("operation", operation), slog.Int("calls", calls), slog.Duration("away", away), slog.Any("error", err))
	}
}

// served notes a call that succeeded.
func (n *notices) served(s *Store) {
	if n.failing.Load() {
		n.back(s)
	}
}

func (n *notices) back(s *Store) {
	n.mu.Lock()
	o := n.outage
	if !n.failing.Load() || time.Since(o.last) < settled {
		n.mu.Unlock()
		return
	}
	n.failing.Store(false)
	n.mu.Unlock()
	if o.announced {
		s.log(slog.LevelInfo, "database_back", "the database is back", slog.Int("calls", o.calls), slog.Duration("away", o.last.Sub(o.since)))
	}
}

// refused notes a call that was ErrOverloaded.
func (n *notices) refused(s *Store, operation string) {
	n.say(s, slog.LevelWarn, "overloaded", "calls are refused: too many wait for the database", slog.String("operation", operation))
}

// purgeFailed notes a purge that nobody waited for.
func (n *notices) purgeFailed(s *Store, err error) {
	n.say(s, slog.LevelWarn, "purge_failed", "automatic purge failed", slog.Any("error", err))
}

// say logs a line, unless one of its kind was logged lately: the next one then has the number of those left out.
func (n *notices) say(s *Store, level slog.Level, event, msg string, attrs ...slog.Attr) {
	if s.cfg.Logger == nil {
		return
	}
	n.mu.Lock()
	l, now := n.lines[event], time.Now()
	if l == nil {
		l = &line{}
		if n.lines == nil {
			n.lines = map[string]*line{}
		}
		n.lines[event] = l
	}
	l.calls++
	if now.Sub(l.said) < noticeEvery {
		n.mu.Unlock()
		return
	}
	calls := l.calls
	l.said, l.calls = now, 0
	n.mu.Unlock()
	s.log(level, event, msg, append(attrs, slog.Int("calls", calls))...)
}

// log logs a line. Its event is what a rule of an operator's may look for.
func (s *Store) log(level slog.Level, event, msg string, attrs ...slog.Attr) {
	if s.cfg.Logger != nil {
		attrs = append([]slog.Attr{slog.String("event", event), slog.String("table", s.table.String())}, attrs...)
		s.cfg.Logger.LogAttrs(context.Background(), level, "entsession: "+msg, attrs...)
	}
}
