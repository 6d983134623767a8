//go:build unix

package sqlite

import (
	"database/sql"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession/internal/backend"
)

// A new file is for its owner alone, with the files that SQLite puts beside it.
func TestFileMode(t *testing.T) {
	t.Parallel()
	use := func(pool *sql.DB) {
		t.Helper()
		_, err := pool.Exec(`CREATE TABLE IF NOT EXISTS t (n int)`)
		require.NoError(t, err)
		_, err = pool.Exec(`INSERT INTO t VALUES (1)`)
		require.NoError(t, err)
	}
	mode := func(path string) fs.FileMode {
		t.Helper()
		info, err := os.Stat(path)
		require.NoError(t, err)
		return info.Mode().Perm()
	}
	path := filepath.Join(t.TempDir(), "new")
	use(open(t, backend.Settings{Database: path}))
	for _, suffix := range []string{"", "-wal", "-shm"} {
		require.Equal(t, fs.FileMode(0o600), mode(path+suffix), suffix)
	}
	rollback := filepath.Join(t.TempDir(), "rollback")
	use(open(t, backend.Settings{Database: rollback, Params: map[string]string{"journal_mode": "persist", "mode": "rwc"}}))
	for _, suffix := range []string{"", "-journal"} {
		require.Equal(t, fs.FileMode(0o600), mode(rollback+suffix), suffix)
	}

	// One that is there keeps what it has, also an empty one.
	shared := filepath.Join(t.TempDir(), "shared")
	require.NoError(t, os.WriteFile(shared, nil, 0o600))
	require.NoError(t, os.Chmod(shared, 0o664)) // whatever the umask is
	use(open(t, backend.Settings{Database: shared}))
	for _, suffix := range []string{"", "-wal"} {
		require.Equal(t, fs.FileMode(0o664), mode(shared+suffix), suffix)
	}

	// Where SQLite is not to make a file, nobody does.
	for _, how := range []string{"ro", "rw"} {
		missing := filepath.Join(t.TempDir(), "missing")
		require.Error(t, open(t, backend.Settings{Database: missing, Params: map[string]string{"mode": how}}).PingContext(deadline(t)))
		require.NoFileExists(t, missing)
	}
}

// While one connection makes the file, others wait before SQLite opens it: it would lose its locks.
func TestCreateAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "d")
	pool := open(t, backend.Settings{Database: path})
	connected := make(chan error, 1)
	creating.Lock()
	go func() { connected <- pool.PingContext(deadline(t)) }()
	require.Never(t, func() bool { return len(connected) > 0 }, 50*time.Millisecond, 5*time.Millisecond)
	require.NoFileExists(t, path)
	creating.Unlock()
	require.NoError(t, <-connected)
}
