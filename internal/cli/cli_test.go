package cli

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/config"
	"github.com/entsession/entsession/internal/dbtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(dbtest.Runner(m), goleak.Cleanup(removeBinary)) }

// removeBinary ends the tests.
func removeBinary(code int) {
	if binaryDir != "" {
		_ = os.RemoveAll(binaryDir)
	}
	os.Exit(code)
}

// each runs a test on every database.
func each(t *testing.T, f func(t *testing.T, d *database)) {
	t.Parallel()
	for _, k := range dbtest.Kinds() {
		t.Run(k.Name, func(t *testing.T) {
			t.Parallel()
			f(t, newDatabase(t, k))
		})
	}
}

const payload = "a payload that nobody may see"

// database is a test's own, and what no output may hold.
type database struct {
	*dbtest.DB
	dsn     string
	secrets []string
}

func newDatabase(t *testing.T, k dbtest.Kind) *database {
	d := &database{DB: k.New(t), secrets: []string{payload}}
	d.dsn = d.as(d.User, d.Password, d.Name)
	if d.Password != "" {
		d.secrets = append(d.secrets, d.Password)
	}
	return d
}

// as is the DSN of someone else or another database.
func (d *database) as(user, password, name string) string {
	if d.Kind.Dialect == dbtest.SQLite {
		return "sqlite:" + d.File
	}
	u := url.URL{Scheme: d.Kind.Dialect, User: url.UserPassword(user, password), Host: net.JoinHostPort(d.Host, strconv.Itoa(d.Port)), Path: "/" + name}
	if d.Kind.Dialect == dbtest.Postgres {
		u.RawQuery = "sslmode=disable"
	}
	return u.String()
}

// with is the DSN with options.
func (d *database) with(options string) string {
	if strings.Contains(d.dsn, "?") {
		return d.dsn + "&" + options
	}
	return d.dsn + "?" + options
}

