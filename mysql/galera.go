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
	conn, err := c.Connector.Connect(ctx)
	if err != nil || c.given {
		return conn, err
	}
	if err := join(ctx, conn); err != nil {
		_ = conn.Close() // the error that led here says more
		return nil, err
	}
	return conn, nil
}

// join asks rather than sets: MySQL does not know the variables. A node that is no part of its cluster takes connections, and refuses every statement: it
// is as good as away.
func join(ctx context.Context, conn driver.Conn) error {
	on, err := show(ctx, conn, "VARIABLES", "wsrep_on")
	if err != nil || !strings.EqualFold(on, "on") {
		return err
	}
	ready, err := show(ctx, conn, "STATUS", "wsrep_ready")
	if err != nil {
		return err
	}
	if strings.EqualFold(ready, "off") {
		return &mysql.MySQLError{Number: notReady, SQLState: [5]byte([]byte("08S01")), Message: "the node is not ready: WSREP has not yet prepared it for application use"}
	}
	set := fmt.Sprintf("SET SESSION wsrep_sync_wait = @@GLOBAL.wsrep_sync_wait | %d", readsAndWrites)
	_, err = conn.(driver.ExecerContext).ExecContext(ctx, set, nil)
	return err
}

// keeps is for servers whose prepared statements are known to take the statements of batches as they are. MySQL, since 8.0.22, gives a placeholder a type when
// the statement is prepared, and may give another one than the value has.
func keeps(ctx context.Context, conn guard.Conn) (bool, error) {
	version, err := show(ctx, conn, "VARIABLES", "version")
	return strings.Contains(strings.ToLower(version), "mariadb"), err
}

// notReady is the error of every statement on such a node (ER_UNKNOWN_COM_ERROR).
const notReady = 1047

// show reads one of the server's variables. It is "" for one that it does not know, and from something that is no server and has none.
func show(ctx context.Context, conn driver.Conn, what, name string) (value string, err error) {
	rows, err := conn.(driver.QueryerContext).QueryContext(ctx, "SHOW "+what+" LIKE '"+name+"'", nil)
	if refused := (*mysql.MySQLError)(nil); errors.As(err, &refused) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	row := make([]driver.Value, len(rows.Columns()))
	if err = rows.Next(row); err == nil && len(row) == 2 {
		text, _ := row[1].([]byte)
		value = string(text)
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return value, errors.Join(err, rows.Close())
}
