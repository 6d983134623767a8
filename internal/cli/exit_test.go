package cli

import (
	"bufio"
	"database/sql"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession/internal/dbtest"
)

func TestUsage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ line, says string }{
		{"lst", `"lst" is not a command of entsession; did you mean "list"?`},
		{"migrate", "entsession migrate: which command? adopt, apply, status"},
		{"migrate aply", `"aply" is not a command of entsession migrate; did you mean "apply"?`},
		{"config", "which command? check"},
		{"list alice", `entsession list takes no arguments, "alice" is one`},
		{"list --bogus", "unknown flag: --bogus; see entsession list --help"},
		{"--bogus list", "unknown flag: --bogus"},
		{"list --limit -1", "--limit is negative"},
		{"list --limit many", `invalid argument "many"`},
		{"list --timeout soon", `invalid argument "soon"`},
		{"list --timeout -1s", "--timeout: -1s is negative"},
		{"list --subject", "flag needs an argument"},
		{"list --config a --dsn b", "--config and --dsn exclude each other"},
		{"version please", "takes no arguments"},
		// None of these repeats the password.
		{"mysql://u:hunter2@h/d", "a database is named by --dsn or --config"},
		{"list mysql://u:hunter2@h/d", "a database is named by --dsn or --config"},
		{"list -phunter2", "unknown flag: -p"},
		{"list --password=hunter2", "unknown flag: --password"},
		{"list --timeout mysql://u:hunter2@h/d", `invalid argument "mysql:***@h/d"`},
		{"list --dsn u:hunter2@tcp(h)/d", "is not of the form"},
		{"list --dsn mysql://u:hunter2/@h/d", "percent-encode"},
	} {
		r := run(t, strings.Fields(c.line)...)
		r.fails(t, exitUsage, c.says)
		require.NotContains(t, r.err, "hunter2")
		require.Empty(t, r.out)
	}
	require.Equal(t, `{"error":"\"lst\" is not a command of entsession; did you mean \"list\"?","exit_code":2}`+"\n", run(t, "lst", "--json").err)
}

func TestHelp(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"--help"}, {"help"}} {
		r := run(t, args...)
		require.Contains(t, r.ok(t), "Exit codes:")
		require.Empty(t, r.err)
	}
	for _, command := range []string{"migrate apply", "migrate status", "migrate adopt", "purge", "list", "revoke", "stats", "config check", "version"} {
		help := run(t, append(strings.Fields(command), "--help")...).ok(t)
		require.Contains(t, help, "Examples:\n  entsession "+command, command)
		for line := range strings.Lines(help) {
			require.LessOrEqual(t, cells(line), 120, line)
		}
	}
	require.Contains(t, run(t, "__complete", "re").ok(t), "revoke\t")
	require.Contains(t, run(t, "__complete", "list", "--sub").ok(t), "--subject\t")
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		require.Contains(t, run(t, "completion", shell).ok(t), "entsession")
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	require.Regexp(t, `^entsession \S+ (\(revision .*\) )?go1\.\d+\S* \w+/\w+\n$`, run(t, "version").ok(t))
	require.Regexp(t, `^entsession \S+\n$`, run(t, "--version").ok(t))
	v := decode[versionInfo](t, run(t, "version", "--json"))
	require.NotEmpty(t, v.Version)
	require.True(t, strings.HasPrefix(v.Go, "go1."))
}

func TestMissingTable(t *testing.T) {
	each(t, func(t *testing.T, d *database) {
		if d.Kind.Dialect == dbtest.SQLite {
			d.exec(t, "CREATE TABLE other (x integer)")
		}
		for _, command := range []string{"list", "list --subject a", "list --handle abcdef", "purge", "stats", "revoke --all --yes", "config check", "migrate adopt"} {
			r := d.run(t, strings.Fields(command)...)
			r.fails(t, exitTable, "sessions")
			require.Regexp(t, "migrate apply|"+`table "?sessions"? does not exist`, r.err, command)
		}
	})
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	for _, k := range dbtest.Kinds(dbtest.Postgres, dbtest.MySQL) {
		t.Run(k.Name, func(t *testing.T) {
			t.Parallel()
			d := newDatabase(t, k)
			wrong := "hunter2hunter2"
			d.secret(wrong)
			for dsn, says := range map[string]string{
				d.as(d.User, wrong, d.Name):               d.User,
				d.as("nobody", wrong, d.Name):             "nobody",
				d.as(d.User, d.Password, "no_such_thing"): "no_such_thing",
				d.as(d.User, wrong, d.Name)[:strings.Index(d.dsn, "@")-len(d.Password)+len(wrong)] + "@127.0.0.1:1/x": "127.0.0.1:1",
			} {
				d.runOn(t, Streams{}, dsn, "list").fails(t, exitUnreachable, says)
				d.runOn(t, Streams{}, dsn, "config", "check", "--quiet").fails(t, exitUnreachable, says)
				r := d.runOn(t, Streams{}, dsn, "stats", "--json")
				require.Equal(t, exitUnreachable, r.code)
				require.Regexp(t, `^\{"error":".*","exit_code":3\}\n$`, r.err)
			}
		})
	}
}

