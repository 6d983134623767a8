package postgres

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entsession/entsession/internal/dbtest"
)

// With TLS, whose connections can't be written to any more once a write has failed, an abandoned connection ends on the server as soon as without.
func TestAbandonedWithTLS(t *testing.T) {
	db := dbtest.Kinds(dbtest.Postgres)[0].New(t)
	admin := db.Super(t)
	set := func(statements ...string) {
		for _, s := range append(statements, "SELECT pg_reload_conf()") {
			_, err := admin.Exec(s)
			require.NoError(t, err, s)
		}
	}
	certificate, key := keyPair(t)
	set("ALTER SYSTEM SET ssl_cert_file = '"+certificate+"'", "ALTER SYSTEM SET ssl_key_file = '"+key+"'", "ALTER SYSTEM SET ssl = on")
	defer set("ALTER SYSTEM RESET ssl", "ALTER SYSTEM RESET ssl_cert_file", "ALTER SYSTEM RESET ssl_key_file")
	require.Eventually(t, func() bool { return text(t, admin, `SHOW ssl`) == "on" }, time.Minute, 10*time.Millisecond)

	s := settings(db)
	s.Params = map[string]string{"sslmode": "require"}
	config, err := configure(s)
	require.NoError(t, err)
	opened, err := newConnector(config).Connect(deadline(t))
	require.NoError(t, err)
	c := opened.(*conn)
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	_, err = c.RunDirect(ctx, 0, `SELECT pg_sleep(600)`, nil, nil)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	select {
	case <-c.Conn.Conn().PgConn().CleanupDone():
	case <-time.After(10 * time.Second): // pgx gives up after 15
		t.Fatal("the server was not told")
	}
	require.NoError(t, c.Close())
}

// keyPair makes files that the server can read, whatever user it runs as.
func keyPair(t *testing.T) (certificate, key string) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	require.NoError(t, err)
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	dir, err := os.MkdirTemp("", "tls")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o755))
	for name, block := range map[string]*pem.Block{"certificate": {Type: "CERTIFICATE", Bytes: signed}, "key": {Type: "PRIVATE KEY", Bytes: encoded}} {
		file := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(block), 0o600))
		if os.Geteuid() == 0 {
			require.NoError(t, os.Chown(file, 65534, 65534)) // as servers run under root
		}
	}
	return filepath.Join(dir, "certificate"), filepath.Join(dir, "key")
}
