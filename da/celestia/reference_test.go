package celestia_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	reference "github.com/filecoin-project/go-jsonrpc"

	"headrace/da"
	"headrace/da/celestia"
	"headrace/da/local"
	"headrace/follow"
	"headrace/internal/square"
)

// wireBlob is a blob as celestia-node's own client has it.
type wireBlob struct {
	Namespace    []byte `json:"namespace"`
	Data         []byte `json:"data"`
	ShareVersion uint32 `json:"share_version"`
	Commitment   []byte `json:"commitment"`
	Signer       []byte `json:"signer,omitempty"`
	Index        int    `json:"index"`
}

type wireEvent struct {
	Blobs  []*wireBlob
	Height uint64
	Header json.RawMessage
}

// referenceAPI is what a program written for celestia-node has, made by the reference library.
type referenceAPI struct {
	Submit             func(context.Context, []*wireBlob, map[string]any) (uint64, error)
	Get                func(context.Context, uint64, []byte, []byte) (*wireBlob, error)
	GetAll             func(context.Context, uint64, [][]byte) ([]*wireBlob, error)
	GetProof           func(context.Context, uint64, []byte, []byte) ([]*square.Proof, error)
	Included           func(context.Context, uint64, []byte, []*square.Proof, []byte) (bool, error)
	GetCommitmentProof func(context.Context, uint64, []byte, []byte) (*square.CommitmentProof, error)
	Subscribe          func(context.Context, []byte) (<-chan *wireEvent, error)
}

type referenceHeaderAPI struct {
	LocalHead, NetworkHead, Tail func(context.Context) (*square.ExtendedHeader, error)
	GetByHeight, WaitForHeight   func(context.Context, uint64) (*square.ExtendedHeader, error)
	GetByHash                    func(context.Context, string) (*square.ExtendedHeader, error)
	GetRangeByHeight             func(context.Context, *square.ExtendedHeader, uint64) ([]*square.ExtendedHeader, error)
	SyncState                    func(context.Context) (map[string]any, error)
	SyncWait                     func(context.Context) error
	Subscribe                    func(context.Context) (<-chan *square.ExtendedHeader, error)
}

type referenceShareAPI struct {
	GetNamespaceData func(context.Context, uint64, []byte) ([]square.NamespaceRow, error)
	GetRange         func(context.Context, uint64, int, int) (json.RawMessage, error)
	GetEDS           func(context.Context, uint64) (json.RawMessage, error)
	GetShare         func(context.Context, uint64, int, int) ([]byte, error)
	SharesAvailable  func(context.Context, uint64) error
}

type referenceNodeAPI struct {
	Ready      func(context.Context) (bool, error)
	Info       func(context.Context) (map[string]any, error)
	AuthNew    func(context.Context, []string) (string, error)
	AuthVerify func(context.Context, string) ([]string, error)
}

