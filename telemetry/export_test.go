package telemetry

import (
	"context"
	"encoding/pem"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// The setting alone says whether traces, and the credentials with them, go over TLS, whatever the environment says of
// another endpoint.
func TestOnlyTheSettingSaysTLS(t *testing.T) {
	other := httptest.NewTLSServer(nil) // for its certificate
	defer other.Close()
	cert := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: other.Certificate().Raw})
	if err := os.WriteFile(cert, text, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, env := range []map[string]string{
		{},
		{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT": "https://localhost:4318"},
		{"OTEL_EXPORTER_OTLP_INSECURE": "true"},
		{"OTEL_EXPORTER_OTLP_TRACES_INSECURE": "true"},
		{"OTEL_EXPORTER_OTLP_CERTIFICATE": cert},
	} {
		for scheme, secure := range map[string]bool{"http": false, "https": true, "grpc": false, "grpcs": true} {
			t.Run(scheme, func(t *testing.T) {
				for name, value := range env {
					t.Setenv(name, value)
				}
				l, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				defer l.Close()
				first := make(chan byte, 1) // of what comes
				go func() {
					c, err := l.Accept()
					if err != nil {
						return
					}
					defer c.Close()
					var b [1]byte
					if _, err := c.Read(b[:]); err == nil {
						first <- b[0]
					}
				}()
				e, _, err := newExporter(scheme + "://user:secret@" + l.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				done := make(chan struct{})
				go func() {
					defer close(done)
					_ = e.ExportSpans(ctx, tracetest.SpanStubs{{Name: "span"}}.Snapshots())
				}()
				const hello = 0x16 // of TLS
				select {
				case b := <-first:
					if got := b == hello; got != secure {
						t.Errorf("with %v: TLS %t, want %t", env, got, secure)
					}
				case <-ctx.Done():
					t.Error("nothing came")
				}
				cancel()
				<-done
				_ = e.Shutdown(context.Background())
			})
		}
	}
}
