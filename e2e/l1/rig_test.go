// Package l1_test runs rollups whose canonical source is an inbox on an Ethereum L1: a real geth as the L1, driven block by block, and nodes with a
// real geth each as execution client.
//
// All waits go by the switch HEADRACE_WAITS: events (the default), poll-500 (every 500 ms for what a node says of proposals, every 200 ms for its blocks)
// and poll-50. BenchmarkWaits runs the same scenarios in each.
//
// Blocks are proposed in payloads of version 1 or 2, in call data or in blobs: each test has one of these ways, and all have the one that -proposals says. All of
// them in all ways:
//
//	for way in 1 2 1-blobs 2-blobs; do go test ./e2e/l1 ./e2e/devchains -args -proposals $way; done
package l1_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/ethclient"
	"go.uber.org/goleak"

	"headrace/block"
	"headrace/devnet"
	"headrace/devnet/beacon"
	"headrace/devnet/geth"
	"headrace/devnet/geth/gethtest"
	"headrace/exec"
	"headrace/l1"
	"headrace/l1/ethereum"
	"headrace/l1/ethereum/inbox"
	"headrace/node"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if built != "" {
			_ = os.RemoveAll(built)
		}
		os.Exit(code)
	}))
}

// patience bounds every wait: what takes longer on a busy machine hangs.
const patience = 2 * time.Minute

var bindings = inbox.NewInbox()

// world is an L1 with an inbox, whose blocks the test makes, and the key of a rollup's proposer.
type world struct {
	t       testing.TB
	ctx     context.Context // of the test, bounded
	waits   waits
	began   time.Time    // when the set-up was done
	spare   []*geth.Node // execution clients that nobody uses yet
	inbox   *devnet.Inbox
	eth     *ethclient.Client // of the L1
	client  *ethereum.Client  // of the inbox
	key     *block.PrivateKey
	genesis *block.Genesis
	l2      string // file of the execution genesis
	seals   bool   // the authors have geths, and blocks the seals of those
	made    *made
}

// setup is the world of most tests: an author and a node, each with a geth of its own.
func setup(t testing.TB, mode waits) (*world, *author, *member) {
	t.Helper()
	w := newWorld(t, mode, l1.Settings{}, 2)
	a, m := w.author(), w.drive()
	w.began = time.Now()
	return w, a, m
}

// newWorld starts an L1, and as many execution clients for author and drive beside it.
func newWorld(t testing.TB, mode waits, settings l1.Settings, clients int) *world {
	t.Helper()
	gethtest.Binary(t) // or skip
	ctx, cancel := context.WithTimeout(context.Background(), 4*patience)
	t.Cleanup(cancel)
	w := &world{t: t, ctx: ctx, waits: mode, made: new(made), spare: make([]*geth.Node, clients)}
	var starts sync.WaitGroup
	errs := make([]error, clients+1)
	for i := range clients {
		dir := t.TempDir()
		starts.Go(func() { w.spare[i], errs[i] = geth.Open(ctx, geth.Options{Dir: dir, Genesis: devnet.L2Genesis()}) })
	}
	dir := t.TempDir()
	starts.Go(func() {
		w.inbox, errs[clients] = devnet.OpenInbox(ctx, devnet.InboxOptions{Dir: dir, Settings: settings})
	})
	starts.Wait()
	for _, g := range w.spare {
		if g != nil {
			t.Cleanup(g.Kill)
		}
	}
	if w.inbox != nil {
		t.Cleanup(func() { _ = w.inbox.Close() })
	}
	err := errors.Join(errs...)
	w.check(err)
	w.eth, err = ethclient.Dial(w.inbox.Geth.HTTP())
	w.check(err)
	t.Cleanup(w.eth.Close)
	w.client, err = ethereum.New(w.inbox.Client)
	w.check(err)
	t.Cleanup(w.client.Close)
	w.key, err = block.GenerateKey(block.Ed25519)
	w.check(err)
	at := w.inbox.Client
	w.genesis = &block.Genesis{
		ChainID: "e2e", StartTime: time.Unix(1_700_000_000, 0).UTC(), InitialHeight: 1, ProposerAddress: w.key.Public().Address(),
		L1: &block.GenesisL1{ChainID: at.ChainID, Inbox: at.Inbox.String(), StartBlock: at.StartBlock},
	}
	raw, err := json.Marshal(devnet.L2Genesis())
	w.check(err)
	w.l2 = filepath.Join(t.TempDir(), "genesis.json")
	w.check(os.WriteFile(w.l2, raw, 0o600))
	return w
}

