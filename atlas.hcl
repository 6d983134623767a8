# The sessions table, for the atlas command (https://atlasgo.io). In the root of the repository:
#
#   atlas migrate apply  --env postgres --url "postgres://user:password@host:5432/database?search_path=public"
#   atlas migrate status --env mysql    --url "mysql://user:password@host:3306/database"
#   atlas migrate apply  --env sqlite   --url "sqlite://sessions.db"
#
# Without --url (or --var postgres=..., and so on) it is the database below. `entsession migrate apply` and Store.Migrate apply
# the same files and keep the same history, the table atlas_schema_revisions: they and this command may take turns.
#
#   - A PostgreSQL URL needs its search_path, or the history goes to a schema of its own, where nobody else looks.
#   - If the application keeps its own migrations in the same schema, use Store.Migrate or `entsession migrate apply`, which keep
#     the two histories apart; this command would take every file older than the newest revision for applied. Or put mixin.Session
#     into the application's own ent schema.
#   - The files make the table "sessions". Only the other two make tables of other names.

variable "postgres" {
  type        = string
  default     = "postgres://localhost:5432/test?search_path=public&sslmode=disable"
  description = "URL of the PostgreSQL database, with its search_path"
}

variable "mysql" {
  type        = string
  default     = "mysql://root@localhost:3306/test"
  description = "URL of the MySQL database"
}

variable "mariadb" {
  type        = string
  default     = "maria://root@localhost:3306/test"
  description = "URL of the MariaDB database"
}

variable "sqlite" {
  type        = string
  default     = "sqlite://sessions.db"
  description = "URL of the SQLite file"
}

env "postgres" {
  url = var.postgres
  dev = "docker://postgres/15/dev?search_path=public"
  migration {
    dir = "file://migrations/postgres"
  }
}

env "mysql" {
  url = var.mysql
  dev = "docker://mysql/8/dev"
  migration {
    dir = "file://migrations/mysql"
  }
}

env "mariadb" {
  url = var.mariadb
  dev = "docker://maria/10.11/dev"
  migration {
    dir = "file://migrations/mysql"
  }
}

env "sqlite" {
  url = var.sqlite
  dev = "sqlite://dev?mode=memory"
  migration {
    dir = "file://migrations/sqlite"
  }
}
