package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"headrace/block"
	"headrace/devnet"
	"headrace/internal/nettest"
	"headrace/node"
	"headrace/stream/nats"
)

// fullHome is the home of a full node of a devnet.
func fullHome(t *testing.T) string {
	t.Helper()
	net := devnet.Start(t)
	home := filepath.Join(t.TempDir(), "full")
	args := []string{"init", "--home", home, "--genesis", filepath.Join(net.Home(), "genesis.json"), "--da.address", net.DA().URL(), "--http.address", "127.0.0.1:0", "--log.level", "error"}
	if out, status, message := execute(t, args...); status != 0 {
		t.Fatal(out, message)
	}
	return home
}

// starts starts a node in the process. stop has the effect of a signal, and returns what start does.
func starts(t *testing.T, args ...string) (url string, stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	out, in := io.Pipe()
	root := newRoot()
	root.SetOut(in)
	root.SetArgs(append([]string{"start"}, args...))
	ended := make(chan error, 1) // what start returns
	go func() {
		err := root.ExecuteContext(ctx)
		in.CloseWithError(err)
		ended <- err
	}()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line), func() error {
		cancel()
		return <-ended
	}
}

// A node publishes in a server of its own, which is there as long as the node is.
func TestEmbeddedStream(t *testing.T) {
	home, address := fullHome(t), nettest.FreeAddress(t)
	writeFile(t, home, "readers.password", "planted-password\n")
	url, stop := starts(t, "--home", home, "--stream.embedded", "--stream.listen", address, "--stream.password_file", "readers.password")
	genesis, err := block.LoadGenesis(filepath.Join(home, genesisName))
	if err != nil {
		t.Fatal(err)
	}
	fromStream := tails(t, "--stream", "nats://reader:planted-password@"+address, "--chain", nats.Chain(genesis.Hash()), "--from", "1", "--count", "5")
	for i, n := range tails(t, "--node", url, "--from", "1", "--count", "5") {
		if s := fromStream[i]; string(s.Data) != string(n.Data) {
			t.Errorf("got %s, want %s", s.Data, n.Data)
		}
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if out, status, message := execute(t, "stream", "check", "nats://reader:planted-password@"+address); status != 1 || !strings.Contains(message, "refused") {
		t.Errorf("got %q, %d, %s of a server whose node has ended", out, status, message)
	}
}

// A server that reads its streams for long holds up neither the node, which says that it is waited for, nor its end. One
// that cannot be started ends the node.
func TestEmbeddedStreamStarts(t *testing.T) {
	home := fullHome(t)
	streams := filepath.Join(home, "stream", "jetstream", "$G", "streams", "hr-x")
	if err := os.MkdirAll(streams, 0o700); err != nil {
		t.Fatal(err)
	}
	meta := filepath.Join(streams, "meta.inf") // which is not read to its end
	if err := syscall.Mkfifo(meta, 0o600); err != nil {
		t.Skip("this system has no named pipes here: ", err)
	}
	url, stop := starts(t, "--home", home, "--stream.embedded")
	tails(t, "--node", url, "--from", "1", "--count", "3")
	resp, err := http.Get(url + "/v1/status")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var st node.Status
	if err := json.NewDecoder(resp.Body).Decode(&st); err != nil || st.Stream == nil || st.Stream.State != node.StreamConnecting || !strings.Contains(st.Stream.Cause, "not started yet") {
		t.Errorf("got %+v (%v), want that the server is waited for", st.Stream, err)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(meta, nil, 0o600); err != nil { // as soon as it is read: the server ends too
		t.Error(err)
	}

	home = fullHome(t)
	writeFile(t, home, "stream", "no directory")
	if _, status, message := execute(t, "start", "--home", home, "--stream.embedded"); status == 0 || !strings.Contains(message, "stream.embedded: NATS server") {
		t.Errorf("got %d, %s of a server that cannot keep streams", status, message)
	}
}
