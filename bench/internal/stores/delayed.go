package stores

import (
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/entsession/entsession/bench/internal/child"
	"github.com/entsession/entsession/bench/internal/delay"
)

// DelayCommand is the first argument that makes this program the proxy. It is a process of its own so that what it
// uses is not taken for the client's.
const DelayCommand = "delay-proxy"

// delayed is a proxy that runs.
type delayed struct {
	process *child.Process
	addr    string
}

func startDelay(network, target string, each time.Duration) (*delayed, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("starting the delaying proxy: %w", err)
	}
	p, err := child.Start(self, DelayCommand, network, target, each.String())
	if err != nil {
		return nil, err
	}
	if err := p.Until(func() bool { return strings.HasSuffix(p.Said(), "\n") }); err != nil {
		p.Stop()
		return nil, err
	}
	return &delayed{p, strings.TrimSpace(p.Said())}, nil
}

// ServeDelay is the proxy's main: network, target, delay of each way. It prints its address, and ends by SIGTERM.
func ServeDelay(args []string) error {
	if len(args) != 3 {
		return fmt.Errorf("usage: %s NETWORK TARGET DELAY", DelayCommand)
	}
	each, err := time.ParseDuration(args[2])
	if err != nil {
		return err
	}
	p, err := delay.Start(args[0], args[1], each)
	if err != nil {
		return err
	}
	fmt.Println(p.Addr)
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM)
	<-end
	return p.Close()
}
