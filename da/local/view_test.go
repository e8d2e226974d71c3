package local_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"headrace/da"
	"headrace/da/fault"
	"headrace/da/local"
	"headrace/follow"
	"headrace/internal/square"
)

// faulty returns a chain of n blocks, "data n" in each, and a view of it.
func faulty(t testing.TB, n int) (*local.Chain, *local.View, *fault.Set) {
	t.Helper()
	c := open(t, local.Options{Interval: -1})
	faults := new(fault.Set)
	v := c.View(faults)
	for i := 2; i <= n; i++ {
		submit(t, c, []da.Blob{blob(data, fmt.Sprint("data ", i)), blob(headers, fmt.Sprint("header ", i)), blob(data, "more")})
	}
	return c, v, faults
}

func with(t testing.TB, s *fault.Set, f fault.Fault) {
	t.Helper()
	s.Clear()
	if _, err := s.Add(f); err != nil {
		t.Fatal(err)
	}
}

// told returns what a view says of a height: its blobs in a namespace, or the error in a word.
func told(v *local.View, height uint64, ns da.Namespace) string {
	blobs, err := v.Blobs(height, ns)
	if err == nil {
		return fmt.Sprint(texts(blobs))
	}
	for name, target := range map[string]error{"future": da.ErrFuture, "pruned": da.ErrPruned, "syncing": da.ErrSyncing, "unavailable": square.ErrUnavailable} {
		if errors.Is(err, target) {
			return name
		}
	}
	return err.Error()
}

func TestViewWithoutFaults(t *testing.T) {
	c, v, _ := faulty(t, 5)
	for _, v := range []*local.View{v, c.View(nil)} {
		want(t, "head", v.Head().Load(), c.Head().Load())
		want(t, "told", told(v, 4, data), "[data 4 more]")
		want(t, "beyond", told(v, 6, data), "future")
		h, err := v.Header(4)
		if err != nil {
			t.Fatal(err)
		}
		want(t, "header", string(h.AppendJSON(nil)), string(header(t, c, 4).AppendJSON(nil)))
		want(t, "chain", v.ChainID(), c.ChainID())
	}
}

// The head that is told follows the faults at once, and the chain's when they are gone.
func TestViewHead(t *testing.T) {
	c, v, faults := faulty(t, 8)
	head := func() uint64 { return v.Head().Load().Height }

	with(t, faults, fault.Fault{Kind: fault.HeadBehind, Depth: 3})
	want(t, "head behind", head(), 5)
	want(t, "hash", v.Head().Load().Hash, follow.Hash(header(t, c, 5).Header.Hash()))
	want(t, "above it", told(v, 6, data), "future")
	want(t, "at it", told(v, 5, data), "[data 5 more]")
	produce(t, c)
	want(t, "head behind, a block later", head(), 6)
	with(t, faults, fault.Fault{Kind: fault.HeadBehind, Depth: 100})
	want(t, "head far behind", head(), 1)

	with(t, faults, fault.Fault{Kind: fault.Pause})
	faults.Clear()
	want(t, "head", head(), 9)
	with(t, faults, fault.Fault{Kind: fault.Pause})
	produce(t, c)
	produce(t, c)
	want(t, "head in a pause", head(), 9)
	want(t, "above it", told(v, 10, data), "future")
	faults.Clear()
	want(t, "head after the pause", v.Head().Load(), c.Head().Load())

	with(t, faults, fault.Fault{Kind: fault.Syncing, From: 7})
	want(t, "head in syncing", head(), 6)
	want(t, "above it", told(v, 7, data), "syncing")
	faults.Clear()
	with(t, faults, fault.Fault{Kind: fault.Syncing})
	produce(t, c)
	want(t, "head in syncing from now on", head(), 11)
	want(t, "above it", told(v, 12, data), "syncing")
	faults.Clear()
	want(t, "head in the end", v.Head().Load(), c.Head().Load())
}

func TestViewTail(t *testing.T) {
	_, v, faults := faulty(t, 8)
	with(t, faults, fault.Fault{Kind: fault.BelowTail, To: 6})
	want(t, "tail", v.Tail(), 6)
	want(t, "below", told(v, 5, data), "pruned")
	want(t, "at", told(v, 6, data), "[data 6 more]")
	if _, err := v.Header(5); !errors.Is(err, da.ErrPruned) {
		t.Errorf("got %v, want ErrPruned", err)
	}
	faults.Clear()
	want(t, "tail", v.Tail(), 1)
}

