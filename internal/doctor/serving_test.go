package doctor_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"headrace/da"
	"headrace/da/celestia"
	"headrace/devnet"
	"headrace/devnet/localda"
	"headrace/internal/doctor"
	"headrace/node"
)

// tlsFiles gives the ward's home a certificate that it has signed itself, for a name that nobody asks for.
func (w *ward) tlsFiles(from, until time.Time) {
	w.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		w.Fatal(err)
	}
	of := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: from, NotAfter: until, DNSNames: []string{"node.example"}}
	cert, err1 := x509.CreateCertificate(rand.Reader, of, of, &key.PublicKey, key)
	private, err2 := x509.MarshalECPrivateKey(key)
	if err1 != nil || err2 != nil {
		w.Fatal(err1, err2)
	}
	w.config.HTTP.TLSCert, w.config.HTTP.TLSKey = "cert.pem", filepath.Join(w.opt.Home, "key.pem")
	w.inHome("cert.pem", "CERTIFICATE", cert)
	w.inHome("key.pem", "EC PRIVATE KEY", private)
}

func (w *ward) inHome(name, kind string, der []byte) {
	w.Helper()
	if err := os.WriteFile(filepath.Join(w.opt.Home, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		w.Fatal(err)
	}
}

const day = 24 * time.Hour

// TestTLS: a certificate that the node can serve is well, be it made for a year or for a week, and its node is known by
// it; what is wrong with one is found.
func TestTLS(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for name, c := range map[string]struct {
		plant func(*ward)
		want  want
	}{
		"a year":             {plant: func(w *ward) { w.tlsFiles(now.Add(-100*day), now.Add(265*day)) }},
		"a week, in between": {plant: func(w *ward) { w.tlsFiles(now.Add(-3*day), now.Add(4*day)) }},
		"its end is near": {func(w *ward) {
			w.tlsFiles(now.Add(-80*day), now.Add(10*day))
		}, want{"tls", doctor.Warn, "ends in 240h0m0s", "renew it"}},
		"the end of its week is near": {func(w *ward) {
			w.tlsFiles(now.Add(-6*day), now.Add(day))
		}, want{"tls", doctor.Warn, "ends in 24h0m0s", "renew it"}},
		"it is over": {func(w *ward) {
			w.tlsFiles(now.Add(-90*day), now.Add(-day))
		}, want{"tls", doctor.Fail, "is over since", "renew it"}},
		"it does not hold yet": {func(w *ward) {
			w.tlsFiles(now.Add(day), now.Add(90*day))
		}, want{"tls", doctor.Fail, "holds from", "the machine's clock"}},
		"no certificate": {func(w *ward) {
			w.tlsFiles(now, now.Add(90*day))
			w.config.HTTP.TLSCert = "none.pem"
		}, want{"tls", doctor.Fail, "none.pem", "both in PEM"}},
		"a key alone": {func(w *ward) {
			w.tlsFiles(now, now.Add(90*day))
			w.config.HTTP.TLSCert = ""
		}, want{"tls", doctor.Fail, "only one is set", "set both, or neither"}},
		"another key": {func(w *ward) {
			w.tlsFiles(now, now.Add(90*day))
			before := w.config.HTTP.TLSCert
			cert, err := os.ReadFile(filepath.Join(w.opt.Home, before))
			if err != nil {
				w.Fatal(err)
			}
			w.tlsFiles(now, now.Add(90*day))
			if err := os.WriteFile(filepath.Join(w.opt.Home, before), cert, 0o600); err != nil {
				w.Fatal(err)
			}
		}, want{"tls", doctor.Fail, "private key does not match", "the private key that belongs to it"}},
		"the files the other way round": {func(w *ward) {
			w.tlsFiles(now, now.Add(90*day))
			c := &w.config.HTTP
			c.TLSCert, c.TLSKey = c.TLSKey, c.TLSCert
		}, want{"tls", doctor.Fail, "", "both in PEM"}},
		"another program with a certificate of its own": {func(w *ward) {
			w.tlsFiles(now, now.Add(90*day))
			s := httptest.NewTLSServer(http.NotFoundHandler())
			w.Cleanup(s.Close)
			w.config.HTTP.Address = s.Listener.Addr().String()
		}, want{"node", doctor.Warn, "another certificate than the one in http.tls_cert", "headrace status"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWard(t, false, celestia.HandlerOptions{})
			c.plant(w)
			if c.want.check == "" {
				healthy(t, w.opt, "tls", "node")
				return
			}
			finds(t, w.opt, c.want)
		})
	}
	w := newWard(t, false, celestia.HandlerOptions{})
	w.tlsFiles(now, now.Add(90*day))
	w.config.HTTP.Address = freeAddress(t)
	n, err := node.New(node.Options{Home: w.opt.Home, Genesis: w.genesis, Config: w.config})
	if err != nil {
		t.Fatal(err)
	}
	goRun(t, n.Run)
	if _, err := n.Status().Wait(t.Context(), func(s node.Status) bool { return s.Ready && s.Source.Position.Height > 8 }); err != nil {
		t.Fatal(err)
	}
	if r, text := examine(t, w.opt); r.Warn != 0 || r.Fail != 0 || r.Skip != 0 || !strings.Contains(text, "it runs, and is ready") {
		t.Errorf("beside a node with TLS: got\n%s", text)
	}
}

// localWard is a home of a chain on a local-da.
func localWard(t *testing.T, sequencer bool) (w *ward, layer *localda.Layer) {
	t.Helper()
	key := newKey(t)
	w = wardOf(t, genesisOf("ward", key), key)
	w.config.Sequencer.Enabled = sequencer
	w.config.DA.Kind, w.config.DA.Level = "local-da", "trust"
	layer = w.onLocalDA(nil)
	return w, layer
}

// onLocalDA runs a local-da, behind a handler if there is one, and has the ward use it.
func (w *ward) onLocalDA(before func(http.Handler) http.Handler) *localda.Layer {
	w.Helper()
	layer := localda.New(localda.Options{})
	var h http.Handler = layer
	if before != nil {
		h = before(h)
	}
	s := httptest.NewServer(h)
	w.Cleanup(func() { _ = layer.Close(); s.CloseClientConnections(); s.Close() })
	w.config.DA.Address = node.At(s.URL)
	return layer
}

// post has the layer hold some blobs of others.
func post(layer *localda.Layer, n int) {
	for range n {
		layer.Post(da.NamespaceFromName("of others"), []byte("blob"))
	}
}

// TestLocalDA: a home on a local-da is well: before anything is posted, before a node has run, and after. What is wrong
// with one is found.
func TestLocalDA(t *testing.T) {
	t.Parallel()
	checks := []string{"config", "genesis", "namespaces", "home", "store", "disk", "space", "node", "reachable", "network", "history", "news", "latency"}
	for _, sequencer := range []bool{true, false} {
		w, layer := localWard(t, sequencer)
		healthy(t, w.opt, checks...)
		post(layer, 3)
		healthy(t, w.opt, checks...)
		w.run(3, nil)
		healthy(t, w.opt, checks...)
	}
	for name, c := range map[string]struct {
		plant func(*ward, *localda.Layer)
		want  want
	}{
		"nobody listens": {func(w *ward, _ *localda.Layer) {
			w.config.DA.Address = node.At("http://planted:planted@" + freeAddress(w.T) + "/planted")
		}, want{"reachable", doctor.Fail, "connection refused", "da.address must name a local-da"}},
		"a celestia-node": {func(w *ward, _ *localda.Layer) {
			w.config.DA.Address = node.At(daLayer(w.T, devnet.DAOptions{}).URL())
		}, want{"reachable", doctor.Fail, "and no local-da", "set da.kind to celestia"}},
		"taken for a celestia-node": {func(w *ward, layer *localda.Layer) {
			post(layer, 3)
			w.config.DA.Kind = "celestia"
		}, want{"reachable", doctor.Fail, "", "set da.kind to local-da"}},
		"a level that it cannot show": {func(w *ward, _ *localda.Layer) {
			w.config.DA.Level = "prove"
		}, want{"config", doctor.Fail, "set da.level to trust", "config.yaml"}},
		"one that has begun anew": {func(w *ward, layer *localda.Layer) {
			post(layer, 5)
			w.run(5, nil)
			post(w.onLocalDA(nil), 2)
		}, want{"network", doctor.Fail, "it is at height 2, and the node has applied 5", "begun anew"}},
		"another one": {func(w *ward, layer *localda.Layer) {
			layer.Post(w.headers(), []byte("blob"))
			w.run(1, nil)
			w.onLocalDA(nil).Post(w.headers(), []byte("another"))
		}, want{"network", doctor.Fail, "height 1 holds something else", "begun anew"}},
		"a start that is not there": {func(w *ward, _ *localda.Layer) {
			w.genesis.DAStartHeight = 1000
		}, want{"history", doctor.Fail, "from height 1000 on, and the head is 0", "da_start_height"}},
		"no WebSocket": {func(w *ward, _ *localda.Layer) {
			w.onLocalDA(func(h http.Handler) http.Handler {
				return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
					if r.Header.Get("Upgrade") != "" {
						http.Error(rw, "no upgrade here", http.StatusBadRequest)
						return
					}
					h.ServeHTTP(rw, r)
				})
			})
		}, want{"news", doctor.Warn, "polling alone", "Upgrade"}},
	} {
		t.Run(name, func(t *testing.T) {
			w, layer := localWard(t, false)
			c.plant(w, layer)
			finds(t, w.opt, c.want)
		})
	}
}
