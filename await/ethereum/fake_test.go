package ethereum_test

import (
	"context"
	"encoding/binary"
	"errors"
	"sync"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
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
}

func newChain() *chain {
	c := &chain{byHash: map[common.Hash]ethereum.Header{}, subs: map[*rpc.Subscription]*rpc.Notifier{}, unready: map[uint64]int{}}
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

func (m *methods) GetBlockByNumber(ctx context.Context, n hexutil.Uint64, _ bool) (map[string]any, error) {
	return m.answer(ctx, func(c *chain) (ethereum.Header, bool) {
		if uint64(n) >= uint64(len(c.blocks)) {
			return ethereum.Header{}, false
		}
		if c.unready[uint64(n)] > 0 {
			c.unready[uint64(n)]--
			return ethereum.Header{}, false
		}
		return c.blocks[n], true
	})
}

func (m *methods) GetBlockByHash(ctx context.Context, hash common.Hash, _ bool) (map[string]any, error) {
	return m.answer(ctx, func(c *chain) (ethereum.Header, bool) { b, ok := c.byHash[hash]; return b, ok })
}

func (m *methods) answer(ctx context.Context, find func(*chain) (ethereum.Header, bool)) (map[string]any, error) {
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
		return wire(b), nil
	}
	return nil, nil
}
