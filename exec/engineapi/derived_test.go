package engineapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/big"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"headrace/block"
	"headrace/devnet/evreth"
	"headrace/devnet/geth"
	"headrace/devnet/geth/gethtest"
	"headrace/exec"
	"headrace/exec/engineapi"
	"headrace/exec/exectest"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/ethereum/go-ethereum/beacon/engine"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/params"
	"github.com/ethereum/go-ethereum/rpc"
)

var derivedKills = flag.Int("derived.kills", 10, "how often TestDerivedKilled kills")

// evReth is a geth that looks like ev-reth, with a tap before its Engine API.
type evReth struct {
	*geth.Node
	proxy *evreth.Proxy
	tap   *tap
	eth   string
}

func newEvReth(t testing.TB, fork geth.Fork) *evReth {
	t.Helper()
	return before(t, gethtest.Open(t, geth.Options{Genesis: geth.DevGenesis(fork)}), nil)
}

// before puts a proxy before a geth.
func before(t testing.TB, n *geth.Node, change func(*engine.ExecutionPayloadEnvelope)) *evReth {
	t.Helper()
	p := evreth.New(n)
	p.Change = change
	engine, eth := httptest.NewServer(p.Engine()), httptest.NewServer(p.HTTP())
	t.Cleanup(func() { engine.Close(); eth.Close() })
	return &evReth{n, p, newTap(t, engine.URL), eth.URL}
}

func (r *evReth) options(t testing.TB) engineapi.Options {
	o := options(t, r.Node)
	o.URL, o.EthURL, o.InitialHeight = r.tap.url, r.eth, 1
	return o
}

// derived makes an engine that has asked its client once.
func derived(t testing.TB, opt engineapi.Options) *engineapi.Derived {
	t.Helper()
	e, err := engineapi.NewDerived(opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Errorf("close engine: %v", err)
		}
	})
	if _, err := e.Head(t.Context()); err != nil {
		t.Fatal(err)
	}
	return e
}

// plain makes a rollup block of transactions, a second after its parent.
func plain(parent *block.Block, txs ...[]byte) *block.Block {
	height, last, at := uint64(1), []byte(nil), uint64(1_700_000_000e9+5e8)
	if parent != nil {
		hash := parent.Hash()
		height, last, at = parent.Height()+1, hash[:], parent.Header.Header.Time+1e9
	}
	b := &block.Block{Data: block.Data{Metadata: block.Metadata{ChainID: chainID, Height: height, Time: at}, Txs: txs}}
	data := b.Data.Commitment()
	b.Header.Header = block.Header{ChainID: chainID, Height: height, Time: at, LastHeaderHash: last, DataHash: data[:]}
	return b
}

// mixed is a chain in which transactions fail among good ones, and those of each block that do not.
func mixed(t testing.TB, n int) (blocks []*block.Block, good [][][]byte) {
	t.Helper()
	var parent *block.Block
	for i := range n {
		a, b := raw(t, transfer(0, uint64(2*i))), raw(t, transfer(0, uint64(2*i+1)))
		txs, ok := [][]byte{a, b}, [][]byte{a, b}
		switch i % 4 {
		case 1: // used already, and too early
			txs = [][]byte{raw(t, transfer(0, 0)), a, raw(t, transfer(1, 7)), b, a}
		case 2: // no transactions, and more money than there is
			txs = [][]byte{{}, []byte("garbage"), a, {}, raw(t, greedy(2, 0)), b, {0x99, 1}}
		case 3:
			txs, ok = [][]byte{b, a, b}, [][]byte{a, b} // in this order the first b is too early
		}
		parent = plain(parent, txs...)
		blocks, good = append(blocks, parent), append(good, ok)
	}
	return blocks, good
}

// greedy is a transfer of more than account i has.
func greedy(i int, nonce uint64) *types.Transaction {
	to := common.Address{0xaa}
	return types.MustSignNewTx(geth.DevKey(i), types.LatestSignerForChainID(big.NewInt(geth.DevChainID)), &types.DynamicFeeTx{
		ChainID: big.NewInt(geth.DevChainID), Nonce: nonce, To: &to, Value: new(big.Int).Lsh(big.NewInt(1), 100), Gas: 21_000,
		GasTipCap: big.NewInt(params.GWei), GasFeeCap: big.NewInt(100 * params.GWei),
	})
}