// open opens a store as an application does.
func (d *database) open(t *testing.T, options string) *entsession.Store {
	t.Helper()
	cfg, err := config.DSN(d.with(options))
	require.NoError(t, err)
	store, err := entsession.Open(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	return store
}

// store is open on a migrated table.
func (d *database) store(t *testing.T) *entsession.Store {
	t.Helper()
	store := d.open(t, "")
	require.NoError(t, store.Migrate(t.Context()))
	return store
}

// create makes a session, whose id and stored id become secrets.
func (d *database) create(t *testing.T, store *entsession.Store, columns ...entsession.Column) *entsession.Session {
	t.Helper()
	s, err := store.Create(t.Context(), []byte(payload), columns...)
	require.NoError(t, err)
	d.secret(s.ID(), s.Key())
	return s
}

func (d *database) secret(secrets ...string) { d.secrets = append(d.secrets, secrets...) }

func (d *database) exec(t *testing.T, query string, args ...any) {
	t.Helper()
	_, err := d.Admin(t).Exec(query, args...)
	require.NoError(t, err)
}

// result is what a run of the command line left.
type result struct {
	code     int
	out, err string
}

// run runs the command line on the database, and searches what it says for secrets.
func (d *database) run(t *testing.T, args ...string) result {
	t.Helper()
	return d.runOn(t, Streams{In: strings.NewReader("")}, d.dsn, args...)
}

func (d *database) runOn(t *testing.T, streams Streams, dsn string, args ...string) result {
	t.Helper()
	r := runIn(t, streams, append(args, "--dsn", dsn)...)
	d.spill(t, r)
	return r
}

func (d *database) spill(t *testing.T, r result) {
	t.Helper()
	for _, secret := range d.secrets {
		// The beginning of a secret is one, too.
		if strings.Contains(r.out+r.err, secret[:min(len(secret), 8)]) {
			t.Fatalf("a secret was shown: %s", r.out+r.err)
		}
	}
}

func run(t *testing.T, args ...string) result {
	t.Helper()
	return runIn(t, Streams{In: strings.NewReader("")}, args...)
}

func runIn(t *testing.T, streams Streams, args ...string) result {
	t.Helper()
	var out, errs bytes.Buffer
	if streams.Out == nil {
		streams.Out = &out
	}
	streams.Err = &errs
	code := Run(t.Context(), args, streams)
	return result{code, out.String(), errs.String()}
}

// ok is the output of a run that must succeed.
func (r result) ok(t *testing.T) string {
	t.Helper()
	require.Equal(t, exitOK, r.code, "%s%s", r.out, r.err)
	return r.out
}

// fails demands an exit code and one line about it.
func (r result) fails(t *testing.T, code int, says string) {
	t.Helper()
	require.Equal(t, code, r.code, "%s%s", r.out, r.err)
	require.Equal(t, 1, strings.Count(r.err, "\n"), r.err)
	require.True(t, strings.HasPrefix(r.err, "entsession: "), r.err)
	require.Contains(t, r.err, says)
}

// decode reads the output's one line of JSON.
func decode[T any](t *testing.T, r result) T {
	t.Helper()
	all := decodeLines[T](t, r)
	require.Len(t, all, 1)
	return all[0]
}

func decodeLines[T any](t *testing.T, r result) []T {
	t.Helper()
	var all []T
	for line := range strings.Lines(r.ok(t)) {
		var v T
		d := json.NewDecoder(strings.NewReader(line))
		d.DisallowUnknownFields() // the names are part of the interface
		require.NoError(t, d.Decode(&v), line)
		all = append(all, v)
	}
	return all
}

// listed is a line of `list --json`.
type listed struct {
	Handle  string         `json:"handle"`
	Created *string        `json:"created"`
	Expires string         `json:"expires"`
	Bytes   int            `json:"bytes"`
	Columns map[string]any `json:"columns"`
}

func (d *database) list(t *testing.T, args ...string) []listed {
	t.Helper()
	return decodeLines[listed](t, d.run(t, append([]string{"list", "--json"}, args...)...))
}

// handles is a list as a set.
func handles(all []listed) map[string]bool {
	set := map[string]bool{}
	for _, l := range all {
		set[l.Handle] = true
	}
	return set
}

func setOf(sessions ...*entsession.Session) map[string]bool {
	set := map[string]bool{}
	for _, s := range sessions {
		set[handle(s.Key())] = true
	}
	return set
}

var (
	buildBinary sync.Once
	binaryDir   string
	binaryErr   error
)

// binary is the program, built once.
func binary(t *testing.T) string {
	t.Helper()
	buildBinary.Do(func() {
		if binaryDir, binaryErr = os.MkdirTemp("", "entsession-cli-"); binaryErr != nil {
			return
		}
		out, err := exec.Command("go", "build", "-o", binaryDir, "github.com/entsession/entsession/cmd/entsession").CombinedOutput()
		if err != nil {
			binaryErr = fmt.Errorf("building the program: %w\n%s", err, out)
		}
	})
	require.NoError(t, binaryErr)
	return filepath.Join(binaryDir, "entsession")
}

// process is a run of the program that has not been started. Nothing of this process's environment gets there.
func process(t *testing.T, env []string, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, binary(t), args...)
	cmd.Env = append([]string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH"), "TZ=Europe/Berlin"}, env...)
	return cmd
}

// start starts a process. The function waits for its end.
func start(t *testing.T, cmd *exec.Cmd) (wait func() result) {
	t.Helper()
	var out, errs bytes.Buffer
	if cmd.Stdout == nil {
		cmd.Stdout = &out
	}
	cmd.Stderr = &errs
	require.NoError(t, cmd.Start())
	return func() result {
		if err := cmd.Wait(); err != nil {
			var status *exec.ExitError
			require.ErrorAs(t, err, &status)
		}
		return result{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
	}
}

// exit is the result of a process.
func exit(t *testing.T, cmd *exec.Cmd) result {
	t.Helper()
	return start(t, cmd)()
}

// fill inserts rows as they come from the store, quicker than it does.
func (d *database) fill(t *testing.T, n int, application string, timeout string) {
	t.Helper()
	db := d.Admin(t)
	for done := 0; done < n; {
		some := min(500, n-done)
		rows := make([]string, some)
		for i := range rows {
			key := fmt.Sprintf("%043d", done+i)
			rows[i] = fmt.Sprintf("('%s%s', '%s', %s, '%s')", cmp.Or(application, "x"), key, payload, timeout, application)
		}
		_, err := db.Exec("INSERT INTO sessions (id, data, timeout, application) VALUES " + strings.Join(rows, ", "))
		require.NoError(t, err)
		done += some
	}
}

func rowCount(t *testing.T, db *sql.DB, where string) (n int) {
	t.Helper()
	require.NoError(t, db.QueryRow("SELECT count(*) FROM sessions WHERE "+where).Scan(&n))
	return n
}
