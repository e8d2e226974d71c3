package celestia_test

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"headrace/da"
	"headrace/da/celestia"
	"headrace/da/local"
	"headrace/follow"
)

// TestSourceAgreesWithChain follows a chain over sockets and in the process: both tell the same, inline and by fetch.
func TestSourceAgreesWithChain(t *testing.T) {
	chain := newChain(t, local.Options{})
	produce(t, chain, 3)
	c := newClient(t, serve(t, chain, celestia.HandlerOptions{}), celestia.Options{Namespaces: []da.Namespace{alpha, beta}})
	updates := subscribe(t, c)
	if got, want := next(t, updates).Head, chain.Head().Load().Ref(); got != want {
		t.Fatalf("first update: got %v, want the present head %v", got, want)
	}
	submit(t, chain, blob(beta, "b1"), blob(alpha, "a1"), blob(alpha, "a2"))
	produce(t, chain, 2)
	submit(t, chain, blob(beta, "b2"))

	var inline []follow.Item[da.Block]
	for range 4 {
		u := next(t, updates)
		if u.Item == nil {
			t.Fatalf("height %d came without its block", u.Head.Height)
		}
		inline = append(inline, *u.Item)
	}
	if got := c.Stats().ContentFetches; got != 0 {
		t.Errorf("content fetches while live: got %d, want 0", got)
	}
	head := chain.Head().Load().Height
	fetched, want := fetch(t, c, 1, head+1), fetch(t, chain.Source(alpha, beta), 1, head+1)
	for i := range want {
		if !reflect.DeepEqual(fetched[i], want[i]) {
			t.Errorf("fetched: got %+v, want %+v", fetched[i], want[i])
		}
	}
	if claims := inline[3].Data.Unproven; len(claims) != 1 || claims[0] != (da.Claim{Namespace: alpha}) {
		t.Errorf("claims of a height with blobs in one of two namespaces: got %v", claims)
	}
	inline[3].Data.Unproven = nil
	for i := range inline {
		if !reflect.DeepEqual(inline[i], want[4+i]) {
			t.Errorf("inline: got %+v, want %+v", inline[i], want[4+i])
		}
	}
	if got := c.Stats().ContentFetches; got != 2 {
		t.Errorf("content fetches for %d heights of which 2 are not empty: got %d", head, got)
	}
}

func fetch(t *testing.T, s follow.Source[da.Block], from, to uint64) []follow.Item[da.Block] {
	t.Helper()
	var out []follow.Item[da.Block]
	err := s.Fetch(deadline(t), from, to, func(i follow.Item[da.Block]) error {
		out = append(out, i)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if uint64(len(out)) != to-from {
		t.Fatalf("fetch [%d, %d): got %d items", from, to, len(out))
	}
	return out
}

func TestFetchManyHeights(t *testing.T) {
	chain := newChain(t, local.Options{})
	for i := range 300 {
		if i%3 == 0 {
			submit(t, chain, blob(alpha, "x"))
		} else {
			produce(t, chain, 1)
		}
	}
	c := newClient(t, serve(t, chain, celestia.HandlerOptions{}), celestia.Options{Namespaces: []da.Namespace{alpha}})
	if got, want := fetch(t, c, 1, 302), fetch(t, chain.Source(alpha), 1, 302); !reflect.DeepEqual(got, want) {
		t.Error("fetched items differ from the chain's")
	}
	err := c.Fetch(deadline(t), 290, 400, func(follow.Item[da.Block]) error { return nil })
	if !errors.Is(err, follow.ErrNotYet) {
		t.Errorf("fetch beyond the head: got %v, want ErrNotYet", err)
	}
	stop := errors.New("enough")
	if err := c.Fetch(deadline(t), 1, 302, func(i follow.Item[da.Block]) error {
		if i.Height == 100 {
			return stop
		}
		return nil
	}); err != stop {
		t.Errorf("fetch stopped by deliver: got %v, want %v", err, stop)
	}
}

func TestSubmit(t *testing.T) {
	chain := newChain(t, local.Options{Interval: 20 * time.Millisecond})
	ctx := deadline(t)
	run(t, chain)
	c := newClient(t, serve(t, chain, celestia.HandlerOptions{}), celestia.Options{})
	height, err := c.Submit(ctx, []da.Blob{blob(alpha, "hello")})
	if err != nil {
		t.Fatal(err)
	}
	got, err := chain.Blobs(height, alpha)
	if err != nil || len(got) != 1 || string(got[0].Data) != "hello" {
		t.Errorf("blobs at the height of Submit: got %v, %v", got, err)
	}
	for i, test := range []struct {
		blobs []da.Blob
		want  error
	}{
		{nil, da.ErrRejected},
		{[]da.Blob{blob(alpha, "")}, da.ErrRejected},
		{[]da.Blob{blob(da.Namespace{28: 4}, "reserved")}, da.ErrRejected},
		{[]da.Blob{{Namespace: alpha, Data: make([]byte, 8<<20), Index: -1}}, da.ErrTooBig},
		{[]da.Blob{{Namespace: alpha, Data: []byte("x"), ShareVersion: 1, Signer: make([]byte, 20)}}, da.ErrRejected},
	} {
		if _, err := c.Submit(ctx, test.blobs); !errors.Is(err, test.want) {
			t.Errorf("submit %d: got %v, want %v", i, err, test.want)
		}
	}
}
