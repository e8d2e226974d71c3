package celestia_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	reference "github.com/filecoin-project/go-jsonrpc"

	"headrace/da"
	"headrace/da/celestia"
	"headrace/da/fault"
	"headrace/da/local"
	"headrace/follow"
	"headrace/internal/httpc"
	"headrace/internal/square"
)

// The tests of this file are about an endpoint that speaks well and lies: what it tells first may be true, and what
// it tells where one looks twice, as in a range of headers, in a proof, in a pushed event, is not.

// liar is a chain that tells the truth where a function is nil.
type liar struct {
	*local.Chain
	header func(e *square.ExtendedHeader) *square.ExtendedHeader // gets a copy, and may change it
	blobs  func(height uint64, ns da.Namespace, told []da.Blob) []da.Blob
	square func(height uint64) *square.Square // of which it shows shares; nil: the true one
}

func (l *liar) Header(height uint64) (*square.ExtendedHeader, error) {
	e, err := l.Chain.Header(height)
	if err != nil || l.header == nil {
		return e, err
	}
	spoiled := *e
	return l.header(&spoiled), nil
}

func (l *liar) Blobs(height uint64, ns da.Namespace) ([]da.Blob, error) {
	told, err := l.Chain.Blobs(height, ns)
	if err == nil && l.blobs != nil {
		told = l.blobs(height, ns, told)
	}
	return told, err
}

func (l *liar) Square(height uint64) (*square.Square, error) {
	if l.square != nil {
		if sq := l.square(height); sq != nil {
			return sq, nil
		}
	}
	return l.Chain.Square(height)
}

func (l *liar) NamespaceData(height uint64, ns da.Namespace) ([]square.NamespaceRow, error) {
	sq, err := l.Square(height)
	if err != nil {
		return nil, err
	}
	return sq.NamespaceData(ns)
}

// madeOf returns a square of these blobs, as a liar makes one.
func madeOf(t testing.TB, blobs ...da.Blob) *square.Square {
	t.Helper()
	sq, err := square.Build(blobs)
	if err != nil {
		t.Fatal(err)
	}
	return sq
}

