-- Create "sessions" table
CREATE TABLE `sessions` (`id` char NOT NULL, `data` text NULL, `timeout` integer NOT NULL DEFAULT ((unixepoch()) + (0)), `version` integer NOT NULL DEFAULT (0), `created` integer NOT NULL DEFAULT ((unixepoch()) + (0)), `application` text NOT NULL DEFAULT (''), `device` text NULL, `signed_in` datetime NULL, `user_id` integer NULL, PRIMARY KEY (`id`), CONSTRAINT `sessions_users_sessions` FOREIGN KEY (`user_id`) REFERENCES `users` (`id`) ON DELETE CASCADE);
-- Create index "session_application_timeout" to table: "sessions"
CREATE INDEX `session_application_timeout` ON `sessions` (`application`, `timeout`);
-- Create index "session_user_id" to table: "sessions"
CREATE INDEX `session_user_id` ON `sessions` (`user_id`);
-- Create "users" table
CREATE TABLE `users` (`id` integer NOT NULL PRIMARY KEY AUTOINCREMENT, `name` text NOT NULL);
-- Create index "users_name_key" to table: "users"
CREATE UNIQUE INDEX `users_name_key` ON `users` (`name`);
