package local_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"

	"headrace/da"
	"headrace/da/local"
	"headrace/follow"
	"headrace/internal/square"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	headers = da.NamespaceFromName("headers")
	data    = da.NamespaceFromName("data")
)

func blob(ns da.Namespace, data string) da.Blob {
	return da.Blob{Namespace: ns, Data: []byte(data), Index: -1}
}

func open(t testing.TB, o local.Options) *local.Chain {
	t.Helper()
	c, err := local.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// both runs a test with a history in memory and with one on disk.
func both(t *testing.T, test func(t *testing.T, o local.Options)) {
	t.Run("memory", func(t *testing.T) { test(t, local.Options{Interval: -1}) })
	t.Run("disk", func(t *testing.T) { test(t, local.Options{Interval: -1, Dir: "da", FS: vfs.NewMem()}) })
}

// submit submits each of subs in its own call and produces one block once all of them wait.
func submit(t testing.TB, c *local.Chain, subs ...[]da.Blob) (local.Head, []uint64) {
	t.Helper()
	heights := make([]uint64, len(subs))
	errs := make([]error, len(subs))
	var wg sync.WaitGroup
	for i, blobs := range subs {
		wg.Go(func() { heights[i], errs[i] = c.Submit(t.Context(), blobs) })
		pending(t, c, i+1) // one at a time, so that their order is known
	}
	head := produce(t, c)
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
	return head, heights
}

// pending waits until n submissions wait.
func pending(t testing.TB, c *local.Chain, n int) {
	t.Helper()
	if _, err := c.Pending().Wait(t.Context(), func(have int) bool { return have == n }); err != nil {
		t.Fatal(err)
	}
}

func produce(t testing.TB, c *local.Chain) local.Head {
	t.Helper()
	head, err := c.Produce()
	if err != nil {
		t.Fatal(err)
	}
	return head
}

func header(t testing.TB, c *local.Chain, height uint64) *square.ExtendedHeader {
	t.Helper()
	h, err := c.Header(height)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func contents(t testing.TB, c *local.Chain, height uint64, ns da.Namespace) []string {
	t.Helper()
	blobs, err := c.Blobs(height, ns)
	if err != nil {
		t.Fatal(err)
	}
	out := []string{}
	for _, b := range blobs {
		out = append(out, string(b.Data))
	}
	return out
}

func want(t testing.TB, what string, got, want any) {
	t.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		t.Errorf("%s: got %s, want %s", what, g, w)
	}
}

func TestSubmissionsShareAHeight(t *testing.T) {
	both(t, func(t *testing.T, o local.Options) {
		c := open(t, o)
		head, heights := submit(t, c,
			[]da.Blob{blob(headers, "h1"), blob(data, "d1"), blob(headers, "h2")},
			[]da.Blob{blob(data, "d2")},
			[]da.Blob{blob(headers, "h3")})
		want(t, "height", head.Height, 2)
		want(t, "heights", heights, []uint64{2, 2, 2})
		want(t, "headers", contents(t, c, 2, headers), []string{"h1", "h2", "h3"})
		want(t, "data", contents(t, c, 2, data), []string{"d1", "d2"})
		want(t, "other", contents(t, c, 2, da.NamespaceFromName("other")), []string{})
		want(t, "the height before", contents(t, c, 1, headers), []string{})
	})
}

// What a height's header, blobs and square say about each other agrees, also after the block has left the memory.
func TestBlocksAreReal(t *testing.T) {
	both(t, func(t *testing.T, o local.Options) {
		c := open(t, o)
		for i := range 6 {
			if i%2 == 0 {
				submit(t, c, []da.Blob{blob(headers, strings.Repeat("x", 600*i+1)), blob(data, "y")}, []da.Blob{blob(data, "z")})
			} else {
				produce(t, c)
			}
		}
		if o.Dir != "" {
			c.Close()
			c = open(t, o)
		}
		for h := uint64(1); h <= c.Head().Load().Height; h++ {
			checkHeight(t, c, h)
		}
	})
}

func checkHeight(t testing.TB, c *local.Chain, height uint64) {
	t.Helper()
	e := header(t, c, height)
	sq, err := c.Square(height)
	if err != nil {
		t.Fatal(err)
	}
	root := sq.DataHash()
	want(t, "data hash", e.Header.DataHash, root[:])
	if err := square.VerifyDAH(&e.DAH, e.Header.DataHash); err != nil {
		t.Errorf("height %d: %v", height, err)
	}
	for _, ns := range []da.Namespace{headers, data} {
		rows, err := sq.NamespaceData(ns)
		if err != nil {
			t.Fatal(err)
		}
		proven, err := square.VerifyNamespace(&e.DAH, ns, rows)
		if err != nil {
			t.Errorf("height %d: %v", height, err)
		}
		blobs, err := c.Blobs(height, ns)
		if err != nil {
			t.Fatal(err)
		}
		want(t, "blobs", blobs, proven)
	}
	checkSigned(t, e)
	if height > 1 {
		before := header(t, c, height-1)
		want(t, "parent", e.Header.Parent(), follow.Hash(before.Header.Hash()))
		last := before.Commit.Hash()
		want(t, "last commit", e.Header.LastCommitHash, last[:])
		if !e.Header.Time.After(before.Header.Time) {
			t.Errorf("height %d: time %s is not after %s", height, e.Header.Time, before.Header.Time)
		}
	}
}

func checkSigned(t testing.TB, e *square.ExtendedHeader) {
	t.Helper()
	hash := e.Header.Hash()
	want(t, "hash in the commit", e.Commit.BlockID.Hash, hash[:])
	set := e.ValidatorSet.Hash()
	want(t, "validators", e.Header.ValidatorsHash, set[:])
	if !ed25519.Verify(e.ValidatorSet.Validators[0].PubKey, e.Commit.SignBytes(e.Header.ChainID, 0), e.Commit.Signatures[0].Signature) {
		t.Errorf("height %d is not signed", e.Header.Height)
	}
	j, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	var again square.ExtendedHeader
	if err := json.Unmarshal(j, &again); err != nil {
		t.Fatal(err)
	}
	want(t, "hash after JSON", again.Header.Hash(), hash)
}

func TestLimits(t *testing.T) {
	both(t, func(t *testing.T, o local.Options) {
		o.MaxBlobBytes, o.MaxBlockBytes, o.MaxPerBlock, o.MaxPending = 100, 150, 3, 1000
		c := open(t, o)
		_, err := c.Submit(t.Context(), []da.Blob{blob(data, strings.Repeat("x", 60)), blob(data, strings.Repeat("x", 41))})
		if !errors.Is(err, da.ErrTooBig) {
			t.Errorf("got %v, want ErrTooBig", err)
		}
		for _, bad := range [][]da.Blob{nil, {blob(data, "")}, {blob(da.Namespace{28: 4}, "x")}, {{Namespace: data, Data: []byte("x"), ShareVersion: 1}}} {
			if _, err := c.Submit(t.Context(), bad); !errors.Is(err, da.ErrRejected) {
				t.Errorf("got %v, want ErrRejected", err)
			}
		}
		// 90 + 90 exceed a block, so the second and all behind it wait; then small ones are limited by their number.
		var wg sync.WaitGroup
		heights := make([]uint64, 7)
		for i, size := range []int{90, 90, 1, 1, 1, 1, 1} {
			wg.Go(func() { heights[i], _ = c.Submit(t.Context(), []da.Blob{blob(data, strings.Repeat("x", size))}) })
			pending(t, c, i+1)
		}
		for range 3 {
			produce(t, c)
		}
		wg.Wait()
		want(t, "heights", heights, []uint64{2, 3, 3, 3, 4, 4, 4})
	})
}

// What a square cannot hold goes into the next block, and what none can hold is refused; nobody else is kept from a block by it.
func TestNarrowSquares(t *testing.T) {
	both(t, func(t *testing.T, o local.Options) {
		o.MaxWidth = 4 // 16 shares
		c := open(t, o)
		var wg sync.WaitGroup
		heights, errs := make([]uint64, 6), make([]error, 6)
		for i, shares := range []int{5, 5, 5, 40, 3, 3} {
			wg.Go(func() {
				heights[i], errs[i] = c.Submit(t.Context(), []da.Blob{blob(data, strings.Repeat("x", shares*480))})
			})
			pending(t, c, i+1)
		}
		for c.Pending().Load() > 0 {
			produce(t, c)
		}
		wg.Wait()
		if !errors.Is(errs[3], da.ErrTooBig) {
			t.Errorf("got %v for a blob wider than a square, want ErrTooBig", errs[3])
		}
		for i, err := range errs {
			if i != 3 && (err != nil || len(contents(t, c, heights[i], data)) == 0) {
				t.Errorf("submission %d: got height %d, %v", i, heights[i], err)
			}
			if i > 0 && i != 3 && i != 4 && heights[i] < heights[i-1] {
				t.Errorf("submission %d is at height %d, before its forerunner", i, heights[i])
			}
		}
		for h := uint64(1); h <= c.Head().Load().Height; h++ {
			checkHeight(t, c, h)
		}
	})
}

func TestFullMempoolPushesBack(t *testing.T) {
	c := open(t, local.Options{Interval: -1, MaxPending: 10})
	var wg sync.WaitGroup
	wg.Go(func() { c.Submit(t.Context(), []da.Blob{blob(data, "12345678")}) })
	pending(t, c, 1)
	if _, err := c.Submit(t.Context(), []da.Blob{blob(data, "123")}); !errors.Is(err, da.ErrRateLimited) {
		t.Errorf("got %v, want ErrRateLimited", err)
	}
	produce(t, c)
	wg.Wait()
}

func TestSubmitWithdraws(t *testing.T) {
	c := open(t, local.Options{Interval: -1})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := c.Submit(ctx, []da.Blob{blob(data, "gone")})
		done <- err
	}()
	pending(t, c, 1)
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	want(t, "blobs of the next block", contents(t, c, produce(t, c).Height, data), []string{})
}

