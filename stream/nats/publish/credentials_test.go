package publish

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"headrace/internal/nettest"
	"headrace/node"
)

// operator is who runs servers whose users have credentials.
type operator struct {
	t   *testing.T
	key nkeys.KeyPair
}

func newKey(t *testing.T, create func() (nkeys.KeyPair, error)) (key nkeys.KeyPair, public string) {
	t.Helper()
	key, err := create()
	if err != nil {
		t.Fatal(err)
	}
	if public, err = key.PublicKey(); err != nil {
		t.Fatal(err)
	}
	return key, public
}

// account makes one, with streams or without.
func (o *operator) account(streams bool) (key nkeys.KeyPair, public, token string) {
	o.t.Helper()
	key, public = newKey(o.t, nkeys.CreateAccount)
	claims := jwt.NewAccountClaims(public)
	if streams {
		claims.Limits.JetStreamLimits = jwt.JetStreamLimits{MemoryStorage: -1, DiskStorage: -1, Streams: -1, Consumer: -1}
	}
	return key, public, encodeToken(o.t, claims.Encode, o.key)
}

func encodeToken(t *testing.T, encode func(nkeys.KeyPair) (string, error), key nkeys.KeyPair) string {
	t.Helper()
	token, err := encode(key)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// credentials are those of a new user of an account, as nsc writes them.
func credentials(t *testing.T, account nkeys.KeyPair) []byte {
	t.Helper()
	key, public := newKey(t, nkeys.CreateUser)
	seed, err := key.Seed()
	if err != nil {
		t.Fatal(err)
	}
	out, err := jwt.FormatUserConfig(encodeToken(t, jwt.NewUserClaims(public).Encode, account), seed)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func writeFile(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestCredentials: a server as it runs elsewhere, a process with TLS whose users have credentials, is killed while blocks are
// published. Credentials are read at each connection: those that the server does not know are said, and replaced without a
// restart.
func TestCredentials(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	of, believes := certificate(t)
	key, err := x509.MarshalPKCS8PrivateKey(of.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, file("cert.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: of.Certificates[0].Certificate[0]}))
	writeFile(t, file("key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))

	operatorKey, operatorName := newKey(t, nkeys.CreateOperator)
	o := &operator{t, operatorKey}
	claims := jwt.NewOperatorClaims(operatorName)
	_, system, systemToken := o.account(false)
	account, accountName, accountToken := o.account(true)
	stranger, _, _ := o.account(true) // of which the server does not know
	claims.SystemAccount = system
	address := nettest.FreeAddress(t)
	writeFile(t, file("nats.conf"), fmt.Appendf(nil, `
listen: %q
operator: %q
system_account: %q
resolver: MEMORY
resolver_preload: {%s: %q, %s: %q}
tls: {cert_file: %q, key_file: %q}
jetstream: {store_dir: %q, sync_interval: always}
`, address, encodeToken(t, claims.Encode, operatorKey), system, system, systemToken, accountName, accountToken, file("cert.pem"), file("key.pem"), file("streams")))

	m := newMemory()
	m.mine(50)
	mine := file("publisher.creds")
	writeFile(t, mine, credentials(t, stranger))
	servers := Servers{URLs: []string{"tls://" + address}, Credentials: mine, TLS: believes}
	p := publishing(t, m, Options{Servers: servers})
	p.says(t, node.StreamConnecting, "connection refused")
	_, kill := child(t, serverEnv, file("nats.conf"))
	p.says(t, node.StreamConnecting, "authorization violation")
	writeFile(t, mine, credentials(t, account))
	p.until(t, "there", at(m.ref(50)))
	for range 3 {
		from := m.status.Load().Heads.Safe.Height
		m.mine(500)
		p.until(t, "at work", func(s node.Stream) bool { return s.At.Height > from })
		kill()
		m.mine(50)
		p.says(t, node.StreamFailing, "connection refused")
		_, kill = child(t, serverEnv, file("nats.conf"))
		p.until(t, "there again", at(m.ref(from+550)))
	}
	newReader(t, servers).wants(m, 1, m.status.Load().Heads.Safe.Height)
}
