package httpd

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// Access says whose requests are answered.
type Access struct {
	Hosts   []string       // names, beside loopback's, that requests may be addressed to; see Check
	Origins []string       // of pages that may ask, such as https://app.example; "*": every page
	Proxies []netip.Prefix // addresses that stand for many clients
	Token   string         // that requests need for which Writes holds; "": none
	File    *TokenFile     // has the token in the place of Token; nil: there is no file

	// Writes reports whether a request needs the token; nil: none does.
	Writes func(r *http.Request) bool
}

// Loopback reports whether only programs of this host can reach an address.
func Loopback(a net.Addr) bool {
	t, ok := a.(*net.TCPAddr)
	return ok && t.IP.IsLoopback() || a.Network() == "unix"
}

// ParsePrefixes reads addresses and networks, such as 10.0.0.1 and 10.0.0.0/8.
func ParsePrefixes(texts []string) (out []netip.Prefix, err error) {
	for _, text := range texts {
		p, err := netip.ParsePrefix(text)
		if a, err2 := netip.ParseAddr(text); err2 == nil {
			p, err = netip.PrefixFrom(a, a.BitLen()), nil
		}
		if err != nil {
			return nil, fmt.Errorf("%q is neither an address nor a network such as 10.0.0.0/8", text)
		}
		out = append(out, p)
	}
	return out, nil
}

// CheckOrigin reports what is wrong with an origin's name.
func CheckOrigin(origin string) error {
	u, err := url.Parse(origin)
	if origin != "*" && (err != nil || u.Scheme == "" || u.Host == "" || u.Scheme+"://"+u.Host != origin) {
		return fmt.Errorf("%q is not an origin such as https://app.example", origin)
	}
	return nil
}

// Check returns why a request is not answered. loopback says that the server listens on the loopback alone.
//
// A page in a browser can send requests to the loopback, in the name of whoever looks at it. It cannot leave its origin
// out of what could change something or be read, and it cannot choose the Host: that is the name by which the browser
// found the address, which is the page's own if its owner lets the name lead here. A program that sends no Origin is
// answered.
func (a *Access) Check(r *http.Request, loopback bool) (int, error) {
	if !a.isOurs(r.Host, loopback) {
		return http.StatusForbidden, errHost
	}
	origins := r.Header.Values("Origin")
	site := r.Header.Get("Sec-Fetch-Site")
	switch {
	case slices.ContainsFunc(origins, func(o string) bool { return !a.mayAsk(o) && !a.isOwn(o, r.Host) }):
		return http.StatusForbidden, errOrigin
	case len(origins) == 0 && (site == "cross-site" || site == "same-site") && r.Header.Get("Sec-Fetch-Mode") != "navigate" && !a.mayAsk("*"):
		return http.StatusForbidden, errOrigin // an image or a script of a page
	}
	if a.Locked() && a.Writes != nil && a.Writes(r) && !SameToken(Bearer(r), a.token()) {
		return http.StatusUnauthorized, errToken
	}
	return 0, nil
}

// Locked reports whether writes need a token.
func (a *Access) Locked() bool { return a.Token != "" || a.File != nil }

func (a *Access) token() string {
	if a.File != nil {
		return a.File.current()
	}
	return a.Token
}

var (
	errHost   = errors.New("this host name is not served here: name it in the hosts of this server's settings")
	errOrigin = errors.New("pages of this origin are not served here: name it in the origins of this server's settings")
	errToken  = errors.New("this needs the server's token, as Authorization: Bearer TOKEN")
)

// isOwn reports whether an origin is that of a page which this server itself has served. The name must be one that
// leads here for sure: an address, or one that is given.
func (a *Access) isOwn(origin, host string) bool {
	u, err := url.Parse(origin)
	if err != nil || host == "" || !strings.EqualFold(u.Host, host) {
		return false
	}
	_, err = netip.ParseAddr(u.Hostname())
	return err == nil || a.isOurs(host, true)
}

// isOurs reports whether a request is addressed to this server. Beyond the loopback every name is taken unless some
// are given. HTTP/1.0 needs no Host, and no browser speaks it.
func (a *Access) isOurs(host string, loopback bool) bool {
	if host == "" || !loopback && len(a.Hosts) == 0 {
		return true
	}
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.TrimSuffix(strings.Trim(name, "[]"), ".")
	if ip, err := netip.ParseAddr(name); err == nil && (ip.Unmap().IsLoopback() || !loopback) {
		return true
	}
	same := func(h string) bool { return strings.EqualFold(h, name) || strings.EqualFold(h, host) }
	return same("localhost") || slices.ContainsFunc(a.Hosts, same)
}

// Share lets the page of a request that Check has passed read the answer, and reports whether it has answered: a
// browser's question, before what a form could not send, whether the page may. Without it the page could ask, and read
// nothing. It names the page's origin and never all, and no cookie goes along: whoever writes has a token.
func (a *Access) Share(w http.ResponseWriter, r *http.Request) (answered bool) {
	if len(a.Origins) == 0 {
		return false
	}
	h := w.Header()
	h.Set("Vary", "Origin")
	origin := r.Header.Get("Origin")
	if origin == "" {
		return false
	}
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Expose-Headers", "ETag, Retry-After")
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	h.Set("Access-Control-Allow-Methods", "GET, POST, PUT, DELETE")
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Last-Event-ID, Connect-Protocol-Version, Connect-Timeout-Ms")
	h.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
	return true
}

func (a *Access) mayAsk(origin string) bool {
	return slices.ContainsFunc(a.Origins, func(o string) bool { return o == "*" || strings.EqualFold(o, origin) })
}

// Bearer returns the token that a request carries.
func Bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// SameToken compares two tokens in a time that says nothing about them.
func SameToken(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}