func TestPrune(t *testing.T) {
	both(t, func(t *testing.T, o local.Options) {
		c := open(t, o)
		for i := range 3000 {
			if i%500 == 0 {
				submit(t, c, []da.Blob{blob(data, "x")})
			} else {
				produce(t, c)
			}
		}
		at2502 := string(header(t, c, 2502).AppendJSON(nil))
		if err := c.Prune(2502); err != nil {
			t.Fatal(err)
		}
		if o.Dir != "" {
			c.Close()
			c = open(t, o)
		}
		want(t, "tail", c.Tail(), 2502)
		want(t, "the tail's header", string(header(t, c, 2502).AppendJSON(nil)), at2502)
		want(t, "data at the tail", contents(t, c, 2502, data), []string{"x"})
		_, headerErr := c.Header(2501)
		_, blobsErr := c.Blobs(2501, data)
		_, squareErr := c.Square(2002)
		for _, err := range []error{headerErr, blobsErr, squareErr} {
			if !errors.Is(err, da.ErrPruned) {
				t.Errorf("got %v, want ErrPruned", err)
			}
		}
		if _, err := c.Header(5000); !errors.Is(err, da.ErrFuture) {
			t.Errorf("got %v, want ErrFuture", err)
		}
		if err := c.Prune(1 << 40); err != nil {
			t.Fatal(err)
		}
		want(t, "tail after pruning all", c.Tail(), c.Head().Load().Height)
		checkSigned(t, header(t, c, c.Tail()))
	})
}

