package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/entsession/entsession/internal/wire"
)

// A trip takes prepared statements to the server, and their rows back. pgx has PgConn.ExecStatement and ExecBatch for that. They set a timer around every
// write, lest client and server each wait for the other to read, and keep a description of the answer for each statement: of a load alone, that is a sixth of what
// the client spends, so the messages are sent and read here, with pgx's encoding of them (package pgproto3; postgresql.org/docs/current/protocol-flow.html,
// "Extended Query"). Neither side can have to wait for the other to read: the server answers a statement when it has all of it, and of several either they
// or their answers are short enough to lie in the buffers between (see wire.Pool.Each). Notices could fill those, if triggers raised hundreds of kilobytes: that
// would end with the statement's limit.

// What follows each Bind, and the last one.
var (
	execute = must((&pgproto3.Execute{}).Encode(nil))
	syncing = must((&pgproto3.Sync{}).Encode(nil))
)

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

// add puts the statement whose arguments have been encoded into the next trip.
func (c *conn) add(p *prepared) error {
	if c.out == nil {
		c.out = buffers.Get().(*[]byte)
	}
	*c.out = grown(*c.out, len(*c.buffer)+len(p.Name)+8*len(c.values)+2*len(p.formats)+64)
	c.message = pgproto3.Bind{PreparedStatement: p.Name, ParameterFormatCodes: c.formats, Parameters: c.values, ResultFormatCodes: p.formats}
	out, err := c.message.Encode(*c.out)
	c.message = pgproto3.Bind{}
	if err != nil {
		return err
	}
	*c.out = append(out, execute...)
	c.added = append(c.added, p)
	return nil
}

// grown is b with room for n bytes more. Should that be another array, nothing is left in this one: it may have been a secret.
func grown(b []byte, n int) []byte {
	if cap(b)-len(b) >= n {
		return b
	}
	larger := append(make([]byte, 0, max(2*cap(b), len(b)+n, 512)), b...)
	clear(b)
	return larger
}

// unsent is the error of a write of which nothing has left.
type unsent struct{ error }

func (e unsent) Unwrap() error     { return e.error }
func (e unsent) SafeToRetry() bool { return true }

// trip sends the statements that were added, and gives their rows to one or to many, which gets the number of the statement as well. It returns how many
// rows the last one changed, and puts into all, if that is not nil, how many each did. If the server has not said at the end that it is ready for more, the connection is closed.
func (c *conn) trip(pc *pgconn.PgConn, one func(wire.Raw) error, many func(int, wire.Raw) error, all []int64) (changed int64, err error) {
	ready := false
	defer func() {
		if !ready {
			c.abandon(pc)
		}
	}()
	*c.out = append(*c.out, syncing...)
	if sent, err := pc.Conn().Write(*c.out); err != nil {
		if sent == 0 {
			err = unsent{err}
		}
		return 0, err
	}
	done, n := 0, len(c.added)
	fail := func(e error) {
		if err == nil {
			err = e
		}
	}
	for {
		message, broken := pc.Frontend().Receive()
		if broken != nil {
			fail(broken)
			return 0, err
		}
		switch m := message.(type) {
		case *pgproto3.BindComplete:
		case *pgproto3.DataRow:
			if done == n {
				fail(fmt.Errorf("more answers came than there were statements: %w", errBroke))
				return 0, err
			}
			c.row.fields, c.row.values = c.added[done].fields, m.Values
			switch {
			case err != nil: // what is left has to be read
			case one != nil:
				err = one(&c.row)
			case many != nil:
				err = many(done, &c.row)
			}
		case *pgproto3.CommandComplete:
			if changed = count(m.CommandTag); done < len(all) {
				all[done] = changed
			}
			done++
		case *pgproto3.EmptyQueryResponse:
			done++
		case *pgproto3.ErrorResponse:
			e := pgconn.ErrorResponseToPgError(m)
			fail(e)
			if on := c.connector.config.OnPgError; on != nil && !on(pc, e) { // the server is about to close it
				c.watching.over.Store(true)
				_ = pc.Conn().SetDeadline(time.Unix(1, 0)) // nothing is left to be said
				_ = pc.Close(context.Background())
				return 0, err
			}
		case *pgproto3.ReadyForQuery:
			if ready = m.TxStatus == 'I' || pc.TxStatus() != 'I'; !ready {
				fail(errors.New("the statement left a transaction open"))
			}
			if done != n && err == nil {
				ready = false // whose answers those were is not known
				fail(fmt.Errorf("%d answers came to %d statements: %w", done, n, errBroke))
			}
			if err != nil {
				return 0, err
			}
			return changed, nil
		case *pgproto3.NoticeResponse:
			if on := c.connector.config.OnNotice; on != nil {
				on(pc, (*pgconn.Notice)(pgconn.ErrorResponseToPgError((*pgproto3.ErrorResponse)(m))))
			}
		case *pgproto3.NotificationResponse:
			if on := c.connector.config.OnNotification; on != nil {
				on(pc, &pgconn.Notification{PID: m.PID, Channel: m.Channel, Payload: m.Payload})
			}
		case *pgproto3.ParameterStatus: // of no matter to anything here
		default:
			fail(fmt.Errorf("the server sent a %T out of turn: %w", m, errBroke))
			return 0, err
		}
	}
}

// count is the number of rows in a command's tag, such as "UPDATE 1".
func count(tag []byte) (n int64) {
	start := len(tag)
	for start > 0 && tag[start-1] >= '0' && tag[start-1] <= '9' {
		start--
	}
	for _, digit := range tag[start:] {
		n = n*10 + int64(digit-'0')
	}
	return n
}

// abandon has pgx close a connection of which it is not known what the server says next, and ask the server to cancel what it is doing. pgx does so with a
// pipeline that is closed before its end, and writes nothing for it that the network would have to take.
func (c *conn) abandon(pc *pgconn.PgConn) {
	c.watching.over.Store(true)
	p := pc.StartPipeline(context.Background())
	p.SendFlushRequest()
	_ = p.Close() // it says that the end is missing
}
