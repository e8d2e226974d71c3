package celestia_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"headrace/da"
	"headrace/da/celestia"
	"headrace/da/local"
	"headrace/devnet/proxy"
)

// TestBigBlobs: a blob of 7.9 MiB is posted, pushed and fetched; so is a block with 30 MiB in our namespaces.
// The race detector makes encoding slow: under it, a tenth of that.
func TestBigBlobs(t *testing.T) {
	chain := newChain(t, local.Options{})
	c := newClient(t, serve(t, chain, celestia.HandlerOptions{}), celestia.Options{Namespaces: []da.Namespace{alpha, beta}})
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
		head := fillBy(t, chain, c, submissions...)
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
		case <-deadline(t).Done():
			t.Fatal("nothing was pushed")
		}
	}
}

// TestSlowLink: an event that takes long to come in, of a namespace that has been silent for longer than patience
// lasts, is waited for: nothing is thrown away and nothing is fetched.
func TestSlowLink(t *testing.T) {
	chain := newChain(t, local.Options{})
	link, err := proxy.New(strings.TrimPrefix(serve(t, chain, celestia.HandlerOptions{}), "http://"), 0)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background()) // the link outlives the client
	var work sync.WaitGroup
	work.Go(func() { _ = link.Run(ctx) })
	t.Cleanup(func() { cancel(); work.Wait() })
	c := newClient(t, "http://"+link.Address(), celestia.Options{Namespaces: []da.Namespace{alpha, beta}, Hold: time.Second, Probe: time.Second})
	updates := subscribe(t, c)
	for range 4 { // the endpoint's pace is known: patience is short
		produce(t, chain, 1)
	}
	for next(t, updates).Head.Height < chain.Head().Load().Height {
	}
	before := c.Stats()
	asked := before.HeaderCalls
	for c.Stats().HeaderCalls < asked+2 { // silence, for longer than patience lasts: the head has been asked for twice
		select {
		case <-time.After(10 * time.Millisecond):
		case <-deadline(t).Done():
			t.Fatal("the head was not asked for")
		}
	}
	data := make([]byte, scale)
	_, _ = rand.NewChaCha8([32]byte{}).Read(data)
	link.SetRate(scale / 2) // 1.3 s and more for each MiB of data: longer than patience lasts
	submit(t, chain, blob(alpha, "a"), da.Blob{Namespace: beta, Data: data, Index: -1})
	for {
		u := next(t, updates)
		if u.Head.Height < chain.Head().Load().Height {
			continue
		}
		if u.Item == nil || len(u.Item.Data.Blobs) != 2 {
			t.Fatalf("height %d came without its block: %+v", u.Head.Height, c.Stats())
		}
		break
	}
	if after := c.Stats(); after.Subscriptions != before.Subscriptions || after.Connections != before.Connections || after.ContentFetches != 0 {
		t.Errorf("before the slow event %+v, after it %+v: want the same subscription, and no fetch", before, after)
	}
}
