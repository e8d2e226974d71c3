package httpd

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// Cert is a certificate chain and its private key, in two files in PEM. The files are read again when one of them has
// changed, so that a renewed certificate is served without a restart. While they are of no use, as between the change of
// one and that of the other, what was read last is served.
type Cert struct {
	cert, key string // paths

	mu     sync.Mutex // guards the rest
	stamps [2]stamp   // of the files when they were read last, of use or not
	using  *tls.Certificate
}

// ReadCert reads the files.
func ReadCert(cert, key string) (*Cert, error) {
	c := &Cert{cert: cert, key: key}
	c.stamps = [2]stamp{stampOf(cert), stampOf(key)}
	var err error
	c.using, err = c.read()
	return c, err
}

func (c *Cert) read() (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		return nil, err
	}
	return &pair, nil
}

// stamp is what shows that a file has changed. There may be no file.
type stamp struct{ info os.FileInfo }

func stampOf(path string) stamp {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{}
	}
	return stamp{info}
}

// same reports whether two stamps are of one file that has not changed. Tools that put a new file in the place of the old
// one may give it the same time.
func (s stamp) same(as stamp) bool {
	if s.info == nil || as.info == nil {
		return s.info == nil && as.info == nil
	}
	return os.SameFile(s.info, as.info) && s.info.ModTime().Equal(as.info.ModTime()) && s.info.Size() == as.info.Size()
}

// current returns the certificate to serve. It tells log once of files that have changed: strangers choose how often it
// is called.
func (c *Cert) current(log *slog.Logger) *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := [2]stamp{stampOf(c.cert), stampOf(c.key)} // before they are read: what changes meanwhile is read next time
	if now[0].same(c.stamps[0]) && now[1].same(c.stamps[1]) {
		return c.using
	}
	c.stamps = now
	renewed, err := c.read()
	if err != nil {
		log.Warn("the TLS certificate has changed and cannot be used: the one before is served on", "err", err)
		return c.using
	}
	c.using = renewed
	log.Info("serving the TLS certificate that has changed", "until", renewed.Leaf.NotAfter.UTC().Format(time.RFC3339))
	return c.using
}

// CertOf is ReadCert for the two settings of these names; nil if neither is given.
func CertOf(certName, cert, keyName, key string) (*Cert, error) {
	if (cert == "") != (key == "") {
		return nil, fmt.Errorf("%s and %s go together: set both, or neither", certName, keyName)
	}
	if cert == "" {
		return nil, nil
	}
	c, err := ReadCert(cert, key)
	if err != nil {
		return nil, fmt.Errorf("read %s and %s: %w", certName, keyName, err)
	}
	return c, nil
}
