package migrator

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"
)

func TestCodes(t *testing.T) {
	t.Parallel()
	wrap := func(err error) error { return fmt.Errorf("doing: %w", err) }
	mysqlError := func(number uint16) error { return wrap(&mysql.MySQLError{Number: number}) }
	require.True(t, alreadyDone(mysqlError(1061)))
	require.False(t, alreadyDone(mysqlError(1064)))
	require.False(t, alreadyDone(nil))
	require.True(t, repeatable(mysqlError(1213)))
	require.True(t, repeatable(mysqlError(1062)))
	require.False(t, repeatable(mysqlError(1050)))
	require.True(t, repeatable(wrap(stateError("40001"))))
	require.True(t, repeatable(wrap(stateError("42P07"))))
	require.False(t, repeatable(wrap(stateError("42501"))))
	require.True(t, repeatable(wrap(raceError{errors.New("x")})))
	require.False(t, repeatable(errors.New("x")))
	require.True(t, noAdvisoryLocks(wrap(stateError("42883"))))
	require.False(t, noAdvisoryLocks(nil))
}

func TestParseTime(t *testing.T) {
	t.Parallel()
	want := time.Date(2026, 1, 2, 3, 4, 5, 250_000_000, time.UTC)
	for _, s := range []string{
		"1767323045.25",
		"2026-01-02 03:04:05.25+00:00",
		"2026-01-02 05:04:05.25+02:00",
		"2026-01-02T03:04:05.25Z",
		"2026-01-02 03:04:05.25",
		want.String(),
		want.String() + " m=+0.012",
	} {
		require.True(t, want.Equal(parseTime(s)), s)
	}
	for _, s := range []string{"", "yesterday"} {
		require.True(t, parseTime(s).IsZero())
	}
}

func TestStates(t *testing.T) {
	t.Parallel()
	require.Equal(t, "pending, applied, partial, altered, State(9)",
		fmt.Sprintf("%s, %s, %s, %s, %s", Pending, Applied, Partial, Altered, State(9)))
}
