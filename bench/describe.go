package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/entsession/entsession/bench/internal/measure"
	"github.com/entsession/entsession/bench/internal/report"
	"github.com/entsession/entsession/bench/internal/stores"
)

// describe notes what the run is and where it takes place.
func describe(o options, args []string, s *stores.Servers) (*report.Result, error) {
	flush, err := measure.Flush(s.Dir)
	if err != nil {
		return nil, err
	}
	return &report.Result{
		Began: time.Now(), Command: args, Peer: o.peer, Rounds: o.rounds, Round: o.window.Length.String(),
		Warmup: o.window.Warmup.String(), Conns: o.conns,
		Machine: report.Machine{Go: runtime.Version(), Kernel: kernel(), CPU: cpu(), CPUs: runtime.NumCPU(), FlushMicro: flush.Median},
		Servers: map[string]report.Server{}, Modules: modules(), Stores: map[string]string{},
	}, nil
}

// noteServers adds those that the stores of an arena use, and the stores.
func noteServers(ctx context.Context, a *arena, res *report.Result) error {
	for _, t := range a.turns {
		kind := t.place.Kind
		if _, known := res.Servers[kind]; !known {
			version, err := a.servers.Version(ctx, t.place)
			if err != nil {
				return fmt.Errorf("asking %s for its version: %w", kind, err)
			}
			res.Servers[kind] = report.Server{Version: version, Settings: stores.Settings(kind)}
		}
		for _, c := range stores.All() {
			if c.Name == t.name {
				res.Stores[c.Name] = c.About
			}
		}
	}
	return nil
}

func kernel() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Release[:])
}

func cpu() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// compared are the modules whose version matters.
var compared = []string{
	"entgo.io/ent", "github.com/jackc/pgx/v5", "github.com/go-sql-driver/mysql", "modernc.org/sqlite",
	"github.com/alexedwards/scs/pgxstore", "github.com/alexedwards/scs/mysqlstore", "github.com/alexedwards/scs/sqlite3store",
	"github.com/alexedwards/scs/goredisstore", "github.com/redis/go-redis/v9", "github.com/gorilla/sessions",
	"github.com/wader/gormstore/v2", "gorm.io/gorm", "gorm.io/driver/postgres",
}

func modules() map[string]string {
	out := map[string]string{}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if slices.Contains(compared, m.Path) {
				out[m.Path] = m.Version
			}
		}
	}
	return out
}
