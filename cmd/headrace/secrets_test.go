package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestNoSecretInTexts: what is secret in the address of a node, an Ethereum node or a setting, and the token, are in
// nothing that a command prints, whatever the other end answers.
func TestNoSecretInTexts(t *testing.T) {
	echo := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "http://127.0.0.1:1/plantedlocation"+r.URL.Path)
			w.WriteHeader(status)
			fmt.Fprintf(w, `{"error": "no %s for %s"}`, r.URL, r.Header.Get("Authorization"))
		}
	}
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("plantedfile"), 0o600); err != nil {
		t.Fatal(err)
	}
	hosts := map[string]string{"refused": "127.0.0.1:1"}
	for _, status := range []int{307, 400, 401, 403, 404, 500} {
		s := httptest.NewServer(echo(status))
		defer s.Close()
		hosts[fmt.Sprint(status)] = s.Listener.Addr().String()
	}
	for name, host := range hosts {
		at := func(scheme string) string {
			return scheme + "://planteduser:plantedpass@" + host + "/plantedpath/?token=plantedquery#plantedfragment"
		}
		for _, scheme := range []string{"http", "https"} {
			for _, command := range [][]string{{"status"}, {"log"}, {"wait", "ready", "--timeout", "100ms"}, {"tail"}} {
				says(t, name, append(command, "--node", at(scheme), "--token", "plantedtoken")...)
			}
		}
		for _, scheme := range []string{"ws", "http"} {
			says(t, name, "wait", "block", "1", "--timeout", "100ms", "--rpc", at(scheme))
			says(t, name, "wait", "block", "1", "--timeout", "100ms", "--rpc", at(scheme)+",token_file="+file)
		}
		says(t, name, "inbox", "show", "--inbox", "0x"+strings.Repeat("12", 20), "--l1.http", at("http"), "--l1.ws", at("wss"))
		says(t, name, "inbox", "show", "--inbox", "0x"+strings.Repeat("12", 20), "--l1.http", at("http")+",token_file="+file, "--l1.ws", at("ws")+",token_file="+file)
	}
}

// TestNoSecretInUsage: nor are they in the complaint about a command line or a file that makes no sense.
func TestNoSecretInUsage(t *testing.T) {
	home := t.TempDir()
	for name, text := range map[string]string{
		"da.address": "da: {address: 'ftp://planteduser:plantedpass@node.example/plantedpath'}",
		"da":         "da: http://planteduser:plantedpass@node.example/plantedpath",
		"yaml":       "http-plantedtoken",
		"l1.ws":      "l1: {ws: [{address: 'ws://node.example', token: plantedtoken, planted: plantedtoken}]}",
		"l1.http":    "l1: {http: {address: 'http://node.example', token: plantedtoken, token_file: x}}",
	} {
		if err := os.WriteFile(filepath.Join(home, configName), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := says(t, name, "start", "--home", home); !strings.Contains(got, name) {
			t.Errorf("%s: got %q, want it named", name, got)
		}
	}
	bad := "ftp://planteduser:plantedpass@node.example/plantedpath?plantedquery#plantedfragment"
	for _, args := range [][]string{
		{"status", bad}, {bad}, {"status", "--node", bad}, {"wait", "block", "1", "--rpc", bad}, {"wait", "height", bad},
		{"wait", "block", "1", "--rpc", "ws://node.example/plantedpath,token=plantedtoken"},
		{"wait", "block", "1", "--rpc", "ws://node.example/plantedpath,token_file=" + filepath.Join(home, "none")},
		{"init", "--genesis", "none", "--home", filepath.Join(home, "new"), "--da.address", bad},
		{"init", "--genesis", "none", "--home", filepath.Join(home, "new"), "--l1.ws", `plantedtoken"`},
		{"init", "--genesis", "none", "--home", filepath.Join(home, "new"), "--l1.ws", "ws://node.example,token=plantedtoken"},
		{"inbox", "show", "--inbox", "0x" + strings.Repeat("12", 20), "--l1.http", "http://node.example/plantedpath,token=plantedtoken"},
		{"init", "--sequencer", "--home", filepath.Join(home, "new"), "--engine.kind", "grpc", "--engine.address", bad},
	} {
		says(t, fmt.Sprint(args), args...)
	}
}

// says runs a command that fails, or hangs, and returns what it says. Nothing secret may be in it.
func says(t *testing.T, name string, args ...string) string {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	before := os.Stderr
	os.Stderr = w
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond) // tail tries again and again
	defer cancel()
	var out bytes.Buffer
	root := newRoot()
	root.SetOut(&out)
	root.SetArgs(args)
	err = root.ExecuteContext(ctx)
	os.Stderr = before
	_ = w.Close()
	stderr, _ := io.ReadAll(r)
	_ = r.Close()
	text := fmt.Sprint(out.String(), string(stderr), err)
	if strings.Contains(strings.ToLower(text), "planted") || err == nil && args[0] != "tail" {
		t.Errorf("%s: %s: got %s", name, args[0], text)
	}
	return text
}
