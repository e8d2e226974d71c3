package engineapi

import (
	"context"
	"errors"
	"fmt"

	"headrace/exec"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/rpc"
)

// Exempt is exec.Exempter's. The block that follows the one at height is thought to begin with the item's
// transactions, one after the other. One is exempt if it could not be there: because of what it is and what it
// offers for gas at that block's base fee (see rule), or because of its sender's nonce, balance and code (see
// account); and if the gas of the item's transactions, up to and with it, is more than a block's.
func (e *Engine) Exempt(ctx context.Context, height uint64, item [][]byte) (why []string, err error) {
	if err := e.begin(ctx); err != nil {
		return nil, err
	}
	defer e.mu.Unlock()
	if height < e.first.height || height > e.head.height {
		return nil, fmt.Errorf("check forced transactions after block %d: %w: head is %d", height, exec.ErrParent, e.head.height)
	}
	after, err := e.at(height)
	if err != nil {
		return nil, err
	}
	o, err := e.outlook(ctx, after, after.time+1)
	if err != nil {
		return nil, fmt.Errorf("check forced transactions after block %d: %w", height, err)
	}
	why = make([]string, len(item))
	left := o.rule.gasLimit
	for i, raw := range item {
		tx, from, reason := o.rule.offer(raw)
		if tx != nil && tx.Gas() <= left {
			left -= tx.Gas()
		} else if tx != nil {
			left, reason = 0, fmt.Sprintf("its item asks for more gas than a block has, which is %d", o.rule.gasLimit)
		}
		if reason == "" {
			a, err := o.account(ctx, from)
			if err != nil {
				return nil, fmt.Errorf("check a forced transaction of %s after block %d: %w", from, height, err)
			}
			if reason = a.exempt(tx); reason == "" {
				a.spend(tx)
			}
		}
		why[i] = reason
	}
	return why, nil
}

// outlook is what is known of a block that follows an executed one.
type outlook struct {
	e        *Engine
	after    record
	rule     *rule
	accounts map[common.Address]*account
}

func (e *Engine) outlook(ctx context.Context, after record, time uint64) (*outlook, error) {
	parent, err := e.client.ByHash(ctx, after.exec)
	if err != nil {
		return nil, err
	}
	if parent == nil {
		return nil, e.lost(ctx, "does not know our block")
	}
	return &outlook{e: e, after: after, rule: ruleAfter(e.opt.Genesis.Config, &parent.Header, time), accounts: map[common.Address]*account{}}, nil
}

// account reads an account as it is after the block. eth_getProof gives all of it at once, by the block's hash.
func (o *outlook) account(ctx context.Context, addr common.Address) (*account, error) {
	if a := o.accounts[addr]; a != nil {
		return a, nil
	}
	a := new(account)
	block := rpc.BlockNumberOrHashWithHash(o.after.exec, false)
	read := func() error { return o.e.client.call(ctx, a, "eth_getProof", addr, []string{}, block) }
	err := read()
	if answered(err) && o.after.height < o.e.head.height {
		if err = read(); answered(err) { // twice: it has the block, and no longer the state
			return nil, fmt.Errorf("%w: %w", exec.ErrPruned, err)
		}
	}
	if err == nil && a.Balance == nil {
		err = errors.New("client gives an account without a balance")
	}
	if err != nil {
		return nil, err
	}
	if a.CodeHash != (common.Hash{}) && a.CodeHash != emptyCode {
		var code hexutil.Bytes
		if err := o.e.client.call(ctx, &code, "eth_getCode", addr, block); err != nil {
			return nil, err
		}
		a.contract = !delegation(code)
	}
	o.accounts[addr] = a
	return a, nil
}

// answered reports whether err is what the client answered to a request that it knows.
func answered(err error) bool {
	var answer rpc.Error
	return errors.As(err, &answer) && !errors.Is(err, errNoMethod)
}
