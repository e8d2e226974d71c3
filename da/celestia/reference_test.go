package celestia_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/celestiaorg/nmt"
	"github.com/celestiaorg/nmt/namespace"
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
	GetSamples       func(context.Context, uint64, []referenceCoords) ([]referenceSample, error)
	GetRow           func(context.Context, uint64, int) (*referenceRow, error)
	SharesAvailable  func(context.Context, uint64) error
}

type referenceCoords struct {
	Row int `json:"row"`
	Col int `json:"col"`
}

type referenceSample struct {
	Share []byte     `json:"share"`
	Proof *nmt.Proof `json:"proof"`
	Axis  int        `json:"proof_type"`
}

type referenceRow struct {
	Shares [][]byte `json:"shares"`
	Side   string   `json:"side"`
}

// referenceStats is a node's das.SamplingStats.
type referenceStats struct {
	Sampled     uint64 `json:"head_of_sampled_chain"`
	CatchUp     uint64 `json:"head_of_catchup"`
	Head        uint64 `json:"network_head_height"`
	Concurrency int    `json:"concurrency"`
	Done        bool   `json:"catch_up_done"`
	Running     bool   `json:"is_running"`
}

type referenceDASAPI struct {
	SamplingStats func(context.Context) (referenceStats, error)
	WaitCatchUp   func(context.Context) error
}

type referenceBalance struct {
	Denom  string `json:"denom"`
	Amount string `json:"amount"`
}

type referenceStateAPI struct {
	AccountAddress    func(context.Context) (string, error)
	Balance           func(context.Context) (*referenceBalance, error)
	BalanceForAddress func(context.Context, string) (*referenceBalance, error)
}

// referenceAddrInfo is libp2p's: names and addresses are texts in JSON.
type referenceAddrInfo struct {
	ID    string
	Addrs []string
}

type referenceBandwidth struct {
	TotalIn, TotalOut int64
	RateIn, RateOut   float64
}

type referenceP2PAPI struct {
	Info                 func(context.Context) (referenceAddrInfo, error)
	Peers                func(context.Context) ([]string, error)
	PeerInfo             func(context.Context, string) (referenceAddrInfo, error)
	Connectedness        func(context.Context, string) (int, error)
	NATStatus            func(context.Context) (int, error)
	ListBlockedPeers     func(context.Context) ([]string, error)
	IsProtected          func(context.Context, string, string) (bool, error)
	BandwidthStats       func(context.Context) (referenceBandwidth, error)
	BandwidthForPeer     func(context.Context, string) (referenceBandwidth, error)
	BandwidthForProtocol func(context.Context, string) (referenceBandwidth, error)
	PubSubPeers          func(context.Context, string) ([]string, error)
}

// referenceMerkleProof is CometBFT's.
type referenceMerkleProof struct {
	Total    int64    `json:"total"`
	Index    int64    `json:"index"`
	LeafHash []byte   `json:"leaf_hash"`
	Aunts    [][]byte `json:"aunts,omitempty"`
}

type referenceBlobstreamAPI struct {
	GetDataRootTupleRoot           func(ctx context.Context, start, end uint64) (string, error)
	GetDataRootTupleInclusionProof func(ctx context.Context, height, start, end uint64) (*referenceMerkleProof, error)
}

type referenceNodeAPI struct {
	Ready      func(context.Context) (bool, error)
	Info       func(context.Context) (map[string]any, error)
	AuthNew    func(context.Context, []string) (string, error)
	AuthVerify func(context.Context, string) ([]string, error)

	AuthNewWithExpiry func(context.Context, []string, time.Duration) (string, error)
	LogLevelSet       func(ctx context.Context, name, level string) error
}

