-- Create "sessions" table, with room on each page for the next versions of its rows: an update that finds it there touches no index
CREATE TABLE "sessions" ("id" character(72) NOT NULL COLLATE "C", "data" text NULL, "timeout" bigint NOT NULL DEFAULT (floor(EXTRACT(epoch FROM now())))::bigint, "version" bigint NOT NULL DEFAULT 0, "created" bigint NOT NULL DEFAULT (floor(EXTRACT(epoch FROM now())))::bigint, "application" character varying(255) NOT NULL DEFAULT '', "subject" character varying(255) NULL, PRIMARY KEY ("id")) WITH (fillfactor = 85);
-- Create index "session_application_timeout" to table: "sessions"
CREATE INDEX "session_application_timeout" ON "sessions" ("application", "timeout");
-- Create index "session_subject" to table: "sessions"
CREATE INDEX "session_subject" ON "sessions" ("subject");
