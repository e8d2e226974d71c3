package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"headrace/block"
	"headrace/exec/evolve/evgrpc"
	"headrace/exec/evolve/evolvetest"
	"headrace/internal/nettest"
	"headrace/node"
	"headrace/watch"
)

var evolveKillsFlag = flag.Int("evolve-kills", 10, "how many processes to kill of a chain with Evolve executors")

// executorEnv names the orders of a process of this test that is an Evolve executor: a JSON of an executor.
const executorEnv = "HEADRACE_E2E_EXECUTOR"

type executor struct {
	Target, Path string
	As           evolvetest.Form
	Options      evolvetest.Options
}

// runExecutor serves until the process is killed.
func runExecutor(orders string) error {
	var o executor
	if err := json.Unmarshal([]byte(orders), &o); err != nil {
		return err
	}
	x, err := evolvetest.Open(o.Path, o.Options)
	if err != nil {
		return err
	}
	network, address, err := evgrpc.Parse(o.Target)
	if err != nil {
		return err
	}
	lis, err := net.Listen(network, address)
	if network == "unix" && errors.Is(err, syscall.EADDRINUSE) && os.Remove(address) == nil { // of one that was killed
		lis, err = net.Listen(network, address)
	}
	if err != nil {
		return err
	}
	fmt.Println(o.Target)
	return evolvetest.Serve(context.Background(), lis, x, o.As)
}

func (o executor) server(t *testing.T, name string) *server {
	t.Helper()
	orders, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	return &server{name: name, env: []string{executorEnv + "=" + string(orders)}, url: new(watch.Value[address])}
}

// TestKillsEvolve: a sequencer and a full node, each with an executor, of which the full node's loses its last block
// when it is killed. Any of the four is killed again and again. Afterwards both nodes have the same blocks, with the state
// roots of an executor that ran through. Another application in the place of one of them is then found out. One executor
// speaks gRPC and the other Connect, each alone; and then the other way round.
func TestKillsEvolve(t *testing.T) {
	t.Run("connect followed", func(t *testing.T) { testKillsEvolve(t, evolvetest.GRPC, evolvetest.Connect) })
	t.Run("connect leads", func(t *testing.T) { testKillsEvolve(t, evolvetest.Connect, evolvetest.GRPC) })
}

func testKillsEvolve(t *testing.T, seqAs, fullAs evolvetest.Form) {
	noteSources(t)
	rng := rand.New(rand.NewPCG(seedOf(t), 0))
	dir := t.TempDir()
	ofSeq := executor{"http://" + nettest.FreeAddress(t), filepath.Join(dir, "seq"), seqAs, evolvetest.Options{Load: 3}}
	ofFull := executor{"unix://" + filepath.Join(dir, "s"), filepath.Join(dir, "full"), fullAs, evolvetest.Options{Lags: true}}
	kind := func(o executor) []string {
		return []string{"--engine.kind", "evolve-grpc", "--engine.address", o.Target}
	}
	r := newRollupWith(t, pace{block: 20 * time.Millisecond, da: 40 * time.Millisecond}, kind(ofSeq), kind(ofFull))
	x := ofFull.server(t, "full node's executor")
	r.servers = []*server{r.seq, r.all, ofSeq.server(t, "sequencer's executor"), x}
	r.da.start(t)
	for _, s := range r.servers {
		s.start(t)
	}
	highest := uint64(0)
	for kills := 0; kills < *evolveKillsFlag; {
		highest = r.settled(t, highest)
		for range 3 {
			kills += r.kill(t, rng)
		}
	}
	r.settled(t, highest)

	ctx, cancel := context.WithTimeoutCause(t.Context(), 2*patience, errors.New("it hangs"))
	defer cancel()
	c := &asker{client: &http.Client{Transport: &http.Transport{}}}
	defer c.client.CloseIdleConnections()
	seq, full := r.seq.ready(ctx, t), r.all.ready(ctx, t)
	height := c.status(ctx, t, seq, "answering", func(node.Status) bool { return true }).Heads.Unsafe.Height + 2
	for _, url := range []string{seq, full} {
		c.status(ctx, t, url, fmt.Sprintf("ready, with block %d", height), func(s node.Status) bool { return s.Ready && s.Heads.Safe.Height >= height })
	}
	ours, theirs := c.chain(ctx, t, seq, height), c.chain(ctx, t, full, height)
	for i := range ours {
		if !reflect.DeepEqual(ours[i], theirs[i]) {
			t.Fatalf("got block %+v on the full node, want the sequencer's %+v", theirs[i], ours[i])
		}
	}
	txs := r.runThrough(ctx, t, evolvetest.Options{}, ours)
	t.Logf("%d blocks, %d transactions; runs: %d, %d, %d, %d", height, txs, r.servers[0].runs, r.servers[1].runs, r.servers[2].runs, r.servers[3].runs)

	r.exchange(ctx, t, c, x, ofFull)
	for _, s := range []*server{r.all, r.seq, r.da} {
		s.p.interrupt(t)
	}
}

