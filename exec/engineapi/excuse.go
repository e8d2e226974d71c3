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

// forcible is what a transaction must be beside valid, so that no builder with usual settings passes over it: of a type that a block holds as a whole and that
// depends on its sender alone, of a size that pools take, and with the tip that go-ethereum asks for if it is not told otherwise (miner.gasprice).
func forcible(config *params.ChainConfig) *txpool.ValidationOptions {
	return &txpool.ValidationOptions{
		Config: config, Accept: 1<<types.LegacyTxType | 1<<types.AccessListTxType | 1<<types.DynamicFeeTxType,
		MaxSize: 128 << 10, MinTip: big.NewInt(params.GWei / 1000),
	}
}

// Excuse is exec.Excuser's. A transaction is excused if it could not be the first in a block that follows the one at height: because of what it is
// (see forcible), what it offers for gas at that block's base fee, or its sender's nonce, balance and code after the block at height.
func (e *Engine) Excuse(ctx context.Context, height uint64, raw []byte) (why string, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if height < e.first.height || height > e.head.height {
		return "", fmt.Errorf("excuse a transaction after block %d: %w: head is %d", height, exec.ErrParent, e.head.height)
	}
	var tx types.Transaction
	if err := tx.UnmarshalBinary(raw); err != nil {
		return fmt.Sprintf("it is no transaction: %v", err), nil
	}
	at, err := e.at(height)
	if err != nil {
		return "", err
	}
	parent, err := e.client.ByHash(ctx, at.exec)
	if err == nil && parent == nil {
		err = e.lost(ctx, "does not know our block")
	}
	if err != nil {
		return "", fmt.Errorf("excuse a transaction after block %d: %w", height, err)
	}
	config := e.opt.Genesis.Config
	next := &types.Header{
		Number: new(big.Int).Add(parent.Number, common.Big1), Time: parent.Time + 1, Difficulty: new(big.Int), GasLimit: parent.GasLimit,
		BaseFee: eip1559.CalcBaseFee(config, &parent.Header),
	}
	signer := types.LatestSignerForChainID(config.ChainID)
	if err := offers(config, &tx, next, signer); err != nil {
		return err.Error(), nil
	}
	from, err := types.Sender(signer, &tx)
	if err != nil {
		return err.Error(), nil
	}
	a, err := e.account(ctx, from, at)
	if err != nil {
		return "", fmt.Errorf("excuse a transaction of %s after block %d: %w", from, height, err)
	}
	return a.excuse(&tx), nil
}

// offers says what is wrong with tx by itself, for a block like next.
func offers(config *params.ChainConfig, tx *types.Transaction, next *types.Header, signer types.Signer) error {
	if !tx.Protected() {
		return errors.New("it is not bound to this chain (EIP-155)")
	}
	opt := forcible(config)
	if err := txpool.ValidateTransaction(tx, next, signer, opt); err != nil {
		return err
	}
	tip, err := tx.EffectiveGasTip(next.BaseFee)
	if err != nil {
		return fmt.Errorf("%w: %v, the next base fee is %v", err, tx.GasFeeCap(), next.BaseFee)
	}
	if tip.Cmp(opt.MinTip) < 0 {
		return fmt.Errorf("%w: tip %v above the next base fee %v, minimum needed %v", txpool.ErrTxGasPriceTooLow, tip, next.BaseFee, opt.MinTip)
	}
	return nil
}

// account is what decides whether a sender's transaction is valid.
type account struct {
	Nonce    hexutil.Uint64
	Balance  *hexutil.Big
	CodeHash common.Hash
	contract bool // it has code, and no mere delegation to some
}

// account reads an account as it is after a block. eth_getProof gives all of it at once, by the block's hash.
func (e *Engine) account(ctx context.Context, addr common.Address, at record) (a account, err error) {
	block := rpc.BlockNumberOrHashWithHash(at.exec, false)
	err = e.client.call(ctx, &a, "eth_getProof", addr, []string{}, block)
	var answer rpc.Error
	switch {
	case err == nil && a.Balance == nil:
		return a, errors.New("client gives an account without a balance")
	case errors.As(err, &answer) && !errors.Is(err, errNoMethod) && at.height < e.head.height:
		return a, fmt.Errorf("%w: %w", exec.ErrPruned, err) // it has the block, and no longer the state
	case err != nil:
		return a, err
	}
	if a.CodeHash != (common.Hash{}) && a.CodeHash != types.EmptyCodeHash {
		var code hexutil.Bytes
		if err := e.client.call(ctx, &code, "eth_getCode", addr, block); err != nil {
			return a, err
		}
		_, delegated := types.ParseDelegation(code)
		a.contract = !delegated
	}
	return a, nil
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
