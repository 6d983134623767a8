package fault

import (
	"errors"

	"github.com/jackc/pgx/v5/pgconn"
)

// sqlStates are the codes of PostgreSQL (its manual, appendix A "PostgreSQL Error Codes") and of what speaks its
// protocol. Classes that are not listed code by code are in ofSQLState.
var sqlStates = map[string]Kind{
	"08001": NotSent, // sqlclient_unable_to_establish_sqlconnection
	"08004": NotSent, // sqlserver_rejected_establishment_of_sqlconnection

	"22001": Constraint, // string_data_right_truncation: too long
	"22003": Constraint, // numeric_value_out_of_range
	"22007": Constraint, // invalid_datetime_format
	"22008": Constraint, // datetime_field_overflow
	"22P02": Constraint, // invalid_text_representation
	"22P05": Charset,    // untranslatable_character: not in the database's encoding
	"22021": Charset,    // character_not_in_repertoire: not UTF-8, or NUL

	"23505": Duplicate, // unique_violation

	"25006": ReadOnly, // read_only_sql_transaction: a standby, or default_transaction_read_only
	"25P03": NotSent,  // idle_in_transaction_session_timeout: rolled back before this statement was read
	"25P04": Lost,     // transaction_timeout

	"26000": StalePlan, // invalid_sql_statement_name: a pooler has given us another server connection
	"42P05": StalePlan, // duplicate_prepared_statement: the same, seen while preparing

	"40002": Constraint, // transaction_integrity_constraint_violation: a deferred constraint
	"40003": Lost,       // statement_completion_unknown: CockroachDB's "result is ambiguous"

	"42P01": NoTable,  // undefined_table
	"3F000": NoTable,  // invalid_schema_name
	"42703": NoColumn, // undefined_column

	"53300": NotSent,    // too_many_connections
	"55P03": Contention, // lock_not_available: lock_timeout, NOWAIT
	"57P01": Lost,       // admin_shutdown. An idle connection that was ended finds it too: that can't be told apart
	"57P02": Lost,       // crash_shutdown. Others say it as a warning, and hang up
	"57P03": NotSent,    // cannot_connect_now: starting, stopping or recovering
	"57P04": Lost,       // database_dropped: on a replica, by its primary
	"57P05": NotSent,    // idle_session_timeout: the session was gone before this statement was read
}

func sqlState(err error) (string, bool) {
	var e interface{ SQLState() string } // pgconn.PgError, and lib/pq's Error
	if !errors.As(err, &e) || len(e.SQLState()) != 5 {
		return "", false
	}
	return e.SQLState(), true
}

func ofSQLState(code string, err error) Kind {
	if k, ok := sqlStates[code]; ok {
		return k
	}
	if code == "0A000" && planChanged(err) {
		return StalePlan
	}
	switch code[:2] {
	case "08": // connection exception. 08P01 is also what PgBouncer says of anything, such as "query_wait_timeout", and hangs up
		return Lost
	case "23": // integrity constraint violation
		return Constraint
	case "40": // transaction rollback: 40001 serialization_failure (a replica's conflict with its primary too), 40P01 deadlock_detected
		return Contention
	}
	return Other // among them 57014, query_canceled, and 53100, 53200, 53400 of a full disk, memory or limit: another attempt ends the same way
}

// planChanged tells "cached plan must not change result type" from all else that is 0A000, feature_not_supported. The
// message may be in any language, but not the name of the server's function that raised it (plancache.c), which raises
// no other 0A000.
func planChanged(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Routine == "RevalidateCachedQuery"
}
