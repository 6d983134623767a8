package dbtest

import (
	"fmt"
	"math/rand/v2"
	"net"
)

// freePort returns a TCP port that nobody listens on at 127.0.0.1. It lies below the range that the kernel hands out
// to outgoing connections, one of which could otherwise take the port while its server restarts.
func freePort() (int, error) {
	var err error
	for range 100 {
		port := 20000 + rand.IntN(12000)
		var l net.Listener
		if l, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			return port, l.Close()
		}
	}
	return 0, fmt.Errorf("looking for a free port: %w", err)
}
