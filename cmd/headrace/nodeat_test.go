package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
)

// Every command that asks a node sends it the token, from wherever it has it, and nobody else one.
func TestCommandsCarryTheToken(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("of the file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var got string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Header.Get("Authorization")
		switch r.URL.Path {
		case "/v1/events":
			_, _ = io.WriteString(w, "event: status\ndata: {}\n\n")
		case "/v1/wait":
			_, _ = io.WriteString(w, `{"result":"reached"}`)
		default:
			_, _ = io.WriteString(w, "{}")
		}
	}))
	defer s.Close()
	for _, test := range []struct {
		flags     []string
		env, want string
	}{
		{nil, "", ""},
		{nil, "of the environment", "Bearer of the environment"},
		{[]string{"--token", "of the flag"}, "of the environment", "Bearer of the flag"},
		{[]string{"--token-file", file}, "of the environment", "Bearer of the file"},
	} {
		t.Setenv("HEADRACE_HTTP_TOKEN", test.env)
		for _, command := range [][]string{{"status", "--json"}, {"wait", "ready"}, {"tail", "--status", "--count", "1"}} {
			root := newRoot()
			root.SetOut(io.Discard)
			root.SetArgs(append(append(command, "--node", s.URL), test.flags...))
			got = "nothing was asked"
			if err := root.ExecuteContext(t.Context()); err != nil || got != test.want {
				t.Errorf("%q with %q: got %q (%v), want %q", command, test.flags, got, err, test.want)
			}
		}
	}
	nodeClient.CloseIdleConnections()
}
