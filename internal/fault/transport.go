package fault

import (
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"slices"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
)

// transport is the kind of an error that the database did not send: what became of the connection.
func transport(err error) Kind {
	// pgx says this, and that it is safe to retry, also when the connection broke while it waited for the answer to a
	// statement without arguments, such as COMMIT: MultiResultReader.NextResult asks the broken connection again.
	if errors.Is(err, pgconn.ErrConnClosed) {
		return Lost
	}
	// By contract a driver returns ErrBadConn only for what the server surely has not seen (database/sql/driver).
	if errors.Is(err, driver.ErrBadConn) || pgconn.SafeToRetry(err) || errors.Is(err, syscall.ECONNREFUSED) {
		return NotSent
	}
	var op *net.OpError
	var name *net.DNSError
	if errors.As(err, &op) && op.Op == "dial" || errors.As(err, &name) {
		return NotSent
	}
	// A syscall.Errno passes for a net.Error, and may be a full disk: of those, only the listed ones are the network's.
	var network net.Error
	isNetwork := errors.As(err, &network)
	if _, raw := network.(syscall.Errno); raw {
		isNetwork = false
	}
	if isNetwork || slices.ContainsFunc(lost, func(l error) bool { return errors.Is(err, l) }) {
		return Lost
	}
	return Other
}

// lost are the errors of a connection that broke while a statement was under way. The drivers pass on what the network
// gave them; the MySQL driver has errors of its own, see RegisterMySQL.
var lost = []error{
	io.EOF, io.ErrUnexpectedEOF, io.ErrClosedPipe, io.ErrShortWrite, net.ErrClosed,
	syscall.ECONNRESET, syscall.ECONNABORTED, syscall.EPIPE, syscall.ETIMEDOUT, syscall.EHOSTUNREACH, syscall.ENETUNREACH,
}