// TestReferenceClient drives every method of the server with the library that celestia-node's own client is made of.
func TestReferenceClient(t *testing.T) {
	chain := newChain(t, local.Options{Interval: 20 * time.Millisecond})
	run(t, chain)
	url := serve(t, chain, celestia.HandlerOptions{Secret: secret})
	ctx := deadline(t, 20*time.Second)
	auth := http.Header{"Authorization": {"Bearer " + token(t, celestia.Admin)}}
	var blobs referenceAPI
	var headers referenceHeaderAPI
	var shares referenceShareAPI
	var node referenceNodeAPI
	for module, api := range map[string]any{"blob": &blobs, "header": &headers, "share": &shares, "node": &node} {
		closer, err := reference.NewMergeClient(ctx, "ws"+strings.TrimPrefix(url, "http"), module, []any{api}, auth)
		if err != nil {
			t.Fatal(err)
		}
		defer closer()
	}
	must := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	ready, err := node.Ready(ctx)
	must("ready", err)
	info, err := node.Info(ctx)
	must("info", err)
	if !ready || info["type"] != "Bridge" {
		t.Errorf("node: ready %t, info %v", ready, info)
	}
	made, err := node.AuthNew(ctx, []string{"public", "read"})
	must("new token", err)
	allowed, err := node.AuthVerify(ctx, made)
	must("verify token", err)
	if !reflect.DeepEqual(allowed, []string{"public", "read"}) {
		t.Errorf("token of our own: allows %v", allowed)
	}

	sub, err := blobs.Subscribe(ctx, alpha[:])
	must("subscribe", err)
	height, err := blobs.Submit(ctx, []*wireBlob{{Namespace: alpha[:], Data: []byte("hello"), Index: -1}}, map[string]any{})
	must("submit", err)
	var event *wireEvent
	for event = range sub {
		if event.Height == height {
			break
		}
	}
	all, err := blobs.GetAll(ctx, height, [][]byte{beta[:], alpha[:]})
	must("get all", err)
	if len(all) != 1 || string(all[0].Data) != "hello" || !reflect.DeepEqual(event.Blobs, all) {
		t.Fatalf("got %v, event %v", all, event)
	}
	one, err := blobs.Get(ctx, height, alpha[:], all[0].Commitment)
	must("get", err)
	if !reflect.DeepEqual(one, all[0]) {
		t.Errorf("get: %v, want %v", one, all[0])
	}
	proof, err := blobs.GetProof(ctx, height, alpha[:], one.Commitment)
	must("proof", err)
	in, err := blobs.Included(ctx, height, alpha[:], proof, one.Commitment)
	must("included", err)
	if !in {
		t.Error("blob is not included")
	}
	if in, err = blobs.Included(ctx, height, beta[:], proof, one.Commitment); err != nil || in {
		t.Errorf("included elsewhere: %t, %v", in, err)
	}
	if _, err = blobs.GetCommitmentProof(ctx, height, alpha[:], one.Commitment); err != nil {
		t.Error(err)
	}

	h, err := headers.WaitForHeight(ctx, height)
	must("wait for height", err)
	hash := h.Header.Hash()
	byHash, err := headers.GetByHash(ctx, follow.Hash(hash).String())
	must("by hash", err)
	if byHash.Header.Height != height {
		t.Errorf("by hash: height %d, want %d", byHash.Header.Height, height)
	}
	first, err := headers.GetByHeight(ctx, 1)
	must("by height", err)
	list, err := headers.GetRangeByHeight(ctx, first, 4)
	must("range", err)
	if len(list) != 2 || list[0].Header.Height != 2 || list[1].Header.Parent() != follow.Hash(list[0].Header.Hash()) {
		t.Errorf("range: %d headers", len(list))
	}
	for name, f := range map[string]func(context.Context) (*square.ExtendedHeader, error){"local head": headers.LocalHead, "network head": headers.NetworkHead, "tail": headers.Tail} {
		_, err := f(ctx)
		must(name, err)
	}
	state, err := headers.SyncState(ctx)
	must("sync state", err)
	if state["height"] == nil {
		t.Errorf("sync state: %v", state)
	}
	must("sync wait", headers.SyncWait(ctx))
	news, err := headers.Subscribe(ctx)
	must("subscribe to headers", err)
	a, b := <-news, <-news
	if b.Header.Parent() != follow.Hash(a.Header.Hash()) {
		t.Error("headers of the subscription do not link")
	}

	rows, err := shares.GetNamespaceData(ctx, height, alpha[:])
	must("namespace data", err)
	proven, err := square.VerifyNamespace(&h.DAH, alpha, rows)
	must("verify", err)
	if len(proven) != 1 || string(proven[0].Data) != "hello" {
		t.Errorf("proven: %v", proven)
	}
	_, err = shares.GetRange(ctx, height, 1, 2)
	must("share range", err)
	_, err = shares.GetEDS(ctx, height)
	must("extended square", err)
	_, err = shares.GetShare(ctx, height, 0, 1)
	must("share", err)
	must("shares available", shares.SharesAvailable(ctx, height))
}

// referenceServer is a node made with the reference library.
type referenceBlobs struct{ chain *local.Chain }

