package nats_test

import (
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	natsserver "github.com/nats-io/nats-server/v2/server"

	"headrace/stream/nats"
)

var natsCLI = flag.String("natscli", "", `NATS' command line client, for TestPageRunsWithNATSCommandLine: its path, or "build" to build it, which takes minutes; else that in PATH`)

// natsCommand returns the folder of NATS' command line client, or skips the test.
func natsCommand(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	path := *natsCLI
	switch path {
	case "build":
		build := exec.CommandContext(t.Context(), "go", "build", "-C", "testdata/natscli", "-o", filepath.Join(dir, "nats"), "github.com/nats-io/natscli/nats")
		if out, err := build.CombinedOutput(); err != nil {
			t.Skipf("NATS' command line client cannot be had here: %v: %s", err, out)
		}
		return dir
	case "":
		var err error
		if path, err = exec.LookPath("nats"); err != nil {
			t.Skip("NATS' command line client is not in PATH: go test -natscli=build builds it")
		}
	}
	path, err := filepath.Abs(path)
	if err := errors.Join(err, os.Symlink(path, filepath.Join(dir, "nats"))); err != nil {
		t.Fatal(err)
	}
	return dir
}

// What docs/STREAM.md says for NATS' command line client does what it says.
func TestPageRunsWithNATSCommandLine(t *testing.T) {
	t.Parallel()
	bin := natsCommand(t)
	page, err := os.ReadFile("../../docs/STREAM.md")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile("(?s)```sh\n(export NATS_URL=[^\n]*\n.*?)```").FindSubmatch(page)
	if m == nil {
		t.Fatal("the page has no commands for it")
	}
	s := startServer(t, &natsserver.User{Username: "admin", Password: "of-admin"}, may("reader", permitted, []string{"_INBOX.>"}))
	w := s.newWriter()
	big := trunk.block(9)
	big.Body = trunk.body(9, 4000)
	w.publish(trunk.blocks(1, 8)...)
	w.publish(big)
	w.publish(trunk.blocks(10, 12)...)
	script := strings.NewReplacer("nats://127.0.0.1:4222", "nats://"+s.address, "CHAIN=0123456789abcdef", "CHAIN="+chain).Replace(string(m[1]))
	run := exec.CommandContext(t.Context(), "sh", "-ec", script)
	run.Dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(run.Dir, "readers.password"), []byte("of-reader\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "HOME="+t.TempDir())
	out, err := run.CombinedOutput()
	if err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	text := string(out)
	for _, want := range []string{
		"(?m)^" + nats.StreamName(chain) + "$",
		`(?m)^ *Hr-Block: 7-` + trunk.at(7).Hash.String() + "$",
		`"height":7,"hash":"` + trunk.at(7).Hash.String(),
		`(?m)^ *Hr-Parent: ` + trunk.at(11).Hash.String() + "$",
		`(?m)^ *Hr-Part: 3/`,
	} {
		if !regexp.MustCompile(want).MatchString(text) {
			t.Errorf("got\n%s\nwant %s in it", text, want)
		}
	}
	if at := strings.LastIndex(text, "Hr-Block: 7-"); at < 0 || strings.Contains(text[at:], "Hr-Block: 6-") || !strings.Contains(text[at:], "Hr-Block: 12-") {
		t.Errorf("got\n%s\nwant the blocks from 8 to 12 last", text)
	}
}