// independent runs blocks on a geth of its own, without an engine of ours and a proxy, and returns the roots: of the
// genesis, and after each block, of which only the good transactions are given.
func independent(t testing.TB, fork geth.Fork, blocks []*block.Block, good [][][]byte) (roots [][]byte) {
	t.Helper()
	n := gethtest.Open(t, geth.Options{Genesis: geth.DevGenesis(fork)})
	client, err := rpc.Dial(n.HTTP())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	roots = append(roots, n.GenesisBlock().Root().Bytes())
	for i, b := range blocks {
		txs := []hexutil.Bytes{}
		for _, tx := range good[i] {
			txs = append(txs, tx)
		}
		attributes := map[string]any{
			"timestamp": hexutil.Uint64(b.Header.Header.Time / 1e9), "prevRandao": common.BigToHash(new(big.Int).SetUint64(b.Height())),
			"suggestedFeeRecipient": common.Address{0xfe}, "withdrawals": []any{}, "parentBeaconBlockRoot": common.Hash{},
		}
		var hash common.Hash
		if err := client.Call(&hash, "testing_commitBlockV1", attributes, txs, hexutil.Bytes{}); err != nil {
			t.Fatalf("run block %d: %v", b.Height(), err)
		}
		var h *types.Header
		if err := client.Call(&h, "eth_getBlockByHash", hash, false); err != nil {
			t.Fatal(err)
		}
		roots = append(roots, h.Root.Bytes())
	}
	return roots
}

