package fault_test

import (
	"context"
	"crypto/tls"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"

	gomysql "github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession/internal/fault"
)

// cgoError is shaped as the Error of github.com/mattn/go-sqlite3.
type cgoError struct {
	Code         int
	ExtendedCode int
	SystemErrno  syscall.Errno
	err          string
}

func (e cgoError) Error() string { return e.err }

func TestOf(t *testing.T) {
	t.Parallel()
	_, unreachable := pgconn.Connect(deadline(t), "host=127.0.0.1 port=1 sslmode=disable")
	require.IsType(t, &pgconn.ConnectError{}, unreachable, "what pgx says without our guard")
	for _, c := range []struct {
		err  error
		want fault.Kind
	}{
		{nil, fault.Other},
		{errors.New("something"), fault.Other},
		{sql.ErrNoRows, fault.Other},
		{sql.ErrTxDone, fault.Other},
		{driver.ErrSkip, fault.Other},
		{driver.ErrBadConn, fault.NotSent},
		{io.ErrUnexpectedEOF, fault.Lost},
		{io.EOF, fault.Lost},
		{net.ErrClosed, fault.Lost},
		{syscall.ECONNRESET, fault.Lost},
		{syscall.EPIPE, fault.Lost},
		{syscall.ECONNABORTED, fault.Lost},
		{&net.OpError{Op: "read", Err: syscall.EHOSTUNREACH}, fault.Lost},
		{&net.DNSError{Err: "no such host", IsNotFound: true}, fault.NotSent},
		{fault.Connecting("x", &net.DNSError{Err: "no such host", IsNotFound: true}), fault.NotSent},
		{syscall.ENOSPC, fault.Other},
		{&os.PathError{Op: "write", Err: syscall.ENOSPC}, fault.Other},
		{syscall.ECONNREFUSED, fault.NotSent},
		{&net.OpError{Op: "read", Err: syscall.ETIMEDOUT}, fault.Lost},
		{&net.OpError{Op: "dial", Err: syscall.EHOSTUNREACH}, fault.NotSent},
		{gomysql.ErrInvalidConn, fault.Lost},
		{context.Canceled, fault.Other},
		{context.DeadlineExceeded, fault.Other},
		{errors.Join(context.Canceled, io.EOF), fault.Other},
		{fault.Connecting("x", io.EOF), fault.NotSent},
		{fault.Connecting("x", gomysql.ErrInvalidConn), fault.NotSent},
		{fault.Connecting("x", context.Canceled), fault.Other},
		{fault.Connecting("x", pgconn.ErrReadOnlyConnection), fault.ReadOnly},
		{fault.Connecting("x", &pgconn.PgError{Code: "57P01"}), fault.NotSent},
		{fault.Connecting("x", &pgconn.PgError{Code: "42P01"}), fault.Other},
		{fault.Connecting("x", &tls.CertificateVerificationError{Err: errors.New("unknown authority")}), fault.Other},
		{unreachable, fault.NotSent},
		{&pgconn.PgError{Code: "40003"}, fault.Lost},
		{&pgconn.PgError{Code: "08006"}, fault.Lost},
		{&pgconn.PgError{Code: "08P01"}, fault.Lost},
		{&pgconn.PgError{Code: "08001"}, fault.NotSent},
		{&pgconn.PgError{Code: "40002"}, fault.Constraint},
		{&pgconn.PgError{Code: "23P01"}, fault.Constraint},
		{&pgconn.PgError{Code: ""}, fault.Other},
		{&gomysql.MySQLError{Number: 1047}, fault.NotSent},
		{&pgconn.PgError{Code: "57P04"}, fault.Lost},
		{&pgconn.PgError{Code: "53100"}, fault.Other},
		{&gomysql.MySQLError{Number: 1836}, fault.ReadOnly},
		{&gomysql.MySQLError{Number: 1036}, fault.ReadOnly},
		{&gomysql.MySQLError{Number: 1129}, fault.Other},
		{&gomysql.MySQLError{Number: 1180}, fault.Lost},
		{&gomysql.MySQLError{Number: 4031}, fault.NotSent},
		{&gomysql.MySQLError{Number: 2006}, fault.Lost},
		{cgoError{Code: 19, ExtendedCode: 2067}, fault.Duplicate},
		{&cgoError{Code: 19, ExtendedCode: 1299}, fault.Constraint},
		{cgoError{Code: 5}, fault.Contention},
		{cgoError{Code: 6, ExtendedCode: 262}, fault.Contention},
		{cgoError{Code: 15}, fault.Contention},
		{cgoError{Code: 10, ExtendedCode: 10 | 3<<8}, fault.Other},
		{cgoError{Code: 17}, fault.StalePlan},
		{cgoError{Code: 1, err: "no such table: t"}, fault.NoTable},
		{cgoError{Code: 1, err: "table t has no column named c"}, fault.NoColumn},
		{cgoError{Code: 13, ExtendedCode: 13, err: "no such table: t"}, fault.Other},
		{struct{ error }{errors.New("a struct without codes")}, fault.Other},
	} {
		require.Equal(t, c.want, fault.Of(c.err), "%v", c.err)
		if c.err != nil {
			require.Equal(t, c.want, fault.Of(fmt.Errorf("doing something: %w", c.err)), "%v, wrapped", c.err)
		}
	}
}

// The text of an error around SQLite's does not count.
func TestTextAround(t *testing.T) {
	t.Parallel()
	err := fmt.Errorf("no such column: %w", cgoError{Code: 1, err: "near \"x\": syntax error"})
	require.Equal(t, fault.Other, fault.Of(err))
}

func TestKindString(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for k := fault.Other; k <= fault.NoColumn; k++ {
		require.NotEmpty(t, k.String())
		require.False(t, seen[k.String()], "%v", k)
		seen[k.String()] = true
	}
	require.Equal(t, "Kind(99)", fault.Kind(99).String())
	require.Equal(t, "Kind(-1)", fault.Kind(-1).String())
}
