package publish

import (
	"crypto/tls"
	"crypto/x509"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"headrace/internal/nettest"
	"headrace/node"
	"headrace/stream/nats/server"
)

// says waits until the publisher names a state and a cause, and fails the test if a cause before was none that helps.
func (w *working) says(t *testing.T, state node.StreamState, cause string) {
	t.Helper()
	w.until(t, string(state)+" with the cause "+cause, func(s node.Stream) bool {
		for _, vague := range []string{"outbound buffer", "deadline", "timeout waiting", "connection closed"} {
			if strings.Contains(s.Cause, vague) {
				t.Errorf("%s with the cause %q, which names nothing that is wrong", s.State, s.Cause)
			}
		}
		return s.State == state && strings.Contains(strings.ToLower(s.Cause), strings.ToLower(cause))
	})
}

// certificate is one for the loopback, and the configuration of who believes it.
func certificate(t *testing.T) (of, believes *tls.Config) {
	t.Helper()
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS()
	defer s.Close()
	believes = &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
	believes.RootCAs.AddCert(s.Certificate())
	return &tls.Config{Certificates: s.TLS.Certificates, MinVersion: tls.VersionTLS12}, believes
}

// Before a server has been reached the state is connecting, with why it was not, and after that it is failing.
func TestCauseOfNoConnection(t *testing.T) {
	address := nettest.FreeAddress(t)
	url := []string{"nats://" + address}
	h := &host{t: t, opt: server.Options{Dir: t.TempDir(), Listen: address, Password: "of-readers", Secret: "secret-of-tests"}}
	t.Cleanup(h.down)
	m := newMemory()
	m.mine(5)
	right := publishing(t, m, Options{Servers: Servers{URLs: url, User: "publisher", Password: "secret-of-tests"}})
	right.says(t, node.StreamConnecting, "connection refused")
	h.up()
	right.until(t, "there", at(m.ref(5)))
	wrong := publishing(t, m, Options{Servers: Servers{URLs: url, User: "publisher", Password: "planted-password"}})
	wrong.says(t, node.StreamConnecting, "authorization violation")
	h.down()
	right.says(t, node.StreamFailing, "connection refused")
	wrong.says(t, node.StreamConnecting, "connection refused")
	h.up()
	m.mine(1)
	right.until(t, "there again", at(m.ref(6)))
	wrong.says(t, node.StreamConnecting, "authorization violation")
	h.down()
	h.opt.Secret = "another" // the right one is wrong now
	h.up()
	right.says(t, node.StreamFailing, "authorization violation")

	missing := filepath.Join(t.TempDir(), "missing.creds")
	publishing(t, m, Options{Servers: Servers{URLs: url, Credentials: missing}}).says(t, node.StreamConnecting, missing)
}

// Where one end wants TLS and the other has none, or none that is believed, that is said.
func TestCauseOfTLS(t *testing.T) {
	of, believes := certificate(t)
	secured := newHost(t, server.Options{Listen: "127.0.0.1:0", Password: "of-readers", TLS: of})
	plain := newHost(t, server.Options{Listen: "127.0.0.1:0", Password: "of-readers"})
	m := newMemory()
	m.mine(5)
	to := func(h *host, c *tls.Config) *working {
		s := h.servers()
		s.TLS = c
		return publishing(t, m, Options{Servers: s})
	}
	to(secured, nil).says(t, node.StreamConnecting, "certificate")
	to(plain, believes).says(t, node.StreamConnecting, "secure connection not available")
	to(secured, believes).until(t, "there", at(m.ref(5)))
}

// What the server does not let this user do is said, and which subject that is about.
func TestCauseOfRefusal(t *testing.T) {
	h := newHost(t, server.Options{Listen: "127.0.0.1:0", Password: "of-readers"})
	reader := h.servers()
	reader.User, reader.Password = "reader", "of-readers"
	m := newMemory()
	m.mine(5)
	p := publishing(t, m, Options{Servers: reader})
	p.says(t, node.StreamFailing, "$JS.API.STREAM.CREATE.hr-"+testName)
	publishing(t, m, Options{Servers: h.servers()}).until(t, "there", at(m.ref(5)))
	p.until(t, "sure that another one publishes", func(s node.Stream) bool { return s.State == node.StreamPublishing })
	ahead := newMemory() // of what it has, nobody else publishes the last block
	ahead.mine(6)
	publishing(t, ahead, Options{Servers: reader}).says(t, node.StreamFailing, `Permissions Violation for Publish to "hr.`+testName+`.block.6"`)
}

// plainServer is a server as it is elsewhere.
func plainServer(t *testing.T, o *natsserver.Options) Servers {
	t.Helper()
	o.Host, o.Port, o.NoSigs, o.NoLog, o.StoreDir = "127.0.0.1", natsserver.RANDOM_PORT, true, true, t.TempDir()
	s, err := natsserver.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(patience) {
		t.Fatal("the server does not start")
	}
	return Servers{URLs: []string{s.ClientURL()}}
}

// A server without streams, or without room for this one, is said to be that.
func TestCauseOfNoStreams(t *testing.T) {
	m := newMemory()
	m.txBytes = func(uint64) int { return 100 << 10 }
	m.mine(100)
	publishing(t, m, Options{Servers: plainServer(t, &natsserver.Options{})}).says(t, node.StreamFailing, "JetStream")
	few := &natsserver.Options{JetStream: true, JetStreamMaxStore: 1 << 20, JetStreamMaxMemory: 1 << 20}
	publishing(t, m, Options{Servers: plainServer(t, few)}).says(t, node.StreamFailing, "resource")
	many := publishing(t, m, Options{Servers: plainServer(t, &natsserver.Options{JetStream: true}), Replicas: 3})
	many.says(t, node.StreamFailing, "replicas > 1 not supported")
	conf := filepath.Join(t.TempDir(), "conf")
	if err := os.WriteFile(conf, []byte(`
jetstream: {}
accounts: {
  limited: {jetstream: {max_streams: 1, max_file: 1GB, max_memory: 1MB}, users: [{user: limited, password: x}]}
  without: {users: [{user: without, password: x}]}
}`), 0o600); err != nil {
		t.Fatal(err)
	}
	o, err := natsserver.ProcessConfigFile(conf)
	if err != nil {
		t.Fatal(err)
	}
	servers := plainServer(t, o)
	servers.User, servers.Password = "without", "x"
	publishing(t, m, Options{Servers: servers}).says(t, node.StreamFailing, "JetStream")
	servers.User = "limited"
	r := newReader(t, servers)
	if _, err := r.js.CreateStream(bounded(t), jetstream.StreamConfig{Name: "other", Subjects: []string{"other"}}); err != nil {
		t.Fatal(err)
	}
	limited := publishing(t, m, Options{Servers: servers})
	limited.says(t, node.StreamFailing, "maximum number of streams")
	if err := r.js.DeleteStream(bounded(t), "other"); err != nil {
		t.Fatal(err)
	}
	limited.until(t, "there", at(m.ref(100)))
}
