package e2e_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"headrace/block"
	"headrace/da"
	"headrace/da/celestia"
	"headrace/exec/kv"
	"headrace/follow"
	"headrace/node"
)

// verify compares what both nodes have with each other, with the DA layer, and with what the transactions give.
func (r *rollup) verify(t *testing.T, l *load) {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), 2*patience, errors.New("it hangs"))
	defer cancel()
	c := &asker{client: &http.Client{Transport: &http.Transport{}}}
	defer c.client.CloseIdleConnections()
	seq, full := r.seq.ready(ctx, t), r.all.ready(ctx, t)

	// The load has ended: the block after the present one has all that waits.
	height := c.status(ctx, t, seq, "answering", func(node.Status) bool { return true }).Heads.Unsafe.Height + 2
	for _, url := range []string{seq, full} {
		s := c.status(ctx, t, url, fmt.Sprintf("ready, with block %d", height), func(s node.Status) bool { return s.Ready && s.Heads.Safe.Height >= height })
		if s.Counts.RevertedUnsafe > 0 {
			t.Errorf("%s: got %d blocks reverted, want every block that the sequencer made to be on the DA layer", url, s.Counts.RevertedUnsafe)
		}
	}
	ours, theirs := c.chain(ctx, t, seq, height), c.chain(ctx, t, full, height)
	for i := range ours {
		if !reflect.DeepEqual(ours[i], theirs[i]) {
			t.Fatalf("got block %+v on the full node, want the sequencer's %+v", theirs[i], ours[i])
		}
	}
	state := l.check(t, ours, r.seq.runs)
	for key, want := range state {
		for _, url := range []string{seq, full} {
			var got struct{ Value string }
			if c.get(ctx, t, url+"/v1/kv/"+key, &got); got.Value != want {
				t.Errorf("%s: got %s=%q, want %q", url, key, got.Value, want)
			}
		}
	}
	posted := r.posted(ctx, t)
	posted.check(t, ours)
	replay(ctx, t, ours, posted)
	t.Logf("%d blocks, %d transactions sent, %d accepted, %d posted DA heights; sequencer's runs %d, full node's %d, DA layer's %d", height, len(l.sent), len(l.accepted), posted.heights, r.seq.runs, r.all.runs, r.da.runs)
}

// check folds the blocks' transactions into a state, which it returns. Nothing that was not sent is there, nothing is there twice, and what the last run of the sequencer
// accepted, whose pool nobody killed, is there.
func (l *load) check(t *testing.T, blocks []node.Block, lastRun int) map[string]string {
	t.Helper()
	state, at := map[string]string{}, map[string]uint64{}
	for _, b := range blocks {
		for _, raw := range b.Txs {
			tx := string(raw)
			if before, twice := at[tx]; twice {
				t.Errorf("%s is in blocks %d and %d, want it once", tx, before, b.Height)
			}
			if !l.sent[tx] {
				t.Errorf("%s is in block %d and was never sent", tx, b.Height)
			}
			at[tx] = b.Height
			key, value, _ := strings.Cut(tx, "=")
			state[key] = value
		}
	}
	lost := 0
	for tx, run := range l.accepted {
		switch {
		case at[tx] != 0:
		case run == lastRun:
			t.Errorf("%s was accepted by a sequencer that has run ever since, and is in no block", tx)
		default:
			lost++ // it was in the memory of a process that was killed
		}
	}
	if len(at) == 0 || len(state) < keys {
		t.Errorf("got %d transactions to %d keys, want a load", len(at), len(state))
	}
	t.Logf("%d transactions in blocks, %d accepted ones gone with the pool of a sequencer that was killed", len(at), lost)
	return state
}

// posted is what is on the DA layer, as this test reads it by itself.
type posted struct {
	heights int // that have blobs
	headers map[uint64]*block.SignedHeader
	data    map[block.Hash]*block.SignedData // by commitment
	at      map[uint64]map[string]bool       // encodings by DA height
}

// posted reads the whole DA layer. Two headers for one height would be two blocks signed for it.
func (r *rollup) posted(ctx context.Context, t *testing.T) *posted {
	t.Helper()
	genesis, err := block.LoadGenesis(filepath.Join(r.home, "seq", "genesis.json"))
	if err != nil {
		t.Fatal(err)
	}
	headers, data := da.NamespaceFromName(genesis.DA.HeaderNamespace), da.NamespaceFromName(genesis.DA.DataNamespace)
	client, err := celestia.Dial(r.da.ready(ctx, t), celestia.Options{Namespaces: []da.Namespace{headers, data}})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	found := &posted{headers: map[uint64]*block.SignedHeader{}, data: map[block.Hash]*block.SignedData{}, at: map[uint64]map[string]bool{}}
	err = client.Fetch(ctx, 1, head(ctx, t, client)+1, func(item follow.Item[da.Block]) error {
		found.take(t, &item.Data, headers)
		return nil
	})
	if err != nil {
		t.Fatalf("read the DA layer: %v", err)
	}
	return found
}

// head returns the height that the DA layer has reached.
func head(ctx context.Context, t *testing.T, client *celestia.Client) uint64 {
	t.Helper()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var height uint64
	err := client.Subscribe(ctx, func(u follow.Update[da.Block]) { height = u.Head.Height; cancel() })
	if height == 0 {
		t.Fatalf("ask for the DA layer's head: %v", err)
	}
	return height
}

