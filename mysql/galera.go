package mysql

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-sql-driver/mysql"

	"github.com/entsession/entsession/internal/guard"
)

// connector is the driver's. On a node of a Galera cluster it sees to it that every statement knows of all that was committed at any node
// before. A node may otherwise be behind the others: what was revoked there would still be live here, for a moment, and what was just created
// could not be found.
type connector struct {
	driver.Connector
	given bool // wsrep_sync_wait is among the parameters: someone knows better
}

// readsAndWrites is for wsrep_sync_wait (MariaDB's manual, "Galera Cluster System Variables"): 1 is reads and the begin of transactions, 2 UPDATE and
// DELETE, 4 INSERT and REPLACE.
const readsAndWrites = 1 | 2 | 4

// Connect implements driver.Connector.
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	made, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	kind, err := show(ctx, made, "VARIABLES", "version", "wsrep_on")
	clustered := strings.EqualFold(kind["wsrep_on"], "on")
	if err == nil && clustered && !c.given {
		err = join(ctx, made)
	}
	if err != nil {
		_ = made.Close() // the error that led here says more
		return nil, err
	}
	known := made.(driverConn)
	return &conn{known, known, known, !clustered && strings.Contains(strings.ToLower(kind["version"]), "mariadb")}, nil
}

// driverConn is what the driver's connections are.
type driverConn interface {
	guard.Conn
	driver.Validator
	driver.NamedValueChecker
}

// conn is a connection to a server that is known.
type conn struct {
	guard.Conn
	driver.Validator
	driver.NamedValueChecker
	keeps bool
}

// Keeps implements guard.Keeper. MySQL, since 8.0.22, gives a placeholder a type when the statement is prepared, and may give another one than the value has.
// On a Galera cluster a transaction may be ended by another node's between two statements; which of the commands around a prepared statement then says so, and
// which goes on without a transaction, is up to the server's version.
func (c *conn) Keeps() bool { return c.keeps }

// join asks rather than sets: MySQL does not know the variables. A node that is no part of its cluster takes connections, and refuses every statement: it
// is as good as away.
func join(ctx context.Context, conn driver.Conn) error {
	status, err := show(ctx, conn, "STATUS", "wsrep_ready")
	if err != nil {
		return err
	}
	if strings.EqualFold(status["wsrep_ready"], "off") {
		return &mysql.MySQLError{Number: notReady, SQLState: [5]byte([]byte("08S01")), Message: "the node is not ready: WSREP has not yet prepared it for application use"}
	}
	set := fmt.Sprintf("SET SESSION wsrep_sync_wait = @@GLOBAL.wsrep_sync_wait | %d", readsAndWrites)
	_, err = conn.(driver.ExecerContext).ExecContext(ctx, set, nil)
	return err
}

// notReady is the error of every statement on such a node (ER_UNKNOWN_COM_ERROR).
const notReady = 1047

// show reads some of the server's variables. Those that it does not know are missing, and all are from something that is no server and has none.
func show(ctx context.Context, conn driver.Conn, what string, names ...string) (map[string]string, error) {
	rows, err := conn.(driver.QueryerContext).QueryContext(ctx, "SHOW "+what+" WHERE Variable_name IN ('"+strings.Join(names, "', '")+"')", nil)
	if refused := (*mysql.MySQLError)(nil); errors.As(err, &refused) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	values, row := map[string]string{}, make([]driver.Value, len(rows.Columns()))
	for err = rows.Next(row); err == nil && len(row) == 2; err = rows.Next(row) {
		name, _ := row[0].([]byte)
		value, _ := row[1].([]byte)
		values[string(name)] = string(value)
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return values, errors.Join(err, rows.Close())
}