func (w *world) check(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// member is a node, and the execution client and home that outlive its runs.
type member struct {
	*node.Node
	w    *world
	geth *geth.Node        // nil with the key-value engine
	eth  *ethclient.Client // of geth
	tap  *tap              // between the two
	opt  node.Options
	stop func()

	first node.Status // of the present run, before it began
}

// execution returns an execution client that nobody uses yet.
func (w *world) execution() *geth.Node {
	w.t.Helper()
	if len(w.spare) == 0 {
		return gethtest.Open(w.t, geth.Options{Genesis: devnet.L2Genesis()})
	}
	g := w.spare[0]
	w.spare = w.spare[1:]
	return g
}

// drive starts a node with a geth of its own.
func (w *world) drive() *member { w.t.Helper(); return w.driveWith(func(*node.Options) {}) }

func (w *world) driveWith(change func(*node.Options)) *member {
	w.t.Helper()
	g := w.execution()
	m := w.member()
	m.geth, m.tap = g, newTap(w.t, g.Engine())
	var err error
	m.eth, err = ethclient.Dial(g.HTTP())
	w.check(err)
	w.t.Cleanup(m.eth.Close)
	e := &m.opt.Config.Engine
	e.Kind, e.URL, e.JWTFile, e.GenesisFile = "engineapi", m.tap.url, filepath.Join(g.Dir(), "jwt.hex"), w.l2
	change(&m.opt)
	m.start()
	return m
}

// light starts a node with the key-value engine.
func (w *world) light(change func(*node.Options)) *member {
	w.t.Helper()
	m := w.member()
	if change != nil {
		change(&m.opt)
	}
	m.start()
	return m
}

func (w *world) member() *member {
	c := node.Default()
	c.HTTP.Address = "127.0.0.1:0"
	c.L1.BlockTime = "on-demand" // blocks come when the test makes them: no news is no reason to worry
	c.L1.WS, c.L1.HTTP, c.L1.Beacon = w.inbox.Client.WS, w.inbox.Client.HTTP, w.inbox.Client.Beacon
	return &member{w: w, opt: node.Options{Home: w.t.TempDir(), Genesis: w.genesis, Config: c}}
}

// start runs the node, on what its home holds, until stop is called or the test ends.
func (m *member) start() {
	m.w.t.Helper()
	n, err := node.New(m.opt)
	m.w.check(err)
	m.Node, m.first = n, n.Status().Load()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1) // Run's result
	go func() { ended <- n.Run(ctx) }()
	m.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			m.w.t.Errorf("Run: got %v after its context's end, want nil", err)
		}
	})
	m.w.t.Cleanup(m.stop)
}

func (m *member) restart() {
	m.w.t.Helper()
	m.stop()
	m.start()
}

// author builds blocks, and branches of them, on an engine of its own. It shows them to nobody.
type author struct {
	w       *world
	engine  exec.Engine
	builder exec.Builder
	blocks  []*block.Block
	roots   [][]byte // after each; roots[0]: before the first
	txs     uint64   // made so far
}

// next returns the block on top of the branch, with these transactions. It must take them all.
func (a *author) next(txs ...[]byte) *block.Block {
	a.w.t.Helper()
	w := a.w
	for _, tx := range txs {
		w.check(a.builder.SubmitTx(w.ctx, tx))
	}
	h := block.Header{Height: uint64(len(a.blocks)) + 1, Time: uint64(time.Now().UnixNano()), ChainID: w.genesis.ChainID, ProposerAddress: w.genesis.ProposerAddress, AppHash: a.roots[len(a.blocks)]}
	content, err := a.builder.Build(w.ctx, h.Height, h.Time, 1<<20)
	w.check(err)
	b := w.sign(h, a.tip(), content)
	root, err := a.engine.Execute(w.ctx, b)
	w.check(err)
	a.blocks, a.roots = append(a.blocks, b), append(a.roots, root)
	return b
}

// many returns the next n blocks, each with a transaction.
func (a *author) many(n int) (out []*block.Block) {
	a.w.t.Helper()
	for range n {
		out = append(out, a.next(a.tx()))
	}
	return out
}

// tx is a transaction that no block has yet.
func (a *author) tx() []byte {
	a.w.t.Helper()
	a.txs++
	if a.kv() {
		return fmt.Appendf(nil, "key-%d=%d", a.txs, a.txs)
	}
	tx := transfer(2+int(a.txs-1)%12, (a.txs-1)/12)
	raw, err := tx.MarshalBinary()
	a.w.check(err)
	return raw
}

func (a *author) kv() bool { _, ok := a.engine.(exec.Sealer); return !ok }

func (a *author) tip() *block.Block {
	if len(a.blocks) == 0 {
		return nil
	}
	return a.blocks[len(a.blocks)-1]
}

