package local_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"headrace/da"
	"headrace/da/local"
	"headrace/follow"
)

func fetch(t testing.TB, s follow.Source[da.Block], from, to uint64) []follow.Item[da.Block] {
	t.Helper()
	var out []follow.Item[da.Block]
	if err := s.Fetch(t.Context(), from, to, func(i follow.Item[da.Block]) error { out = append(out, i); return nil }); err != nil {
		t.Fatal(err)
	}
	return out
}

func texts(blobs []da.Blob) []string {
	out := []string{}
	for _, b := range blobs {
		out = append(out, string(b.Data))
	}
	return out
}

func TestFetch(t *testing.T) {
	both(t, func(t *testing.T, o local.Options) {
		c := open(t, o)
		produce(t, c)
		submit(t, c, []da.Blob{blob(data, "d1"), blob(headers, "h1")}, []da.Blob{blob(headers, "h2"), blob(data, "d2")})
		produce(t, c)
		s := c.Source(headers, data)
		items := fetch(t, s, 1, 5)
		var got []string
		for i, item := range items {
			got = append(got, fmt.Sprint(item.Height, item.Data.Height, texts(item.Data.Blobs)))
			h := header(t, c, item.Height)
			want(t, "hash", item.Hash, follow.Hash(h.Header.Hash()))
			want(t, "parent", item.Parent, h.Header.Parent())
			want(t, "time", item.Data.Time, h.Header.Time)
			want(t, "size", item.Size, item.Data.Size())
			if i > 0 {
				want(t, "link", item.Parent, items[i-1].Hash)
			}
		}
		want(t, "items", got, []string{"1 1 []", "2 2 []", "3 3 [h1 h2 d1 d2]", "4 4 []"})

		n := 0
		err := s.Fetch(t.Context(), 3, 10, func(follow.Item[da.Block]) error { n++; return nil })
		if !errors.Is(err, follow.ErrNotYet) || n != 2 {
			t.Errorf("got %v after %d items, want ErrNotYet after 2", err, n)
		}
		stop := errors.New("stop")
		if err := s.Fetch(t.Context(), 1, 5, func(follow.Item[da.Block]) error { return stop }); err != stop {
			t.Errorf("got %v, want deliver's own error", err)
		}
		if err := c.Prune(3); err != nil {
			t.Fatal(err)
		}
		if err := s.Fetch(t.Context(), 2, 5, func(follow.Item[da.Block]) error { return nil }); !errors.Is(err, da.ErrPruned) {
			t.Errorf("got %v, want ErrPruned", err)
		}
		want(t, "parent at the tail", fetch(t, s, 3, 4)[0].Parent, items[1].Hash)
	})
}

// A subscription begins with the present head and tells of each block with its content; it ends with its context or with the chain.
func TestSubscribe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := local.New(local.Options{Interval: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { c.Run(ctx) })
		var got []string
		wg.Go(func() {
			err := c.Source(data).Subscribe(ctx, func(u follow.Update[da.Block]) {
				want(t, "head of the item", u.Item.Ref(), u.Head)
				got = append(got, fmt.Sprint(u.Head.Height, texts(u.Item.Data.Blobs)))
			})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("got %v, want context.Canceled", err)
			}
		})
		if _, err := c.Submit(ctx, []da.Blob{blob(data, "x")}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(1500 * time.Millisecond)
		cancel()
		wg.Wait()
		want(t, "news", got, []string{"1 []", "2 [x]", "3 []"})
		c.Close()
		if err := c.Source(data).Subscribe(t.Context(), func(follow.Update[da.Block]) {}); !errors.Is(err, local.ErrClosed) {
			t.Errorf("got %v, want ErrClosed", err)
		}
	})
}
