package ethereum

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"

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

const forcedCacheSize = 64 // items of at most l1.MaxForced each: 2 MiB

// queued reads the forced item that a source taken from the queue came from, in the canonical block that the source
// names.
func (e *endpoint) queued(ctx context.Context, s l1.Source) (l1.Forced, error) {
	h, err := e.header(ctx, hexutil.EncodeUint64(s.Number))
	if err != nil {
		return l1.Forced{}, err
	}
	if h == nil {
		return l1.Forced{}, fmt.Errorf("block %d of forced item %d: %w", s.Number, s.Index, l1.ErrNotFound)
	}
	key := forcedKey{h.hash, s.Index}
	if f, ok := e.client.forced.Get(key); ok {
		return f, nil
	}
	logs, err := e.provenLogs(ctx, h)
	if err != nil {
		return l1.Forced{}, err
	}
	for _, l := range logs {
		if l.Topics[0] != topicForced || len(l.Topics) < 2 || l.Topics[1] != indexTopic(s.Index) {
			continue
		}
		txs, err := e.transactions(ctx, h)
		if err != nil {
			return l1.Forced{}, err
		}
		m, err := e.message(ctx, h, l, txs)
		if err != nil {
			return l1.Forced{}, err
		}
		f := *m.Forced
		if f.Source.DataHash != s.DataHash || !slices.Equal(f.Source.Blobs, s.Blobs) || f.Source.Offset != s.Offset {
			return l1.Forced{}, fmt.Errorf("forced item %d in block %s is another one: read on another fork", s.Index, h.hash)
		}
		return f, nil
	}
	return l1.Forced{}, fmt.Errorf("forced item %d is not in block %s: read on another fork", s.Index, h.hash)
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
