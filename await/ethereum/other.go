package ethereum

import (
	"context"
	"errors"
	"fmt"
	"regexp"

	"github.com/ethereum/go-ethereum/rpc"
)

// ErrOther is what the error of a wait matches (errors.Is) whose address is another program's: one that refuses
// nothing and is not down, but is no Ethereum node. Asking again would not change that.
var ErrOther = errors.New("what answers there is no Ethereum node")

// noMethod is JSON-RPC's code of a method that is not there.
const noMethod = -32601

// success is how go-ethereum words an upgrade that is answered with success instead; it keeps the status to itself.
var success = regexp.MustCompile(`\(HTTP status 2\d\d\b`)

// connecting gives an error of a new connection its kind. Whatever is no success may come from what stands before the
// node, such as an ingress before it is up.
func (e *Node) connecting(err error) error {
	if success.MatchString(err.Error()) {
		return fmt.Errorf("%w: %w", ErrOther, e.access.Error(err))
	}
	return e.access.Error(err)
}

// lacking gives the error of a call its kind: who lacks a method is asked for what every Ethereum node has.
func (e *Node) lacking(ctx context.Context, conn *rpc.Client, err error) error {
	var h *Header
	if lacks(err) && lacks(conn.CallContext(ctx, &h, "eth_getBlockByNumber", "latest", false)) {
		return fmt.Errorf("%w: %w", ErrOther, e.access.Error(err))
	}
	return e.access.Error(err)
}

func lacks(err error) bool {
	var answer rpc.Error
	return errors.As(err, &answer) && answer.ErrorCode() == noMethod
}
