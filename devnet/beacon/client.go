package beacon

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"headrace/devnet/geth"
	"headrace/exec/engineapi"

	"github.com/ethereum/go-ethereum/beacon/engine"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/rpc"
)

// client is one execution client that a Chain drives. The chain's drive lock guards it.
type client struct {
	engine    *engineapi.Client
	rpc       *rpc.Client // the open endpoint: its testing namespace builds blocks
	transport *http.Transport
	head      *Block // as read back last; nil at first
}

func dial(node *geth.Node) (*client, error) {
	eng, err := engineapi.Dial(node.Engine(), node.JWT(), engineapi.DialOptions{})
	if err != nil {
		return nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	open, err := rpc.DialOptions(context.Background(), node.HTTP(), rpc.WithHTTPClient(&http.Client{Transport: transport}))
	if err != nil {
		eng.Close()
		return nil, err
	}
	return &client{engine: eng, rpc: open, transport: transport}, nil
}

func (c *client) close() {
	c.engine.Close()
	c.rpc.Close()
	c.transport.CloseIdleConnections()
}

// poolProbe is how long to wait before looking again whether the client's pool has sorted in a transaction.
const poolProbe = 2 * time.Millisecond

// build builds a block on parent, the client's head. It does so in one request, from which the whole block comes back: fork choice with
// attributes and getPayload would give whatever the client has put in by then.
func (c *client) build(ctx context.Context, parent common.Hash, a engine.PayloadAttributes, spec Spec) (*engine.ExecutionPayloadEnvelope, error) {
	var txs *[]hexutil.Bytes // nil: from the pool
	if spec.Txs != nil {
		list := []hexutil.Bytes{}
		for i, tx := range spec.Txs {
			raw, err := tx.MarshalBinary()
			if err != nil {
				return nil, fmt.Errorf("encode transaction %d: %w", i, err)
			}
			list = append(list, raw)
		}
		txs = &list
	}
	for {
		var e engine.ExecutionPayloadEnvelope
		if err := c.rpc.CallContext(ctx, &e, "testing_buildBlockV1", parent, a, txs, hexutil.Bytes(spec.Extra)); err != nil {
			return nil, fmt.Errorf("build block on %s: %w", parent, err)
		}
		missing, ok := lacks(&e, spec.Include)
		if !ok {
			return &e, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("build block on %s: transaction %s is not in the pool, or cannot be included: %w", parent, missing, ctx.Err())
		case <-time.After(poolProbe):
		}
	}
}

// setHead takes the client back to a number on its own branch, and makes it forget what is above.
func (c *client) setHead(ctx context.Context, number uint64) error {
	if err := c.rpc.CallContext(ctx, nil, "debug_setHead", hexutil.Uint64(number)); err != nil {
		return fmt.Errorf("set head to %d: %w", number, err)
	}
	return nil
}

// lacks names a transaction of include that the block does not have.
func lacks(e *engine.ExecutionPayloadEnvelope, include []common.Hash) (common.Hash, bool) {
	if len(include) == 0 {
		return common.Hash{}, false
	}
	have := map[common.Hash]bool{}
	for _, raw := range e.ExecutionPayload.Transactions {
		var tx types.Transaction
		if tx.UnmarshalBinary(raw) == nil {
			have[tx.Hash()] = true
		}
	}
	for _, hash := range include {
		if !have[hash] {
			return hash, true
		}
	}
	return common.Hash{}, false
}