func wantRoot(t testing.TB, e *engineapi.Derived, b *block.Block, want []byte) {
	t.Helper()
	got, err := e.Execute(t.Context(), b)
	if err != nil {
		t.Fatalf("execute block %d: %v", b.Height(), err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("root after block %d: got %x, want %x", b.Height(), got, want)
	}
}

// A chain with a genesis state and with failing transactions comes to the roots of an independent run.
func TestDerivedFollow(t *testing.T) {
	for _, fork := range []geth.Fork{geth.Cancun, geth.Prague, geth.Osaka} {
		t.Run(fork.String(), func(t *testing.T) {
			t.Parallel()
			blocks, good := mixed(t, 8)
			roots := independent(t, fork, blocks, good)
			e := derived(t, newEvReth(t, fork).options(t))
			head, err := e.Head(t.Context())
			if err != nil || !bytes.Equal(head.Root, roots[0]) || head.Height != 0 {
				t.Fatalf("got head %v, %v, want root %x before the first block", head, err, roots[0])
			}
			for i, b := range blocks {
				wantRoot(t, e, b, roots[i+1])
				wantSkipped(t, e, b, good[i])
			}
		})
	}
}

// wantSkipped checks that an engine says of a block that all but these transactions were skipped.
func wantSkipped(t testing.TB, e *engineapi.Derived, b *block.Block, good [][]byte) {
	t.Helper()
	skipped, err := e.Skipped(b)
	if err != nil {
		t.Fatal(err)
	}
	var rest [][]byte
	for i, tx := range b.Data.Txs {
		if i >= len(skipped) || !skipped[i] {
			rest = append(rest, tx)
		}
	}
	if !slices.EqualFunc(rest, good, bytes.Equal) {
		t.Errorf("block %d: %v of its %d transactions are skipped, want all but %d", b.Height(), skipped, len(b.Data.Txs), len(good))
	}
}

// What the client is asked for is in the form that ev-reth takes, to the letter.
func TestDerivedAttributes(t *testing.T) {
	t.Parallel()
	r := newEvReth(t, geth.Prague)
	var asked []string
	r.tap.see = func(method string, params []json.RawMessage) {
		if method == "engine_forkchoiceUpdatedV3" && string(params[1]) != "null" {
			asked = append(asked, string(params[1]))
		}
	}
	e := derived(t, r.options(t))
	tx := raw(t, transfer(0, 0))
	b := plain(nil, []byte{}, tx)
	if _, err := e.Execute(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	zeros := strings.Repeat("0", 64)
	want := fmt.Sprintf(`{"timestamp":1700000000,"prevRandao":"0x%s1","suggestedFeeRecipient":"0xfe%s","withdrawals":[],"parentBeaconBlockRoot":"0x%s","transactions":["0x%x"],"gasLimit":30000000}`,
		zeros[1:], zeros[:38], zeros, tx)
	if len(asked) != 1 || asked[0] != want {
		t.Errorf("got attributes %q, want %q", asked, want)
	}
}

// The id of a payload does not depend on its transactions: that of an earlier request comes back, and is noticed.
func TestDerivedStale(t *testing.T) {
	t.Parallel()
	a, b := raw(t, transfer(0, 0)), raw(t, transfer(1, 0))
	bad := raw(t, transfer(2, 9))
	for _, c := range []struct {
		name           string
		earlier, asked [][]byte
	}{
		{"with others", [][]byte{a}, [][]byte{b}},
		{"with fewer", [][]byte{a}, [][]byte{a, b}},
		{"with none", nil, [][]byte{a, b, bad}},
		{"with more", [][]byte{a, b}, [][]byte{bad, b}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var good [][]byte
			for _, tx := range c.asked {
				if !bytes.Equal(tx, bad) {
					good = append(good, tx)
				}
			}
			asked := plain(nil, c.asked...)
			roots := independent(t, geth.Prague, []*block.Block{asked}, [][][]byte{good})
			r := newEvReth(t, geth.Prague)
			e := derived(t, r.options(t))
			r.tap.set("engine_getPayloadV4", rule{drop: true}) // the node dies here
			if _, err := e.Execute(t.Context(), plain(nil, c.earlier...)); !errors.Is(err, engineapi.ErrUnavailable) {
				t.Fatalf("got %v, want ErrUnavailable", err)
			}
			r.tap.clear()
			wantRoot(t, e, asked, roots[1])
		})
	}
	t.Run("for ever", func(t *testing.T) {
		t.Parallel()
		r := newEvReth(t, geth.Prague)
		e := derived(t, r.options(t))
		r.proxy.Keep(true)
		r.tap.set("engine_newPayloadV4", rule{drop: true})
		if _, err := e.Execute(t.Context(), plain(nil, a)); !errors.Is(err, engineapi.ErrUnavailable) {
			t.Fatalf("got %v, want ErrUnavailable", err)
		}
		r.tap.clear()
		r.tap.requests()
		if root, err := e.Execute(t.Context(), plain(nil, b)); err == nil || errors.Is(err, exec.ErrInvalid) || !strings.Contains(err.Error(), "restart it") {
			t.Errorf("got root %x and %v, want no verdict, and the remedy", root, err)
		}
		if got := r.tap.asked("engine_getPayloadV4"); got != 4 {
			t.Errorf("got %d requests for the payload, want 4", got)
		}
		r.proxy.Keep(false)
		if _, err := e.Execute(t.Context(), plain(nil, b)); err != nil {
			t.Error(err)
		}
	})
}

// A payload that is not what was asked for is not executed, and is no verdict on the block.
func TestDerivedHostile(t *testing.T) {
	t.Parallel()
	a, b, foreign := raw(t, transfer(0, 0)), raw(t, transfer(1, 0)), raw(t, transfer(2, 0))
	for name, change := range map[string]func(*engine.ExecutableData){
		"a foreign transaction": func(p *engine.ExecutableData) { p.Transactions = append(p.Transactions, foreign) },
		"another order":         func(p *engine.ExecutableData) { slices.Reverse(p.Transactions) },
		"one twice":             func(p *engine.ExecutableData) { p.Transactions = append(p.Transactions, p.Transactions[0]) },
		"another time":          func(p *engine.ExecutableData) { p.Timestamp++ },
		"another prevRandao":    func(p *engine.ExecutableData) { p.Random[0]++ },
		"another gas limit":     func(p *engine.ExecutableData) { p.GasLimit++ },
		"another fee recipient": func(p *engine.ExecutableData) { p.FeeRecipient[0]++ },
		"another parent":        func(p *engine.ExecutableData) { p.ParentHash[0]++ },
		"another number":        func(p *engine.ExecutableData) { p.Number++ },
		"a withdrawal":          func(p *engine.ExecutableData) { p.Withdrawals = append(p.Withdrawals, &types.Withdrawal{}) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := hostile(t, change)
			e := derived(t, r.options(t))
			r.tap.requests()
			if root, err := e.Execute(t.Context(), plain(nil, a, b)); err == nil || errors.Is(err, exec.ErrInvalid) {
				t.Errorf("got root %x and %v, want an error that is no verdict", root, err)
			}
			if got := r.tap.asked("engine_newPayloadV4"); got != 0 {
				t.Errorf("the payload was executed")
			}
		})
	}
}

