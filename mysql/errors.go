package mysql

import (
	"errors"

	"github.com/go-sql-driver/mysql"

	"github.com/entsession/entsession/internal/fault"
)

func init() {
	fault.RegisterMySQL(number,
		mysql.ErrInvalidConn, mysql.ErrMalformPkt, mysql.ErrPktSync, mysql.ErrPktSyncMul, mysql.ErrBusyBuffer)
}

func number(err error) (uint16, bool) {
	var e *mysql.MySQLError
	if !errors.As(err, &e) {
		return 0, false
	}
	return e.Number, true
}
