package ethereum

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/common/lru"
	"github.com/ethereum/go-ethereum/core/types"

	"headrace/l1"
)

// isVerdict reports whether err is about content, for good: nothing that a retry could change.
func isVerdict(err error) bool { return errors.Is(err, l1.ErrContent) }

// forcedKey names a forced item in the cache of those that were read, since each is asked for at least twice: when it
// is queued and when it is taken.
type forcedKey struct {
	block common.Hash
	index uint64
}

// forcedCache keeps the forced items that were used last, up to forcedCacheBytes by l1.Source.Size: several times what a
// proposal takes. Safe for concurrent use.
type forcedCache struct {
	mu    sync.Mutex
	items lru.BasicLRU[forcedKey, l1.Forced]
	bytes int
}

const forcedCacheBytes = 4 << 20

func newForcedCache() *forcedCache {
	return &forcedCache{items: lru.NewBasicLRU[forcedKey, l1.Forced](forcedCacheBytes / 128)}
}

func (c *forcedCache) get(key forcedKey) (l1.Forced, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.items.Get(key)
}

func (c *forcedCache) add(key forcedKey, f l1.Forced) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if old, ok := c.items.Peek(key); ok {
		c.bytes -= old.Source.Size()
	}
	c.items.Add(key, f)
	for c.bytes += f.Source.Size(); c.bytes > forcedCacheBytes; {
		_, old, ok := c.items.RemoveOldest()
		if !ok {
			return
		}
		c.bytes -= old.Source.Size()
	}
}

// queuedAll reads the forced items that sources taken from the queue came from, in order, in the canonical blocks that the
// sources name.
func (e *endpoint) queuedAll(ctx context.Context, sources []l1.Source) (items []l1.Forced, err error) {
	var h *header // of the block of the item before: many may be in one
	for _, s := range sources {
		if h == nil || h.number() != s.Number {
			if h, err = e.header(ctx, hexutil.EncodeUint64(s.Number)); err != nil {
				return nil, err
			}
			if h == nil {
				return nil, fmt.Errorf("block %d of forced item %d: %w", s.Number, s.Index, l1.ErrNotFound)
			}
		}
		f, err := e.queued(ctx, h, s)
		if err != nil {
			return nil, err
		}
		items = append(items, f)
	}
	return items, nil
}

// queued reads the forced item that a source came from, in the block of a header. What else was queued in that block is
// kept too: it is asked for next.
func (e *endpoint) queued(ctx context.Context, h *header, s l1.Source) (f l1.Forced, err error) {
	if f, ok := e.client.forced.get(forcedKey{h.hash, s.Index}); ok {
		return f, nil
	}
	logs, err := e.provenLogs(ctx, h)
	if err != nil {
		return f, err
	}
	logs = slices.DeleteFunc(slices.Clone(logs), func(l *types.Log) bool { return l.Topics[0] != topicForced || len(l.Topics) < 2 })
	if !slices.ContainsFunc(logs, func(l *types.Log) bool { return l.Topics[1] == indexTopic(s.Index) }) {
		return f, fmt.Errorf("forced item %d is not in block %s: read on another fork", s.Index, h.hash)
	}
	txs, err := e.transactions(ctx, h)
	if err != nil {
		return f, err
	}
	for _, l := range logs {
		m, err := e.message(ctx, h, l, txs)
		if err != nil {
			return f, err
		}
		if l.Topics[1] == indexTopic(s.Index) {
			f = *m.Forced
		}
	}
	if f.Source.DataHash != s.DataHash || !slices.Equal(f.Source.Blobs, s.Blobs) || f.Source.Offset != s.Offset {
		return f, fmt.Errorf("forced item %d in block %s is another one: read on another fork", s.Index, h.hash)
	}
	return f, nil
}

func indexTopic(n uint64) (t common.Hash) {
	for i := range 8 {
		t[31-i] = byte(n >> (8 * i))
	}
	return t
}

// stillCanonical fails if a header is not, or no longer, of the canonical chain: what was read by number meanwhile
// may be of another fork than it.
func (e *endpoint) stillCanonical(ctx context.Context, h *header) error {
	now, err := e.header(ctx, hexutil.EncodeUint64(h.number()))
	if err != nil {
		return err
	}
	if now == nil || now.hash != h.hash {
		return fmt.Errorf("block %d, %s: not canonical at the endpoint", h.number(), h.hash)
	}
	return nil
}
