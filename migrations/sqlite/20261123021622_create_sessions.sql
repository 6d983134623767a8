-- Create "sessions" table
CREATE TABLE `sessions` (`id` char NOT NULL, `data` text NULL, `timeout` integer NOT NULL DEFAULT ((unixepoch()) + (0)), `version` integer NOT NULL DEFAULT (0), `created` integer NOT NULL DEFAULT ((unixepoch()) + (0)), `application` text NOT NULL DEFAULT (''), `subject` text NULL, PRIMARY KEY (`id`));
-- Create index "session_application_timeout" to table: "sessions"
CREATE INDEX `session_application_timeout` ON `sessions` (`application`, `timeout`);
-- Create index "session_subject" to table: "sessions"
CREATE INDEX `session_subject` ON `sessions` (`subject`);