// What a lie about blobs says is what its kind promises, only where it should, and the proofs of the same endpoint tell it.
func TestViewBlobs(t *testing.T) {
	_, v, faults := faulty(t, 8)
	for _, c := range []struct {
		fault             fault.Fault
		at4, at5, headers string
	}{
		{fault.Fault{Kind: fault.FalseEmpty, From: 4, To: 5}, "[]", "[data 5 more]", "[]"},
		{fault.Fault{Kind: fault.FalseEmpty, From: 4, To: 5, Namespace: &data}, "[]", "[data 5 more]", "[header 4]"},
		{fault.Fault{Kind: fault.MissingBlob}, "[data 4]", "[data 5]", "[]"},
		{fault.Fault{Kind: fault.MissingBlob, Times: 1}, "[data 4]", "[data 5 more]", "[header 4]"},
		{fault.Fault{Kind: fault.CorruptBlob, From: 4, Namespace: &data}, "[da5a 4 mnre]", "[da5a 5 mnre]", "[header 4]"},
	} {
		with(t, faults, c.fault)
		j, _ := c.fault.MarshalJSON()
		want(t, string(j)+" at 4", told(v, 4, data), corrupted(c.at4))
		want(t, string(j)+" at 5", told(v, 5, data), corrupted(c.at5))
		want(t, string(j)+", headers", told(v, 4, headers), c.headers)
	}
	with(t, faults, fault.Fault{Kind: fault.HugeBlob, Size: 3 << 20, Namespace: &data})
	blobs, err := v.Blobs(4, data)
	if err != nil || len(blobs) != 3 || len(blobs[0].Data) != 3<<20 || string(blobs[1].Data) != "data 4" {
		t.Errorf("got %d blobs, %v, want a huge one and the two", len(blobs), err)
	}
	faults.Clear()
	want(t, "in the end", told(v, 4, data), "[data 4 more]")
}

// corrupted replaces the readable stand-ins of TestViewBlobs by what flipping a bit in the middle of a blob gives.
func corrupted(s string) string {
	for i, stand := range []string{"da5a 4", "da5a 5", "mnre"} {
		b := []byte([]string{"data 4", "data 5", "more"}[i])
		b[len(b)/2] ^= 1
		s = strings.ReplaceAll(s, stand, string(b))
	}
	return s
}

