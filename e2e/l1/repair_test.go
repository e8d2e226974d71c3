package l1_test

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"headrace/block"
	"headrace/l1"
	"headrace/node"
)

// rot changes a byte of a value that contains text, in each table of the store in home.
func (w *world) rot(home, text string) {
	w.t.Helper()
	tables, err := filepath.Glob(filepath.Join(home, "store", "*.sst"))
	w.check(err)
	rotten := 0
	for _, name := range tables {
		content, err := os.ReadFile(name)
		w.check(err)
		if at := bytes.Index(content, []byte(text)); at >= 0 {
			content[at+len(text)+100] ^= 1
			w.check(os.WriteFile(name, content, 0o600))
			rotten++
		}
	}
	if rotten == 0 {
		w.t.Fatalf("%q is in no table of %s", text, home)
	}
}

// deaf returns the address of something that takes connections and says nothing, and a channel that is closed when the
// first has come.
func (w *world) deaf() (address string, asked chan struct{}) {
	w.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	w.check(err)
	asked = make(chan struct{})
	done := make(chan struct{}) // closed when nobody accepts any more
	go func() {
		defer close(done)
		c, err := l.Accept()
		if err != nil {
			return
		}
		close(asked)
		_, _ = l.Accept() // or the end
		_ = c.Close()
	}()
	w.t.Cleanup(func() { _ = l.Close(); <-done })
	return l.Addr().String(), asked
}

// TestRepairOnAnL1, of proposals in version 1, from which a block can be had alone: a byte of a block that came with the L1 is wrong. The node says what to do; a repair that is killed
// while it asks the L1 changes nothing; the next one brings the block back, and the home is as it was.
func TestRepairOnAnL1(t *testing.T) {
	t.Parallel()
	path, err := command()
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, events.in(how{blobs: chosenHow(t).blobs}), l1.Settings{}, 0)
	a := w.lightAuthor()
	m := w.member()
	genesis := filepath.Join(t.TempDir(), "genesis.json")
	w.check(os.WriteFile(genesis, w.genesis.Encode(), 0o600))
	run := func(args ...string) *exec.Cmd {
		return exec.CommandContext(w.ctx, path, append(args, "--home", m.opt.Home)...)
	}
	if out, err := run("init", "--genesis", genesis, "--l1.ws", w.inbox.Client.WS[0].URL, "--l1.http", w.inbox.Client.HTTP[0].URL, "--l1.beacon", w.inbox.Client.Beacon[0].URL).CombinedOutput(); err != nil {
		t.Fatalf("init: %v: %s", err, out)
	}
	m.start()
	var blocks []*block.Block
	for i := range 4 {
		raw := make([]byte, 5000)
		_, _ = rand.Read(raw)
		one := a.next(fmt.Appendf(nil, "rot-%d=%s", i, hex.EncodeToString(raw)))
		two := a.next(a.tx())
		blocks = append(blocks, one, two)
		w.propose(one, two)
	}
	last := blocks[len(blocks)-1].Ref()
	whole := func() node.Status {
		t.Helper()
		s, err := m.Status().Wait(w.ctx, func(s node.Status) bool { return s.Heads.Safe == last })
		w.check(err)
		return s
	}
	before := whole()
	m.restart() // what is in the log goes into a table
	m.stop()
	w.rot(m.opt.Home, "rot-2=")

	m.start()
	var rotten []uint64
	for _, b := range blocks {
		resp, err := http.Get(fmt.Sprintf("%s/v1/blocks/%d", m.URL(), b.Height()))
		w.check(err)
		_ = resp.Body.Close()
		if resp.StatusCode == http.StatusInternalServerError {
			rotten = append(rotten, b.Height())
		}
	}
	if len(rotten) == 0 || len(rotten) == len(blocks) {
		t.Fatalf("got rotten blocks %v of %d, want some", rotten, len(blocks))
	}
	remedy := "headrace repair --home " + m.opt.Home
	s, err := m.Status().Wait(w.ctx, func(s node.Status) bool { return strings.Contains(s.Reason, remedy) })
	if err != nil || s.Ready {
		t.Fatalf("got %+v, %v, want the remedy", s, err)
	}
	m.stop()

	address, asked := w.deaf()
	var said bytes.Buffer
	killed := run("repair", "--l1.ws", "ws://"+address, "--l1.http", "http://"+address)
	killed.Stderr = &said
	w.check(killed.Start())
	<-asked
	w.check(killed.Process.Kill())
	_ = killed.Wait()
	for _, want := range []string{"checking the store", "the store is damaged", "a block is lost"} { // what it did, in the order in which it did it
		_, rest, found := strings.Cut(said.String(), want)
		if !found {
			t.Errorf("%q is not in what a repair has said when it was killed", want)
		}
		said = *bytes.NewBufferString(rest)
	}
	if n := strings.Count(said.String(), "\n"); n > 2 {
		t.Errorf("%d lines more", n)
	}
	m.start()
	if _, err := m.Status().Wait(w.ctx, func(s node.Status) bool { return strings.Contains(s.Reason, remedy) }); err != nil {
		t.Fatalf("after a repair that was killed: %v", err)
	}
	m.stop()

	repair := run("repair")
	said.Reset()
	repair.Stderr = &said
	out, err := repair.Output()
	if want := fmt.Sprintf("read %d lost blocks again, from %d to %d\n", len(rotten), rotten[0], rotten[len(rotten)-1]); err != nil || !strings.Contains(string(out), want) {
		t.Fatalf("repair: got %v: %q, want %q; it has said:\n%s", err, out, want, said.String())
	}
	m.start()
	after := whole()
	if after.Heads != before.Heads || after.Source.Position != before.Source.Position || *after.Proposal != *before.Proposal || after.Disk != "" {
		t.Errorf("got %+v, %+v after the repair, want %+v, %+v", after.Heads, after.Proposal, before.Heads, before.Proposal)
	}
	for _, want := range blocks {
		got, err := m.Block(want.Height())
		if err != nil || got.Hash != want.Hash().String() || !got.Safe || len(got.Txs) != len(want.Data.Txs) {
			t.Errorf("block %d: got %+v, %v", want.Height(), got, err)
		}
	}
	next := a.next(a.tx())
	last = next.Ref()
	w.propose(next)
	whole()
}
