package torture

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// seat is the place of a client. When the client is killed, another takes it.
type seat struct {
	*campaign
	number int
	apart  bool // in a process of its own

	first Gauge // when the campaign had begun

	mu      sync.Mutex
	life    int // counts the clients that have had the seat
	process *process
	local   *client
}

// config draws nothing: a seat's configuration is the same in every run.
func (s *seat) config() config {
	cfg := s.Target.Config(s.number)
	cfg.StatementTimeout = StatementTimeout
	cfg.PurgeInterval = time.Second
	cfg.PurgeGrace = time.Minute // longer than any request takes
	cfg.MaxOpenConns = []int{8, 4, 2, 16}[s.number%4]
	if cfg.Driver == "sqlite" {
		cfg.MaxOpenConns = min(cfg.MaxOpenConns, 4)
	}
	cfg.ConnectionCheckThreshold = []time.Duration{0, -1, time.Second}[s.number%3]
	if s.number%2 == 1 {
		cfg.TouchInterval = -1
	}
	switch s.Batching {
	case "off":
		cfg.DisableBatching = true
	case "mixed":
		cfg.DisableBatching = s.number%3 == 1
	}
	return sendable(cfg)
}

func (s *seat) start() error {
	s.mu.Lock()
	s.life++
	as := setup{Number: s.number, Life: s.life}
	s.mu.Unlock()
	as.Config = s.config()
	if s.apart {
		p, err := startClient(as, s.Stderr)
		if err != nil {
			return err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.process = p
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	local, err := openClient(ctx, as)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.local = local
	return nil
}

// taken returns who has the seat; nil and nil while it is empty.
func (s *seat) taken() (*process, *client, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.process, s.local, s.life
}

// call has the client make a call. sent is false if there was none to make it.
func (s *seat) call(r request) (a answer, life int, sent bool) {
	process, local, life := s.taken()
	begin := now()
	switch {
	case local != nil:
		return local.do(r), life, true
	case process == nil:
		return answer{}, life, false
	}
	a, err := process.call(r)
	if err != nil {
		a = answer{Begin: begin, End: now(), Class: classDied, Text: err.Error()}
	}
	return a, life, true
}

// kill ends a process in the middle of whatever it does.
func (s *seat) kill() error {
	process, _, _ := s.taken()
	if process == nil {
		return nil
	}
	err := process.kill()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.process = nil
	s.first = Gauge{} // its successor has not begun with the campaign
	return err
}

// close ends the client, and tells what is left of it.
func (s *seat) close() (left Gauge, err error) {
	process, local, _ := s.taken()
	if process == nil && local == nil {
		return Gauge{}, nil
	}
	a, _, _ := s.call(request{Op: opClose})
	s.mu.Lock()
	s.process, s.local = nil, nil
	s.mu.Unlock()
	if process != nil {
		err = process.stop()
	}
	if err == nil && a.Class != "" {
		err = fmt.Errorf("closing client %d: %s", s.number, a.Text)
	}
	return a.Gauge, err
}

// closeSeats ends what is left of the clients.
func (c *campaign) closeSeats() (err error) {
	for _, s := range c.seats {
		if _, closing := s.close(); err == nil {
			err = closing
		}
	}
	return err
}

// gaugeAll asks every client what it has in use.
func (c *campaign) gaugeAll(f func(*seat, Gauge)) {
	for _, s := range c.seats {
		if a, _, sent := s.call(request{Op: opGauge}); sent && a.Class == "" {
			f(s, a.Gauge)
		}
	}
}
