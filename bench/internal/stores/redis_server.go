package stores

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"

	"github.com/redis/go-redis/v9"

	"github.com/entsession/entsession/bench/internal/child"
)

// redisServer is a Redis that writes nothing to the disk.
type redisServer struct {
	process *child.Process
	socket  string
}

func (s *Servers) startRedis() error {
	if s.redis != nil {
		return nil
	}
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return fmt.Errorf("starting Redis: %w; bench/deps.sh installs it", err)
	}
	r := &redisServer{socket: filepath.Join(s.Dir, "redis")}
	r.process, err = child.Start(path, "--save", "", "--appendonly", "no", "--port", "0", "--unixsocket", r.socket,
		"--dir", s.Dir, "--maxclients", "2000")
	if err != nil {
		return err
	}
	c := r.client()
	defer c.Close()
	if err := r.process.Until(func() bool { return c.Ping(context.Background()).Err() == nil }); err != nil {
		r.process.Stop()
		return err
	}
	s.redis = r
	return nil
}

func (r *redisServer) client() *redis.Client {
	return redis.NewClient(&redis.Options{Network: "unix", Addr: r.socket})
}

func (r *redisServer) flush(ctx context.Context) error {
	c := r.client()
	defer c.Close()
	return c.FlushAll(ctx).Err()
}