// back takes the branch back to height: what comes next are siblings of what is there.
func (a *author) back(height int) {
	a.w.t.Helper()
	a.w.check(a.engine.Revert(a.w.ctx, uint64(height)))
	a.blocks, a.roots = a.blocks[:height:height], a.roots[:height+1:height+1]
}

// sign makes a block of the rollup's proposer.
func (w *world) sign(h block.Header, parent *block.Block, txs [][]byte) *block.Block {
	w.t.Helper()
	d := block.Data{Metadata: block.Metadata{ChainID: h.ChainID, Height: h.Height, Time: h.Time}, Txs: txs}
	if parent != nil {
		hash, data := parent.Hash(), parent.Data.Hash()
		h.LastHeaderHash, d.Metadata.LastDataHash = hash[:], data[:]
	}
	commitment := d.Commitment()
	h.DataHash = commitment[:]
	signed, err := block.SignHeader(w.key, h)
	w.check(err)
	b := &block.Block{Header: signed, Data: d}
	w.made.add(b)
	return b
}

// encode writes blocks as a proposal holds them.
func (w *world) encode(blocks ...*block.Block) (out []l1.Encoded) {
	w.t.Helper()
	for _, b := range blocks {
		e := l1.Encoded{Header: b.Header.Encode()}
		if len(b.Data.Txs) > 0 {
			d, err := block.SignData(w.key, b.Data)
			w.check(err)
			e.Data = d.Encode()
		}
		out = append(out, e)
	}
	return out
}

// propose makes an L1 block with a proposal of these blocks.
func (w *world) propose(blocks ...*block.Block) *beacon.Block {
	w.t.Helper()
	return w.mine(w.proposal(0, blocks[0], w.payload(blocks...)))
}

// proposal is a transaction that proposes payload, which says that it begins with first.
func (w *world) proposal(forced uint16, first *block.Block, payload []byte) *types.Transaction {
	w.t.Helper()
	s, err := w.client.State(w.ctx, l1.Hash(w.inbox.Chain.Head().Hash()))
	w.check(err)
	var parent [32]byte
	copy(parent[:], first.Header.Header.LastHeaderHash)
	if w.waits.how.blobs {
		return w.blobTx(1, bindings.PackProposeBlobs([32]byte(s.LastProposal), parent, forced, 0), payload)
	}
	return w.tx(1, 0, bindings.PackPropose([32]byte(s.LastProposal), parent, forced, payload))
}

// tx signs a transaction of account i to the inbox, after `ahead` others of it that have no block yet.
func (w *world) tx(i int, ahead uint64, data []byte) *types.Transaction {
	w.t.Helper()
	key, to := geth.DevKey(i), common.Address(w.inbox.Client.Inbox)
	nonce, err := w.eth.NonceAt(w.ctx, crypto.PubkeyToAddress(key.PublicKey), nil)
	w.check(err)
	id := big.NewInt(geth.DevChainID)
	tx, err := types.SignNewTx(key, types.LatestSignerForChainID(id), &types.DynamicFeeTx{
		ChainID: id, Nonce: nonce + ahead, GasTipCap: big.NewInt(1e9), GasFeeCap: big.NewInt(1e11), Gas: 5_000_000, To: &to, Data: data,
	})
	w.check(err)
	return tx
}

// mine makes an L1 block of exactly these transactions, which must succeed.
func (w *world) mine(txs ...*types.Transaction) *beacon.Block {
	w.t.Helper()
	spec := beacon.Empty()
	if len(txs) > 0 {
		spec = beacon.With(txs...)
	}
	b, err := w.inbox.Chain.Mine(w.ctx, spec)
	w.check(err)
	for _, tx := range txs {
		r, err := w.eth.TransactionReceipt(w.ctx, tx.Hash())
		w.check(err)
		if r.Status != types.ReceiptStatusSuccessful {
			w.t.Fatalf("transaction %s failed in L1 block %d", tx.Hash(), b.Number())
		}
	}
	return b
}

// reorg replaces the L1's blocks above base by n empty ones.
func (w *world) reorg(base *beacon.Block, n int) {
	w.t.Helper()
	_, err := w.inbox.Chain.Reorg(w.ctx, w.inbox.Chain.Head().Number()-base.Number(), beacon.EmptyN(n)...)
	w.check(err)
}

// transfer is a signed transfer on the rollup.
func transfer(i int, nonce uint64) *types.Transaction {
	to, id := common.Address{0xaa}, big.NewInt(devnet.L2ChainID)
	return types.MustSignNewTx(geth.DevKey(i), types.LatestSignerForChainID(id), &types.DynamicFeeTx{
		ChainID: id, Nonce: nonce, To: &to, Value: big.NewInt(1), Gas: 21_000, GasTipCap: big.NewInt(1e9), GasFeeCap: big.NewInt(1e11),
	})
}
