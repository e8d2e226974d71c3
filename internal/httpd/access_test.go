package httpd_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"headrace/internal/httpd"
)

const token = "0123456789abcdef"

// Who is answered on the loopback: programs, and pages of named origins, that call this server by a name of its own.
func TestAccess(t *testing.T) {
	t.Parallel()
	writes := func(r *http.Request) bool { return r.Method == http.MethodPost }
	open := run(t, httpd.Options{}, nil)
	named := run(t, httpd.Options{Access: httpd.Access{
		Hosts: []string{"node.example"}, Origins: []string{"https://app.example"}, Token: token, Writes: writes,
	}}, nil)
	any := run(t, httpd.Options{Access: httpd.Access{Origins: []string{"*"}}}, nil)
	for _, test := range []struct {
		to     *server
		method string
		header []string
		want   int
	}{
		{open, "GET", nil, 200},
		{open, "POST", nil, 200},
		{open, "GET", []string{"Host: 127.0.0.1:7331"}, 200},
		{open, "GET", []string{"Host: 127.8.9.1"}, 200},
		{open, "GET", []string{"Host: [::1]:7331"}, 200},
		{open, "GET", []string{"Host: LOCALHOST.:1"}, 200},
		{open, "GET", []string{"Host: evil.example:7331"}, 403},
		{open, "GET", []string{"Host: localhost.evil.example"}, 403},
		{open, "GET", []string{"Host: 192.0.2.1"}, 403},
		{open, "GET", []string{"Host: 127.0.0.1.evil.example"}, 403},
		{open, "GET", []string{"Origin: https://evil.example"}, 403},
		{open, "GET", []string{"Origin: http://127.0.0.1:3000"}, 403},
		{open, "GET", []string{"Host: 127.0.0.1:7331", "Origin: http://127.0.0.1:7331"}, 200}, // its own page
		{open, "POST", []string{"Host: localhost:7331", "Origin: http://localhost:7331"}, 200},
		{open, "GET", []string{"Host: localhost:7331", "Origin: http://127.0.0.1:7331"}, 403},
		{open, "GET", []string{"Host: evil.example", "Origin: http://evil.example"}, 403}, // a name of its own that leads here
		{open, "GET", []string{"Origin: null"}, 403},
		{open, "GET", []string{"Origin:"}, 403},
		{open, "POST", []string{"Origin: https://evil.example", "Content-Type: text/plain"}, 403},
		{open, "GET", []string{"Origin: https://evil.example", "Upgrade: websocket", "Connection: Upgrade"}, 403},
		{open, "GET", []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors"}, 403},
		{open, "GET", []string{"Sec-Fetch-Site: same-site", "Sec-Fetch-Mode: no-cors"}, 403},
		{open, "GET", []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"}, 200},
		{open, "GET", []string{"Sec-Fetch-Site: none", "Sec-Fetch-Mode: navigate"}, 200},
		{named, "GET", []string{"Host: node.example"}, 200},
		{named, "GET", []string{"Host: Node.Example:443"}, 200},
		{named, "GET", []string{"Host: other.example"}, 403},
		{named, "GET", []string{"Origin: https://app.example"}, 200},
		{named, "GET", []string{"Host: node.example", "Origin: https://node.example"}, 200}, // its own, behind a proxy
		{named, "GET", []string{"Origin: http://app.example"}, 403},
		{named, "GET", []string{"Origin: https://app.example:444"}, 403},
		{named, "GET", []string{"Origin: https://app.example", "Origin: https://evil.example"}, 403},
		{named, "POST", nil, 401},
		{named, "POST", []string{"Authorization: Bearer " + token}, 200},
		{named, "POST", []string{"Authorization: bearer " + token}, 200},
		{named, "POST", []string{"Authorization: Bearer " + token + "0"}, 401},
		{named, "POST", []string{"Authorization: Basic " + token}, 401},
		{named, "POST", []string{"Authorization: " + token}, 401},
		{named, "POST", []string{"Origin: https://evil.example", "Authorization: Bearer " + token}, 403},
		{any, "GET", []string{"Origin: https://evil.example"}, 200},
		{any, "GET", []string{"Origin: null"}, 200},
		{any, "GET", []string{"Host: evil.example", "Origin: https://evil.example"}, 403},
	} {
		if got, text := test.to.ask(test.method, "/", test.header...); got != test.want {
			t.Errorf("%s with %q: got %d %s, want %d", test.method, test.header, got, text, test.want)
		}
	}
}

// A page of a named origin may read what it is answered, and is told before it asks what it may; no other page is.
func TestShare(t *testing.T) {
	t.Parallel()
	writes := func(r *http.Request) bool { return r.Method == http.MethodPost }
	open := run(t, httpd.Options{}, nil)
	named := run(t, httpd.Options{Access: httpd.Access{Origins: []string{"https://app.example"}, Token: token, Writes: writes}}, nil)
	any := run(t, httpd.Options{Access: httpd.Access{Origins: []string{"*"}}}, nil)
	const ours, evil = "https://app.example", "https://evil.example"
	for _, test := range []struct {
		to             *server
		method, origin string
		asks           string // the method that a browser asks for first
		want           int
		may            string // read: by which origin
	}{
		{named, "GET", ours, "", 200, ours},
		{named, "POST", ours, "", 401, ours},
		{named, "OPTIONS", ours, "POST", 204, ours},
		{named, "OPTIONS", ours, "", 200, ours}, // no browser's question
		{named, "OPTIONS", evil, "POST", 403, ""},
		{named, "GET", evil, "", 403, ""},
		{named, "GET", "", "", 200, ""},
		{any, "GET", evil, "", 200, evil},
		{open, "GET", ours, "", 403, ""},
		{open, "OPTIONS", ours, "GET", 403, ""},
		{open, "GET", "", "", 200, ""},
	} {
		c := test.to.dial()
		header := ""
		if test.origin != "" {
			header += "Origin: " + test.origin + "\r\n"
		}
		if test.asks != "" {
			header += "Access-Control-Request-Method: " + test.asks + "\r\n"
		}
		c.say("%s / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s\r\n", test.method, header)
		resp, err := http.ReadResponse(c.in, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		h := resp.Header
		if resp.StatusCode != test.want || h.Get("Access-Control-Allow-Origin") != test.may || h.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s of a page of %q: got %d and %v, want %d, for %q", test.method, test.origin, resp.StatusCode, h, test.want, test.may)
		}
		if told := h.Get("Access-Control-Allow-Headers") != ""; told != (test.want == 204) {
			t.Errorf("%s of a page of %q: got %v, want what it may send only when it asks", test.method, test.origin, h)
		}
		if test.to != open && test.want != 403 && h.Get("Vary") != "Origin" {
			t.Errorf("%s of a page of %q: got Vary %q: a cache would give it to others", test.method, test.origin, h.Get("Vary"))
		}
	}
}

// Beyond the loopback any name is taken, unless names are given: then addresses and these.
func TestHostsBeyondLoopback(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		hosts []string
		host  string
		want  bool
	}{
		{nil, "anything.example", true},
		{[]string{"node.example"}, "anything.example", false},
		{[]string{"node.example"}, "node.example:7331", true},
		{[]string{"node.example:7331"}, "node.example:7331", true},
		{[]string{"node.example"}, "192.0.2.1:7331", true},
		{[]string{"node.example"}, "localhost", true},
	} {
		if got := httpd.IsOurs(test.hosts, test.host, false); got != test.want {
			t.Errorf("host %s with %q: got %v, want %v", test.host, test.hosts, got, test.want)
		}
	}
	for address, want := range map[string]bool{"127.0.0.1": true, "127.3.2.1": true, "::1": true, "::": false, "0.0.0.0": false, "192.0.2.1": false} {
		if got := httpd.Loopback(&net.TCPAddr{IP: net.ParseIP(address)}); got != want {
			t.Errorf("%s: got loopback %v, want %v", address, got, want)
		}
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	for origin, ok := range map[string]bool{"https://app.example": true, "http://localhost:3000": true, "*": true, "app.example": false, "https://app.example/": false, "": false, "null": false} {
		if err := httpd.CheckOrigin(origin); (err == nil) != ok {
			t.Errorf("origin %q: got %v", origin, err)
		}
	}
	for _, text := range []string{"10.0.0.0/33", "proxy.example", ""} {
		if _, err := httpd.ParsePrefixes([]string{text}); err == nil {
			t.Errorf("%q is taken for a network", text)
		}
	}
}

// Beyond the loopback a server goes by any name, also by one that somebody else has made lead here: a page of that name is
// not the server's own.
func TestOwnPageBeyondLoopback(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		hosts        []string
		host, origin string
		want         int
	}{
		{nil, "203.0.113.5:7331", "http://203.0.113.5:7331", 0},
		{nil, "[2001:db8::5]:7331", "http://[2001:db8::5]:7331", 0},
		{nil, "evil.example:7331", "http://evil.example:7331", 403},
		{nil, "203.0.113.5:7331", "http://evil.example:7331", 403},
		{nil, "203.0.113.5:7331", "http://203.0.113.5", 403},
		{[]string{"node.example"}, "node.example", "https://node.example", 0},
		{[]string{"node.example"}, "evil.example", "https://evil.example", 403},
	} {
		a := httpd.Access{Hosts: test.hosts}
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Host = test.host
		r.Header.Set("Origin", test.origin)
		if got, err := a.Check(r, false); got != test.want {
			t.Errorf("%+v: got %d, %v", test, got, err)
		}
	}
}
