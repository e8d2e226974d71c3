package node_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"headrace/block"
	"headrace/internal/nettest"
	"headrace/node"
)

const token = "a token that nobody guesses"

// A node that would take writes from other hosts does not start without a token, and says what to set; one that takes
// none starts as it always did, and so does one with a token, whoever may reach it.
func TestTokenBeyondLoopback(t *testing.T) {
	t.Parallel()
	c := newChain(t, "beyond")
	url := "http://" + nettest.FreeAddress(t)
	onL1 := *c.genesis
	onL1.DA, onL1.L1 = nil, &block.GenesisL1{ChainID: 1, Inbox: "0x" + strings.Repeat("1", 40), StartBlock: 1}
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("\n "+token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	short := filepath.Join(t.TempDir(), "short")
	if err := os.WriteFile(short, []byte("hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		set  func(*node.Options)
		says string // "": it starts
	}{
		"sequencer":                  {func(o *node.Options) {}, "set http.token or http.token_file"},
		"sequencer, any IPv6":        {func(o *node.Options) { o.Config.HTTP.Address = "[::]:0" }, "set http.token or http.token_file"},
		"sequencer, no host":         {func(o *node.Options) { o.Config.HTTP.Address = ":0" }, "set http.token or http.token_file"},
		"sequencer, loopback":        {func(o *node.Options) { o.Config.HTTP.Address = "localhost:0" }, ""},
		"sequencer, token":           {func(o *node.Options) { o.Config.HTTP.Token = token }, ""},
		"sequencer, token file":      {func(o *node.Options) { o.Config.HTTP.TokenFile = file }, ""},
		"sequencer, no such file":    {func(o *node.Options) { o.Config.HTTP.TokenFile = "gone" }, "read http.token_file"},
		"sequencer, short token":     {func(o *node.Options) { o.Config.HTTP.Token = "hunter2" }, "http.token holds fewer than 16"},
		"sequencer, short in a file": {func(o *node.Options) { o.Config.HTTP.TokenFile = short }, "http.token_file holds fewer than 16"},
		"sequencer, both":            {func(o *node.Options) { o.Config.HTTP.Token, o.Config.HTTP.TokenFile = token, file }, "both set"},
		"full":                       {func(o *node.Options) { o.Config.Sequencer.Enabled = false }, ""},
		"full, on an L1": {func(o *node.Options) {
			o.Config.Sequencer.Enabled, o.Genesis, o.Config.L1.HTTP = false, &onL1, node.At("http://127.0.0.1:1")
		}, "set http.token or http.token_file"},
		"full, on an L1, loopback": {func(o *node.Options) {
			o.Config.Sequencer.Enabled, o.Genesis, o.Config.L1.HTTP, o.Config.HTTP.Address = false, &onL1, node.At("http://127.0.0.1:1"), "127.0.0.1:0"
		}, ""},
	} {
		o := c.sequencer(t, url, time.Second)
		o.Config.HTTP.Address = "0.0.0.0:0"
		test.set(&o)
		n, err := node.New(o)
		if err == nil {
			_ = n.Close()
		}
		switch {
		case test.says == "" && err != nil:
			t.Errorf("%s: got %v, want a start", name, err)
		case test.says != "" && (err == nil || !strings.Contains(err.Error(), test.says)):
			t.Errorf("%s: got %v, want %q", name, err, test.says)
		case err != nil && strings.Contains(err.Error(), "hunter2"):
			t.Errorf("%s: the token is in the error: %v", name, err)
		}
	}
}

// header sends a request with a header and returns the answer's status and body.
func header(t *testing.T, n *running, method, path string, h http.Header) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(bounded(t), method, "http://"+n.Address()+path, strings.NewReader("a=1"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = h
	req.Host = h.Get("Host")
	tr := &http.Transport{DisableKeepAlives: true}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// No page of a browser writes to a node, or reads of it, whatever it is on and whatever its kind of content; and a
// node with a token takes writes of those who have it.
func TestStrangers(t *testing.T) {
	t.Parallel()
	d, _ := daLayer(t, "127.0.0.1:0", "", 50*time.Millisecond)
	c := newChain(t, "strangers")
	open := start(t, c.sequencer(t, d.URL(), time.Hour))
	o := newChain(t, "token").sequencer(t, d.URL(), time.Hour)
	o.Config.HTTP.Token, o.Config.HTTP.Address = token, "0.0.0.0:0"
	locked := start(t, o)
	for _, test := range []struct {
		to           *running
		method, path string
		h            http.Header
		want         int
	}{
		{open, "POST", "/v1/txs", http.Header{}, 202},
		{open, "POST", "/v1/txs", http.Header{"Origin": {"https://evil.example"}, "Content-Type": {"text/plain"}}, 403},
		{open, "POST", "/v1/txs", http.Header{"Host": {"evil.example"}, "Content-Type": {"text/plain"}}, 403},
		{open, "GET", "/v1/status", http.Header{"Origin": {"https://evil.example"}}, 403},
		{open, "GET", "/v1/events", http.Header{"Origin": {"https://evil.example"}}, 403},
		{open, "GET", "/v1/wait?height=0", http.Header{"Host": {"evil.example"}}, 403},
		{open, "GET", "/readyz", http.Header{"Host": {"evil.example"}}, 403},
		{locked, "POST", "/v1/txs", http.Header{}, 401},
		{locked, "POST", "/v1/unsafe", http.Header{}, 401},
		{locked, "POST", "/v1/txs", http.Header{"Authorization": {"Bearer " + token}}, 202},
		{locked, "POST", "/v1/txs", http.Header{"Authorization": {"Bearer " + token}, "Origin": {"https://evil.example"}}, 403},
		{locked, "GET", "/v1/status", http.Header{"Host": {"node.example"}}, 200},
	} {
		got, body := header(t, test.to, test.method, test.path, test.h)
		if got != test.want || strings.Contains(body, token) {
			t.Errorf("%s %s with %v: got %d %s, want %d", test.method, test.path, test.h, got, body, test.want)
		}
	}
}

// A page of a named origin reads a node's answers, events included.
func TestNamedPage(t *testing.T) {
	t.Parallel()
	d, _ := daLayer(t, "127.0.0.1:0", "", 50*time.Millisecond)
	o := newChain(t, "page").full(t, d.URL())
	o.Config.HTTP.Origins = []string{"https://app.example"}
	n := start(t, o)
	for _, path := range []string{"/v1/status", "/v1/events?events=status", "/readyz", "/v1/nothing"} {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, n.URL()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Origin", "https://app.example")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		resp.Body.Close()
		if got := resp.Header.Get("Access-Control-Allow-Origin"); got != "https://app.example" {
			t.Errorf("%s: got %q, want the page's origin", path, got)
		}
	}
}

// With a certificate the endpoints are https, and the node says so. One that is renewed is served without a restart.
func TestHTTPS(t *testing.T) {
	t.Parallel()
	c := newChain(t, "tls")
	o := c.full(t, "http://"+nettest.FreeAddress(t))
	o.Config.HTTP.TLSCert = "cert.pem"
	if _, err := node.New(o); err == nil || !strings.Contains(err.Error(), "go together") {
		t.Errorf("got %v of a certificate without a key, want it refused", err)
	}
	o.Config.HTTP.TLSKey = "key.pem"
	if _, err := node.New(o); err == nil || !strings.Contains(err.Error(), "read http.tls_cert and http.tls_key") {
		t.Errorf("got %v of files that are not there, want it refused", err)
	}
	pool := writeCertificate(t, o.Home)
	n := start(t, o)
	if !strings.HasPrefix(n.URL(), "https://127.0.0.1:") {
		t.Errorf("got %s, want https", n.URL())
	}
	for range 2 {
		tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}
		resp, err := (&http.Client{Transport: tr, Timeout: patience}).Get(n.URL() + "/livez")
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("got %s, want 200", resp.Status)
		}
		pool = writeCertificate(t, o.Home)
	}
}

// writeCertificate makes cert.pem and key.pem for 127.0.0.1 in dir.
func writeCertificate(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	for name, text := range map[string][]byte{"cert.pem": cert, "key.pem": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(cert)
	return pool
}

// TestTokenFileOfNode: a token that is replaced in its file counts without a restart, and the one before no longer.
func TestTokenFileOfNode(t *testing.T) {
	t.Parallel()
	d, _ := daLayer(t, "127.0.0.1:0", "", 50*time.Millisecond)
	o := newChain(t, "tokenfile").sequencer(t, d.URL(), time.Hour)
	o.Config.HTTP.TokenFile = "a.token"
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(o.Home, "a.token"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(token)
	n := start(t, o)
	post := func(with string, want int) {
		t.Helper()
		if got, body := header(t, n, "POST", "/v1/txs", http.Header{"Authorization": {"Bearer " + with}}); got != want {
			t.Errorf("got %d %s, want %d", got, body, want)
		}
	}
	const other = token + ", nor this one"
	post(token, 202)
	post(other, 401)
	write(other + "\n")
	post(token, 401)
	post(other, 202)
}
