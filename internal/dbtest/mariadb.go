package dbtest

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/go-sql-driver/mysql"
)

// mariadbEngine runs the system's MariaDB.
type mariadbEngine struct {
	server, install string // paths of mariadbd and mariadb-install-db; empty when missing
}

func (e mariadbEngine) installed() error {
	if e.server == "" || e.install == "" {
		return fmt.Errorf("MariaDB is %w", ErrMissing)
	}
	return nil
}

// common are the options that both programs take. What is not set here has the default of the server itself, for
// --no-defaults keeps the machine's own configuration out.
func (e mariadbEngine) common(s *Server) []string {
	return []string{
		"--no-defaults",
		"--datadir=" + filepath.Join(s.dir.path, "data"),
		"--tmpdir=" + s.dir.path, // names of temporary tables are only unique within one server
		"--innodb-log-file-size=32M",
		"--innodb-buffer-pool-size=64M",
	}
}

// initialize leaves a file of SQL that the server runs each time before it accepts connections.
func (e mariadbEngine) initialize(s *Server) error {
	sql := fmt.Sprintf(`CREATE USER IF NOT EXISTS '%[1]s'@'%%' IDENTIFIED BY '%[2]s';
GRANT ALL ON *.* TO '%[1]s'@'%%' WITH GRANT OPTION;
CREATE USER IF NOT EXISTS '%[3]s'@'%%' IDENTIFIED BY '%[4]s';
GRANT %[5]s ON *.* TO '%[3]s'@'%%';
`, s.super.user, s.super.password, s.owner.user, s.owner.password, mariadbPrivileges)
	if _, err := s.dir.secretFile("init.sql", sql); err != nil {
		return err
	}
	return s.dir.run(append(append([]string{e.install}, e.common(s)...),
		"--auth-root-authentication-method=socket", "--skip-test-db", "--skip-name-resolve"))
}

// mariadbPrivileges are those of an application that makes its own tables and databases, without the ones that lift
// read_only. Names can't be limited by a pattern: Atlas makes databases of other names to work in.
const mariadbPrivileges = "SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, REFERENCES, INDEX, ALTER, " +
	"CREATE TEMPORARY TABLES, LOCK TABLES, EXECUTE, CREATE VIEW, SHOW VIEW, CREATE ROUTINE, ALTER ROUTINE, EVENT, " +
	"TRIGGER, PROCESS, SHOW DATABASES"

func (e mariadbEngine) command(s *Server) ([]string, error) {
	args := append(append([]string{e.server}, e.common(s)...),
		"--bind-address="+s.Host,
		"--port="+strconv.Itoa(s.Port),
		"--socket="+s.Socket,
		"--pid-file="+filepath.Join(s.dir.path, "pid"),
		"--init-file="+filepath.Join(s.dir.path, "init.sql"),
		"--skip-log-bin",
		"--skip-name-resolve",
		"--max-connections=500",
		"--aria-pagecache-buffer-size=8M",
		"--key-buffer-size=1M",
		// As most installations have it. Comparisons ignore case, so that what does not ask for bytes fails.
		"--character-set-server=utf8mb4", "--collation-server=utf8mb4_general_ci",
	)
	for _, set := range s.config.settings {
		args = append(args, "--"+set[0]+"="+set[1])
	}
	return args, nil
}

func (e mariadbEngine) prepare(context.Context, *Server) error { return nil } // initialize did it

func (e mariadbEngine) acquire(ctx context.Context, s *Server, name string) error {
	return s.as(ctx, s.super, "", "CREATE DATABASE `"+name+"`")
}

// release first ends the connections: one that is in a transaction would make DROP DATABASE wait for it.
func (e mariadbEngine) release(ctx context.Context, s *Server, name string) error {
	return s.as(ctx, s.super, "",
		fmt.Sprintf(`FOR c IN (SELECT id FROM information_schema.processlist WHERE db = '%s') DO
			BEGIN
				DECLARE CONTINUE HANDLER FOR 1094 BEGIN END; -- no such thread: it has left by itself
				KILL CONNECTION c.id;
			END;
		END FOR`, name),
		"DROP DATABASE `"+name+"`")
}

func (e mariadbEngine) socket(s *Server) string { return filepath.Join(s.dir.path, "sock") }

func (e mariadbEngine) driver() string { return "mysql" }

func (e mariadbEngine) dsn(s *Server, who login, database string) string {
	c := mysql.NewConfig()
	c.User, c.Passwd, c.DBName = who.user, who.password, database
	c.Net, c.Addr = "tcp", net.JoinHostPort(s.Host, strconv.Itoa(s.Port))
	return c.FormatDSN()
}

func (e mariadbEngine) shutdownSignal() os.Signal { return syscall.SIGTERM }
func (e mariadbEngine) deathSignal() os.Signal    { return syscall.SIGKILL } // one process, and only files

func (e mariadbEngine) clear(*Server) {}