// runThrough has an executor that nobody kills execute the blocks, and compares the roots. It returns how many
// transactions there were.
func (r *rollup) runThrough(ctx context.Context, t *testing.T, opt evolvetest.Options, blocks []node.Block) (txs int) {
	t.Helper()
	genesis, err := block.LoadGenesis(filepath.Join(r.home, "seq", "genesis.json"))
	if err != nil {
		t.Fatal(err)
	}
	x, err := evolvetest.Open("", opt)
	if err != nil {
		t.Fatal(err)
	}
	root, err := x.InitChain(ctx, genesis.StartTime, genesis.InitialHeight, genesis.ChainID)
	for _, b := range blocks {
		if err != nil || !bytes.Equal(b.AppHash, root) {
			t.Fatalf("block %d: got state %x before it, want %x (%v)", b.Height, b.AppHash, root, err)
		}
		res, xerr := x.ExecuteTxs(ctx, b.Txs, b.Height, b.Time, nil)
		if root, err = res.Root, xerr; !bytes.Equal(b.StateRoot, root) {
			t.Fatalf("block %d: got state %x after it, want %x (%v)", b.Height, b.StateRoot, root, err)
		}
		txs += len(b.Txs)
	}
	if txs == 0 {
		t.Error("no block has a transaction")
	}
	return txs
}

// exchange puts another application, which has executed the same blocks, behind the full node: it is not ready and says
// why, after a restart too, and stores nothing more; until the right one is back.
func (r *rollup) exchange(ctx context.Context, t *testing.T, c *asker, x *server, o executor) {
	t.Helper()
	right := x.env
	x.p.kill()
	full := r.all.ready(ctx, t)
	height := c.status(ctx, t, full, "without its executor", func(s node.Status) bool { return !s.Ready }).Heads.Safe.Height
	blocks := c.chain(ctx, t, full, height)
	o.Options.Salt, o.Options.Lags = "wrong", false
	wrong, err := evolvetest.Open(o.Path+".wrong", o.Options)
	if err != nil {
		t.Fatal(err)
	}
	o.Path += ".wrong"
	genesis, err := block.LoadGenesis(filepath.Join(r.home, "seq", "genesis.json"))
	if err == nil {
		_, err = wrong.InitChain(ctx, genesis.StartTime, genesis.InitialHeight, genesis.ChainID)
	}
	var root []byte
	for _, b := range blocks {
		if err == nil {
			res, xerr := wrong.ExecuteTxs(ctx, b.Txs, b.Height, b.Time, nil)
			root, err = res.Root, xerr
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	x.env = o.server(t, "").env
	x.start(t)
	both := func(s node.Status) bool {
		return !s.Ready && strings.Contains(s.Reason, fmt.Sprintf("%x", root)) && strings.Contains(s.Reason, fmt.Sprintf("%x", []byte(blocks[height-1].StateRoot)))
	}
	if s := c.status(ctx, t, full, "ready, or not, with both roots", func(s node.Status) bool { return s.Ready || both(s) }); s.Ready {
		t.Errorf("got ready at block %d with another application", s.Heads.Safe.Height)
	}
	r.all.p.kill()
	r.all.start(t)
	full = r.all.ready(ctx, t)
	if s := c.status(ctx, t, full, "not ready after a restart, with both roots", both); s.Heads.Safe.Height != height {
		t.Errorf("got block %d on another state, want none above %d", s.Heads.Safe.Height, height)
	}
	x.p.kill()
	x.env = right
	x.start(t)
	c.status(ctx, t, full, "ready again", func(s node.Status) bool { return s.Ready && s.Heads.Safe.Height > height })
}
