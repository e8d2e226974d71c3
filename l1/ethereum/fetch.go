package ethereum

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"

	"headrace/follow"
	"headrace/l1"
)

// Fetch implements follow.Source. Headers come in batches; the blocks whose headers do not exclude messages are read
// by hash, several at a time.
func (e *endpoint) Fetch(ctx context.Context, from, to uint64, deliver func(follow.Item[l1.Block]) error) error {
	defer e.fetches.begun(ctx)()
	trusted, err := e.trustedUpTo(ctx)
	if err != nil {
		return err
	}
	for from < to {
		headers, err := e.headers(ctx, from, int(min(to-from, uint64(e.client.opt.Batch))))
		if err != nil {
			return fmt.Errorf("fetch L1 headers from %d: %w", from, err)
		}
		if last := headers[len(headers)-1]; last.number() <= trusted {
			err = e.deliverTrusted(ctx, headers, deliver)
		} else {
			err = e.deliverProven(ctx, headers, deliver)
		}
		if err != nil {
			return err
		}
		from += uint64(len(headers))
	}
	return nil
}

// deliverProven reads the blocks of headers in groups, so that only a few blocks' content is held at a time, and
// delivers them in order.
func (e *endpoint) deliverProven(ctx context.Context, headers []*header, deliver func(follow.Item[l1.Block]) error) error {
	for len(headers) > 0 {
		n, open, most := 0, 0, e.blocks.Get()
		for n < len(headers) && open < most {
			if e.client.mayHold(headers[n]) {
				open++
			}
			n++
		}
		done, err := e.deliverAll(ctx, headers[:n], e.item, deliver)
		if headers = headers[done:]; err != nil && !e.fewer(ctx, open, err) {
			return err
		}
		if err == nil && open > 0 {
			e.blocks.Worked(open)
		}
	}
	return nil
}

// fewer reports whether to try again with fewer blocks at a time, after so many have failed together: they share a link,
// and each alone may come fast enough where all together do not.
func (e *endpoint) fewer(ctx context.Context, n int, err error) bool {
	return ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) && e.blocks.Failed(n)
}

type itemFunc func(context.Context, *header) (follow.Item[l1.Block], error)

// deliverAll makes the items of headers at the same time and delivers them in order. When one fails, those before it
// are delivered all the same. It returns how many have been delivered.
func (e *endpoint) deliverAll(ctx context.Context, headers []*header, item itemFunc, deliver func(follow.Item[l1.Block]) error) (done int, err error) {
	items := make([]follow.Item[l1.Block], len(headers))
	errs := make([]error, len(headers))
	var wg sync.WaitGroup
	for i, h := range headers {
		wg.Go(func() { items[i], errs[i] = item(ctx, h) })
	}
	wg.Wait()
	for i := range items {
		if errs[i] != nil {
			return i, fmt.Errorf("read L1 block %d: %w", headers[i].number(), errs[i])
		}
		if err := deliver(items[i]); err != nil {
			return i, err
		}
	}
	return len(items), nil
}

// trustedUpTo returns the number of the last block that Options.TrustLogs is about.
func (e *endpoint) trustedUpTo(ctx context.Context) (uint64, error) {
	if !e.client.opt.TrustLogs {
		return 0, nil
	}
	ref, err := e.tag(ctx, "finalized")
	if errors.Is(err, l1.ErrNoFinality) {
		return 0, nil
	}
	return ref.Height, err
}

// deliverTrusted delivers finalized blocks with the logs that eth_getLogs returns for them. It must not contradict
// the headers.
func (e *endpoint) deliverTrusted(ctx context.Context, headers []*header, deliver func(follow.Item[l1.Block]) error) error {
	for len(headers) > 0 {
		n := min(len(headers), e.logs.Get())
		logs, err := e.logRange(ctx, headers[:n])
		if err != nil {
			if ctx.Err() == nil && !errors.Is(err, errLie) && !errors.Is(err, follow.ErrResting) && e.logs.Failed(n) {
				continue
			}
			return fmt.Errorf("read L1 logs: %w", err)
		}
		e.logs.Worked(n)
		item := func(ctx context.Context, h *header) (follow.Item[l1.Block], error) {
			return e.itemOf(ctx, h, logs[h.hash])
		}
		for part := headers[:n]; len(part) > 0; {
			k := min(len(part), e.blocks.Get())
			done, err := e.deliverAll(ctx, part[:k], item, deliver)
			if part = part[done:]; err != nil && !e.fewer(ctx, k, err) {
				return err
			}
			if err == nil {
				e.blocks.Worked(k)
			}
		}
		headers = headers[n:]
	}
	return nil
}

// logRange returns the inbox's logs in the blocks of linked headers, by block.
func (e *endpoint) logRange(ctx context.Context, headers []*header) (map[common.Hash][]*types.Log, error) {
	first, last := headers[0], headers[len(headers)-1]
	var got []*types.Log
	err := e.call(ctx, &got, "eth_getLogs", map[string]any{
		"fromBlock": hexutil.EncodeUint64(first.number()),
		"toBlock":   hexutil.EncodeUint64(last.number()),
		"address":   e.client.inbox,
		"topics":    []any{messageTopics},
	})
	if err != nil {
		return nil, err
	}
	logs := map[common.Hash][]*types.Log{}
	for _, l := range got {
		if l.Removed || l.BlockNumber < first.number() || l.BlockNumber > last.number() {
			return nil, e.lies("log of block %d, removed %v, in answer to [%d, %d]", l.BlockNumber, l.Removed, first.number(), last.number())
		}
		h := headers[l.BlockNumber-first.number()]
		if l.BlockHash != h.hash || !e.client.mayHold(h) || !e.client.isMessage(l) {
			return nil, e.lies("log %d of block %s contradicts header %d, %s", l.Index, l.BlockHash, h.number(), h.hash)
		}
		logs[h.hash] = append(logs[h.hash], l)
	}
	return logs, nil
}