func TestViewLosesData(t *testing.T) {
	_, v, faults := faulty(t, 6)
	with(t, faults, fault.Fault{Kind: fault.FalseEmpty, From: 4, To: 5, Namespace: &data})
	if _, err := v.NamespaceData(4, data); !errors.Is(err, square.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
	for _, c := range []struct {
		height uint64
		ns     da.Namespace
	}{{4, headers}, {5, data}} {
		if rows, err := v.NamespaceData(c.height, c.ns); err != nil || len(rows) == 0 {
			t.Errorf("got %d rows, %v, want the data of a namespace that is not lost", len(rows), err)
		}
	}
	with(t, faults, fault.Fault{Kind: fault.FalseEmpty})
	if _, err := v.Square(4); !errors.Is(err, square.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
	// The header remains, and it tells the lie.
	h, err := v.Header(4)
	if err != nil {
		t.Fatal(err)
	}
	need, err := square.VerifyBlobs(da.ProveEmpty, &square.Evidence{DataHash: h.Header.DataHash, DAH: &h.DAH}, []da.Namespace{data}, nil)
	if err != nil || need.Nothing() {
		t.Errorf("got %+v, %v: a false empty is taken for proven", need, err)
	}
}

// Another chain links and is signed, has other hashes from where it begins, and no blobs.
func TestViewOtherChain(t *testing.T) {
	c, v, faults := faulty(t, 8)
	check := func(from uint64) {
		t.Helper()
		for h := uint64(1); h <= c.Head().Load().Height; h++ {
			e, err := v.Header(h)
			if err != nil {
				t.Fatal(err)
			}
			checkSigned(t, e)
			real := header(t, c, h).Header.Hash()
			if other := e.Header.Hash() != real; other != (h >= from) {
				t.Errorf("height %d: other is %t, want it from %d on", h, other, from)
			}
			if h > 1 {
				before, err := v.Header(h - 1)
				if err != nil {
					t.Fatal(err)
				}
				want(t, "parent", e.Header.Parent(), follow.Hash(before.Header.Hash()))
			}
			if h >= from {
				want(t, "blobs", told(v, h, data), "[]")
			}
		}
		e, err := v.Header(c.Head().Load().Height)
		if err != nil {
			t.Fatal(err)
		}
		want(t, "head", v.Head().Load().Hash, follow.Hash(e.Header.Hash()))
	}
	with(t, faults, fault.Fault{Kind: fault.OtherChain, From: 5})
	check(5)
	produce(t, c)
	check(5)
	want(t, "below", told(v, 4, data), "[data 4 more]")
	with(t, faults, fault.Fault{Kind: fault.OtherChain, Text: "another"})
	check(1)
	want(t, "chain", v.ChainID(), "another")
	faults.Clear()
	want(t, "head in the end", v.Head().Load(), c.Head().Load())
	want(t, "chain in the end", v.ChainID(), c.ChainID())
}

func TestViewSubmit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := local.New(local.Options{Interval: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		ctx, cancel := context.WithCancel(t.Context())
		ran := make(chan struct{})
		go func() { c.Run(ctx); close(ran) }()
		defer func() { cancel(); <-ran }()
		faults := new(fault.Set)
		v := c.View(faults)
		try := func(f fault.Fault) (included []string, err error) {
			t.Helper()
			with(t, faults, f)
			before := c.Head().Load().Height
			ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
			defer cancel()
			_, err = v.Submit(ctx, []da.Blob{blob(data, "x")})
			for h := before + 1; h <= c.Head().Load().Height; h++ {
				included = append(included, contents(t, c, h, data)...)
			}
			return included, err
		}
		in, err := try(fault.Fault{Kind: fault.SubmitReject})
		if len(in) > 0 || !errors.Is(err, da.ErrRejected) {
			t.Errorf("reject: got %v included, %v", in, err)
		}
		in, err = try(fault.Fault{Kind: fault.SubmitLost, Text: "gone"})
		if len(in) != 1 || !errors.Is(err, da.ErrUnknownOutcome) || !strings.Contains(err.Error(), "gone") {
			t.Errorf("lost: got %v included, %v", in, err)
		}
		in, err = try(fault.Fault{Kind: fault.SubmitTimeout})
		if len(in) > 0 || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("timeout: got %v included, %v", in, err)
		}
		in, err = try(fault.Fault{Kind: fault.Stall})
		if len(in) != 1 || err != nil {
			t.Errorf("none: got %v included, %v", in, err)
		}
	})
}

// A subscription of a view tells of heads that go back and come again, and skips nothing that it has not to.
func TestViewSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := local.New(local.Options{Interval: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		faults := new(fault.Set)
		v := c.View(faults)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 2)
		go func() { ended <- c.Run(ctx) }()
		var got []uint64
		go func() {
			ended <- v.Source(data).Subscribe(ctx, func(u follow.Update[da.Block]) {
				got = append(got, u.Head.Height)
				if u.Item == nil || u.Item.Ref() != u.Head {
					t.Errorf("got item %v of head %v", u.Item, u.Head)
				}
			})
		}()
		time.Sleep(3500 * time.Millisecond) // heads 1 to 4
		with(t, faults, fault.Fault{Kind: fault.HeadBehind, Depth: 2})
		time.Sleep(time.Second) // 2, 3
		faults.Clear()
		synctest.Wait() // 5
		with(t, faults, fault.Fault{Kind: fault.Pause})
		time.Sleep(3 * time.Second)
		faults.Clear()
		synctest.Wait() // 8
		cancel()
		<-ended
		<-ended
		want(t, "heads", got, []uint64{1, 2, 3, 4, 2, 3, 5, 8})
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		if err := v.WaitHeight(t.Context(), 100); !errors.Is(err, local.ErrClosed) {
			t.Errorf("got %v, want ErrClosed", err)
		}
	})
}
