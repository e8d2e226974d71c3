package engineapi

import (
	"context"
	"errors"
	"fmt"
	"math/big"

	"headrace/exec"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/consensus/misc/eip1559"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/txpool"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/params"
	"github.com/ethereum/go-ethereum/rpc"
)

// forcible is what a transaction must be beside valid, so that a builder includes it: of a type that a block holds as a whole and that depends on its sender
// alone, of a size that pools take, and with the tip that go-ethereum asks for if it is not told otherwise (miner.gasprice).
func forcible(config *params.ChainConfig) *txpool.ValidationOptions {
	return &txpool.ValidationOptions{
		Config: config, Accept: 1<<types.LegacyTxType | 1<<types.AccessListTxType | 1<<types.DynamicFeeTxType,
		MaxSize: 128 << 10, MinTip: big.NewInt(params.GWei / 1000),
	}
}

// Excuse is exec.Excuser's. The block that follows the one at height is thought to begin with the item's transactions, one after the other. One is excused if it could not be there:
// because of what it is (see forcible), what it offers for gas at that block's base fee, or its sender's nonce, balance and code; and if the gas of the item's
// transactions, up to and with it, is more than a block's.
func (e *Engine) Excuse(ctx context.Context, height uint64, item [][]byte) (why []string, err error) {
	if err := e.begin(ctx); err != nil {
		return nil, err
	}
	defer e.mu.Unlock()
	if height < e.first.height || height > e.head.height {
		return nil, fmt.Errorf("excuse transactions after block %d: %w: head is %d", height, exec.ErrParent, e.head.height)
	}
	after, err := e.at(height)
	if err != nil {
		return nil, err
	}
	o, err := e.outlook(ctx, after, after.time+1)
	if err != nil {
		return nil, fmt.Errorf("excuse transactions after block %d: %w", height, err)
	}
	why = make([]string, len(item))
	left := o.next.GasLimit
	for i, raw := range item {
		tx, from, reason := o.offer(raw)
		if tx != nil && tx.Gas() <= left {
			left -= tx.Gas()
		} else if tx != nil {
			left, reason = 0, fmt.Sprintf("its item asks for more gas than a block has, which is %d", o.next.GasLimit)
		}
		if reason == "" {
			a, err := o.account(ctx, from)
			if err != nil {
				return nil, fmt.Errorf("excuse a transaction of %s after block %d: %w", from, height, err)
			}
			if reason = a.excuse(tx); reason == "" {
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
	next     *types.Header // as far as it follows from the one before
	signer   types.Signer
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
	config := e.opt.Genesis.Config
	return &outlook{
		e: e, after: after, signer: types.LatestSignerForChainID(config.ChainID), accounts: map[common.Address]*account{},
		next: &types.Header{
			Number: new(big.Int).Add(parent.Number, common.Big1), Time: time, Difficulty: new(big.Int), GasLimit: parent.GasLimit,
			BaseFee: eip1559.CalcBaseFee(config, &parent.Header),
		},
	}, nil
}

// offer decodes a transaction, if it is one, and says what is wrong with it whatever its sender's state is.
func (o *outlook) offer(raw []byte) (tx *types.Transaction, from common.Address, why string) {
	tx = new(types.Transaction)
	if err := tx.UnmarshalBinary(raw); err != nil {
		return nil, from, fmt.Sprintf("it is no transaction: %v", err)
	}
	config := o.e.opt.Genesis.Config
	opt := forcible(config)
	err := txpool.ValidateTransaction(tx, o.next, o.signer, opt)
	if err == nil && !tx.Protected() {
		err = errors.New("it is not bound to this chain (EIP-155)")
	}
	if err == nil {
		from, err = types.Sender(o.signer, tx)
	}
	if err != nil {
		return tx, from, err.Error()
	}
	tip, err := tx.EffectiveGasTip(o.next.BaseFee)
	switch {
	case err != nil:
		why = fmt.Sprintf("%v: %v, the next base fee is %v", err, tx.GasFeeCap(), o.next.BaseFee)
	case tip.Cmp(opt.MinTip) < 0:
		why = fmt.Sprintf("%v: tip %v above the next base fee %v, minimum needed %v", txpool.ErrTxGasPriceTooLow, tip, o.next.BaseFee, opt.MinTip)
	}
	return tx, from, why
}

// account is what decides whether a sender's transaction is valid.
type account struct {
	Nonce    hexutil.Uint64
	Balance  *hexutil.Big
	CodeHash common.Hash
	contract bool // it has code, and no mere delegation to some
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
	if a.CodeHash != (common.Hash{}) && a.CodeHash != types.EmptyCodeHash {
		var code hexutil.Bytes
		if err := o.e.client.call(ctx, &code, "eth_getCode", addr, block); err != nil {
			return nil, err
		}
		_, delegated := types.ParseDelegation(code)
		a.contract = !delegated
	}
	o.accounts[addr] = a
	return a, nil
}

// answered reports whether err is what the client answered to a request that it knows.
func answered(err error) bool {
	var answer rpc.Error
	return errors.As(err, &answer) && !errors.Is(err, errNoMethod)
}

func (a *account) excuse(tx *types.Transaction) string {
	nonce := uint64(a.Nonce)
	switch cost := tx.Cost(); {
	case tx.Nonce() < nonce:
		return fmt.Sprintf("%v: next nonce %d, tx nonce %d", core.ErrNonceTooLow, nonce, tx.Nonce())
	case tx.Nonce() > nonce:
		return fmt.Sprintf("%v: next nonce %d, tx nonce %d", core.ErrNonceTooHigh, nonce, tx.Nonce())
	case a.Balance.ToInt().Cmp(cost) < 0:
		return fmt.Sprintf("%v: balance %v, tx cost %v", core.ErrInsufficientFunds, a.Balance.ToInt(), cost)
	case a.contract:
		return core.ErrSenderNoEOA.Error()
	}
	return ""
}

// spend takes a transaction that was picked into account, at its highest cost.
func (a *account) spend(tx *types.Transaction) {
	a.Nonce++
	a.Balance = (*hexutil.Big)(new(big.Int).Sub(a.Balance.ToInt(), tx.Cost()))
}