func (p *posted) take(t *testing.T, b *da.Block, headers da.Namespace) {
	t.Helper()
	if len(b.Blobs) > 0 {
		p.heights++
		p.at[b.Height] = map[string]bool{}
	}
	for _, blob := range b.Blobs {
		p.at[b.Height][string(blob.Data)] = true
		if blob.Namespace != headers {
			d, err := block.DecodeSignedData(blob.Data)
			if err == nil {
				err = d.Verify()
			}
			if err != nil {
				t.Fatalf("data at DA height %d: %v", b.Height, err)
			}
			p.data[d.Data.Commitment()] = d
			continue
		}
		h, err := block.DecodeSignedHeader(blob.Data)
		if err == nil {
			err = errors.Join(h.Verify(), h.VerifyEnvelope())
		}
		if err != nil {
			t.Fatalf("header at DA height %d: %v", b.Height, err)
		}
		if old := p.headers[h.Header.Height]; old != nil && old.Header.Hash() != h.Header.Hash() {
			t.Errorf("two blocks were signed for height %d: %s and %s", h.Header.Height, old.Header.Hash(), h.Header.Hash())
		}
		p.headers[h.Header.Height] = h
	}
}

// check compares the nodes' blocks with what is posted.
func (p *posted) check(t *testing.T, blocks []node.Block) {
	t.Helper()
	for _, b := range blocks {
		h := p.headers[b.Height]
		if h == nil || h.Header.Hash().String() != b.Hash {
			t.Fatalf("block %d: got %s on the nodes, on the DA layer there is %+v", b.Height, b.Hash, h)
		}
		if !p.at[b.HeaderDAHeight][string(h.Encode())] {
			t.Errorf("block %d: its header is not at DA height %d, where the nodes have seen it", b.Height, b.HeaderDAHeight)
		}
		if len(b.Txs) == 0 {
			continue
		}
		d := p.data[block.Hash(b.DataHash)]
		if d == nil || !reflect.DeepEqual(d.Data.Txs, b.Txs) {
			t.Fatalf("block %d: the nodes' transactions are not those on the DA layer", b.Height)
		}
		if !p.at[b.DataDAHeight][string(d.Encode())] {
			t.Errorf("block %d: its data is not at DA height %d, where the nodes have seen it", b.Height, b.DataDAHeight)
		}
	}
}

// replay executes what is posted with a new engine, and compares the state after each block.
func replay(ctx context.Context, t *testing.T, blocks []node.Block, p *posted) {
	t.Helper()
	engine, err := kv.Open(t.TempDir(), kv.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	for _, b := range blocks {
		blk := &block.Block{Header: *p.headers[b.Height]}
		if len(b.Txs) > 0 {
			blk.Data = p.data[block.Hash(b.DataHash)].Data
		}
		root, err := engine.Execute(ctx, blk)
		if err != nil {
			t.Fatalf("execute block %d: %v", b.Height, err)
		}
		if !bytes.Equal(root, b.StateRoot) {
			t.Fatalf("block %d: got state %x on the nodes, want %x", b.Height, b.StateRoot, root)
		}
	}
}

// asker asks nodes over HTTP.
type asker struct{ client *http.Client }

// get decodes the answer to a GET.
func (c *asker) get(ctx context.Context, t *testing.T, url string, into any) {
	t.Helper()
	if err := c.try(ctx, url, into); err != nil {
		t.Fatal(err)
	}
}

func (c *asker) try(ctx context.Context, url string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = errors.New(resp.Status)
	}
	if err == nil {
		err = json.Unmarshal(body, into)
	}
	if err != nil {
		return fmt.Errorf("get %s: %w: %s", url, err, body)
	}
	return nil
}

// status probes a node until its status satisfies pred.
func (c *asker) status(ctx context.Context, t *testing.T, url, what string, pred func(node.Status) bool) node.Status {
	t.Helper()
	probe := time.NewTicker(20 * time.Millisecond) // another process tells only when it is asked
	defer probe.Stop()
	for {
		var s node.Status
		c.get(ctx, t, url+"/v1/status", &s)
		if pred(s) {
			return s
		}
		select {
		case <-probe.C:
		case <-ctx.Done():
			t.Fatalf("%s is not %s: %v: %+v", url, what, context.Cause(ctx), s)
		}
	}
}

// chain returns a node's blocks from 1 to height, after checking that each is safe and links to the one before.
func (c *asker) chain(ctx context.Context, t *testing.T, url string, height uint64) []node.Block {
	t.Helper()
	blocks := make([]node.Block, height)
	for i := range blocks {
		b := &blocks[i]
		c.get(ctx, t, fmt.Sprintf("%s/v1/blocks/%d", url, i+1), b)
		switch {
		case b.Height != uint64(i+1) || !b.Safe:
			t.Fatalf("%s: got %+v, want the safe block %d", url, b, i+1)
		case i == 0:
		case hex.EncodeToString(b.ParentHash) != blocks[i-1].Hash:
			t.Fatalf("%s: block %d: got parent %x, want %s", url, b.Height, b.ParentHash, blocks[i-1].Hash)
		case !bytes.Equal(b.AppHash, blocks[i-1].StateRoot):
			t.Fatalf("%s: block %d was built on state %x, want its parent's %x", url, b.Height, b.AppHash, blocks[i-1].StateRoot)
		}
	}
	return blocks
}
