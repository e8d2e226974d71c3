package node_test

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"headrace/block"
	"headrace/da"
	"headrace/devnet"
	"headrace/internal/disk/disktest"
	"headrace/node"
)

// returns is how long the head may take to be reached again once the disk works: ten seconds, and what a busy machine
// takes longer.
const returns = 40 * time.Second

// TestDiskFailsAndReturns: the disk below the store or the engine is full, or has no descriptors left, from each of
// its operations in turn on, until it is freed. The sequencer is not live and says so; when the fault ends it goes on
// in the same process, loses no transaction that it took, and has signed no height twice.
func TestDiskFailsAndReturns(t *testing.T) {
	full := &fs.PathError{Op: "write", Path: "disk", Err: syscall.ENOSPC}
	many := &fs.PathError{Op: "open", Path: "disk", Err: syscall.EMFILE}
	for name, c := range map[string]struct {
		engine, opens bool
		err           error
		times         int
	}{
		"store, disk full":            {false, false, full, 6},
		"engine, disk full":           {true, false, full, 6},
		"store, too many open files":  {false, true, many, 4},
		"engine, too many open files": {true, true, many, 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, _ := daLayer(t, "127.0.0.1:0", "", 50*time.Millisecond)
			chain := newChain(t, "disk")
			store, engine := &disktest.FaultFS{FS: vfs.NewMem(), At: -1}, &disktest.FaultFS{FS: vfs.NewMem(), At: -1}
			broken := store
			if c.engine {
				broken = engine
			}
			broken.Opens, broken.Lasts, broken.Err = c.opens, true, c.err
			o := node.OnDisks(chain.sequencer(t, d.URL(), 20*time.Millisecond), store, engine)
			seen := &signed{}
			o.Observer.Applied = seen.applied
			n := start(t, o)
			follower := start(t, chain.full(t, d.URL()))
			n.until(t, "ready", func(s node.Status) bool { return s.Ready && s.Heads.Safe.Height >= 3 })
			for i := range c.times {
				breakDisk(t, n, broken, i, c.opens)
			}
			s := n.Status().Load()
			follower.until(t, "level", func(f node.Status) bool { return f.Heads.Safe.Height >= s.Heads.Safe.Height })
			wantSame(t, n, follower, s.Heads.Safe.Height)
			n.stopped(t)
			seen.check(t)
			checkPosted(t, d, chain, s.Source.Position.Height)
		})
	}
}

// breakDisk fails the disk from its operation i on, waits until the node is not live, frees the disk, and waits until
// it is at the head again.
func breakDisk(t *testing.T, n *running, broken *disktest.FaultFS, i int, opens bool) {
	t.Helper()
	size := 1
	if opens {
		size = 200_000 // what is open works on: a file is opened when one is full
	}
	broken.FailIn(i)
	down := make(chan struct{})
	var posting sync.WaitGroup
	posting.Go(func() {
		for j := 0; ; j++ {
			select {
			case <-down:
				return
			default:
			}
			code, body := ask(t, n, http.MethodPost, "/v1/txs", fmt.Sprintf("key-%d-%d=%s", i, j, strings.Repeat("x", size)))
			if code != http.StatusAccepted && code != http.StatusServiceUnavailable {
				t.Errorf("transaction: got %d: %s", code, body)
			}
		}
	})
	// A read that fails for want of a descriptor is tried again: only a failed write is not.
	s := n.until(t, "told of its disk", func(s node.Status) bool {
		return s.Disk != "" || opens && !s.Ready && strings.Contains(s.Reason, broken.Err.Error())
	})
	close(down)
	posting.Wait()
	if s.Disk != "" {
		if s.Ready || s.Reason != s.Disk || !strings.Contains(s.Disk, "disk failed") || !strings.Contains(s.Disk, broken.Err.Error()) {
			t.Errorf("got ready %v, reason %q, disk %q", s.Ready, s.Reason, s.Disk)
		}
		if body := wantStatus(t, n, "/livez", 503); !strings.Contains(body, "disk failed") {
			t.Errorf("not live: got %q, want the reason", body)
		}
	}
	wantStatus(t, n, "/readyz", 503)
	last := fmt.Sprintf("last-%d", i)
	if code, body := ask(t, n, http.MethodPost, "/v1/txs", last+"=there"); code != http.StatusAccepted {
		t.Errorf("transaction while the disk is full: got %d: %s", code, body)
	}
	if s.Disk != "" { // the fault outlasts a try
		n.until(t, "opening its home in vain", func(s node.Status) bool { return strings.Contains(s.Disk, "; opening it anew: ") })
	}
	broken.Mend()
	freed := time.Now()
	n.until(t, "at the head again", func(now node.Status) bool {
		return now.Ready && now.Source.Lag <= 3 && now.Heads.Unsafe.Height > s.Heads.Unsafe.Height
	})
	if took := time.Since(freed); took > returns {
		t.Errorf("got the head %s after the disk was freed, want at most %s", took, returns)
	}
	wantStatus(t, n, "/livez", 200)
	waitValue(t, n, last, "there")
}

// signed is every block that a sequencer has shown.
type signed struct {
	mu   sync.Mutex
	at   map[uint64]block.Hash
	errs []error
}

func (s *signed) applied(a node.Applied) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at == nil {
		s.at = map[uint64]block.Hash{}
	}
	if was, ok := s.at[a.Ref.Height]; ok && was != a.Ref.Hash {
		s.errs = append(s.errs, fmt.Errorf("height %d was signed as %s and as %s", a.Ref.Height, was, a.Ref.Hash))
	}
	s.at[a.Ref.Height] = a.Ref.Hash
}

func (s *signed) check(t *testing.T) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := errors.Join(s.errs...); err != nil || len(s.at) == 0 {
		t.Errorf("%d heights: %v", len(s.at), err)
	}
}

// checkPosted fails the test if two headers of one height are on the DA layer up to a height of it.
func checkPosted(t *testing.T, d *devnet.DA, c chain, to uint64) {
	t.Helper()
	ns := da.NamespaceFromName(c.genesis.DA.HeaderNamespace)
	var posted signed
	for h := uint64(1); h <= to; h++ {
		blobs, err := d.Chain().Blobs(h, ns)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range blobs {
			header, err := block.DecodeSignedHeader(b.Data)
			if err != nil {
				t.Fatal(err)
			}
			posted.applied(node.Applied{Ref: block.Ref{Height: header.Header.Height, Hash: header.Header.Hash()}})
		}
	}
	posted.check(t)
}

func wantSame(t *testing.T, n, other *running, to uint64) {
	t.Helper()
	for h := uint64(1); h <= to; h++ {
		a, errA := n.Block(h)
		b, errB := other.Block(h)
		if err := errors.Join(errA, errB); err != nil || a.Hash != b.Hash || string(a.StateRoot) != string(b.StateRoot) {
			t.Fatalf("block %d: got %s and %s: %v", h, a.Hash, b.Hash, err)
		}
	}
}