// TestReferenceClient drives every method of the server with the library that celestia-node's own client is made of.
func TestReferenceClient(t *testing.T) {
	chain := newChain(t, local.Options{Interval: 20 * time.Millisecond})
	run(t, chain)
	url := serve(t, chain, celestia.HandlerOptions{Secret: secret})
	ctx := deadline(t)
	auth := http.Header{"Authorization": {"Bearer " + token(t, celestia.Admin)}}
	var blobs referenceAPI
	var headers referenceHeaderAPI
	var shares referenceShareAPI
	var node referenceNodeAPI
	var das referenceDASAPI
	var state referenceStateAPI
	var p2p referenceP2PAPI
	var blobstream referenceBlobstreamAPI
	for module, api := range map[string]any{"blob": &blobs, "header": &headers, "share": &shares, "node": &node, "das": &das, "state": &state, "p2p": &p2p, "blobstream": &blobstream} {
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
	sync, err := headers.SyncState(ctx)
	must("sync state", err)
	if sync["height"] == nil {
		t.Errorf("sync state: %v", sync)
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

	places := []referenceCoords{{0, 1}, {1, 0}, {0, 0}}
	samples, err := shares.GetSamples(ctx, height, places)
	must("samples", err)
	for i, s := range samples { // of the original square: filed under their own namespaces
		if !s.Proof.VerifyInclusion(sha256.New(), namespace.ID(s.Share[:29]), [][]byte{s.Share}, h.DAH.RowRoots[places[i].Row]) {
			t.Errorf("sample %d is not proven", i)
		}
	}
	row, err := shares.GetRow(ctx, height, 0)
	must("row", err)
	if row.Side != "LEFT" || len(row.Shares) != len(h.DAH.RowRoots)/2 || !bytes.Equal(row.Shares[1], samples[0].Share) {
		t.Errorf("row: %d shares, side %s", len(row.Shares), row.Side)
	}

	for _, lifetime := range []time.Duration{time.Nanosecond, -time.Hour} {
		short, err := node.AuthNewWithExpiry(ctx, []string{"read"}, lifetime)
		must("short token", err)
		if _, err := node.AuthVerify(ctx, short); err == nil || !strings.Contains(err.Error(), "expired") {
			t.Errorf("a token of %s: %v", lifetime, err)
		}
	}
	must("log level", node.LogLevelSet(ctx, "*", "DEBUG"))
	if err := node.LogLevelSet(ctx, "*", "loud"); err == nil {
		t.Error("a level that there is not was taken")
	}
	must("catch up", das.WaitCatchUp(ctx))
	stats, err := das.SamplingStats(ctx)
	must("sampling", err)
	if !stats.Done || stats.Head < height {
		t.Errorf("sampling: %+v", stats)
	}

	address, err := state.AccountAddress(ctx)
	must("address", err)
	own, err := state.Balance(ctx)
	must("balance", err)
	same, err := state.BalanceForAddress(ctx, address)
	must("balance of the address", err)
	if own.Denom != "utia" || *own != *same {
		t.Errorf("balances: %+v and %+v", own, same)
	}

	self, err := p2p.Info(ctx)
	must("peer", err)
	if !strings.HasPrefix(self.ID, "12D3KooW") || len(self.Addrs) != 1 {
		t.Errorf("peer: %+v", self)
	}
	for _, call := range []func(context.Context) ([]string, error){p2p.Peers, p2p.ListBlockedPeers, func(ctx context.Context) ([]string, error) { return p2p.PubSubPeers(ctx, "x") }} {
		peers, err := call(ctx)
		must("peers", err)
		if len(peers) != 0 {
			t.Errorf("peers: %v", peers)
		}
	}
	other, err := p2p.PeerInfo(ctx, self.ID)
	must("peer info", err)
	if other.ID != self.ID {
		t.Errorf("peer info: %+v", other)
	}
	for _, name := range []string{`Qm"`, `Qm","Addrs":["x`, "12D3KooW0", ""} {
		if _, err := p2p.PeerInfo(ctx, name); err == nil || !strings.Contains(err.Error(), "failed to parse peer ID") {
			t.Errorf("peer info of %q: %v", name, err)
		}
	}
	_, err = p2p.Connectedness(ctx, self.ID)
	must("connectedness", err)
	_, err = p2p.NATStatus(ctx)
	must("NAT", err)
	_, err = p2p.IsProtected(ctx, self.ID, "tag")
	must("protected", err)
	_, err = p2p.BandwidthStats(ctx)
	must("bandwidth", err)
	_, err = p2p.BandwidthForPeer(ctx, self.ID)
	must("bandwidth of a peer", err)
	_, err = p2p.BandwidthForProtocol(ctx, "/x")
	must("bandwidth of a protocol", err)

	root, err := blobstream.GetDataRootTupleRoot(ctx, 1, height+1)
	must("tuple root", err)
	proof2, err := blobstream.GetDataRootTupleInclusionProof(ctx, height, 1, height+1)
	must("tuple proof", err)
	if got := tupleRoot(height, h.Header.DataHash, proof2); got != root {
		t.Errorf("the tuple's proof gives %s, want %s", got, root)
	}
	if _, err := blobstream.GetDataRootTupleInclusionProof(ctx, height+1, 1, height+1); err == nil {
		t.Error("a height beyond the range is proven")
	}
	for want, r := range map[string][2]uint64{"height is equal to 0": {0, 2}, "is higher than local chain height": {1, 10_001}} {
		if _, err := blobstream.GetDataRootTupleRoot(ctx, r[0], r[1]); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("tuples from %d to %d: %v, want %q", r[0], r[1], err, want)
		}
	}
}

// tupleRoot is the root that a proof of a height and its data root gives, as the Blobstream contract computes it.
func tupleRoot(height uint64, dataRoot []byte, p *referenceMerkleProof) string {
	tuple := make([]byte, 65)
	binary.BigEndian.PutUint64(tuple[25:], height)
	copy(tuple[33:], dataRoot)
	hash := sha256.Sum256(tuple)
	at, total, aunts := p.Index, p.Total, p.Aunts
	var up func(at, total int64, aunts [][]byte) [32]byte
	up = func(at, total int64, aunts [][]byte) [32]byte {
		if total == 1 {
			return hash
		}
		last, rest := aunts[len(aunts)-1], aunts[:len(aunts)-1]
		left := int64(1)
		for left*2 < total {
			left *= 2
		}
		if at < left {
			l := up(at, left, rest)
			return sha256.Sum256(slices.Concat([]byte{1}, l[:], last))
		}
		r := up(at-left, total-left, rest)
		return sha256.Sum256(slices.Concat([]byte{1}, last, r[:]))
	}
	return fmt.Sprintf("%X", up(at, total, aunts))
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
		_, err := c.Submit(deadline(t), []da.Blob{blob(beta, "posted"), blob(alpha, "too")})
		done <- err
	}()
	if _, err := chain.Pending().Wait(deadline(t), func(n int) bool { return n > 0 }); err != nil {
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
