package ethereum

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/rpc"

	"headrace/l1"
	"headrace/l1/ethereum/inbox"
)

// What an operator asks of an inbox. Unlike what makes blocks, these answers are taken as the endpoint gives them.

// ErrNotKnown says that an endpoint keeps too little of the past, or refuses to search it.
var ErrNotKnown = errors.New("endpoint cannot tell")

// AddressOf returns the address of a key's account.
func AddressOf(key *ecdsa.PrivateKey) l1.Address {
	return l1.Address(crypto.PubkeyToAddress(key.PublicKey))
}

// AskChainID returns the id of the chain that an endpoint serves, over HTTP or WebSocket. A timeout of 0 is the
// default of Options.CallTimeout.
func AskChainID(ctx context.Context, at Endpoint, timeout time.Duration) (uint64, error) {
	opt := Options{CallTimeout: timeout}.withDefaults()
	ctx, cancel := context.WithTimeout(ctx, opt.CallTimeout)
	defer cancel()
	access, err := at.Open()
	if err != nil {
		return 0, fmt.Errorf("%s: %w", at, err)
	}
	asker := newHTTP(&opt, access, nil)
	defer asker.CloseIdleConnections()
	conn, err := dialRPC(ctx, at.URL, access, nil, rpc.WithHTTPClient(asker))
	if err != nil {
		return 0, fmt.Errorf("dial L1: %w", access.Error(err))
	}
	defer conn.Close()
	var id hexutil.Uint64
	if err := conn.CallContext(ctx, &id, "eth_chainId"); err != nil {
		return 0, fmt.Errorf("ask L1 for its chain id: %w", access.Error(err))
	}
	return uint64(id), nil
}

// ChainID returns the id of the L1.
func (c *Client) ChainID() uint64 { return c.opt.ChainID }

// Inbox returns the address of the contract.
func (c *Client) Inbox() l1.Address { return c.opt.Inbox }

// Owner returns who may name proposers.
func (c *Client) Owner(ctx context.Context) (l1.Address, error) {
	owner, err := viewed(ctx, c.view, l1.Hash{}, bindings.PackOwner(), bindings.UnpackOwner)
	if err != nil {
		return l1.Address{}, fmt.Errorf("inbox owner: %w", err)
	}
	return l1.Address(owner), nil
}

// IsProposer reports whether an account may propose.
func (c *Client) IsProposer(ctx context.Context, account l1.Address) (bool, error) {
	allowed, err := viewed(ctx, c.view, l1.Hash{}, bindings.PackIsProposer(common.Address(account)), bindings.UnpackIsProposer)
	if err != nil {
		return false, fmt.Errorf("inbox proposer: %w", err)
	}
	return allowed, nil
}

// Proposers returns who may propose, in the order of addresses, from the inbox's events since Options.StartBlock.
// ErrNotKnown: the endpoint refuses to search so many blocks.
func (c *Client) Proposers(ctx context.Context) ([]l1.Address, error) {
	logs, err := c.events(ctx, inbox.InboxProposerSet{}.ContractEventName())
	if err != nil {
		return nil, err
	}
	allowed := map[l1.Address]bool{}
	for i := range logs {
		e, err := bindings.UnpackProposerSetEvent(&logs[i])
		if err != nil {
			return nil, fmt.Errorf("unpack proposer: %w", err)
		}
		allowed[l1.Address(e.Proposer)] = e.Allowed
	}
	var out []l1.Address
	for a, ok := range allowed {
		if ok {
			out = append(out, a)
		}
	}
	slices.SortFunc(out, func(a, b l1.Address) int { return slices.Compare(a[:], b[:]) })
	return out, nil
}

// DeployedAt returns the number of the L1 block that the inbox was deployed in: that of its first event or, where the
// endpoint does not search so far, the first block with its code. ErrNoInbox: there is no contract. ErrNotKnown: the
// endpoint has neither old events nor old states.
func (c *Client) DeployedAt(ctx context.Context) (uint64, error) {
	head, err := ask(ctx, c, func(e *endpoint) (*header, error) { return e.head(ctx) })
	if err != nil {
		return 0, err
	}
	there, err := c.hasCode(ctx, head.number())
	switch {
	case err != nil:
		return 0, err
	case !there:
		return 0, fmt.Errorf("address %s: %w", c.opt.Inbox, l1.ErrNoInbox)
	}
	if logs, err := c.events(ctx, inbox.InboxOwnerSet{}.ContractEventName()); err == nil && len(logs) > 0 {
		return logs[0].BlockNumber, nil
	}
	return c.searchCode(ctx, head.number())
}

// searchCode returns the first block up to head, which has the inbox's code, that has it.
func (c *Client) searchCode(ctx context.Context, head uint64) (uint64, error) {
	var failed error
	at := sort.Search(int(head), func(n int) bool {
		if failed != nil {
			return true
		}
		there, err := c.hasCode(ctx, uint64(n))
		failed = err
		return there
	})
	if failed != nil && answered(failed) {
		failed = fmt.Errorf("%w: %w", ErrNotKnown, failed)
	}
	return uint64(at), failed
}

func (c *Client) hasCode(ctx context.Context, number uint64) (bool, error) {
	var code hexutil.Bytes
	err := c.call(ctx, &code, "eth_getCode", c.inbox, hexutil.EncodeUint64(number))
	return len(code) > 0, err
}

// events returns the inbox's events of one kind since Options.StartBlock, in order.
func (c *Client) events(ctx context.Context, name string) ([]types.Log, error) {
	var logs []types.Log
	err := c.call(ctx, &logs, "eth_getLogs", map[string]any{
		"fromBlock": hexutil.EncodeUint64(c.opt.StartBlock), "toBlock": "latest", "address": c.inbox, "topics": []any{inboxABI.Events[name].ID},
	})
	if err != nil && answered(err) {
		err = fmt.Errorf("%w: %w", ErrNotKnown, err)
	}
	return logs, err
}

// ForcedIndex returns the place in the queue of what a transaction queued.
func (c *Client) ForcedIndex(ctx context.Context, at l1.Inclusion) (uint64, error) {
	return ask(ctx, c, func(e *endpoint) (uint64, error) { return e.forcedIndex(ctx, at) })
}

func (e *endpoint) forcedIndex(ctx context.Context, at l1.Inclusion) (uint64, error) {
	var r *types.Receipt
	if err := e.call(ctx, &r, "eth_getTransactionReceipt", common.Hash(at.Tx)); err != nil {
		return 0, err
	}
	if r != nil {
		for _, l := range r.Logs {
			if l.Address != e.client.inbox || len(l.Topics) == 0 || l.Topics[0] != topicForced {
				continue
			}
			event, err := bindings.UnpackForcedQueuedEvent(l)
			if err != nil {
				return 0, fmt.Errorf("unpack forced item: %w", err)
			}
			return event.Index, nil
		}
	}
	return 0, fmt.Errorf("transaction %s queued nothing: %w", at.Tx, l1.ErrNotFound)
}
