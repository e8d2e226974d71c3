package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"headrace/da"
	"headrace/da/local"
	"headrace/devnet"
	"headrace/exec/evolve/evolvetest"
	"headrace/node"
	"headrace/watch"
)

// recorded reads a file of the chain that an ev-node has made.
func recorded(t *testing.T, name string, into any) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "block", "testdata", name))
	if err == nil {
		err = json.Unmarshal(raw, into)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestKillsEvNodesChain: a chain that an ev-node has made, whose genesis state is empty, is followed from its genesis
// while it is posted. Node and executor are killed again and again, and the executor loses its last block each time.
// The state root after each block is the one that the ev-node has signed with the next.
func TestKillsEvNodesChain(t *testing.T) {
	noteSources(t)
	rng := rand.New(rand.NewPCG(seedOf(t), 4))
	var posts struct {
		Heights []struct {
			Headers [][]byte `json:"header_blobs"`
			Data    [][]byte `json:"data_blobs"`
		}
	}
	var made []struct {
		Block struct {
			Header struct{ Header struct{ AppHash []byte } }
			Data   struct{ Txs [][]byte }
		}
	}
	recorded(t, "da.json", &posts)
	recorded(t, "blocks.json", &made)

	ctx, cancel := context.WithTimeoutCause(t.Context(), 2*patience+time.Duration(*evolveKillsFlag)*2*time.Second, errors.New("it hangs"))
	layer, err := devnet.NewDA(devnet.DAOptions{Listen: "127.0.0.1:0", Chain: local.Options{Interval: 40 * time.Millisecond}})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- layer.Run(ctx) }()
	defer func() { cancel(); <-ended }()
	dir := t.TempDir()
	x := executor{"unix://" + filepath.Join(dir, "s"), filepath.Join(dir, "state"), evolvetest.Both, evolvetest.Options{Dump: true, Lags: true}}
	headrace(t, "init", "--home", filepath.Join(dir, "full"), "--genesis", filepath.Join("..", "block", "testdata", "genesis.json"),
		"--da.address", layer.URL(), "--da.header_namespace", "hdr", "--da.data_namespace", "dat", "--http.address", "127.0.0.1:0", "--log.format", "json",
		"--engine.kind", "evolve-grpc", "--engine.address", x.Target)
	r := &rollup{all: &server{name: "full node", args: []string{"start", "--home", filepath.Join(dir, "full")}, url: new(watch.Value[address])}}
	r.servers = []*server{r.all, x.server(t, "executor")}
	for _, s := range r.servers {
		s.start(t)
	}

	post := func(height int) {
		t.Helper()
		var blobs []da.Blob
		for _, b := range posts.Heights[height].Headers {
			blobs = append(blobs, da.Blob{Namespace: da.NamespaceFromName("hdr"), Data: b, Index: -1})
		}
		for _, b := range posts.Heights[height].Data {
			blobs = append(blobs, da.Blob{Namespace: da.NamespaceFromName("dat"), Data: b, Index: -1})
		}
		if _, err := layer.Chain().Submit(ctx, blobs); err != nil {
			t.Fatal(err)
		}
	}
	next := 0
	for kills := 0; kills < *evolveKillsFlag; {
		for ; next*(*evolveKillsFlag) < len(posts.Heights)*(kills+1) && next < len(posts.Heights); next++ {
			post(next)
		}
		kills += r.kill(t, rng)
	}
	for ; next < len(posts.Heights); next++ {
		post(next)
	}

	last := uint64(len(made) - 1) // the header of the last one was not posted yet
	c := &asker{client: &http.Client{Transport: &http.Transport{}}}
	defer c.client.CloseIdleConnections()
	full := r.all.ready(ctx, t)
	c.status(ctx, t, full, "at the last block", func(s node.Status) bool { return s.Ready && s.Heads.Safe.Height == last })
	txs := 0
	for i, b := range c.chain(ctx, t, full, last) {
		txs += len(b.Txs)
		if before, after := made[i].Block.Header.Header.AppHash, made[i+1].Block.Header.Header.AppHash; !bytes.Equal(b.AppHash, before) || !bytes.Equal(b.StateRoot, after) {
			t.Errorf("block %d: got state %q before it and %q after it, the ev-node has %q and %q", b.Height, b.AppHash, b.StateRoot, before, after)
		}
	}
	t.Logf("%d blocks, %d transactions; runs: %d, %d", last, txs, r.servers[0].runs, r.servers[1].runs)
	r.all.p.interrupt(t)
}
