package migrator

import (
	"strings"

	"entgo.io/ent/dialect"
)

// queries are the statements that differ between the databases. In those about the history, %s is its table.
type queries struct {
	createHistory string // as ent makes it for the atlas command
	readHistory   string // times as text, for parseTime
	insert        string // a revision, with the arguments of update
	update        string
	columns       string // of table $2 in schema $1, in their order; "" is the connection's own schema
	index         string // a row if table $2 in schema $1 has index $3
	schema        string // a row if schema $1 exists
	now           string // the current time, for the history
}

func queriesFor(d string) queries {
	switch d {
	case dialect.Postgres:
		return postgresQueries
	case dialect.MySQL:
		return mysqlQueries
	default:
		return sqliteQueries
	}
}

var postgresQueries = queries{
	createHistory: `CREATE TABLE %s ("version" character varying NOT NULL, "description" character varying NOT NULL, ` +
		`"type" bigint NOT NULL DEFAULT 2, "applied" bigint NOT NULL DEFAULT 0, "total" bigint NOT NULL DEFAULT 0, ` +
		`"executed_at" timestamptz NOT NULL, "execution_time" bigint NOT NULL, "error" text NULL, "error_stmt" text NULL, ` +
		`"hash" character varying NOT NULL, "partial_hashes" jsonb NULL, "operator_version" character varying NOT NULL, ` +
		`PRIMARY KEY ("version"))`,
	readHistory: `SELECT version, description, type, applied, total, extract(epoch from executed_at)::text, hash, ` +
		`COALESCE(partial_hashes::text, ''), COALESCE(error, '') FROM %s ORDER BY version`,
	insert: `INSERT INTO %s (description, type, applied, total, execution_time, error, error_stmt, hash, partial_hashes, ` +
		`operator_version, version, executed_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, statement_timestamp())`,
	update: `UPDATE %s SET description = $1, type = $2, applied = $3, total = $4, execution_time = $5, error = $6, ` +
		`error_stmt = $7, hash = $8, partial_hashes = $9, operator_version = $10, executed_at = statement_timestamp() ` +
		`WHERE version = $11`,
	columns: `SELECT column_name FROM information_schema.columns ` +
		`WHERE table_schema = COALESCE(NULLIF($1::text, ''), current_schema()) AND table_name = $2::text ORDER BY ordinal_position`,
	index: `SELECT indexname FROM pg_catalog.pg_indexes ` +
		`WHERE schemaname = COALESCE(NULLIF($1::text, ''), current_schema()) AND tablename = $2::text AND indexname = $3::text`,
	schema: `SELECT nspname FROM pg_catalog.pg_namespace WHERE nspname = $1::text`,
	now:    `statement_timestamp()`,
}

var mysqlQueries = queries{
	createHistory: "CREATE TABLE IF NOT EXISTS %s (`version` varchar(255) NOT NULL, `description` varchar(255) NOT NULL, " +
		"`type` bigint unsigned NOT NULL DEFAULT 2, `applied` bigint NOT NULL DEFAULT 0, `total` bigint NOT NULL DEFAULT 0, " +
		"`executed_at` timestamp NULL, `execution_time` bigint NOT NULL, `error` longtext NULL, `error_stmt` longtext NULL, " +
		"`hash` varchar(255) NOT NULL, `partial_hashes` json NULL, `operator_version` varchar(255) NOT NULL, " +
		"PRIMARY KEY (`version`)) CHARSET utf8mb4 COLLATE utf8mb4_bin",
	readHistory: "SELECT version, description, type, applied, total, COALESCE(CAST(UNIX_TIMESTAMP(executed_at) AS CHAR), ''), hash, " +
		"COALESCE(CAST(partial_hashes AS CHAR), ''), COALESCE(error, '') FROM %s ORDER BY version",
	insert: "INSERT INTO %s (description, type, applied, total, execution_time, error, error_stmt, hash, partial_hashes, " +
		"operator_version, version, executed_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, CURRENT_TIMESTAMP)",
	update: "UPDATE %s SET description = ?, type = ?, applied = ?, total = ?, execution_time = ?, error = ?, error_stmt = ?, " +
		"hash = ?, partial_hashes = ?, operator_version = ?, executed_at = CURRENT_TIMESTAMP WHERE version = ?",
	columns: "SELECT column_name FROM information_schema.columns " +
		"WHERE table_schema = COALESCE(NULLIF(?, ''), DATABASE()) AND table_name = ? ORDER BY ordinal_position",
	index: "SELECT DISTINCT index_name FROM information_schema.statistics " +
		"WHERE table_schema = COALESCE(NULLIF(?, ''), DATABASE()) AND table_name = ? AND index_name = ?",
	schema: "SELECT schema_name FROM information_schema.schemata WHERE schema_name = ?",
	now:    "CURRENT_TIMESTAMP",
}

var sqliteQueries = queries{
	createHistory: "CREATE TABLE %s (`version` text NOT NULL, `description` text NOT NULL, `type` integer NOT NULL DEFAULT (2), " +
		"`applied` integer NOT NULL DEFAULT (0), `total` integer NOT NULL DEFAULT (0), `executed_at` datetime NOT NULL, " +
		"`execution_time` integer NOT NULL, `error` text NULL, `error_stmt` text NULL, `hash` text NOT NULL, " +
		"`partial_hashes` json NULL, `operator_version` text NOT NULL, PRIMARY KEY (`version`))",
	readHistory: "SELECT version, description, type, applied, total, CAST(executed_at AS text), hash, " +
		"COALESCE(CAST(partial_hashes AS text), ''), COALESCE(error, '') FROM %s ORDER BY version",
	insert: "INSERT INTO %s (description, type, applied, total, execution_time, error, error_stmt, hash, partial_hashes, " +
		"operator_version, version, executed_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, " + sqliteNow + ")",
	update: "UPDATE %s SET description = ?, type = ?, applied = ?, total = ?, execution_time = ?, error = ?, error_stmt = ?, " +
		"hash = ?, partial_hashes = ?, operator_version = ?, executed_at = " + sqliteNow + " WHERE version = ?",
	columns: "SELECT name FROM pragma_table_info(?2, NULLIF(?1, ''))",
	index:   "SELECT name FROM pragma_index_list(?2, NULLIF(?1, '')) WHERE name = ?3",
	schema:  "SELECT name FROM pragma_database_list WHERE name = ?",
	now:     strings.ReplaceAll(sqliteNow, "%%", "%"),
}

// sqliteNow is in the form that both well-known drivers read back as a time.
const sqliteNow = "strftime('%%Y-%%m-%%d %%H:%%M:%%f+00:00', 'now')"