func wire(blobs []da.Blob) []*wireBlob {
	var out []*wireBlob
	for _, b := range blobs {
		out = append(out, &wireBlob{b.Namespace[:], b.Data, uint32(b.ShareVersion), b.Commitment, b.Signer, b.Index})
	}
	return out
}

func (r *referenceBlobs) GetAll(_ context.Context, height uint64, namespaces [][]byte) ([]*wireBlob, error) {
	var out []*wireBlob
	for _, ns := range namespaces {
		blobs, err := r.chain.Blobs(height, da.Namespace(ns))
		if err != nil {
			return nil, err
		}
		out = append(out, wire(blobs)...)
	}
	return out, nil
}

func (r *referenceBlobs) Submit(ctx context.Context, blobs []*wireBlob, _ map[string]any) (uint64, error) {
	var in []da.Blob
	for _, b := range blobs {
		in = append(in, da.Blob{Namespace: da.Namespace(b.Namespace), Data: b.Data, ShareVersion: uint8(b.ShareVersion), Signer: b.Signer})
	}
	return r.chain.Submit(ctx, in)
}

type wireEventOut struct {
	Blobs  []*wireBlob
	Height uint64
	Header json.RawMessage
}

func (r *referenceBlobs) Subscribe(ctx context.Context, ns []byte) (<-chan *wireEventOut, error) {
	out := make(chan *wireEventOut, 16)
	last := r.chain.Head().Load().Height
	go func() {
		defer close(out)
		for {
			if err := r.chain.WaitHeight(ctx, last+1); err != nil {
				return
			}
			last++
			blobs, err := r.chain.Blobs(last, da.Namespace(ns))
			if err != nil {
				return
			}
			h, err := r.chain.Header(last)
			if err != nil {
				return
			}
			select {
			case out <- &wireEventOut{wire(blobs), last, h.Header.AppendPlainJSON(nil)}:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out, nil
}

type referenceHeaders struct{ chain *local.Chain }

func (r *referenceHeaders) NetworkHead(context.Context) (*square.ExtendedHeader, error) {
	return r.chain.Header(r.chain.Head().Load().Height)
}

func (r *referenceHeaders) GetByHeight(_ context.Context, height uint64) (*square.ExtendedHeader, error) {
	return r.chain.Header(height)
}

func (r *referenceHeaders) GetRangeByHeight(_ context.Context, from *square.ExtendedHeader, to uint64) ([]*square.ExtendedHeader, error) {
	var out []*square.ExtendedHeader
	for h := from.Header.Height + 1; h < to; h++ {
		e, err := r.chain.Header(h)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}

// TestClientWithReferenceServer follows, fetches from and submits to a server made with the reference library.
func TestClientWithReferenceServer(t *testing.T) {
	chain := newChain(t, local.Options{})
	rpc := reference.NewServer()
	rpc.Register("blob", &referenceBlobs{chain})
	rpc.Register("header", &referenceHeaders{chain})
	s := httptest.NewServer(rpc)
	t.Cleanup(s.Close)
	produce(t, chain, 100)
	c := newClient(t, s.URL, celestia.Options{Namespaces: []da.Namespace{alpha, beta}})
	updates := subscribe(t, c)
	next(t, updates)
	done := make(chan error, 1)
	go func() {
		_, err := c.Submit(deadline(t, 10*time.Second), []da.Blob{blob(beta, "posted"), blob(alpha, "too")})
		done <- err
	}()
	if _, err := chain.Pending().Wait(deadline(t, 10*time.Second), func(n int) bool { return n > 0 }); err != nil {
		t.Fatal(err)
	}
	produce(t, chain, 1)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	u := next(t, updates)
	want := fetch(t, chain.Source(alpha, beta), 1, 103)
	if u.Item == nil || !reflect.DeepEqual(*u.Item, want[101]) {
		t.Errorf("inline: got %v, want %v", u.Item, want[101])
	}
	if got := fetch(t, c, 1, 103); !reflect.DeepEqual(got, want) {
		t.Error("fetched items differ from the chain's")
	}
}
