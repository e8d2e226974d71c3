package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"path/filepath"
	"time"
)

// inHome is a path of a setting, which may be relative to the home.
func (d *doctor) inHome(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(d.opt.Home, path)
}

// lateRenewal is how long before its end a certificate should have been renewed: it is done weeks before. One that is
// made for a short time has a quarter of that.
const lateRenewal = 14 * 24 * time.Hour

// checkTLS reads the certificate that the node's endpoints are served with.
func (d *doctor) checkTLS(context.Context) *finding {
	c := &d.config.HTTP
	switch {
	case c.TLSCert == "" && c.TLSKey == "":
		return nil
	case c.TLSCert == "" || c.TLSKey == "":
		return fail("set both, or neither", "of http.tls_cert and http.tls_key only one is set")
	}
	pair, err := tls.LoadX509KeyPair(d.inHome(c.TLSCert), d.inHome(c.TLSKey))
	if err != nil {
		return fail("http.tls_cert must name a file with the certificate chain, the node's own first, and http.tls_key one with the private key that belongs to it, both in PEM and for the node's user to read", "%v", err)
	}
	const renew = "renew it: the node serves the new one without a restart, as soon as both files are there"
	cert, now := pair.Leaf, d.opt.Now()
	left, until := cert.NotAfter.Sub(now), cert.NotAfter.UTC().Format(time.RFC3339)
	switch {
	case left < 0:
		return fail(renew, "the certificate in http.tls_cert is over since %s", until)
	case now.Before(cert.NotBefore):
		return fail("set the machine's clock, or use a certificate that holds by now", "the certificate in http.tls_cert holds from %s on, and it is %s here", cert.NotBefore.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	d.cert = cert
	if left < min(lateRenewal, cert.NotAfter.Sub(cert.NotBefore)/4) {
		return warn(renew, "the certificate in http.tls_cert ends in %s, at %s", left.Round(time.Hour), until)
	}
	return ok("a certificate until %s", until)
}

// ownCert is how a node is known that shows the certificate in its home, whoever has signed that: it is asked by an
// address that the certificate need not name. nil: there is none.
func (d *doctor) ownCert() *tls.Config {
	if d.cert == nil {
		return nil
	}
	return &tls.Config{
		InsecureSkipVerify: true, // it is compared below
		VerifyConnection: func(s tls.ConnectionState) error {
			if !s.PeerCertificates[0].Equal(d.cert) {
				return errors.New("it shows another certificate than the one in http.tls_cert")
			}
			return nil
		},
	}
}

// The descriptors that a node needs beside those for connections: for the store, the engine and its own sockets; and for
// probes, which are answered when all connections are taken.
const (
	ownDescriptors   = 128
	probeDescriptors = 32
)

// checkDescriptors compares what a process may have open with what is set.
func (d *doctor) checkDescriptors(context.Context) *finding {
	const remedy = "raise the hard limit where the node is started: LimitNOFILE= of a systemd unit, ulimits of a container, ulimit -Hn in a shell; or set http.max_connections lower"
	limit, err := d.opt.Descriptors()
	switch need := d.config.HTTP.MaxConns + ownDescriptors + probeDescriptors; {
	case err != nil:
		return skip("the limit of descriptors is not known: %v", err)
	case limit < 2*ownDescriptors:
		return fail(remedy, "a process may have %d descriptors here, and a node needs %d at the least: half of them for the store and the engine", limit, 2*ownDescriptors)
	case limit < need:
		return warn(remedy, "a process may have %d descriptors here, and http.max_connections, the store and the engine need %d: fewer connections are taken", limit, need)
	}
	return ok("a process may have %d", limit)
}