// rewriting serves a chain over HTTP alone, and puts another result in the place of each of a method's.
func rewriting(t testing.TB, chain celestia.Chain, method string, rewrite func(result json.RawMessage) json.RawMessage) string {
	t.Helper()
	h := celestia.NewHandler(chain, celestia.HandlerOptions{})
	t.Cleanup(func() { _ = h.Close() })
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Del("Connection") // no WebSocket
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		var request struct {
			Method string
		}
		answer := httptest.NewRecorder()
		h.ServeHTTP(answer, r)
		w.Header().Set("Content-Type", answer.Header().Get("Content-Type"))
		out := map[string]json.RawMessage{}
		if json.Unmarshal(body, &request) != nil || request.Method != method || json.Unmarshal(answer.Body.Bytes(), &out) != nil || out["result"] == nil {
			w.WriteHeader(answer.Code)
			_, _ = w.Write(answer.Body.Bytes())
			return
		}
		out["result"] = rewrite(out["result"])
		_ = json.NewEncoder(w).Encode(out)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// tryFetch returns what a fetch delivered, and how it ended.
func tryFetch(t *testing.T, c *celestia.Client, from, to uint64) (items []follow.Item[da.Block], err error) {
	t.Helper()
	err = c.Fetch(deadline(t), from, to, func(i follow.Item[da.Block]) error {
		items = append(items, i)
		return nil
	})
	return items, err
}

// TestLyingHeaders: of a range with a false header nothing is delivered from that height on, and Fetch fails. Items
// are the heights asked for, linked, of one chain (I1).
func TestLyingHeaders(t *testing.T) {
	const from, bad, to = 2, 6, 90 // the first chunk ends at 67
	other := newChain(t, local.Options{ChainID: "other"})
	produce(t, other, to)
	for name, lie := range map[string]struct {
		bad    uint64
		header func(e *square.ExtendedHeader) *square.ExtendedHeader
	}{
		"another parent": {bad, func(e *square.ExtendedHeader) *square.ExtendedHeader {
			e.Header.LastBlockID.Hash = bytes.Repeat([]byte{7}, 32)
			return e
		}},
		"another parent, between requests": {from + 65, func(e *square.ExtendedHeader) *square.ExtendedHeader {
			e.Header.LastBlockID.Hash = bytes.Repeat([]byte{7}, 32)
			return e
		}},
		"another height": {bad, func(e *square.ExtendedHeader) *square.ExtendedHeader { e.Header.Height++; return e }},
		"another chain":  {bad, func(e *square.ExtendedHeader) *square.ExtendedHeader { e.Header.ChainID = "other"; return e }},
	} {
		t.Run(name, func(t *testing.T) {
			chain := newChain(t, local.Options{})
			produce(t, chain, bad-2)
			submit(t, chain, blob(alpha, "at the bad height"))
			produce(t, chain, to-bad)
			l := &liar{Chain: chain, header: func(e *square.ExtendedHeader) *square.ExtendedHeader {
				if e.Header.Height == lie.bad {
					return lie.header(e)
				}
				return e
			}}
			c := newClient(t, serve(t, l, celestia.HandlerOptions{}), celestia.Options{Namespaces: []da.Namespace{alpha}})
			got, err := tryFetch(t, c, from, to)
			if err == nil || uint64(len(got)) > lie.bad-from {
				t.Errorf("got %d items and %v, want at most %d and an error", len(got), err, lie.bad-from)
			}
			if asked := c.Stats().ContentFetches; name == "another height" && asked != 0 {
				t.Errorf("asked for %d contents by a header of another height, want 0", asked)
			}
			for i, want := range fetch(t, chain.Source(alpha), from, from+uint64(len(got))) {
				if got[i].Ref() != want.Ref() {
					t.Errorf("item %d: got %v, want %v", i, got[i].Ref(), want.Ref())
				}
			}
		})
	}
}

// TestLyingRanges: a range is all the headers asked for, and no more; by one that is not, nothing is asked for beyond
// it. What is told of it truly is taken.
func TestLyingRanges(t *testing.T) {
	const from, second, to = 2, 67, 80 // second is where the second chunk begins
	chain := newChain(t, local.Options{})
	produce(t, chain, second-2)
	submit(t, chain, blob(alpha, "beyond the first chunk"))
	produce(t, chain, to-second)
	after := func(list []json.RawMessage) json.RawMessage {
		last, _, err := square.ScanHeader(list[len(list)-1], false)
		if err != nil {
			t.Error(err)
		}
		e, err := chain.Header(last.Height + 1)
		if err != nil {
			t.Error(err)
		}
		return e.AppendJSON(nil)
	}
	for name, change := range map[string]func([]json.RawMessage) []json.RawMessage{
		"true":         func(l []json.RawMessage) []json.RawMessage { return l },
		"one too few":  func(l []json.RawMessage) []json.RawMessage { return l[:len(l)-1] },
		"none":         func([]json.RawMessage) []json.RawMessage { return nil },
		"one too many": func(l []json.RawMessage) []json.RawMessage { return append(l, after(l)) },
		"one twice":    func(l []json.RawMessage) []json.RawMessage { return append(l[:4], l[3:]...) },
	} {
		t.Run(name, func(t *testing.T) {
			url := rewriting(t, chain, "header.GetRangeByHeight", func(result json.RawMessage) json.RawMessage {
				var list []json.RawMessage
				if err := json.Unmarshal(result, &list); err != nil {
					t.Error(err)
				}
				out, err := json.Marshal(change(list))
				if err != nil {
					t.Error(err)
				}
				return out
			})
			c := newClient(t, url, celestia.Options{Namespaces: []da.Namespace{alpha}})
			got, err := tryFetch(t, c, from, to)
			if (err == nil) != (name == "true") || len(got) > to-from || err == nil && len(got) < to-from {
				t.Errorf("got %d items and %v, want all and no error, or an error", len(got), err)
			}
			if asked := c.Stats().ContentFetches; asked > 0 && err != nil {
				t.Errorf("asked for %d contents beyond the range that is not as asked for, want 0", asked)
			}
			for i := range got {
				if got[i].Height != from+uint64(i) {
					t.Errorf("item %d has height %d", i, got[i].Height)
				}
			}
		})
	}
}

// TestHeaderAskedFor: an endpoint that answers for one height with the true header of another has answered nothing,
// and is not asked for contents by it.
func TestHeaderAskedFor(t *testing.T) {
	chain := newChain(t, local.Options{})
	produce(t, chain, 4)
	submit(t, chain, blob(alpha, "at height 6"))
	produce(t, chain, 4)
	l := &liar{Chain: chain, header: func(e *square.ExtendedHeader) *square.ExtendedHeader {
		if e.Header.Height != 5 {
			return e
		}
		six, err := chain.Header(6)
		if err != nil {
			t.Error(err)
		}
		return six
	}}
	c := newClient(t, serve(t, l, celestia.HandlerOptions{}), celestia.Options{Namespaces: []da.Namespace{alpha}})
	for _, to := range []uint64{6, 8} {
		if got, err := tryFetch(t, c, 5, to); err == nil || len(got) > 0 {
			t.Errorf("fetch [5, %d): got %d items and %v, want an error", to, len(got), err)
		}
	}
	if asked := c.Stats().ContentFetches; asked != 0 {
		t.Errorf("asked for %d contents by a header that was not asked for, want 0", asked)
	}
}

// TestLyingContents: what is told of namespaces is of those asked for, in their order, at a level that proves nothing
// too.
func TestLyingContents(t *testing.T) {
	gamma := da.NamespaceFromName("gamma")
	a, b, g := blob(alpha, "a"), blob(beta, "b"), blob(gamma, "g")
	for name, told := range map[string]map[da.Namespace][]da.Blob{
		"one not asked for":               {alpha: {a, g}, beta: {b}},
		"one not asked for alone":         {alpha: {g}},
		"the namespaces in another order": {alpha: {b}, beta: {a}},
		"one namespace in two parts":      {alpha: {a, b}, beta: {a}},
	} {
		t.Run(name, func(t *testing.T) {
			chain := newChain(t, local.Options{})
			height := submit(t, chain, a, b, g)
			l := &liar{Chain: chain, blobs: func(_ uint64, ns da.Namespace, _ []da.Blob) []da.Blob { return told[ns] }}
			c := newClient(t, serve(t, l, celestia.HandlerOptions{}), celestia.Options{Namespaces: []da.Namespace{alpha, beta}, Level: da.Trust})
			if got, err := tryFetch(t, c, height, height+1); err == nil || len(got) > 0 {
				t.Errorf("got %v and %v, want an error", got, err)
			}
		})
	}
}

// TestRootsOfItsOwn: a proof counts against the roots that the header commits to. An endpoint with a true header, and
// roots and shares of a square of its own, shows nothing: neither that a namespace is empty, nor blobs, and it does
// not show a true claim to be false either (I7).
func TestRootsOfItsOwn(t *testing.T) {
	truth, forged := blob(alpha, "the truth"), blob(alpha, "forged")
	before, after := alpha, alpha
	before[len(alpha)-1]--
	after[len(alpha)-1]++
	for name, own := range map[string]*square.Square{
		"empty":                 madeOf(t),
		"of other namespaces":   madeOf(t, blob(beta, "x")),
		"between others":        madeOf(t, blob(before, "x"), blob(after, "x")),
		"with a forged blob":    madeOf(t, forged),
		"with one blob too few": madeOf(t, truth),
	} {
		t.Run(name, func(t *testing.T) {
			chain := newChain(t, local.Options{})
			height := submit(t, chain, truth, blob(alpha, "and more"))
			l := &liar{
				Chain:  chain,
				header: func(e *square.ExtendedHeader) *square.ExtendedHeader { e.DAH = own.DAH(); return e },
				square: func(uint64) *square.Square { return own },
				blobs: func(_ uint64, ns da.Namespace, _ []da.Blob) (told []da.Blob) {
					for _, p := range own.Blobs() {
						if p.Namespace == ns {
							told = append(told, p.Blob)
						}
					}
					return told
				},
			}
			c := newClient(t, serve(t, l, celestia.HandlerOptions{}), celestia.Options{Namespaces: []da.Namespace{alpha}, Level: da.Prove})
			hash := chain.Head().Load().Hash
			for what, claim := range map[string]da.Claim{
				"nothing":   {Namespace: alpha},
				"forged":    {Namespace: alpha, Blobs: 1, Digest: da.Digest([]da.Blob{forged})},
				"too few":   {Namespace: alpha, Blobs: 1, Digest: da.Digest([]da.Blob{truth})},
				"the truth": {Namespace: alpha, Blobs: 2, Digest: da.Digest([]da.Blob{truth, blob(alpha, "and more")})},
			} {
				if err := c.Prove(deadline(t), height, hash, []da.Claim{claim}); err == nil || errors.Is(err, da.ErrNotProven) {
					t.Errorf("claim of %s: got %v, want neither shown nor false", what, err)
				}
			}
			if got, err := tryFetch(t, c, height, height+1); err == nil {
				t.Errorf("fetched %v, want an error", got)
			}
		})
	}
}

// TestProofOfAnotherHeader: roots that belong to a header count for that header, and not for the one that a claim was
// made with.
func TestProofOfAnotherHeader(t *testing.T) {
	chain := newChain(t, local.Options{})
	height := submit(t, chain, blob(alpha, "the truth"))
	hash := chain.Head().Load().Hash
	for name, own := range map[string]*square.Square{"empty": madeOf(t), "of others": madeOf(t, blob(beta, "x"))} {
		l := &liar{Chain: chain, square: func(uint64) *square.Square { return own }, header: func(e *square.ExtendedHeader) *square.ExtendedHeader {
			root := own.DataHash()
			e.DAH, e.Header.DataHash = own.DAH(), root[:]
			return e
		}}
		c := newClient(t, serve(t, l, celestia.HandlerOptions{}), celestia.Options{Namespaces: []da.Namespace{alpha}})
		if err := c.Prove(deadline(t), height, hash, []da.Claim{{Namespace: alpha}}); err == nil || errors.Is(err, da.ErrNotProven) {
			t.Errorf("%s: got %v, want neither shown nor false", name, err)
		}
	}
}

// listen subscribes, goes on once the present head is told, and returns the updates up to the one of a height, or up
// to the end of the subscription, and then why it ended.
func listen(t *testing.T, c *celestia.Client, goOn func(), height uint64) (got []follow.Update[da.Block], err error) {
	t.Helper()
	heard := errors.New("heard enough")
	ctx, cancel := context.WithCancelCause(deadline(t))
	first := make(chan struct{}) // closed with the first update, or with the end of all
	begun := sync.OnceFunc(func() { close(first) })
	var work sync.WaitGroup
	work.Go(func() {
		defer begun()
		err = c.Subscribe(ctx, func(u follow.Update[da.Block]) {
			got = append(got, u)
			begun()
			if u.Head.Height == height {
				cancel(heard)
			}
		})
	})
	defer cancel(nil)
	<-first
	goOn()
	work.Wait()
	switch {
	case errors.Is(err, heard):
		err = nil
	case ctx.Err() != nil:
		t.Fatalf("after %d updates neither height %d was told, nor that the subscription is over: %v", len(got), height, err)
	}
	return got, err
}

// TestLyingEvents: what is pushed is of the chain and the namespace that are followed, or the subscription ends; and
// it never comes as a block if it contradicts itself.
func TestLyingEvents(t *testing.T) {
	const bad = 2
	var turn atomic.Uint64
	header := func(change func(*square.Header)) func(*square.ExtendedHeader) *square.ExtendedHeader {
		return func(e *square.ExtendedHeader) *square.ExtendedHeader {
			if e.Header.Height == bad {
				change(&e.Header)
			}
			return e
		}
	}
	forged := func(ns da.Namespace) func(uint64, da.Namespace, []da.Blob) []da.Blob {
		forged := madeOf(t, blob(ns, "forged")).Blobs()[0].Blob // with its commitment
		return func(height uint64, asked da.Namespace, told []da.Blob) []da.Blob {
			if height == bad && asked == alpha {
				return []da.Blob{forged}
			}
			return told
		}
	}
	for name, lie := range map[string]struct {
		liar
		none []da.Namespace // followed instead of alpha and beta, if not nil
		ends error          // of the subscription; nil: it goes on
	}{
		"header of another chain":        {liar: liar{header: header(func(h *square.Header) { h.ChainID = "other" })}, ends: da.ErrWrongChain},
		"header of another chain, alone": {liar: liar{header: header(func(h *square.Header) { h.ChainID = "other" })}, none: []da.Namespace{}, ends: da.ErrWrongChain},
		"header of another height":       {liar: liar{header: header(func(h *square.Header) { h.Height++ })}, ends: errAny},
		"blob of the other namespace":    {liar: liar{blobs: forged(beta)}, ends: errAny},
		"blob of no followed namespace":  {liar: liar{blobs: forged(named("gamma"))}, ends: errAny},
		"two headers of one height":      {liar: liar{header: header(func(h *square.Header) { h.Time = h.Time.Add(time.Duration(turn.Add(1)) * time.Second) })}},
		"blob in an empty square":        {liar: liar{blobs: forged(alpha)}},
	} {
		for _, level := range []da.Level{da.ProveEmpty, da.Prove} {
			t.Run(name+"/"+level.String(), func(t *testing.T) {
				l := lie.liar
				l.Chain = newChain(t, local.Options{})
				namespaces := []da.Namespace{alpha, beta}
				if lie.none != nil {
					namespaces = lie.none
				}
				c := newClient(t, serve(t, &l, celestia.HandlerOptions{}), celestia.Options{Namespaces: namespaces, Level: level})
				got, err := listen(t, c, func() { produce(t, l.Chain, 1) }, bad)
				if (lie.ends == nil) != (err == nil) || lie.ends != errAny && !errors.Is(err, lie.ends) {
					t.Errorf("subscription: got %v, want %v", err, lie.ends)
				}
				for _, u := range got {
					if u.Head.Height == bad && (err != nil || u.Item != nil) {
						t.Errorf("told %+v", u)
					}
				}
			})
		}
	}
}

// TestForgedEvents: a pushed blob that is garbled does not come as a block where its commitment is all that is looked
// at; a blob that was never posted comes, where everything is proven, with a claim that Prove finds false (I7).
func TestForgedEvents(t *testing.T) {
	forged := madeOf(t, blob(alpha, "forged")).Blobs()[0].Blob
	for name, lie := range map[string]func([]da.Blob) []da.Blob{
		"garbled": func(told []da.Blob) []da.Blob {
			told[0].Data = []byte("FORGED")
			return told
		},
		"another": func([]da.Blob) []da.Blob { return []da.Blob{forged} },
	} {
		for _, level := range []da.Level{da.ProveEmpty, da.Prove} {
			if name == "another" && level == da.ProveEmpty {
				continue // what this level does not cover
			}
			t.Run(name+"/"+level.String(), func(t *testing.T) {
				l := &liar{Chain: newChain(t, local.Options{}), blobs: func(_ uint64, ns da.Namespace, told []da.Blob) []da.Blob {
					if ns == alpha && len(told) > 0 {
						return lie(slices.Clone(told))
					}
					return told
				}}
				c := newClient(t, serve(t, l, celestia.HandlerOptions{}), celestia.Options{Namespaces: []da.Namespace{alpha, beta}, Level: level})
				const height = 2 // after the chain's first block
				got, err := listen(t, c, func() { submit(t, l.Chain, blob(alpha, "one"), blob(beta, "two")) }, height)
				if err != nil {
					t.Fatal(err)
				}
				u := got[len(got)-1]
				if level == da.ProveEmpty && u.Item != nil {
					t.Errorf("told a garbled blob as a block: %v", u.Item.Data.Blobs)
				}
				if level == da.Prove && u.Item != nil {
					if err := c.Prove(deadline(t), height, u.Head.Hash, u.Item.Data.Unproven); !errors.Is(err, da.ErrNotProven) {
						t.Errorf("claims %v: got %v, want ErrNotProven", u.Item.Data.Unproven, err)
					}
				}
			})
		}
	}
}

// oldBlobs is a node whose events have no header, as before celestia-node v0.29, and lyingHeaders one that gives one
// height's true header for another.
type oldBlobs struct{ referenceBlobs }

func (o *oldBlobs) Subscribe(ctx context.Context, ns []byte) (<-chan *wireEventOut, error) {
	events, err := o.referenceBlobs.Subscribe(ctx, ns)
	out := make(chan *wireEventOut, 16)
	go func() {
		defer close(out)
		for e := range events {
			e.Header = nil
			out <- e
		}
	}()
	return out, err
}

type lyingHeaders struct {
	referenceHeaders
	at, lie uint64
}

func (l *lyingHeaders) GetByHeight(ctx context.Context, height uint64) (*square.ExtendedHeader, error) {
	if height == l.at {
		height = l.lie
	}
	return l.referenceHeaders.GetByHeight(ctx, height)
}

// TestEventsWithoutHeaders: a pushed height whose event has no header is told with the header asked for, and not with
// one of another height.
func TestEventsWithoutHeaders(t *testing.T) {
	chain := newChain(t, local.Options{})
	rpc := reference.NewServer()
	rpc.Register("blob", &oldBlobs{referenceBlobs{chain}})
	rpc.Register("header", &lyingHeaders{referenceHeaders{chain}, 3, 1})
	s := httptest.NewServer(rpc)
	t.Cleanup(s.Close)
	updates := subscribe(t, newClient(t, s.URL, celestia.Options{Namespaces: []da.Namespace{alpha}}))
	for _, want := range []uint64{1, 2, 4} { // the next height tells of 3 too
		if u := next(t, updates); u.Head.Height != want {
			t.Errorf("told %v, want height %d", u.Head, want)
		} else if want > 1 && u.Item == nil {
			t.Errorf("told height %d without its block", want)
		}
		if want < 4 {
			produce(t, chain, int(want))
		}
	}
}

var errAny = errors.New("any error")

// TestForkedEndpoint: of two endpoints that have different blocks at one height the first to announce is believed,
// and of the other one the status says why it is not.
func TestForkedEndpoint(t *testing.T) {
	ours, fork := newChain(t, local.Options{}), newChain(t, local.Options{})
	produce(t, ours, 3)
	produce(t, fork, 3)
	asked, late := make(chan struct{}, 100), make(chan struct{}) // late is closed when ours has been told
	l := &liar{Chain: fork, header: func(e *square.ExtendedHeader) *square.ExtendedHeader {
		asked <- struct{}{} // for the head: the channels of events are open
		<-late
		return e
	}}
	c, err := celestia.New(httpc.At(serve(t, ours, celestia.HandlerOptions{}), serve(t, l, celestia.HandlerOptions{})), celestia.Options{Namespaces: []da.Namespace{alpha}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	answer := sync.OnceFunc(func() { close(late) })
	t.Cleanup(answer)
	updates := subscribe(t, c)
	if u := next(t, updates); u.Head != ours.Head().Load().Ref() {
		t.Fatalf("got %v, want our head", u.Head)
	}
	conflict := fork.Head().Load().Ref()
	select {
	case <-asked:
	case <-deadline(t).Done():
		t.Fatal("the second endpoint was not asked for its head")
	}
	answer() // which is told before all that follows
	produce(t, fork, 1)
	for last := ours.Head().Load().Height; last < fork.Head().Load().Height; {
		u := next(t, updates)
		if u.Head == conflict {
			t.Errorf("told %v, which is not the block that was told of that height", u.Head)
		}
		last = u.Head.Height
	}
	if got := c.Endpoints(); got[0].Errors != 0 || got[1].Errors == 0 || !strings.Contains(got[1].LastError, conflict.Hash.String()) {
		t.Errorf("endpoints: %+v, want an error of the second one that names %s", got, conflict.Hash)
	}
}

// TestHeadGoesBackInSilence: an endpoint whose head has gone back and which tells nothing of it is asked after a
// while; the lower head is told, and what follows it comes as blocks (I12).
func TestHeadGoesBackInSilence(t *testing.T) {
	chain := newChain(t, local.Options{})
	produce(t, chain, 9)
	faults := &fault.Set{}
	url := serve(t, chain.View(faults), celestia.HandlerOptions{Faults: faults})
	c := newClient(t, url, celestia.Options{Namespaces: []da.Namespace{alpha, beta}, Probe: 50 * time.Millisecond})
	updates := subscribe(t, c)
	told := func(height uint64) (u follow.Update[da.Block]) {
		t.Helper()
		for u.Head.Height != height {
			u = next(t, updates)
		}
		return u
	}
	told(10)
	produce(t, chain, 1)
	told(11)
	addFault(t, faults, fault.Fault{Kind: fault.Stall})
	addFault(t, faults, fault.Fault{Kind: fault.HeadBehind, Depth: 4})
	if u := told(7); u.Item != nil {
		t.Errorf("told the lower head with a block")
	}
	faults.Clear()
	for h := uint64(8); h <= 11; h++ {
		if u := told(h); u.Item == nil {
			t.Errorf("told height %d without its block", h)
		}
	}
}

// TestStuckIsToldInTheStatus: a subscription that is given up because it keeps back what the head shows to be there
// speaks against its endpoint.
func TestStuckIsToldInTheStatus(t *testing.T) {
	chain := newChain(t, local.Options{})
	produce(t, chain, 3)
	faults := &fault.Set{}
	url := serve(t, chain.View(faults), celestia.HandlerOptions{Faults: faults})
	c := newClient(t, url, celestia.Options{Namespaces: []da.Namespace{alpha, beta}, Probe: 50 * time.Millisecond, Hold: 50 * time.Millisecond})
	first := true
	err := c.Subscribe(deadline(t), func(follow.Update[da.Block]) {
		if first {
			first = false
			addFault(t, faults, fault.Fault{Kind: fault.Stall})
			produce(t, chain, 2)
		}
	})
	if st := c.Endpoints()[0]; err == nil || !strings.Contains(err.Error(), "stuck") || st.Errors != 1 || st.LastError != err.Error() || st.Healthy {
		t.Errorf("the subscription ends with %v, the endpoint is %+v", err, st)
	}
}