func TestRetain(t *testing.T) {
	both(t, func(t *testing.T, o local.Options) {
		o.Retain = 40
		c := open(t, o)
		for range 200 {
			head := produce(t, c)
			if n := head.Height - c.Tail() + 1; head.Height >= 50 && (n < 40 || n > 43) {
				t.Fatalf("head %d: got %d heights, want 40 or a few more", head.Height, n)
			}
		}
		checkHeight(t, c, c.Tail()+1)
	})
}

func TestCloseEndsWaits(t *testing.T) {
	both(t, func(t *testing.T, o local.Options) {
		c := open(t, o)
		errs := make(chan error, 2)
		go func() { errs <- c.WaitHeight(t.Context(), 10) }()
		go func() {
			_, err := c.Submit(t.Context(), []da.Blob{blob(data, "x")})
			errs <- err
		}()
		pending(t, c, 1)
		c.Close()
		for range 2 {
			if err := <-errs; !errors.Is(err, local.ErrClosed) {
				t.Errorf("got %v, want ErrClosed", err)
			}
		}
		if _, err := c.Produce(); !errors.Is(err, local.ErrClosed) {
			t.Errorf("got %v, want ErrClosed", err)
		}
	})
}

// The clock makes a block at each interval and shares it among all who submit, while others read; in a bubble, so no goroutine outlives it.
func TestClock(t *testing.T) {
	for _, dir := range []string{"", "da"} {
		t.Run("dir="+dir, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, err := local.New(local.Options{Interval: 20 * time.Millisecond, Dir: dir, FS: vfs.NewMem()})
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				ctx, cancel := context.WithCancel(t.Context())
				var wg sync.WaitGroup
				wg.Go(func() {
					if err := c.Run(ctx); !errors.Is(err, context.Canceled) {
						t.Errorf("got %v, want context.Canceled", err)
					}
				})
				began := time.Now()
				if err := c.WaitHeight(ctx, 501); err != nil {
					t.Fatal(err)
				}
				want(t, "time of 500 blocks", time.Since(began), 10*time.Second)
				for range 10 {
					wg.Go(func() {
						if h, err := c.Submit(ctx, []da.Blob{blob(data, "x")}); h != 502 || err != nil {
							t.Errorf("got height %d, %v, want 502", h, err)
						}
					})
				}
				if err := c.WaitHeight(ctx, 502); err != nil {
					t.Fatal(err)
				}
				want(t, "blobs", len(contents(t, c, 502, data)), 10)
				cancel()
				wg.Wait()
			})
		})
	}
}

