package dbtest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"testing"
)

// The PostgreSQL majors at both ends of what is supported. scripts/deps.sh unpacks them; the one in between is the
// system's.
const (
	oldestPostgres = 10
	newestPostgres = 18
)

// ErrMissing says that a server is not installed on this machine.
var ErrMissing = errors.New("not installed; `make deps` installs what the tests need")

// RequireEnv, set to 1, makes a server that is missing a failure instead of a skip.
const RequireEnv = "ENTSESSION_REQUIRE_SERVERS"

// postgresDirEnv names the folder that holds one folder per unpacked PostgreSQL major.
const postgresDirEnv = "ENTSESSION_PG_DIR"

// allKinds looks for the servers once per process.
var allKinds = sync.OnceValue(func() []Kind {
	kinds := []Kind{{Name: "sqlite", Dialect: SQLite}}
	majors := map[int]bool{}
	add := func(major int, bin string) {
		if majors[major] {
			return
		}
		majors[major] = true
		kinds = append(kinds, Kind{
			Name:    "postgres" + strconv.Itoa(major),
			Dialect: Postgres,
			engine:  postgresEngine{major: major, bin: bin},
		})
	}
	add(systemPostgres())
	for _, major := range []int{oldestPostgres, newestPostgres} {
		add(major, unpackedPostgres(major))
	}
	return append(kinds, Kind{Name: "mariadb", Dialect: MySQL, engine: mariadbEngine{
		server:  lookPath("mariadbd", "/usr/sbin/mariadbd"),
		install: lookPath("mariadb-install-db", "/usr/bin/mariadb-install-db"),
	}})
})

// systemPostgres returns the newest PostgreSQL of the system and the folder of its binaries; the folder is empty when
// there is none, and the major then is the one that Debian 12 has.
func systemPostgres() (major int, bin string) {
	candidates, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres") // Debian
	more, _ := filepath.Glob("/usr/pgsql-*/bin/postgres")                // PGDG's RPMs
	candidates = append(candidates, more...)
	if found := lookPath("postgres"); found != "" {
		candidates = append(candidates, found)
	}
	for _, postgres := range candidates {
		m, err := postgresMajor(postgres)
		// initdb links nothing to the folder it was found in, so it must lie beside the server.
		dir := filepath.Dir(postgres)
		if err == nil && m > major && lookPath(filepath.Join(dir, "initdb")) != "" {
			major, bin = m, dir
		}
	}
	if major == 0 {
		return 15, ""
	}
	return major, bin
}

var postgresVersion = regexp.MustCompile(`\(PostgreSQL\) (\d+)`)

func postgresMajor(postgres string) (int, error) {
	out, err := exec.Command(postgres, "--version").Output()
	if err != nil {
		return 0, fmt.Errorf("asking %s for its version: %w", postgres, err)
	}
	m := postgresVersion.FindSubmatch(out)
	if m == nil {
		return 0, fmt.Errorf("asking %s for its version: %q", postgres, out)
	}
	return strconv.Atoi(string(m[1]))
}

// unpackedPostgres returns the binaries' folder of a major that scripts/deps.sh has unpacked, or "".
func unpackedPostgres(major int) string {
	for _, dir := range postgresDirs() {
		bin := filepath.Join(dir, strconv.Itoa(major), "bin")
		if _, err := os.Stat(filepath.Join(bin, "postgres")); err == nil && reachable(bin) {
			return bin
		}
	}
	return ""
}

// postgresDirs are the places of scripts/deps.sh: the system's cache when root ran it, because the user that servers
// run as can't look into root's home; the user's own cache otherwise.
func postgresDirs() []string {
	if dir := os.Getenv(postgresDirEnv); dir != "" {
		return []string{dir}
	}
	dirs := []string{"/var/cache/entsession/postgres"}
	if cache, err := os.UserCacheDir(); err == nil {
		dirs = slices.Insert(dirs, 0, filepath.Join(cache, "entsession", "postgres"))
	}
	return dirs
}

// reachable reports whether the user that servers run as can enter dir.
func reachable(dir string) bool { return os.Geteuid() != 0 || openToAll(dir) }

// openToAll reports whether everybody can enter dir.
func openToAll(dir string) bool {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return false
	}
	for {
		info, err := os.Stat(dir)
		if err != nil || info.Mode()&1 == 0 {
			return false
		}
		if dir == "/" {
			return true
		}
		dir = filepath.Dir(dir)
	}
}

// lookPath finds a program in PATH or among the fallbacks; "" when there is none.
func lookPath(name string, fallbacks ...string) string {
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	for _, path := range fallbacks {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return ""
}

// skipOrFail ends the test for want of a server: by a skip when it is only missing and may be.
func skipOrFail(t testing.TB, err error) {
	t.Helper()
	if errors.Is(err, ErrMissing) && os.Getenv(RequireEnv) != "1" {
		t.Skip(err)
	}
	t.Fatal(err)
}
