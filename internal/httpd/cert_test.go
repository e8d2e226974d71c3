package httpd_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"headrace/internal/httpd"
	"headrace/internal/logs/logstest"
)

// certFiles are the two files of a certificate, which can be renewed.
type certFiles struct {
	t         *testing.T
	cert, key string
	clock     time.Time // the files' time of change: a disk's clock may be too coarse for a test
}

func newCertFiles(t *testing.T, pair tls.Certificate) *certFiles {
	dir := t.TempDir()
	f := &certFiles{t, filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), time.Now()}
	f.write(f.cert, certPEM(pair))
	f.write(f.key, keyPEM(t, pair))
	return f
}

func certPEM(pair tls.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]})
}

func keyPEM(t *testing.T, pair tls.Certificate) []byte {
	t.Helper()
	der, err := x509.MarshalECPrivateKey(pair.PrivateKey.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
}

// write replaces a file as a renewal does: by one that is whole.
func (f *certFiles) write(path string, text []byte) {
	f.t.Helper()
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		f.t.Fatal(err)
	}
	f.clock = f.clock.Add(time.Second)
	if err := os.Chtimes(path+".new", f.clock, f.clock); err != nil {
		f.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		f.t.Fatal(err)
	}
}

func (f *certFiles) read() *httpd.Cert {
	f.t.Helper()
	c, err := httpd.ReadCert(f.cert, f.key)
	if err != nil {
		f.t.Fatal(err)
	}
	return c
}

// shown returns the certificate that a server shows to who connects now.
func (s *server) shown() string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	c, err := (&tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}).DialContext(ctx, "tcp", s.Addr().String())
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	return string(c.(*tls.Conn).ConnectionState().PeerCertificates[0].Raw)
}

// TestRenewedCertificate: a certificate that was renewed is served from the next connection on. While the files are of
// no use the one before is served on, and that is said once, however many connect.
func TestRenewedCertificate(t *testing.T) {
	t.Parallel()
	first, second := certificate(t), certificate(t)
	f, out := newCertFiles(t, first), new(logstest.Text)
	s := run(t, httpd.Options{Cert: f.read(), Logger: slog.New(slog.NewTextHandler(out, nil))}, nil)
	warned := 0
	want := func(when string, pair tls.Certificate, warns bool) {
		t.Helper()
		if warns {
			warned++
		}
		var all sync.WaitGroup
		for range 5 {
			all.Go(func() {
				if got := s.shown(); got != string(pair.Certificate[0]) {
					t.Errorf("%s: got another certificate", when)
				}
			})
		}
		all.Wait()
		if got := out.Count("level=WARN"); got != warned {
			t.Errorf("%s: got %d warnings, want %d: %s", when, got, warned, out.String())
		}
	}
	want("at first", first, false)
	f.write(f.cert, certPEM(second))
	want("with the key of before", first, true)
	f.write(f.key, keyPEM(t, second))
	want("renewed", second, false)
	f.write(f.cert, []byte("nothing"))
	want("broken", second, true)
	if err := os.Remove(f.key); err != nil {
		t.Fatal(err)
	}
	want("gone", second, true)
	f.write(f.cert, certPEM(first))
	want("half back", second, true)
	f.write(f.key, keyPEM(t, first))
	want("back", first, false)
	if !strings.Contains(out.String(), "level=INFO") {
		t.Errorf("got %s, want to be told of the new one", out.String())
	}
	if strings.Contains(out.String(), "PRIVATE") {
		t.Error("a private key is in the log")
	}
}

// TestCertOf: the settings of a certificate that cannot be served are refused by their names.
func TestCertOf(t *testing.T) {
	t.Parallel()
	f := newCertFiles(t, certificate(t))
	for _, test := range []struct{ cert, key, want string }{
		{"", "", ""}, {f.cert, f.key, ""}, {f.cert, "", "set both"}, {"", f.key, "set both"}, {f.cert, f.cert, "read a.cert and a.key"}, {f.cert + "x", f.key, "read a.cert and a.key"},
	} {
		c, err := httpd.CertOf("a.cert", test.cert, "a.key", test.key)
		if text := errorText(err); !strings.Contains(text, test.want) || (text == "") != (test.want == "") {
			t.Errorf("%q and %q: got %v, want %q", test.cert, test.key, err, test.want)
		}
		if (c != nil) != (test.want == "" && test.cert != "") {
			t.Errorf("%q and %q: got %v", test.cert, test.key, c)
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
