package stores

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/entsession/entsession/bench/internal/measure"
	"github.com/entsession/entsession/internal/stmt"
)

var pgbench = Contestant{
	Name:  "pgbench",
	About: "pgbench -M prepared -j 2, our statements, a connection for each caller: what PostgreSQL itself reaches one statement at a time",
	Kinds: []string{Postgres},
	Open:  openPgbench,
}

// Outsider is a Store that is a program of its own: it can't be called, but it runs rounds.
type Outsider interface {
	Round(ctx context.Context, op string, callers int, w measure.Window) (measure.Round, error)
}

// pgbenchRuns runs pgbench on our table. pgbench has no strings to compute with, so that ids are numbers of 19 digits, and
// the version that guards a row is always 0; the statements, and what the server has to do for them, are the same.
type pgbenchRuns struct {
	place   Place
	setup   Setup
	path    string
	scripts string      // their folder
	seconds map[int]int // to be given, for a number of callers
}

const pgbenchID = 1_000_000_000_000_000_000

func openPgbench(ctx context.Context, p Place, s Setup) (Store, error) {
	path, err := exec.LookPath("pgbench")
	if err != nil {
		return nil, fmt.Errorf("%w; it comes with PostgreSQL", err)
	}
	if _, err := seed(ctx, p.config(s.Conns), Setup{Conns: s.Conns}); err != nil { // the table
		return nil, err
	}
	conn, err := pgx.Connect(ctx, p.dsn())
	if err != nil {
		return nil, err
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, `INSERT INTO sessions (id, data, timeout)
		SELECT ($1::bigint + i)::text, $2, floor(extract(epoch from now())) + 86400 FROM generate_series(0, $3::int - 1) AS i`,
		int64(pgbenchID), string(s.Payload), s.Rows); err != nil {
		return nil, fmt.Errorf("making %d rows: %w", s.Rows, err)
	}
	b := &pgbenchRuns{place: p, setup: s, path: path, seconds: map[int]int{}}
	if b.scripts, err = os.MkdirTemp(p.Dir, "pgbench-"); err != nil {
		return nil, err
	}
	set, err := statements(p.Kind)
	if err != nil {
		return nil, err
	}
	return b, errors.Join(
		b.script("load", `\set id `+strconv.Itoa(pgbenchID)+` + random(0, :rows - 1)`, set.Load,
			"$1", ":id", "$2", "''"),
		b.script("save", `\set id `+strconv.Itoa(pgbenchID)+` + :client_id + random(0, :rows / :clients - 1) * :clients
\set change random(1, 4000000000000000000)`, set.Save(nil),
			"$1", "(:change::text || :data::text)", "$2", ":version", "$3", ":id", "$4", "''", "$5", ":version"))
}

func (b *pgbenchRuns) script(name, vars, statement string, replace ...string) error {
	return os.WriteFile(b.file(name), []byte(vars+"\n"+strings.NewReplacer(replace...).Replace(statement)+";\n"), 0o600)
}

func (b *pgbenchRuns) file(name string) string { return filepath.Join(b.scripts, name) }

// Round implements Outsider. Every client is a process of the server that starts from nothing, so that the warm-up grows with
// their number. And pgbench begins to count the time it is given before it connects: it is given more until the window fits.
func (b *pgbenchRuns) Round(ctx context.Context, op string, callers int, w measure.Window) (measure.Round, error) {
	w.Warmup = max(w.Warmup, PgbenchWarmup(callers))
	seconds := max(b.seconds[callers], int((w.Warmup+w.Length+time.Second-1)/time.Second))
	for {
		r, err := b.run(ctx, op, callers, seconds, w)
		if !errors.Is(err, errTooShort) || seconds >= 12 {
			r.Conns = callers
			return r, err
		}
		seconds += 2
		b.seconds[callers] = seconds
	}
}

// PgbenchWarmup is how long it takes until all of its connections are at work.
func PgbenchWarmup(callers int) time.Duration { return time.Duration(callers) * 3 * time.Millisecond }

func (b *pgbenchRuns) run(ctx context.Context, op string, callers, seconds int, w measure.Window) (measure.Round, error) {
	logs, err := os.MkdirTemp(b.scripts, "log-")
	if err != nil {
		return measure.Round{}, err
	}
	defer os.RemoveAll(logs)
	host := b.place.Host
	if host == "" {
		host = b.place.Socket
	}
	data := b.setup.Payload[:len(b.setup.Payload)-19] // the rest is what changes
	args := []string{"-n", "-M", "prepared", "-c", strconv.Itoa(callers), "-j", strconv.Itoa(min(2, callers)),
		"-T", strconv.Itoa(seconds), "-l", "--log-prefix", filepath.Join(logs, "log"),
		"-D", "rows=" + strconv.Itoa(b.setup.Rows), "-D", "clients=" + strconv.Itoa(callers), "-D", "version=0",
		"-D", "data=" + string(data), "-h", host, "-p", strconv.Itoa(b.place.Port), "-U", b.place.User}
	switch op {
	case "load", "save":
		args = append(args, "-f", b.file(op))
	default:
		args = append(args, "-f", b.file("load")+"@4", "-f", b.file("save")+"@1")
	}
	cmd := exec.CommandContext(ctx, b.path, append(args, b.place.Name)...)
	cmd.Env = append(os.Environ(), "PGPASSWORD="+b.place.Password, "PGSSLMODE=disable")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if out, err := cmd.CombinedOutput(); err != nil {
		return measure.Round{}, fmt.Errorf("pgbench: %w\n%s", err, out)
	}
	return readLogs(logs, w)
}

func (b *pgbenchRuns) Load(context.Context, int) ([]byte, error) { return nil, errOutsider }
func (b *pgbenchRuns) Save(context.Context, int, []byte) error   { return errOutsider }
func (b *pgbenchRuns) Close() error                              { return os.RemoveAll(b.scripts) }

var errOutsider = errors.New("pgbench can't be called")

// statements of our store on its default table with its default policy.
func statements(kind string) (*stmt.Set, error) {
	table := &stmt.Table{Dialect: dialects[kind], Name: "sessions"}
	err := table.Describe([]string{"id", "data", "timeout", "version", "created", "application", "subject"})
	return stmt.New(table, stmt.Policy{Expiration: 1800, Touch: 60}), err
}
