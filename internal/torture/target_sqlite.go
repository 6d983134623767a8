package torture

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/entsession/entsession"
	"github.com/entsession/entsession/internal/dbtest"
)

// fileTarget is one SQLite file that all clients share.
type fileTarget struct {
	dir     string
	file    string
	unmount func() error // nil when it is on a common disk
	admin   *sql.DB
	locked  bool // lock has been injected
}

// diskSize holds the file, its log and some thousand dead rows.
const diskSize = 96 << 20

// NewSQLite makes a folder for a file: on a small disk of its own, where that is allowed, or else the disk is never full.
func NewSQLite() (Target, error) {
	dir, err := os.MkdirTemp("", "entsession-torture-")
	if err != nil {
		return nil, fmt.Errorf("making a folder: %w", err)
	}
	t := &fileTarget{dir: dir, file: filepath.Join(dir, "sessions.db")}
	if t.unmount, err = smallDisk(dir, diskSize); err != nil {
		t.unmount = nil
	}
	if t.admin, err = openAdmin(&dbtest.DB{Kind: dbtest.Kinds(dbtest.SQLite)[0], File: t.file}); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

func (t *fileTarget) Name() string   { return "sqlite" }
func (t *fileTarget) Admin() *sql.DB { return t.admin }

func (t *fileTarget) Config(int) entsession.Config {
	return entsession.Config{Driver: "sqlite", Database: t.file}
}

func (t *fileTarget) Close() error {
	var errs []error
	if t.admin != nil {
		errs = append(errs, t.admin.Close())
	}
	if t.unmount != nil {
		errs = append(errs, t.unmount())
	}
	return errors.Join(append(errs, os.RemoveAll(t.dir))...)
}

func (t *fileTarget) Faults() []Fault {
	faults := []Fault{
		{Name: "lock file", Weight: 3, Inject: t.lock},
		{Name: "kill writer", Weight: 3, Inject: t.killWriter},
		{Name: "long read", Weight: 1, Inject: t.longRead},
	}
	if t.unmount != nil {
		faults = append(faults, Fault{Name: "disk full", Weight: 3, Inject: t.fill})
	}
	return faults
}

// lock has another process lock the file: the first time for longer than any statement waits, so that even a short campaign sees what that does.
func (t *fileTarget) lock(ctx context.Context, rng *rand.Rand) error {
	least := 500 * time.Millisecond
	if !t.locked {
		least = StatementTimeout + 2*time.Second
	}
	t.locked = true
	return t.locker(ctx, between(rng, least, StatementTimeout+4*time.Second), false)
}

// killWriter kills processes in the middle of their writes, which the next one has to clean up after.
func (t *fileTarget) killWriter(ctx context.Context, rng *rand.Rand) error {
	for range 1 + rng.IntN(5) {
		if err := t.locker(ctx, between(rng, 0, 100*time.Millisecond), true); err != nil {
			return err
		}
	}
	return nil
}

// locker runs lockFile in a process for a while.
func (t *fileTarget) locker(ctx context.Context, d time.Duration, kill bool) error {
	cmd, stdin, stdout, reaped, err := startProcess("locker", os.Stderr)
	if err != nil {
		return err
	}
	defer func() { _, _ = stdin.Close(), stdout.Close() }()
	mode := "hold"
	if kill {
		mode = "write"
	}
	if _, err := fmt.Fprintf(stdin, "%s\n%s\n", t.file, mode); err != nil {
		return fmt.Errorf("telling the locker what to do: %w", err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil || line != "locked\n" {
		return errors.Join(fmt.Errorf("the locker could not lock the file: %q, %w", line, err), cmd.Process.Kill())
	}
	sleep(ctx, d)
	if kill {
		_ = cmd.Process.Kill()
	} else {
		_ = stdin.Close()
	}
	select {
	case <-reaped:
		return nil
	case <-time.After(patience):
		return errors.Join(errors.New("the locker does not end"), cmd.Process.Kill())
	}
}

// lockFile is the process that locks: it reads the file's name and what to do from its standard input, and ends with it.
func lockFile() error {
	in := bufio.NewScanner(os.Stdin)
	in.Scan()
	file := in.Text()
	in.Scan()
	mode := in.Text()
	db, err := sql.Open("sqlite", "file:"+file+"?_pragma=busy_timeout(30000)&_txlock=immediate")
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if _, err := db.Exec("PRAGMA cache_size = 5"); err != nil { // so that a transaction is on the disk in part before it commits
		return err
	}
	ctx := context.Background()
	for n := 0; ; n++ {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		for i := range 100 {
			// Rows of no session, with nothing that anybody looks for.
			key := fmt.Sprintf("writer %d %d %d", os.Getpid(), n, i)
			if _, err := tx.Exec("INSERT INTO sessions (id, data, timeout, version) VALUES (?, ?, 1, 1)", key, string(make([]byte, 2000))); err != nil {
				return err
			}
			if n == 0 && i == 50 {
				fmt.Println("locked")
			}
		}
		if mode == "hold" {
			in.Scan() // until the input ends
			return tx.Rollback()
		}
		if _, err := tx.Exec("DELETE FROM sessions WHERE id LIKE 'writer %'"); err != nil {
			return err
		}
		if err := tx.Commit(); err != nil {
			return err
		}
	}
}

// longRead holds a snapshot: the log can't be taken into the file, and grows.
func (t *fileTarget) longRead(ctx context.Context, rng *rand.Rand) error {
	tx, err := t.admin.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return fmt.Errorf("reading: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // it changed nothing
	var n int
	if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM sessions").Scan(&n); err != nil {
		return fmt.Errorf("reading: %w", err)
	}
	sleep(ctx, between(rng, time.Second, 4*time.Second))
	return nil
}

// fill leaves nothing on the disk.
func (t *fileTarget) fill(ctx context.Context, rng *rand.Rand) error {
	name := filepath.Join(t.dir, "ballast")
	ballast, err := os.Create(name)
	if err != nil {
		return fmt.Errorf("filling the disk: %w", err)
	}
	defer ballast.Close()
	until := time.Now().Add(between(rng, 500*time.Millisecond, 4*time.Second))
	for block := make([]byte, 64<<10); time.Now().Before(until); {
		if _, err = ballast.Write(block); errors.Is(err, syscall.ENOSPC) {
			if !sleep(ctx, 10*time.Millisecond) {
				break // what others have freed meanwhile is filled too
			}
		} else if err != nil {
			return errors.Join(fmt.Errorf("filling the disk: %w", err), os.Remove(name))
		}
	}
	return os.Remove(name)
}
