package sqlite

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/entsession/entsession"
)

// A file on a small disk, where there is room again when something else is deleted.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "disk")
	require.NoError(t, os.Mkdir(dir, 0o700))
	if err := unix.Mount("none", dir, "tmpfs", 0, "size=2m"); err != nil {
		t.Skipf("mounting a small file system takes root: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, unix.Unmount(dir, unix.MNT_DETACH)) })
	path := filepath.Join(dir, "d")
	other := filepath.Join(dir, "other")
	require.NoError(t, os.WriteFile(other, make([]byte, 1<<20), 0o600))
	fillUp(t, path, store(t, path), func([]*entsession.Session) { require.NoError(t, os.Remove(other)) })
}
