package backend_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession/internal/backend"
)

func TestLookupNamesTheMissingImport(t *testing.T) {
	_, err := backend.Lookup("mysql")
	require.EqualError(t, err, `driver "mysql" is not linked in: import _ "github.com/entsession/entsession/mysql"`)
	_, err = backend.Lookup("oracle")
	require.EqualError(t, err, `driver "oracle" is unknown: use postgres, mysql or sqlite`)
	backend.Register(backend.Backend{Name: "test", MaxOpenConns: 3})
	b, err := backend.Lookup("test")
	require.NoError(t, err)
	require.Equal(t, 3, b.MaxOpenConns)
}
