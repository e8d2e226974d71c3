package ethereum

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/ethereum/go-ethereum"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/ethclient"
	"github.com/ethereum/go-ethereum/rpc"

	"headrace/await"
	"headrace/internal/batch"
)

// Header is what a node says of a block: the part that all Ethereum-like chains have.
type Header struct {
	Number     uint64       `json:"number"`
	Hash       common.Hash  `json:"hash"` // as the node says: not every chain computes it alike
	ParentHash common.Hash  `json:"parent_hash"`
	Time       uint64       `json:"time"` // seconds since the Unix epoch
	Block      *types.Block `json:"-"`    // with await.WithBody only
}

// UnmarshalJSON reads a header or block of the JSON-RPC interface.
func (h *Header) UnmarshalJSON(raw []byte) error {
	var wire struct {
		Number     *hexutil.Uint64 `json:"number"`
		Hash       *common.Hash    `json:"hash"`
		ParentHash common.Hash     `json:"parentHash"`
		Time       hexutil.Uint64  `json:"timestamp"`
	}
	if err := json.Unmarshal(raw, &wire); err != nil {
		return err
	}
	if wire.Number == nil || wire.Hash == nil {
		return errors.New("header without number or hash")
	}
	*h = Header{Number: uint64(*wire.Number), Hash: *wire.Hash, ParentHash: wire.ParentHash, Time: uint64(wire.Time)}
	return nil
}

// Block waits for the first sight of a canonical block n, and returns it. It can be reorganised away afterwards: the
// returned hash tells which it was, and Canonical waits for more certainty.
func Block(ctx context.Context, node *Node, n uint64, opts ...await.Option) (*Header, error) {
	return waitHeader(ctx, node, fmt.Sprintf("block %d", n), opts, func(ctx context.Context, conn *rpc.Client) (*Header, error) {
		return byNumber(ctx, conn, n)
	})
}

// BlockHash waits until the node has the block with this hash, on whatever branch.
func BlockHash(ctx context.Context, node *Node, hash common.Hash, opts ...await.Option) (*Header, error) {
	return waitHeader(ctx, node, fmt.Sprintf("block %s", hash), opts, func(ctx context.Context, conn *rpc.Client) (*Header, error) {
		return byHash(ctx, conn, hash)
	})
}

// Canonical waits until block n, the one with this hash unless it is the zero hash, is canonical and has depth blocks
// on top of it.
func Canonical(ctx context.Context, node *Node, n uint64, hash common.Hash, depth uint64, opts ...await.Option) (*Header, error) {
	what := fmt.Sprintf("canonical block %d", n)
	if hash != (common.Hash{}) {
		what += " " + hash.String()
	}
	if depth > 0 {
		what += fmt.Sprintf(" below %d others", depth)
	}
	return waitHeader(ctx, node, what, opts, func(ctx context.Context, conn *rpc.Client) (*Header, error) {
		return buried(ctx, conn, node.batch, n, hash, depth)
	})
}

// Height waits until the head, the safe one unless await.WithLabel names another, is at n or above, and returns the
// canonical block n. The unsafe head is the node's latest block. A chain that has no such head yet, or never, has none
// that is reached.
func Height(ctx context.Context, node *Node, n uint64, opts ...await.Option) (*Header, error) {
	label := await.SettingsOf(opts).Label
	tag := label.String()
	if label == await.Unsafe {
		tag = "latest"
	}
	return waitHeader(ctx, node, fmt.Sprintf("block %d at or below the %s head", n, label), opts, func(ctx context.Context, conn *rpc.Client) (*Header, error) {
		head, err := tagged(ctx, conn, tag)
		if err != nil || head == nil || head.Number <= n {
			if head != nil && head.Number < n {
				head = nil
			}
			return head, err
		}
		h, err := byNumber(ctx, conn, n)
		if err != nil || h == nil {
			return nil, err
		}
		again, err := byNumber(ctx, conn, head.Number)
		if err != nil || again == nil || again.Hash != head.Hash { // a reorg between two reads; its news is on the way
			return nil, err
		}
		return h, nil
	})
}

// tagged returns the block that a word, such as latest or finalized, names; nil if there is none.
func tagged(ctx context.Context, conn *rpc.Client, tag string) (*Header, error) {
	var h *Header
	if err := conn.CallContext(ctx, &h, "eth_getBlockByNumber", tag, false); err != nil {
		return nil, fmt.Errorf("ask for the %s block: %w", tag, err)
	}
	return h, nil
}

// Receipt waits until the transaction is in a canonical block, and returns its receipt. Whether it succeeded is for
// the caller to see. It is the first sight of it: Included waits for more certainty, and sees that it is replaced.
func Receipt(ctx context.Context, node *Node, tx common.Hash, opts ...await.Option) (*types.Receipt, error) {
	return Ask(ctx, node, fmt.Sprintf("the receipt of transaction %s", tx), func(ctx context.Context, conn *rpc.Client) (*types.Receipt, bool, error) {
		var r *types.Receipt
		err := conn.CallContext(ctx, &r, "eth_getTransactionReceipt", tx)
		return r, r != nil, err
	}, opts...)
}

