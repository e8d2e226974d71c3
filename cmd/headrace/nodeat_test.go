package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
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

// The node that the environment names is asked by every command, unless a flag names one; wait takes several.
func TestNodeOfTheEnvironment(t *testing.T) {
	node := func(says string) string {
		return answers(t, func(w http.ResponseWriter, r *http.Request) {
			body := map[string]string{
				"/v1/events": "event: status\ndata: {\"chain_id\":\"" + says + "\"}\n\n", "/v1/log": `{"level":"` + says + `"}`, "/v1/wait": `{"result":"reached","for":"` + says + `"}`,
			}[r.URL.Path]
			if body == "" {
				body = `{"chain_id":"` + says + `"}`
			}
			_, _ = io.WriteString(w, body)
		})
	}
	one, two := node("first"), node("second")
	t.Setenv(nodeEnv, one)
	for _, command := range [][]string{
		{"status", "--json"}, {"wait", "ready"}, {"wait", "height", "3"}, {"wait", "not-ready"}, {"tail", "--status", "--json", "--count", "1"}, {"log"}, {"log", "debug"},
	} {
		if out, status, message := execute(t, command...); status != 0 || !strings.Contains(out, "first") {
			t.Errorf("%q: got %q, %d %s, want the node of the environment", command, out, status, message)
		}
		if out, status, message := execute(t, append(command, "--node", two)...); status != 0 || !strings.Contains(out, "second") {
			t.Errorf("%q: got %q, %d %s, want the node of the flag", command, out, status, message)
		}
	}
	t.Setenv(nodeEnv, one+", "+two)
	if out, status, _ := execute(t, "wait", "ready"); status != 0 || !strings.Contains(out, "first") || !strings.Contains(out, "second") {
		t.Errorf("got %q, want both nodes", out)
	}
	if _, status, message := execute(t, "status"); status != 2 || !strings.Contains(message, nodeEnv+" has several addresses") {
		t.Errorf("got %d %s, want one node only", status, message)
	}
}
