package ethereum_test

import (
	"context"
	"encoding/binary"
	"errors"
	"math/big"
	"slices"
	"sync"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/eth/filters"
	"github.com/ethereum/go-ethereum/rpc"

	"headrace/await/ethereum"
)

// chain is an Ethereum node with go-ethereum's RPC server and blocks that the test makes.
type chain struct {
	mu      sync.Mutex // guards the rest
	server  *rpc.Server
	down    bool
	blocks  []ethereum.Header // canonical, by number
	byHash  map[common.Hash]ethereum.Header
	made    uint64
	subs    map[*rpc.Subscription]*rpc.Notifier
	onAck   func()          // called once, while a subscription is being made
	refuse  error           // answer to every question
	hang    <-chan struct{} // questions wait for it; nil: they do not
	unready map[uint64]int  // how often a block is still denied

	safe, final uint64 // heads; 0: none yet
	bodies      map[common.Hash]body
	next        body                   // of the next block
	pool        map[common.Hash]fakeTx // known, and in no block
	nonces      map[common.Hash]uint64 // after a block, of the only sender
	calls       map[string]int         // of each method
	onRead      map[uint64]func()      // called once, when the block with this number has been read
	onLogs      func()                 // called once, before logs are looked for
	mostLogs    uint64                 // blocks in one question for logs
	lagging     int                    // questions for logs that another node answers, which has the first block alone
}

// body is what a block of the fake has in it.
type body struct {
	txs      []fakeTx
	logs     []types.Log
	consumes uint64 // nonces, by authorizations
}

// fakeTx is a transaction.
type fakeTx struct {
	hash  common.Hash
	nonce uint64
}

// sender is of all transactions.
var sender = common.Address{0xaa}

func newChain() *chain {
	c := &chain{byHash: map[common.Hash]ethereum.Header{}, subs: map[*rpc.Subscription]*rpc.Notifier{}, unready: map[uint64]int{}}
	c.bodies, c.pool, c.nonces, c.calls = map[common.Hash]body{}, map[common.Hash]fakeTx{}, map[common.Hash]uint64{}, map[string]int{}
	c.mostLogs = 1000
	c.serve()
	c.mine(1)
	return c
}

// serve must be called with mu held, or before anyone else has c.
func (c *chain) serve() {
	c.server = rpc.NewServer()
	if err := c.server.RegisterName("eth", &methods{c}); err != nil {
		panic(err)
	}
}

func (c *chain) dial(ctx context.Context) (*rpc.Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.down {
		return nil, errors.New("connection refused")
	}
	return rpc.DialInProc(c.server), nil
}

func (c *chain) node() *ethereum.Node {
	return ethereum.New("fake", ethereum.Options{Dial: c.dial})
}

// cut ends all connections, and refuses new ones while down.
func (c *chain) cut(down bool) {
	c.mu.Lock()
	c.down = down
	clear(c.subs)
	old := c.server
	c.serve()
	c.mu.Unlock()
	old.Stop()
}

// set changes what guards the chain's behaviour.
func (c *chain) set(f func(*chain)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(c)
}

// mine adds n blocks and announces the last of them.
func (c *chain) mine(n int) ethereum.Header { return c.reorg(uint64(len(c.blocks)), n, true) }

// reorg replaces the blocks from a number on by n new ones, and announces the head, or does not.
func (c *chain) reorg(from uint64, n int, announce bool) ethereum.Header {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.extend(from, n, announce)
}

// grow is mine for several goroutines.
func (c *chain) grow(n int) ethereum.Header {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.extend(uint64(len(c.blocks)), n, true)
}

func (c *chain) extend(from uint64, n int, announce bool) ethereum.Header {
	c.blocks = c.blocks[:from]
	for range n {
		c.made++
		b := ethereum.Header{Number: uint64(len(c.blocks)), Time: c.made}
		binary.BigEndian.PutUint64(b.Hash[:], c.made)
		if b.Number > 0 {
			b.ParentHash = c.blocks[b.Number-1].Hash
		}
		c.blocks = append(c.blocks, b)
		c.byHash[b.Hash] = b
		c.bodies[b.Hash] = c.next
		c.nonces[b.Hash] = c.nonces[b.ParentHash] + uint64(len(c.next.txs)) + c.next.consumes
		for _, tx := range c.next.txs {
			delete(c.pool, tx.hash)
		}
		c.next = body{}
	}
	head := c.blocks[len(c.blocks)-1]
	if announce {
		for sub, to := range c.subs {
			_ = to.Notify(sub.ID, wire(head)) // the connection may be ending
		}
	}
	return head
}

func wire(b ethereum.Header) map[string]any {
	return map[string]any{"number": hexutil.Uint64(b.Number), "hash": b.Hash, "parentHash": b.ParentHash, "timestamp": hexutil.Uint64(b.Time)}
}

// methods are the node's eth_ methods.
type methods struct{ c *chain }

func (m *methods) NewHeads(ctx context.Context) (*rpc.Subscription, error) {
	to, ok := rpc.NotifierFromContext(ctx)
	if !ok {
		return nil, rpc.ErrNotificationsUnsupported
	}
	m.c.mu.Lock()
	defer m.c.mu.Unlock()
	if f := m.c.onAck; f != nil {
		m.c.onAck = nil
		f()
	}
	sub := to.CreateSubscription()
	m.c.subs[sub] = to
	return sub, nil
}