// hold locks the table against everyone.
func (d *database) hold(t *testing.T) {
	t.Helper()
	tx, err := d.Admin(t).Begin()
	require.NoError(t, err)
	t.Cleanup(func() {
		if err := tx.Rollback(); !errors.Is(err, sql.ErrTxDone) {
			require.NoError(t, err)
		}
	})
	_, err = tx.Exec("LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE")
	require.NoError(t, err)
}

// waiting waits until someone waits for the lock.
func (d *database) waiting(t *testing.T) {
	t.Helper()
	db := d.Super(t)
	require.Eventually(t, func() bool {
		var n int
		err := db.QueryRow("SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database WHERE d.datname = $1 AND NOT granted", d.Name).Scan(&n)
		return err == nil && n > 0
	}, time.Minute, 10*time.Millisecond)
}

func TestTimeout(t *testing.T) {
	t.Parallel()
	d := newDatabase(t, dbtest.Kinds(dbtest.Postgres)[0])
	d.store(t)
	d.hold(t)
	d.run(t, "list", "--timeout", "200ms").fails(t, exitFailure, "gave up after 200ms (--timeout): list: ")
}

func TestSignals(t *testing.T) {
	t.Parallel()
	kind := dbtest.Kinds(dbtest.Postgres)[0]
	for sig, c := range map[syscall.Signal]struct {
		code int
		says string
	}{syscall.SIGINT: {130, "interrupted"}, syscall.SIGTERM: {143, "ended by signal: terminated"}} {
		for _, command := range []string{"list", "purge", "revoke --all --yes", "migrate status", "stats"} {
			t.Run(sig.String()+" "+command, func(t *testing.T) {
				t.Parallel()
				d := newDatabase(t, kind)
				d.store(t)
				d.hold(t)
				cmd := process(t, nil, append(strings.Fields(command), "--dsn", d.dsn)...)
				wait := start(t, cmd)
				d.waiting(t)
				require.NoError(t, cmd.Process.Signal(sig))
				r := wait()
				r.fails(t, c.code, c.says)
				require.Empty(t, r.out)
				d.spill(t, r)
			})
		}
	}
}

// TestClosedPipe is `entsession list | head -1`.
func TestClosedPipe(t *testing.T) {
	t.Parallel()
	d := newDatabase(t, dbtest.Kinds(dbtest.SQLite)[0])
	d.store(t)
	d.fill(t, 5000, "", "4102444800")
	for _, args := range [][]string{{"list"}, {"list", "--json"}} {
		cmd := process(t, nil, append(args, "--dsn", d.dsn)...)
		out, in, err := os.Pipe()
		require.NoError(t, err)
		cmd.Stdout = in
		wait := start(t, cmd)
		line, err := bufio.NewReaderSize(out, 16).ReadString('\n')
		require.NoError(t, err)
		require.NotEmpty(t, line)
		require.NoError(t, out.Close())
		r := wait()
		require.NoError(t, in.Close())
		require.Equal(t, exitOK, r.code, r.err)
		require.Empty(t, r.err)
	}
}

// TestFullDisk shows that output that got lost is no success.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("no /dev/full here: ", err)
	}
	t.Cleanup(func() { require.NoError(t, full.Close()) })
	d := newDatabase(t, dbtest.Kinds(dbtest.SQLite)[0])
	d.create(t, d.store(t))
	for _, command := range []string{"list", "list --json", "stats", "config check", "migrate status --quiet", "version", "help"} {
		args := strings.Fields(command)
		r := d.runOn(t, Streams{In: strings.NewReader(""), Out: full}, d.dsn, args...)
		if strings.Contains(command, "--json") {
			require.Equal(t, `{"error":"writing the output: write /dev/full: no space left on device","exit_code":1}`+"\n", r.err)
		} else {
			r.fails(t, exitFailure, "writing the output: write /dev/full: no space left on device")
		}
	}
}

// broken is an output whose reader has gone.
type broken struct{}

func (broken) Write([]byte) (int, error) {
	return 0, &os.PathError{Op: "write", Path: "|1", Err: syscall.EPIPE}
}

func TestBrokenOutput(t *testing.T) {
	t.Parallel()
	r := runIn(t, Streams{In: strings.NewReader(""), Out: broken{}}, "version")
	require.Equal(t, result{}, r)
	d := newDatabase(t, dbtest.Kinds(dbtest.SQLite)[0])
	d.exec(t, "CREATE TABLE other (x integer)")
	r = d.runOn(t, Streams{In: strings.NewReader(""), Out: broken{}}, d.dsn, "config", "check")
	require.Equal(t, exitTable, r.code, "what went wrong is not forgotten")
}
