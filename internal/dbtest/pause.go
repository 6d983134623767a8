package dbtest

import "fmt"

// Pause stops the server and its child processes where they are (SIGSTOP), as a host does that hangs: the kernel still
// accepts connections and data, and nobody answers. A server that does not run is left alone. Resume ends it; so do
// Shutdown, Restart, Kill and Stop.
func (s *Server) Pause() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.running() {
		return nil
	}
	if _, err := s.process.pause(); err != nil {
		return fmt.Errorf("pausing %s: %w", s.Kind.Name, err)
	}
	return nil
}

// Resume lets a paused server run on. On one that is not paused it does nothing.
func (s *Server) Resume() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.running() {
		return nil
	}
	if err := s.process.resume(); err != nil {
		return fmt.Errorf("resuming %s: %w", s.Kind.Name, err)
	}
	return nil
}