func TestDeterministic(t *testing.T) {
	make := func() []byte {
		c := open(t, local.Options{Interval: -1, Deterministic: true, Genesis: time.Unix(1_700_000_000, 0)})
		submit(t, c, []da.Blob{blob(data, "x")})
		return header(t, c, produce(t, c).Height).AppendJSON(nil)
	}
	if a, b := make(), make(); !bytes.Equal(a, b) {
		t.Errorf("two chains differ\n%s\n%s", a, b)
	}
}

func TestAnnounce(t *testing.T) {
	var c *local.Chain
	var got []uint64
	c = open(t, local.Options{Interval: -1, Announce: func(h local.Head) {
		got = append(got, h.Height)
		if c != nil && c.Head().Load().Height != h.Height-1 {
			t.Errorf("height %d was announced before Announce was called", h.Height)
		}
	}})
	produce(t, c)
	produce(t, c)
	want(t, "announced", got, []uint64{1, 2, 3})
}

// Many empty heights cost little memory each, and nothing with the size of the history on disk.
func TestManyEmptyHeights(t *testing.T) {
	const n = 5_000
	c := open(t, local.Options{Interval: -1})
	before := heap()
	for range n {
		produce(t, c)
	}
	if per := (heap() - before) / n; per > 160 {
		t.Errorf("got %d bytes of memory per empty height, want at most 160", per)
	}
	want(t, "height", header(t, c, n).Header.Height, n)
}

func heap() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// A block is found by its hash: at each height there is, after a restart too, and by none that has been pruned.
func TestHeightOf(t *testing.T) {
	both(t, func(t *testing.T, o local.Options) {
		o.StartHeight = 100
		c := open(t, o)
		hashes := map[uint64][32]byte{}
		check := func() {
			t.Helper()
			for height, hash := range hashes {
				got, err := c.HeightOf(hash)
				if gone := height < c.Tail(); !gone && (err != nil || got != height) {
					t.Errorf("hash of height %d: got %d, %v", height, got, err)
				} else if _, err := c.Header(got); gone && err == nil {
					t.Errorf("hash of height %d, which has been pruned, is one of %d", height, got)
				}
			}
			if _, err := c.HeightOf([32]byte{1}); !errors.Is(err, da.ErrNotFound) {
				t.Errorf("a hash of nothing: got %v, want ErrNotFound", err)
			}
		}
		add := func(n int) {
			for range n {
				head := produce(t, c)
				hashes[head.Height] = [32]byte(head.Hash)
			}
		}
		add(1100) // more than a chunk
		check()
		if err := c.Prune(1000); err != nil {
			t.Fatal(err)
		}
		check()
		if o.Dir == "" {
			return
		}
		reopen := func() { c.Close(); c = open(t, o) }
		reopen()
		check()
		if n := local.Hashes(t, c); n != 201 {
			t.Errorf("got %d hashes in the index, want those of the 201 heights there are", n)
		}
		local.DropHashes(t, c) // a home that a program without this index has made
		reopen()
		check()
		add(3)
		local.DropHashesFrom(t, c, 1199) // and one in which such a program has made some blocks more
		reopen()
		check()
	})
}

// While a block is made the chain says so, to those who have work that can wait, and not before or after.
func TestMaking(t *testing.T) {
	var c *local.Chain
	during := false
	c = open(t, local.Options{Interval: -1, Announce: func(local.Head) {
		if c != nil { // the first block is made before there is a chain to ask
			during = c.Making().Load()
		}
	}})
	produce(t, c)
	if after := c.Making().Load(); !during || after {
		t.Errorf("a block is being made: got %t during it and %t after it", during, after)
	}
}