// hostile is a client whose payloads are changed, and made to hash to what they say.
func hostile(t *testing.T, change func(*engine.ExecutableData)) *evReth {
	return before(t, gethtest.Open(t, geth.Options{}), func(e *engine.ExecutionPayloadEnvelope) {
		change(e.ExecutionPayload)
	})
}

// The form of the attributes and the initial height are the chain's; another is refused before anything is asked.
func TestDerivedRefused(t *testing.T) {
	t.Parallel()
	n := gethtest.Open(t, geth.Options{})
	opt := options(t, n)
	if _, err := engineapi.NewDerived(opt); !errors.Is(err, engineapi.ErrConfig) || !strings.Contains(err.Error(), "want 1") {
		t.Errorf("at height %d: got %v, want ErrConfig", opt.InitialHeight, err)
	}
	opt.InitialHeight = 1
	e := derived(t, opt) // a geth, which knows no transactions as attributes
	if root, err := e.Execute(t.Context(), plain(nil, raw(t, transfer(0, 0)))); err == nil || errors.Is(err, exec.ErrInvalid) {
		t.Errorf("on a geth: got root %x and %v, want an error that is no verdict", root, err)
	}
	if _, err := e.Build(t.Context(), 1, 1, 1000); !errors.Is(err, engineapi.ErrConfig) {
		t.Errorf("build without an address of the pool: got %v, want ErrConfig", err)
	}
}