func (m *methods) GetBlockByNumber(ctx context.Context, n rpc.BlockNumber, full bool) (map[string]any, error) {
	return m.answer(ctx, full, func(c *chain) (ethereum.Header, bool) {
		switch n {
		case rpc.LatestBlockNumber:
			n = rpc.BlockNumber(len(c.blocks) - 1)
		case rpc.SafeBlockNumber, rpc.FinalizedBlockNumber:
			head := map[rpc.BlockNumber]uint64{rpc.SafeBlockNumber: c.safe, rpc.FinalizedBlockNumber: c.final}[n]
			if head == 0 {
				return ethereum.Header{}, false
			}
			n = rpc.BlockNumber(head)
		}
		if uint64(n) >= uint64(len(c.blocks)) {
			return ethereum.Header{}, false
		}
		if c.unready[uint64(n)] > 0 {
			c.unready[uint64(n)]--
			return ethereum.Header{}, false
		}
		b := c.blocks[n]
		if f := c.onRead[uint64(n)]; f != nil {
			delete(c.onRead, uint64(n))
			f()
		}
		return b, true
	})
}

func (m *methods) GetBlockByHash(ctx context.Context, hash common.Hash, full bool) (map[string]any, error) {
	return m.answer(ctx, full, func(c *chain) (ethereum.Header, bool) { b, ok := c.byHash[hash]; return b, ok })
}

// find returns the canonical block with a transaction.
func (c *chain) find(hash common.Hash) (b ethereum.Header, tx fakeTx, ok bool) {
	for _, b := range c.blocks {
		for _, tx := range c.bodies[b.Hash].txs {
			if tx.hash == hash {
				return b, tx, true
			}
		}
	}
	return b, c.pool[hash], false
}

func (m *methods) GetTransactionReceipt(hash common.Hash) (any, error) {
	m.c.mu.Lock()
	defer m.c.mu.Unlock()
	m.c.calls["receipt"]++
	b, _, ok := m.c.find(hash)
	if !ok || m.c.refuse != nil {
		return nil, m.c.refuse
	}
	return &types.Receipt{TxHash: hash, BlockHash: b.Hash, BlockNumber: new(big.Int).SetUint64(b.Number), Logs: []*types.Log{}}, nil
}

func (m *methods) GetTransactionByHash(hash common.Hash) (map[string]any, error) {
	m.c.mu.Lock()
	defer m.c.mu.Unlock()
	_, tx, _ := m.c.find(hash)
	if tx == (fakeTx{}) || m.c.refuse != nil {
		return nil, m.c.refuse
	}
	return tx.wire(), nil
}

func (tx fakeTx) wire() map[string]any {
	return map[string]any{"hash": tx.hash, "from": sender, "nonce": hexutil.Uint64(tx.nonce)}
}

func (m *methods) GetTransactionCount(_ common.Address, n hexutil.Uint64) (hexutil.Uint64, error) {
	m.c.mu.Lock()
	defer m.c.mu.Unlock()
	m.c.calls["count"]++
	if uint64(n) >= uint64(len(m.c.blocks)) {
		return 0, errors.New("header not found")
	}
	return hexutil.Uint64(m.c.nonces[m.c.blocks[n].Hash]), nil
}

func (m *methods) GetLogs(q filters.FilterCriteria) ([]types.Log, error) {
	m.c.mu.Lock()
	defer m.c.mu.Unlock()
	m.c.calls["logs"]++
	if f := m.c.onLogs; f != nil {
		m.c.onLogs = nil
		f()
	}
	blocks := m.c.blocks
	behind := m.c.lagging > 0
	if behind {
		m.c.lagging--
		blocks = blocks[:1]
	}
	if q.BlockHash != nil {
		b, ok := m.c.byHash[*q.BlockHash]
		if !ok || behind {
			return nil, errors.New("unknown block")
		}
		blocks = []ethereum.Header{b}
	} else if to := q.ToBlock.Uint64(); to-q.FromBlock.Uint64() >= m.c.mostLogs {
		return nil, errors.New("block range is too large")
	} else {
		blocks = blocks[min(q.FromBlock.Uint64(), uint64(len(blocks))):min(to+1, uint64(len(blocks)))]
	}
	found := []types.Log{}
	for _, b := range blocks {
		for i, l := range m.c.bodies[b.Hash].logs {
			l.BlockNumber, l.BlockHash, l.Index = b.Number, b.Hash, uint(i)
			if (len(q.Addresses) == 0 || slices.Contains(q.Addresses, l.Address)) && (len(q.Topics) == 0 || len(q.Topics[0]) == 0 || slices.Contains(q.Topics[0], l.Topics[0])) {
				found = append(found, l)
			}
		}
	}
	return found, nil
}

func (m *methods) answer(ctx context.Context, full bool, find func(*chain) (ethereum.Header, bool)) (map[string]any, error) {
	m.c.mu.Lock()
	hang := m.c.hang
	m.c.mu.Unlock()
	if hang != nil {
		select {
		case <-hang:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	m.c.mu.Lock()
	defer m.c.mu.Unlock()
	if m.c.refuse != nil {
		return nil, m.c.refuse
	}
	if b, ok := find(m.c); ok {
		w := wire(b)
		if txs := []map[string]any{}; full {
			for _, tx := range m.c.bodies[b.Hash].txs {
				txs = append(txs, tx.wire())
			}
			w["transactions"] = txs
		}
		return w, nil
	}
	return nil, nil
}
