package celestia_test

import (
	"errors"
	"net/http/httptest"
	"strings"
	"testing"

	"headrace/da"
	"headrace/da/celestia"
	"headrace/da/local"
	"headrace/devnet/localda"
	"headrace/follow"
	"headrace/internal/httpc"
)

func serveLocalDA(t *testing.T, opt localda.Options) (*localda.Layer, string) {
	t.Helper()
	layer := localda.New(opt)
	server := httptest.NewServer(layer)
	t.Cleanup(func() { _ = layer.Close(); server.Close() })
	return layer, server.URL
}

// until returns the first update of a height.
func until(t *testing.T, updates <-chan follow.Update[da.Block], height uint64) follow.Update[da.Block] {
	t.Helper()
	for {
		if u := next(t, updates); u.Head.Height == height {
			return u
		}
	}
}

// TestLocalDA: a local-da is followed by its heights, from the first one on that there is, and by what they hold: a
// height that holds something else has another hash, and another one above it does not follow any more.
func TestLocalDA(t *testing.T) {
	for name, opt := range map[string]localda.Options{"websocket": {}, "http": {NoSocket: true}, "not found": {NotFound: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			layer, url := serveLocalDA(t, opt)
			c := newClient(t, url, celestia.Options{LocalDA: true, Level: da.Trust, Namespaces: []da.Namespace{alpha, beta}, BlockTime: -1})
			updates, ctx := subscribe(t, c), deadline(t)
			if u := next(t, updates); u.Head != (follow.Ref{}) || u.Item != nil {
				t.Fatalf("got %+v from a layer without a height, want none", u)
			}
			height, err := c.Submit(ctx, []da.Blob{blob(beta, "b0"), blob(alpha, "a0"), blob(beta, "b1")})
			if err != nil || height != 1 {
				t.Fatalf("got %d, %v, want height 1", height, err)
			}
			first := until(t, updates, 1)
			if first.Item == nil {
				t.Fatal("height 1 was announced without what it holds")
			}
			got := ""
			for i, b := range first.Item.Data.Blobs {
				if got += string(b.Data) + " "; b.Index != i {
					t.Errorf("got index %d of blob %d", b.Index, i)
				}
			}
			if got != "a0 b0 b1 " {
				t.Errorf("got %q, want the first namespace's blobs and then the second one's", got)
			}
			layer.Post(da.NamespaceFromName("gamma"), []byte("of others"))
			layer.Post(alpha, []byte("a1"))
			third := until(t, updates, 3)
			if head, err := c.Head(ctx); head != 3 || err != nil {
				t.Errorf("got head %d, %v, want 3", head, err)
			}
			fetch := func(from, to uint64) (items []follow.Item[da.Block], err error) {
				err = c.Fetch(ctx, from, to, func(i follow.Item[da.Block]) error { items = append(items, i); return nil })
				return items, err
			}
			items, err := fetch(1, 4)
			if err != nil || len(items) != 3 || items[0].Ref() != first.Head || items[2].Ref() != third.Head || !items[0].Parent.IsZero() ||
				items[1].Parent != items[0].Hash || items[2].Parent != items[1].Hash || len(items[1].Data.Blobs) != 0 {
				t.Fatalf("got %+v, %v, want three linked items, the second without blobs", items, err)
			}
			if more, err := fetch(3, 9); len(more) != 1 || more[0].Parent != items[1].Hash || !errors.Is(err, follow.ErrNotYet) {
				t.Errorf("got %+v, %v beyond the head, want what there is and %v", more, err, follow.ErrNotYet)
			}
			if more, err := fetch(4, 5); len(more) != 0 || !errors.Is(err, follow.ErrNotYet) {
				t.Errorf("got %+v, %v above the head, want %v", more, err, follow.ErrNotYet)
			}
			layer.Swap(1, 3)
			changed, err := fetch(3, 4)
			if err != nil || changed[0].Hash == items[2].Hash || changed[0].Parent != items[1].Hash {
				t.Errorf("got %+v, %v for a height that holds something else, want another hash", changed, err)
			}
			looks := 0
			for u := next(t, updates); u.Head == third.Head && looks < 10; u = next(t, updates) {
				looks++
			}
			if looks == 10 {
				t.Error("the head holds something else, and is announced as before")
			}
			layer.Swap(1, 2)
			if items, err = fetch(3, 4); err != nil || items[0].Parent == changed[0].Parent {
				t.Errorf("got %+v, %v above a height that holds something else, want another parent", items, err)
			}
		})
	}
}

// TestLocalDARefused: nobody is taken for a local-da, or one for somebody else, unless it is said.
func TestLocalDARefused(t *testing.T) {
	layer, url := serveLocalDA(t, localda.Options{})
	layer.Post(alpha, []byte("a"))
	for _, level := range []da.Level{da.ProveEmpty, da.Prove} {
		if _, err := celestia.New(httpc.At(url), celestia.Options{LocalDA: true, Level: level}); err == nil || !strings.Contains(err.Error(), celestia.Unverified) {
			t.Errorf("got %v at level %s, want it refused", err, level)
		}
	}
	node := serve(t, newChain(t, local.Options{}), celestia.HandlerOptions{})
	for name, c := range map[string]struct {
		url   string
		local bool
		want  string
	}{
		"a local-da for a celestia-node": {url, false, "set da.kind to local-da and da.level to trust"},
		"a celestia-node for a local-da": {node, true, "set da.kind to celestia"},
	} {
		client := newClient(t, c.url, celestia.Options{LocalDA: c.local, Level: da.Trust, Namespaces: []da.Namespace{alpha}})
		ctx := deadline(t)
		if _, err := client.Head(ctx); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v of its head, want %q", name, err, c.want)
		}
		err := client.Subscribe(ctx, func(u follow.Update[da.Block]) { t.Errorf("%s: got %+v", name, u) })
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
		if err := client.Fetch(ctx, 1, 2, func(i follow.Item[da.Block]) error { t.Errorf("%s: got %+v", name, i); return nil }); err == nil {
			t.Errorf("%s: a fetch succeeded", name)
		}
	}
}