// waitHeader waits until get returns a header.
func waitHeader(ctx context.Context, node *Node, what string, opts []await.Option, get func(context.Context, *rpc.Client) (*Header, error)) (*Header, error) {
	body := await.SettingsOf(opts).Body
	return Ask(ctx, node, what, func(ctx context.Context, conn *rpc.Client) (*Header, bool, error) {
		h, err := get(ctx, conn)
		if err != nil || h == nil || !body {
			return h, err == nil && h != nil, err
		}
		switch h.Block, err = ethclient.NewClient(conn).BlockByHash(ctx, h.Hash); {
		case errors.Is(err, ethereum.NotFound): // announced before it is served, or gone again
			return nil, false, nil
		case err != nil:
			return nil, false, fmt.Errorf("read body of block %d: %w", h.Number, err)
		}
		return h, true, nil
	}, opts...)
}

// byNumber returns the canonical block n; nil if there is none.
func byNumber(ctx context.Context, conn *rpc.Client, n uint64) (*Header, error) {
	var h *Header
	if err := conn.CallContext(ctx, &h, "eth_getBlockByNumber", hexutil.Uint64(n), false); err != nil {
		return nil, fmt.Errorf("ask for block %d: %w", n, err)
	}
	if h != nil && h.Number != n {
		return nil, fmt.Errorf("asked for block %d, got %d", n, h.Number)
	}
	return h, nil
}

func byHash(ctx context.Context, conn *rpc.Client, hash common.Hash) (*Header, error) {
	var h *Header
	if err := conn.CallContext(ctx, &h, "eth_getBlockByHash", hash, false); err != nil {
		return nil, fmt.Errorf("ask for block %s: %w", hash, err)
	}
	if h != nil && h.Hash != hash {
		return nil, fmt.Errorf("asked for block %s, got %s", hash, h.Hash)
	}
	return h, nil
}

// step bounds the headers in one request.
const step = 64

// buried returns block n if it is canonical, has the hash, and depth others stand on it: they are read together and
// must link, so what a reorg mixes does not count.
func buried(ctx context.Context, conn *rpc.Client, size *batch.Size, n uint64, hash common.Hash, depth uint64) (*Header, error) {
	if n+depth < n {
		return nil, fmt.Errorf("there is no block number %d + %d", n, depth)
	}
	top, err := byNumber(ctx, conn, n+depth)
	if err != nil || top == nil {
		return nil, err
	}
	for parent := top; parent.Number > n; { // downwards, so that each is proven an ancestor of a block that was canonical
		from := max(n, parent.Number-min(step, parent.Number))
		below, err := numbers(ctx, conn, size, from, parent.Number)
		if err != nil {
			return nil, err
		}
		for i := len(below) - 1; i >= 0; i-- {
			if below[i] == nil || below[i].Hash != parent.ParentHash {
				return nil, nil // a reorg between two reads; its news is on the way
			}
			parent = below[i]
		}
		top = parent
	}
	if hash != (common.Hash{}) && top.Hash != hash {
		return nil, nil
	}
	return top, nil
}

// numbers returns the blocks [from, to), nil where there is none: with as many in one request as the node bears.
func numbers(ctx context.Context, conn *rpc.Client, size *batch.Size, from, to uint64) ([]*Header, error) {
	headers := make([]*Header, to-from)
	smaller := false
	for done := 0; done < len(headers); {
		n := min(len(headers)-done, size.Get())
		err := numbersOnce(ctx, conn, from+uint64(done), headers[done:done+n])
		switch {
		case err == nil:
			size.Worked(n)
			done += n
		case n == 1 && smaller: // the connection may have gone with the larger request: the next look tells
			return nil, err
		case !size.Failed(n), ctx.Err() != nil:
			return nil, err
		}
		smaller = err != nil
	}
	return headers, nil
}

// numbersOnce makes one request for the blocks from a number on.
func numbersOnce(ctx context.Context, conn *rpc.Client, from uint64, headers []*Header) (err error) {
	if len(headers) == 1 {
		headers[0], err = byNumber(ctx, conn, from)
		return err
	}
	elems := make([]rpc.BatchElem, len(headers))
	for i := range elems {
		elems[i] = rpc.BatchElem{Method: "eth_getBlockByNumber", Args: []any{hexutil.Uint64(from + uint64(i)), false}, Result: &headers[i]}
	}
	if err := conn.BatchCallContext(ctx, elems); err != nil {
		return fmt.Errorf("ask for %d blocks from %d on: %w", len(headers), from, err)
	}
	for i := range elems {
		if err := elems[i].Error; err != nil {
			return fmt.Errorf("ask for block %d: %w", from+uint64(i), err)
		}
	}
	return nil
}

// hint is an announced head. It need not be whole: it is a reason to look.
type hint struct{ header *Header }

// UnmarshalJSON returns no error: that would end the subscription.
func (h *hint) UnmarshalJSON(raw []byte) error {
	whole := new(Header)
	if json.Unmarshal(raw, whole) == nil {
		h.header = whole
	}
	return nil
}
