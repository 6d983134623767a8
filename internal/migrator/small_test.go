package migrator

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// codeError and its like are errors as drivers have them that this module does not know.
type codeError struct{ Code int32 }

func (codeError) Error() string { return "busy" }

type numberError struct {
	Number uint16
	Code   string
}

func (*numberError) Error() string { return "no" }

func TestCodes(t *testing.T) {
	t.Parallel()
	wrap := func(err error) error { return fmt.Errorf("doing: %w", errors.Join(errors.New("other"), err)) }
	require.True(t, busy(wrap(codeError{5})))
	require.True(t, busy(wrap(codeError{5 | 2<<8})), "an extended code")
	require.True(t, busy(wrap(codeError{6})))
	require.False(t, busy(wrap(codeError{1})))
	require.False(t, busy(wrap(&numberError{5, "5"})))
	require.False(t, busy(nil))
	require.True(t, alreadyDone(wrap(&numberError{Number: 1061})))
	require.False(t, alreadyDone(wrap(&numberError{Number: 1064})))
	require.False(t, alreadyDone((*numberError)(nil)))
	require.True(t, repeatable(wrap(&numberError{Number: 1213})))
	require.True(t, repeatable(wrap(stateError("40001"))))
	require.False(t, repeatable(wrap(stateError("42501"))))
	require.True(t, repeatable(wrap(raceError{errors.New("x")})))
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
	require.Equal(t, "pending, applied, applied in part, altered after it was applied, State(9)",
		fmt.Sprintf("%s, %s, %s, %s, %s", Pending, Applied, Partial, Altered, State(9)))
}
