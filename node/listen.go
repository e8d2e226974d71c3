package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"headrace/internal/httpc"
	"headrace/internal/httpd"
)

// listen takes the HTTP port first: a second node on the same home fails here or at the store, before it changes
// anything.
func (n *Node) listen() error {
	c := &n.opt.Config.HTTP
	opt, err := n.serving(c)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", c.Address)
	if err != nil {
		if errors.Is(err, syscall.EADDRINUSE) && isEvolve(c.Address) {
			return fmt.Errorf("listen on %s: %w, by an ev-node, which has the same port by default: set http.address to another one, as with --http.address 127.0.0.1:7332", c.Address, err)
		}
		return fmt.Errorf("listen on %s: %w: stop what uses the port, or set http.address to another one", c.Address, err)
	}
	n.http = httpd.New(l, opt)
	n.public = !opt.Locked() && !httpd.Loopback(l.Addr())
	if c.Pprof && n.public {
		return fmt.Errorf("http.address %s can be reached from other hosts, and http.pprof is set: set http.token or http.token_file, or listen on 127.0.0.1", c.Address)
	}
	if n.takesWrites() && n.public {
		return fmt.Errorf("http.address %s can be reached from other hosts, and this node takes writes: set http.token or http.token_file, or listen on 127.0.0.1", c.Address)
	}
	return nil
}

// isEvolve reports whether an ev-node answers at an address of this host: it says in a line of text whether it lives,
// where nodes of ours have nothing.
func isEvolve(address string) bool {
	host, port, err := net.SplitHostPort(address)
	if ip := net.ParseIP(host); err != nil || host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second) // a program of this host, which may not answer at all
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/health/live", nil)
	if err != nil {
		return false
	}
	client := httpc.New(httpc.Options{})
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	known := resp.StatusCode == http.StatusOK || resp.StatusCode == http.StatusServiceUnavailable
	return known && strings.HasPrefix(resp.Header.Get("Content-Type"), "text/plain")
}

// takesWrites reports whether what is posted may be taken: a sequencer takes transactions, and a full node of a chain
// on an L1 blocks.
func (n *Node) takesWrites() bool {
	return n.opt.Config.Sequencer.Enabled || n.opt.Genesis.L1 != nil
}

// isWrite reports whether a request may change something, or shows what the process does inside, and so needs the token.
func (n *Node) isWrite(r *http.Request) bool {
	return r.Method == http.MethodPut || r.Method == http.MethodPost && !n.isEvolveRead(r) || isPprof(r)
}

func (n *Node) serving(c *HTTPConfig) (opt httpd.Options, err error) {
	opt = httpd.Options{
		Limits: httpd.Limits{Connections: int(c.MaxConns), PerAddress: int(c.MaxPerAddress), Answers: int64(c.AnswerBytes), Bodies: int64(c.BodyBytes)},
		Access: httpd.Access{Hosts: c.Hosts, Origins: c.Origins, Writes: n.isWrite},
		HTTP2:  n.evolvePaths(),
		Probes: []string{"/livez", "/readyz"},
		Logger: of(n.log, "http"),
	}
	if err := n.checkEvolve(); err != nil {
		return opt, err
	}
	if opt.Proxies, err = httpd.ParsePrefixes(c.Proxies); err != nil {
		return opt, fmt.Errorf("http.proxies: %w", err)
	}
	if opt.Token, opt.File, err = n.token(c); err != nil {
		return opt, err
	}
	opt.Cert, err = httpd.CertOf("http.tls_cert", n.inHome(c.TLSCert), "http.tls_key", n.inHome(c.TLSKey))
	return opt, err
}

// minToken is the fewest characters of a token: a shorter one can be guessed.
const minToken = 16

// token returns the token that writes need, or the file that holds it. With neither they need none.
func (n *Node) token(c *HTTPConfig) (token string, file *httpd.TokenFile, err error) {
	switch {
	case c.Token != "" && c.TokenFile != "":
		err = fmt.Errorf("http.token and http.token_file are both set: keep one")
	case c.Token != "":
		if token, err = parseToken(c.Token); err != nil {
			err = fmt.Errorf("http.token %w", err)
		}
	case c.TokenFile != "":
		file, err = httpd.ReadTokenFile("http.token_file", n.inHome(c.TokenFile), parseToken, n.log)
	}
	return token, file, err
}

// parseToken returns the token in a text that has space around it. Nothing of it is in the error.
func parseToken(text string) (string, error) {
	token := strings.TrimSpace(text)
	if err := httpc.CheckToken(token); err != nil {
		return "", err
	}
	if len(token) < minToken {
		return "", fmt.Errorf("holds fewer than %d characters: make one with openssl rand -hex 32", minToken)
	}
	return token, nil
}

// inHome makes a path that may be relative to the home one that can be opened. No path stays none.
func (n *Node) inHome(path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(n.opt.Home, path)
}

// serve answers HTTP until ctx ends.
func (n *Node) serve(ctx context.Context) error {
	return n.http.Serve(ctx, n.Handler())
}

// bodies is what is posted is counted in; nil, which counts nothing, without a server.
func (n *Node) bodies() *httpd.Budget {
	if n.http == nil {
		return nil
	}
	return n.http.Bodies()
}

// answers is what large answers are counted in; nil, which counts nothing, without a server.
func (n *Node) answers() *httpd.Budget {
	if n.http == nil {
		return nil
	}
	return n.http.Answers()
}
