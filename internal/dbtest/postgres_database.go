package dbtest

import (
	"context"
	"fmt"
)

// A database that its test has left is emptied and given to a later test: CREATE DATABASE copies 300 files, which takes
// 0.2 s and would be most of a short test's time. Each test's database has a name of its own all the same, so that a
// client left over from an earlier test does not find it.

func (e postgresEngine) acquire(ctx context.Context, s *Server, name string) error {
	stmt := fmt.Sprintf(`CREATE DATABASE %q OWNER %s`, name, s.owner.user)
	if spare := s.takeSpare(); spare != "" {
		stmt = fmt.Sprintf(`ALTER DATABASE %q RENAME TO %q`, spare, name)
	}
	return s.as(ctx, s.super, "", stmt)
}

func (e postgresEngine) release(ctx context.Context, s *Server, name string) error {
	spare := "spare_" + name
	if err := s.as(ctx, s.super, "",
		fmt.Sprintf(`ALTER DATABASE %q ALLOW_CONNECTIONS false`, name),
		fmt.Sprintf(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '%s'`, name),
		// Waits up to 5 s for the terminated ones to leave.
		fmt.Sprintf(`ALTER DATABASE %q RENAME TO %q`, name, spare),
		fmt.Sprintf(`ALTER DATABASE %q ALLOW_CONNECTIONS true`, spare),
		fmt.Sprintf(`ALTER DATABASE %q RESET ALL`, spare),
	); err != nil {
		return err
	}
	public := `GRANT ALL ON SCHEMA public TO PUBLIC`
	if e.major >= 15 {
		public = `ALTER SCHEMA public OWNER TO pg_database_owner; GRANT USAGE ON SCHEMA public TO PUBLIC`
	}
	if err := s.as(ctx, s.super, spare,
		`DO $$
		DECLARE name text;
		BEGIN
			FOR name IN SELECT nspname FROM pg_namespace WHERE nspname NOT LIKE 'pg\_%' AND nspname <> 'information_schema' LOOP
				EXECUTE format('DROP SCHEMA %I CASCADE', name);
			END LOOP;
		END $$`,
		`CREATE SCHEMA public`,
		public,
		`SELECT pg_stat_reset()`,
	); err != nil {
		return err
	}
	s.giveSpare(spare)
	return nil
}