// A block whose second is its parent's is asked for as it is: ev-reth takes it, and geth is another's.
func TestDerivedSameSecond(t *testing.T) {
	t.Parallel()
	r := newEvReth(t, geth.Prague)
	var times []uint64
	r.tap.see = func(method string, params []json.RawMessage) {
		var a struct{ Timestamp uint64 }
		if method == "engine_forkchoiceUpdatedV3" && json.Unmarshal(params[1], &a) == nil && a.Timestamp > 0 {
			times = append(times, a.Timestamp)
		}
	}
	e := derived(t, r.options(t))
	first := plain(nil)
	if _, err := e.Execute(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	second := plain(first)
	second.Header.Header.Time = first.Header.Header.Time + 1
	if root, err := e.Execute(t.Context(), second); err == nil || errors.Is(err, exec.ErrInvalid) {
		t.Errorf("got root %x and %v, want geth's refusal, which is no verdict", root, err)
	}
	if !slices.Equal(times, []uint64{1_700_000_000, 1_700_000_000}) {
		t.Errorf("asked for times %d, want the same one twice", times)
	}
}

// The client and the node's disk are killed at random points, on the way from genesis. The roots are those of an
// independent run.
func TestDerivedKilled(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	blocks, good := mixed(t, 12+*derivedKills)
	roots := independent(t, geth.Prague, blocks, good)
	r := newEvReth(t, geth.Prague)
	disk := vfs.NewCrashableMem()
	opt := r.options(t)
	opt.Dir, opt.FS = "index", disk
	open := func() *engineapi.Derived {
		e, err := engineapi.NewDerived(opt)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	e := open()
	defer func() { e.Close() }()
	points := []string{"engine_forkchoiceUpdatedV3", "engine_getPayloadV4", "engine_newPayloadV4", "eth_getBlockByNumber", "eth_getBlockByHash"}
	kills, lost, highest := 0, 0, 0
	for done := 0; done < len(blocks); {
		if kills < *derivedKills && random.IntN(2) == 0 {
			kills++
			r.tap.kill(points[random.IntN(len(points))], random.IntN(2) == 0, r.Node)
		}
		root, err := e.Execute(t.Context(), blocks[done])
		r.tap.clear()
		select {
		case <-r.Exited():
			if err := r.Restart(t.Context()); err != nil {
				t.Fatal(err)
			}
			if random.IntN(2) == 0 { // the node with it
				left := disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: random.IntN(101), RNG: random})
				if err := e.Close(); err != nil {
					t.Fatal(err)
				}
				disk, opt.FS = left, left
				e = open()
			}
		default:
		}
		switch {
		case err == nil:
			if done++; !bytes.Equal(root, roots[done]) {
				t.Fatalf("root after block %d: got %x, want %x", done, root, roots[done])
			}
			highest = max(highest, done)
			if random.IntN(4) > 0 {
				continue
			}
		case !errors.Is(err, exec.ErrParent) && !errors.Is(err, engineapi.ErrUnavailable):
			t.Fatalf("block %d: %v", blocks[done].Height(), err)
		}
		head, err := e.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if int(head.Height) > len(blocks) || !bytes.Equal(head.Root, roots[head.Height]) {
			t.Fatalf("head: got %v, want root %x", head, roots[head.Height])
		}
		lost += max(0, done-int(head.Height))
		done = int(head.Height)
	}
	t.Logf("%d kills, %d blocks lost and executed again", kills, lost)
	if *derivedKills > 0 && kills < *derivedKills/2 {
		t.Errorf("%d kills, want more", kills)
	}
	if got := canonicalRoot(t, r.Node); !bytes.Equal(got, roots[len(blocks)]) {
		t.Errorf("the client's root: got %x, want %x", got, roots[len(blocks)])
	}
}

func canonicalRoot(t testing.TB, n *geth.Node) []byte {
	t.Helper()
	client, err := rpc.Dial(n.HTTP())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	var h *types.Header
	if err := client.Call(&h, "eth_getBlockByNumber", "latest", false); err != nil {
		t.Fatal(err)
	}
	return h.Root.Bytes()
}

// A client that has the chain already is taken over: it makes nothing that it has whole, and nothing that it would not
// go back to make.
func TestDerivedTakenOver(t *testing.T) {
	t.Parallel()
	blocks, good := mixed(t, 8)
	roots := independent(t, geth.Prague, blocks, good)
	for _, final := range []bool{false, true} {
		t.Run(fmt.Sprintf("final %v", final), func(t *testing.T) {
			t.Parallel()
			r := newEvReth(t, geth.Prague)
			e := derived(t, r.options(t))
			for i, b := range blocks {
				wantRoot(t, e, b, roots[i+1])
			}
			head := latest(t, r.Node)
			if final {
				ref := block.Ref{Height: 8, Hash: blocks[7].Hash()}
				if err := e.Label(t.Context(), ref, ref); err != nil {
					t.Fatal(err)
				}
			}
			r.tap.requests()
			again := derived(t, r.options(t)) // with an empty index
			for i, b := range blocks {
				if i == 1 && r.tap.asked("engine_getPayloadV4") > 0 {
					t.Error("a block that the client has whole was made anew")
				}
				wantRoot(t, again, b, roots[i+1])
			}
			if got := latest(t, r.Node); got != head {
				t.Errorf("the client's head: got %s, want %s", got, head)
			}
			if made := r.tap.asked("engine_getPayloadV4") > 0; made == final {
				t.Errorf("blocks with fewer transactions were made anew: %v", made)
			}
		})
	}
	t.Run("another chain's", func(t *testing.T) {
		t.Parallel()
		r := newEvReth(t, geth.Prague)
		e := derived(t, r.options(t))
		other := plain(nil, raw(t, transfer(3, 0)))
		if _, err := e.Execute(t.Context(), other); err != nil {
			t.Fatal(err)
		}
		ref := block.Ref{Height: 1, Hash: other.Hash()}
		if err := e.Label(t.Context(), ref, ref); err != nil {
			t.Fatal(err)
		}
		again := derived(t, r.options(t))
		if root, err := again.Execute(t.Context(), blocks[0]); err == nil || !strings.Contains(err.Error(), "the client keeps its block 1") {
			t.Errorf("got root %x and %v, want the client's block named", root, err)
		}
	})
}

