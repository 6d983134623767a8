package stores

import (
	"context"
	"net"
	"strconv"
	"time"

	"github.com/alexedwards/scs/goredisstore"
	"github.com/redis/go-redis/v9"
)

var scsRedis = Contestant{
	Name:   "scs-redis",
	About:  "scs's goredisstore on a Redis that writes nothing to the disk: what a power cut takes is lost",
	Kinds:  []string{Postgres, MariaDB},
	Server: Redis,
	Open: func(ctx context.Context, p Place, s Setup) (Store, error) {
		opts := &redis.Options{Network: "unix", Addr: p.Socket, PoolSize: s.Conns}
		if p.Host != "" {
			opts.Network, opts.Addr = "tcp", net.JoinHostPort(p.Host, strconv.Itoa(p.Port))
		}
		fill := redis.NewClient(opts) // its connections are not to be counted
		defer fill.Close()
		r := &redisRows{goredisstore.New(fill), nil, newTokens(s.Rows), time.Now().Add(24 * time.Hour)}
		if err := each(s.Rows, func(row int) error { return r.Save(ctx, row, s.Payload) }); err != nil {
			return nil, err
		}
		r.client = redis.NewClient(opts)
		r.store = goredisstore.New(r.client)
		return r, nil
	},
}

type redisRows struct {
	store  *goredisstore.RedisStore
	client *redis.Client
	tokens []string
	expiry time.Time
}

func (r *redisRows) Load(ctx context.Context, row int) ([]byte, error) {
	data, found, err := r.store.FindCtx(ctx, r.tokens[row])
	if err == nil && !found {
		err = wrong("scs-redis", "not found", row)
	}
	return data, err
}

func (r *redisRows) Save(ctx context.Context, row int, data []byte) error {
	return r.store.CommitCtx(ctx, r.tokens[row], data, r.expiry)
}

func (r *redisRows) Close() error { return r.client.Close() }
