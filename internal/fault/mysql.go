package fault

// mysqlNumbers are the error numbers of MySQL ("MySQL Error Message Reference", server errors) and MariaDB (its source,
// sql/share/errmsg-utf8.txt; `perror NUMBER`). Those without a remark are in both and mean the same.
//
// Other are, among the rest, for another attempt ends the same way: 1045 and 1129 (the account or the host is refused), 1317 and 1969 (an
// administrator or a limit ended the statement), 1021 and 1114 (the disk or the table is full), 3159 (TLS is asked for).
var mysqlNumbers = map[uint16]Kind{
	1020: Contention, // ER_CHECKREAD. MariaDB with innodb_snapshot_isolation: the row changed since the snapshot
	1205: Contention, // ER_LOCK_WAIT_TIMEOUT. The transaction stays open
	1213: Contention, // ER_LOCK_DEADLOCK. Galera: the certification failed
	3101: Contention, // ER_TRANSACTION_ROLLBACK_DURING_COMMIT. MySQL group replication: the certification failed
	3572: Contention, // ER_LOCK_NOWAIT. MySQL 8

	1040: NotSent, // ER_CON_COUNT_ERROR, too many connections
	1047: NotSent, // ER_UNKNOWN_COM_ERROR. Galera: "WSREP has not yet prepared node for application use"
	1203: NotSent, // ER_TOO_MANY_USER_CONNECTIONS
	1226: NotSent, // ER_USER_LIMIT_REACHED
	3032: NotSent, // ER_SERVER_OFFLINE_MODE. MySQL
	3168: NotSent, // ER_SERVER_ISNT_AVAILABLE. MySQL
	4031: NotSent, // ER_CLIENT_INTERACTION_TIMEOUT. MySQL 8: the session idled away before this statement was read
	9001: NotSent, // ProxySQL: "Max connect timeout reached while reaching hostgroup"

	1053: Lost, // ER_SERVER_SHUTDOWN
	1152: Lost, // ER_ABORTING_CONNECTION
	1158: Lost, // ER_NET_READ_ERROR
	1159: Lost, // ER_NET_READ_INTERRUPTED
	1160: Lost, // ER_NET_ERROR_ON_WRITE
	1161: Lost, // ER_NET_WRITE_INTERRUPTED
	1180: Lost, // ER_ERROR_DURING_COMMIT: what became of the transaction, only the storage engine knows
	1184: Lost, // ER_NEW_ABORTING_CONNECTION
	1927: Lost, // ER_CONNECTION_KILLED. MariaDB
	2006: Lost, // CR_SERVER_GONE_ERROR. A client's error, that proxies pass on
	2013: Lost, // CR_SERVER_LOST. The same
	3169: Lost, // ER_SESSION_WAS_KILLED. MySQL

	1036: ReadOnly, // ER_OPEN_AS_READONLY. MariaDB with innodb_read_only
	1290: ReadOnly, // ER_OPTION_PREVENTS_STATEMENT: read_only, of all options the one that a store's statements may meet
	1792: ReadOnly, // ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION: transaction_read_only
	1836: ReadOnly, // ER_READ_ONLY_MODE
	1874: ReadOnly, // ER_INNODB_READ_ONLY

	1243: StalePlan, // ER_UNKNOWN_STMT_HANDLER: a proxy has given us another server connection
	1412: StalePlan, // ER_TABLE_DEF_CHANGED
	1615: StalePlan, // ER_NEED_REPREPARE

	1022: Duplicate, // ER_DUP_KEY
	1062: Duplicate, // ER_DUP_ENTRY
	1169: Duplicate, // ER_DUP_UNIQUE
	1586: Duplicate, // ER_DUP_ENTRY_WITH_KEY_NAME
	1859: Duplicate, // ER_DUP_UNKNOWN_IN_INDEX

	1048: Constraint, // ER_BAD_NULL_ERROR
	1216: Constraint, // ER_NO_REFERENCED_ROW
	1217: Constraint, // ER_ROW_IS_REFERENCED
	1264: Constraint, // ER_WARN_DATA_OUT_OF_RANGE
	1265: Constraint, // WARN_DATA_TRUNCATED
	1292: Constraint, // ER_TRUNCATED_WRONG_VALUE
	1364: Constraint, // ER_NO_DEFAULT_FOR_FIELD
	1406: Constraint, // ER_DATA_TOO_LONG
	1451: Constraint, // ER_ROW_IS_REFERENCED_2
	1452: Constraint, // ER_NO_REFERENCED_ROW_2
	3819: Constraint, // ER_CHECK_CONSTRAINT_VIOLATED. MySQL 8
	4025: Constraint, // ER_CONSTRAINT_FAILED. MariaDB

	1300: Charset, // ER_INVALID_CHARACTER_STRING
	// ER_TRUNCATED_WRONG_VALUE_FOR_FIELD: "incorrect string value". Also "incorrect integer value", which only its text
	// tells apart: such a value fails again whatever is done about a character set.
	1366: Charset,
	3854: Charset, // ER_CANNOT_CONVERT_STRING. MySQL 8
	3988: Charset, // ER_IMPOSSIBLE_STRING_CONVERSION. MySQL 8

	1049: NoTable,  // ER_BAD_DB_ERROR
	1146: NoTable,  // ER_NO_SUCH_TABLE
	1054: NoColumn, // ER_BAD_FIELD_ERROR
}

// mysqlNumber takes the number out of a driver's error. It knows nothing until RegisterMySQL.
var mysqlNumber = func(error) (uint16, bool) { return 0, false }

// RegisterMySQL tells how to read the driver's errors, so that a program without MySQL need not link it: number takes
// the server's error number out of one, broken are those that mean that the connection broke. It is called from init.
func RegisterMySQL(number func(error) (uint16, bool), broken ...error) {
	mysqlNumber = number
	lost = append(lost, broken...)
}
