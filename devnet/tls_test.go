package devnet_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"headrace/da/celestia"
	"headrace/da/local"
	"headrace/devnet"
	"headrace/internal/httpd"
)

// TestDAOverTLS: with a certificate a DA layer answers over https alone. One that is renewed is shown to whoever
// connects after that.
func TestDAOverTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	source := httptest.NewUnstartedServer(nil)
	source.StartTLS()
	pair := source.TLS.Certificates[0]
	source.Close()
	private, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	write := func(chain ...[]byte) {
		var text []byte
		for _, der := range chain {
			text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
		}
		if err := os.WriteFile(cert, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(pair.Certificate[0])
	if err := os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600); err != nil {
		t.Fatal(err)
	}
	served, err := httpd.ReadCert(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	d, err := devnet.NewDA(devnet.DAOptions{
		Listen: "127.0.0.1:0", Chain: local.Options{Interval: time.Hour, ChainID: "secure"}, Handler: celestia.HandlerOptions{Cert: served},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() {
		if err := d.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	defer work.Wait()
	defer cancel()
	for chain := 1; chain <= 2; chain++ {
		tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}
		client := &http.Client{Transport: tr, Timeout: time.Minute}
		resp, err := client.Post(d.URL(), "application/json", strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"header.LocalHead","params":[]}`))
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || !strings.Contains(string(text), `"chain_id":"secure"`) {
			t.Errorf("got %s, %v, want the head of a header", text, err)
		}
		if got := len(resp.TLS.PeerCertificates); got != chain {
			t.Errorf("got a chain of %d certificates, want %d", got, chain)
		}
		write(pair.Certificate[0], pair.Certificate[0])
	}
	resp, err := http.Get("http://" + strings.TrimPrefix(d.URL(), "https://"))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusBadRequest {
		t.Errorf("got %s without TLS, want 400", resp.Status)
	}
	http.DefaultClient.CloseIdleConnections()
}
