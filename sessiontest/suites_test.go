package sessiontest_test

import (
	"testing"

	"github.com/entsession/entsession/sessiontest"
)

func TestRunStore(t *testing.T) {
	t.Parallel()
	sessiontest.RunStore(t, func(t *testing.T) sessiontest.Store { return sessiontest.Methods(sessiontest.New(t)) })
}