// A sibling with more transactions is not taken for the block that was reverted.
func TestDerivedSibling(t *testing.T) {
	t.Parallel()
	a, b := raw(t, transfer(0, 0)), raw(t, transfer(1, 0))
	fewer, more := plain(nil, a), plain(nil, a, b)
	roots := independent(t, geth.Prague, []*block.Block{more}, [][][]byte{{a, b}})
	r := newEvReth(t, geth.Prague)
	if _, err := derived(t, r.options(t)).Execute(t.Context(), fewer); err != nil {
		t.Fatal(err)
	}
	wantRoot(t, derived(t, r.options(t)), more, roots[1]) // by an index that does not know the other
}

// An index of sealed blocks is no index of derived ones.
func TestDerivedIndex(t *testing.T) {
	t.Parallel()
	opt := newEvReth(t, geth.Prague).options(t)
	e, err := engineapi.New(opt)
	if err := errors.Join(err, e.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := engineapi.NewDerived(opt); !errors.Is(err, engineapi.ErrConfig) {
		t.Errorf("got %v, want ErrConfig", err)
	}
}

// The suite, through the proxy.
func TestDerivedSuite(t *testing.T) {
	t.Parallel()
	free := make(chan *evReth, 2)
	for range cap(free) {
		free <- newEvReth(t, geth.Prague)
	}
	exectest.Test(t, func(t *testing.T) exectest.Subject {
		r := <-free
		t.Cleanup(func() { empty(t, r.Node); r.proxy.Keep(false); free <- r })
		return derivedSubject(t, r)
	})
}

func derivedSubject(t *testing.T, r *evReth) exectest.Subject {
	disk := vfs.NewCrashableMem()
	opt := r.options(t)
	opt.Dir, opt.FS, opt.BuildTime = "index", disk, 20*time.Millisecond
	var e *engineapi.Derived
	reopen := func(t *testing.T) exec.Engine {
		t.Helper()
		var err error
		if e, err = engineapi.NewDerived(opt); err != nil {
			t.Fatal(err)
		}
		return e
	}
	end := func(t *testing.T) {
		t.Helper()
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { end(t) })
	random := rand.New(rand.NewPCG(1, 1))
	return exectest.Subject{
		Engine: reopen(t), ChainID: chainID, InitialHeight: 1,
		Txs: func(_ *testing.T, _ exec.Engine, height uint64, _ time.Time, salt int) [][]byte {
			return [][]byte{raw(t, payTo(height, salt)), []byte("garbage")}
		},
		BadTx:     raw(t, greedy(2, 0)),
		Tx:        func(n int) []byte { return raw(t, transfer(n%8, uint64(n/8))) },
		InvalidTx: []byte("garbage"),
		MaxBytes:  1 << 20,
		Reopen:    func(t *testing.T) exec.Engine { end(t); return reopen(t) },
		Crash: func(t *testing.T) exec.Engine {
			t.Helper()
			if random.IntN(2) == 0 { // the client with the node, or the node alone
				r.Kill()
				if err := r.Restart(context.Background()); err != nil {
					t.Fatal(err)
				}
			}
			left := disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 30, RNG: random})
			end(t)
			disk, opt.FS = left, left
			return reopen(t)
		},
	}
}

