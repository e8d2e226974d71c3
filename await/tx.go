package await

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"headrace/watch"
)

// TxNode is a node that can tell where a transaction is: *node.Node is one.
type TxNode[S Progressor, T any] interface {
	Status() *watch.Value[S]
	// FindTx returns where the transaction with this hash is, if it is in a block up to the head; ok is false if it is
	// not, yet. An error ends the wait if it matches ErrNoTxs; after any other it goes on.
	FindTx(hash Hash, head Label) (tx T, ok bool, err error)
}

// ErrNoTxs is what an error matches of a node that cannot tell where transactions are.
var ErrNoTxs = errors.New("this node keeps no index of transactions: its index.txs is none")

// Tx waits until a transaction is in a block up to the head, the safe one unless WithLabel names another, and returns
// what the node tells of it. Who has sent it, and when, does not matter. Of one that is in the chain more than once the
// first place counts.
func Tx[S Progressor, T any](ctx context.Context, n TxNode[S, T], hash [32]byte, opts ...Option) (tx T, err error) {
	label := SettingsOf(opts).Label
	what := fmt.Sprintf("transaction 0x%x in a block up to the %s head", hash, label)
	var found bool
	var failure error
	_, err = Value(ctx, n.Status(), what, func(S) bool {
		tx, found, failure = n.FindTx(hash, label)
		return found || errors.Is(failure, ErrNoTxs)
	}, opts...)
	var ended *Error
	switch {
	case errors.As(err, &ended):
		ended.Failure = failure
	case err == nil && !found:
		err = fmt.Errorf("wait for %s: %w", what, failure)
	}
	return tx, err
}

// Tx waits until a transaction is in a block up to the node's head, the safe one unless WithLabel names another. The
// State's Raw has it as tx. A node that keeps no index of transactions refuses.
func (c *Client) Tx(ctx context.Context, hash [32]byte, opts ...Option) (State, error) {
	label := SettingsOf(opts).Label
	return c.wait(ctx, fmt.Sprintf("transaction 0x%x in a block up to the %s head", hash, label), url.Values{"tx": {Hash(hash).String()}, "head": {label.String()}}, opts)
}
