package celestia_test

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"sync"
	"testing"
	"time"

	"headrace/da"
	"headrace/da/celestia"
	"headrace/da/local"
)

// TestBigBlobs: a blob of 7.9 MiB is posted, pushed and fetched; so is a block with 30 MiB in our namespaces.
// The race detector makes encoding slow: under it, a tenth of that.
func TestBigBlobs(t *testing.T) {
	chain := newChain(t, local.Options{})
	c := newClient(t, serve(t, chain, celestia.HandlerOptions{}), celestia.Options{Namespaces: []da.Namespace{alpha, beta}, Hold: 10 * time.Second})
	updates := subscribe(t, c)
	next(t, updates)
	random := rand.NewChaCha8([32]byte{})
	made := func(ns da.Namespace, size int) da.Blob {
		b := da.Blob{Namespace: ns, Data: make([]byte, size), Index: -1}
		_, _ = random.Read(b.Data)
		return b
	}
	for _, submissions := range [][]da.Blob{
		{made(alpha, 79*scale/10)},
		{made(alpha, 75*scale/10), made(beta, 75*scale/10), made(alpha, 75*scale/10), made(beta, 75*scale/10)},
	} {
		ctx := deadline(t, 60*time.Second)
		var work sync.WaitGroup
		for i, b := range submissions {
			work.Go(func() {
				if _, err := c.Submit(ctx, []da.Blob{b}); err != nil {
					t.Error(err)
				}
			})
			if _, err := chain.Pending().Wait(ctx, func(n int) bool { return n > i }); err != nil {
				t.Fatal(err)
			}
		}
		produce(t, chain, 1)
		work.Wait()
		head := chain.Head().Load().Height
		select {
		case u := <-updates:
			if u.Item == nil {
				t.Fatalf("height %d came without its block: %+v", u.Head.Height, c.Stats())
			}
			if len(u.Item.Data.Blobs) != len(submissions) {
				t.Fatalf("pushed: %d of %d blobs", len(u.Item.Data.Blobs), len(submissions))
			}
			got := fetch(t, c, head, head+1)
			if !reflect.DeepEqual(got[0].Data.Blobs, u.Item.Data.Blobs) {
				t.Error("fetched blobs differ from those pushed")
			}
			if !bytes.Equal(got[0].Data.Blobs[0].Data, submissions[0].Data) {
				t.Error("first blob differs from that submitted")
			}
		case <-ctx.Done():
			t.Fatal("nothing was pushed")
		}
	}
}