// payTo is the transaction of a block at height, to an account that salt names. Its sender's nonce is the height's.
func payTo(height uint64, salt int) *types.Transaction {
	to := common.BigToAddress(big.NewInt(1_000_000 + int64(salt)))
	return types.MustSignNewTx(geth.DevKey(15), types.LatestSignerForChainID(big.NewInt(geth.DevChainID)), &types.DynamicFeeTx{
		ChainID: big.NewInt(geth.DevChainID), Nonce: height - 1, To: &to, Value: big.NewInt(1), Gas: 21_000,
		GasTipCap: big.NewInt(params.GWei), GasFeeCap: big.NewInt(100 * params.GWei),
	})
}

// What a client says of a block that it has made itself is no verdict on the rollup block.
func TestDerivedInvalid(t *testing.T) {
	t.Parallel()
	r := newEvReth(t, geth.Prague)
	e := derived(t, r.options(t))
	b := plain(nil, raw(t, transfer(0, 0)))
	r.tap.set("engine_newPayloadV4", rule{once: true, answer: fmt.Sprintf(`"result":{"status":"INVALID","latestValidHash":%q,"validationError":"as told"}`, r.GenesisBlock().Hash())})
	if root, err := e.Execute(t.Context(), b); err == nil || errors.Is(err, exec.ErrInvalid) || !strings.Contains(err.Error(), "as told") {
		t.Errorf("got root %x and %v, want an error that is no verdict", root, err)
	}
	if got := r.tap.asked("engine_forkchoiceUpdatedV3"); got != 1 {
		t.Errorf("%d blocks were asked for, want 1: another would show nothing of this one", got)
	}
	if _, err := e.Execute(t.Context(), b); err != nil {
		t.Error(err)
	}
}

// A block holds what the client's pool lists, in its order, as far as it fits, and nothing that is in a block already.
func TestDerivedPool(t *testing.T) {
	t.Parallel()
	r := newEvReth(t, geth.Prague)
	opt := r.options(t)
	e := derived(t, opt)
	in, small, large := raw(t, transfer(0, 0)), raw(t, transfer(1, 0)), bytes.Repeat([]byte{7}, 500)
	b := plain(nil, in)
	if _, err := e.Execute(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	build := func(maxBytes int, listed, want [][]byte) {
		t.Helper()
		r.proxy.List(listed...)
		got, err := e.Build(t.Context(), 2, 0, maxBytes)
		if err != nil || !slices.EqualFunc(got, want, bytes.Equal) {
			t.Errorf("built %x, %v, want %x", got, err, want)
		}
	}
	build(1000, [][]byte{in, {}, small, large}, [][]byte{small, large})
	build(520, [][]byte{small, large, small}, [][]byte{small})
	build(520, [][]byte{large, small}, [][]byte{large})
	build(100+len(small), [][]byte{large, small}, [][]byte{small}) // no block could hold the large one
	if err := e.Revert(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	r.proxy.List(in)
	if got, err := e.Build(t.Context(), 1, 0, 1000); err != nil || len(got) == 0 || !bytes.Equal(got[0], in) {
		t.Errorf("after a revert: built %x, %v, want %x", got, err, in)
	}
	r.tap.requests()
	deaf := opt
	deaf.EthURL, deaf.Dir = r.Node.HTTP(), t.TempDir() // a geth, which has no such list
	if _, err := derived(t, deaf).Build(t.Context(), 1, 0, 1000); !errors.Is(err, engineapi.ErrConfig) || !strings.Contains(err.Error(), "txpoolExt") {
		t.Errorf("on a geth: got %v, want ErrConfig that names the method", err)
	}
}

// The public JSON-RPC is given no token: the secret is the Engine API's.
func TestDerivedPoolWithoutToken(t *testing.T) {
	t.Parallel()
	r := newEvReth(t, geth.Prague)
	seen := make(chan string, 16)
	eth := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		seen <- q.Header.Get("Authorization")
		fmt.Fprint(w, `{"jsonrpc":"2.0","id":1,"result":[]}`)
	}))
	t.Cleanup(eth.Close)
	opt := r.options(t)
	opt.EthURL = eth.URL
	if _, err := derived(t, opt).Build(t.Context(), 1, 0, 1000); err != nil {
		t.Fatal(err)
	}
	if token := <-seen; token != "" {
		t.Errorf("got an Authorization header of %d bytes, want none", len(token))
	}
}
