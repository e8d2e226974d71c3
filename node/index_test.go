package node_test

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"headrace/devnet/geth"
	"headrace/devnet/geth/gethtest"
	"headrace/internal/disk/disktest"
	"headrace/node"
)

// onGeth gives o an execution client of its own as the engine.
func onGeth(t *testing.T, o node.Options) (node.Options, *geth.Node) {
	t.Helper()
	g := gethtest.Open(t, geth.Options{})
	raw, err := json.Marshal(g.Genesis())
	file := filepath.Join(t.TempDir(), "genesis.json")
	if err := errors.Join(err, os.WriteFile(file, raw, 0o600)); err != nil {
		t.Fatal(err)
	}
	e := &o.Config.Engine
	e.Kind, e.URL, e.JWTFile, e.GenesisFile = "engineapi", g.Engine(), filepath.Join(g.Dir(), "jwt.hex"), file
	return o, g
}

// rewind takes a block from an execution client.
func rewind(t *testing.T, g *geth.Node) {
	t.Helper()
	call := func(method, params string) (result string) {
		body := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":%q,"params":[%s]}`, method, params)
		resp, err := http.Post(g.HTTP(), "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var answer struct {
			Result string
			Error  any
		}
		if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || answer.Error != nil {
			t.Fatalf("%s: %v, %v", method, answer.Error, err)
		}
		return answer.Result
	}
	number, err := strconv.ParseUint(call("eth_blockNumber", ""), 0, 64)
	if err != nil {
		t.Fatal(err)
	}
	call("debug_setHead", fmt.Sprintf(`"%#x"`, number-1))
}

// TestIndexFailsAndReturns: the disk below the index of an execution client's blocks is full, from each of its
// operations in turn on, and the client loses blocks, which the index writes down at once. The sequencer says so, and
// when the disk is freed it goes on in the same process and has signed no height twice.
func TestIndexFailsAndReturns(t *testing.T) {
	t.Parallel()
	d, _ := daLayer(t, "127.0.0.1:0", "", 200*time.Millisecond)
	chain := newChain(t, "index")
	index := &disktest.FaultFS{FS: vfs.NewMem(), At: -1, Lasts: true, Err: &fs.PathError{Op: "write", Path: "disk", Err: syscall.ENOSPC}}
	o, g := onGeth(t, chain.sequencer(t, d.URL(), 200*time.Millisecond))
	o.Config.Sequencer.Lazy, o.Config.Sequencer.LazyInterval = true, time.Second
	o = node.OnDisks(o, nil, index)
	seen := &signed{}
	o.Observer.Applied = seen.applied
	n := start(t, o)
	full, _ := onGeth(t, chain.full(t, d.URL()))
	follower := start(t, full)
	n.until(t, "ready", func(s node.Status) bool { return s.Ready && s.Heads.Safe.Height >= 3 })
	for i := range 4 {
		index.FailIn(i)
		down := n.Status().Load()
		for down.Disk == "" {
			height := down.Heads.Unsafe.Height
			down = n.until(t, "beyond a block, or told of its disk", func(s node.Status) bool { return s.Disk != "" || s.Heads.Unsafe.Height > height })
			if down.Disk != "" {
				break
			}
			ordered(t, n, "stop", o.Config.HTTP.Token) // a client that is rewound while it is given a block may be left without a head
			rewind(t, g)
			ordered(t, n, "start", o.Config.HTTP.Token)
			before := down.Counts.Replayed
			down = n.until(t, "told of its disk, nor of the block", func(s node.Status) bool { return s.Disk != "" || s.Counts.Replayed > before })
		}
		if down.Ready || !strings.Contains(down.Disk, "disk failed") || !strings.Contains(down.Disk, filepath.Join(o.Home, "engine")) {
			t.Errorf("got ready %v, disk %q", down.Ready, down.Disk)
		}
		wantStatus(t, n, "/livez", 503)
		index.Mend()
		n.until(t, "at the head again", func(s node.Status) bool {
			return s.Ready && s.Heads.Unsafe.Height > down.Heads.Unsafe.Height && s.Heads.Safe.Height > down.Heads.Safe.Height
		})
		wantStatus(t, n, "/livez", 200)
	}
	s := n.Status().Load()
	follower.until(t, "level", func(f node.Status) bool { return f.Heads.Safe.Height >= s.Heads.Safe.Height })
	wantSame(t, n, follower, s.Heads.Safe.Height)
	n.stopped(t)
	seen.check(t)
	checkPosted(t, d, chain, s.Source.Position.Height)
}

// TestRottenIndex: the newest record of the index is rotten. The node does not start, and says what to do; that removes
// the index alone, and the client's blocks are taken over.
func TestRottenIndex(t *testing.T) {
	t.Parallel()
	d, _ := daLayer(t, "127.0.0.1:0", "", 100*time.Millisecond)
	o, _ := onGeth(t, newChain(t, "rotten-index").sequencer(t, d.URL(), 300*time.Millisecond))
	n := start(t, o)
	n.until(t, "beyond 5", func(s node.Status) bool { return s.Ready && s.Heads.Safe.Height > 5 })
	n.stopped(t)
	head := n.Status().Load()
	root, err := hex.DecodeString(head.StateRoot)
	if err != nil {
		t.Fatal(err)
	}
	if err := node.Repair(t.Context(), o, false, t.Logf); err != nil { // it brings what is in the log into a table
		t.Fatal(err)
	}
	flip(t, filepath.Join(o.Home, "engine"), string(root[:16]))
	if _, err := node.New(o); !errors.Is(err, node.ErrDamaged) || !strings.Contains(err.Error(), "headrace repair --home "+o.Home) {
		t.Fatalf("got %v, want it damaged, and the remedy", err)
	}
	if err := node.Repair(t.Context(), o, false, t.Logf); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(o.Home, "engine")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the index is there after the repair: %v", err)
	}
	n = start(t, o)
	s := n.until(t, "ready", ready)
	s = n.until(t, "going on", func(now node.Status) bool { return now.Heads.Safe.Height > s.Heads.Unsafe.Height })
	if s.Counts.Replayed < head.Heads.Unsafe.Height {
		t.Errorf("got %d blocks replayed, want all %d", s.Counts.Replayed, head.Heads.Unsafe.Height)
	}
	again, err := n.Block(head.Heads.Unsafe.Height)
	if err != nil || again.Hash != head.Heads.Unsafe.Hash.String() || again.StateRoot == nil {
		t.Errorf("got block %s, %v, want %s", again.Hash, err, head.Heads.Unsafe.Hash)
	}
}
