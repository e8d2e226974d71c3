package engineapi_test

import (
	"errors"
	"fmt"
	"math/big"
	"testing"

	"headrace/devnet/geth"
	"headrace/exec"
	"headrace/exec/engineapi"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/txpool"
	"github.com/ethereum/go-ethereum/core/txpool/legacypool"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/params"
)

// forks are the configurations of every fork that a genesis of ours can name.
func forks(t testing.TB) (names []string, configs map[string]*params.ChainConfig) {
	t.Helper()
	configs = map[string]*params.ChainConfig{}
	add := func(name string, c params.ChainConfig) {
		names, configs[name] = append(names, name), &c
	}
	for _, f := range []geth.Fork{geth.Cancun, geth.Prague, geth.Osaka} {
		c := *geth.DevGenesis(f).Config
		c.BPO1Time, c.BPO2Time, c.BPO3Time, c.BPO4Time, c.BPO5Time, c.AmsterdamTime = nil, nil, nil, nil, nil, nil
		add(f.String(), c)
	}
	c := *configs["osaka"]
	for i, at := range []**uint64{&c.BPO1Time, &c.BPO2Time, &c.BPO3Time, &c.BPO4Time, &c.BPO5Time} {
		*at = new(uint64)
		add(fmt.Sprintf("bpo%d", i+1), c)
	}
	return names, configs
}

// pooled is the rule as it was when go-ethereum's pool decided it: what ours is compared with. It is v1.17.4's word;
// a later release may say otherwise, and then these tests do not hold for it, but our rule stays. What it says of a
// transaction is said of a decoded one, see decoded.
func pooled(config *params.ChainConfig, time, gasLimit uint64, baseFee *big.Int, tx *types.Transaction) (from common.Address, why error) {
	if tx == nil {
		return from, errors.New("it is no transaction")
	}
	opt := &txpool.ValidationOptions{
		Config: config, Accept: 1<<types.LegacyTxType | 1<<types.AccessListTxType | 1<<types.DynamicFeeTxType,
		MaxSize: 128 << 10, MinTip: big.NewInt(params.GWei / 1000),
	}
	next := &types.Header{Number: big.NewInt(1), Time: time, Difficulty: new(big.Int), GasLimit: gasLimit, BaseFee: baseFee}
	signer := types.LatestSignerForChainID(config.ChainID)
	err := txpool.ValidateTransaction(tx, next, signer, opt)
	if err == nil && !tx.Protected() {
		err = errors.New("it is not bound to this chain (EIP-155)")
	}
	if err == nil {
		from, err = types.Sender(signer, tx)
	}
	if err != nil {
		return from, err
	}
	tip, err := tx.EffectiveGasTip(baseFee)
	if err == nil && tip.Cmp(opt.MinTip) < 0 {
		err = txpool.ErrTxGasPriceTooLow
	}
	return from, err
}

// decoded is a transaction as go-ethereum reads it, or nil.
func decoded(raw []byte) *types.Transaction {
	tx := new(types.Transaction)
	if tx.UnmarshalBinary(raw) != nil {
		return nil
	}
	return tx
}

// answer is what a client says of a transaction that it is sent.
type answer string

func (a answer) Error() string  { return string(a) }
func (a answer) ErrorCode() int { return -32000 }

// The words of go-ethereum's pool are known, though they are written out; what else is said is no verdict.
func TestPoolsWords(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		want error
		says []error
	}{
		{nil, []error{txpool.ErrAlreadyKnown}},
		{exec.ErrInvalid, []error{
			txpool.ErrInvalidSender, txpool.ErrNegativeValue, txpool.ErrGasLimit, txpool.ErrOversizedData, txpool.ErrKZGVerificationError,
			core.ErrNonceTooLow, core.ErrNonceMax, core.ErrIntrinsicGas, core.ErrFloorDataGas, core.ErrGasUintOverflow, core.ErrGasLimitTooHigh,
			core.ErrTipAboveFeeCap, core.ErrTipVeryHigh, core.ErrFeeCapVeryHigh, core.ErrTxTypeNotSupported, core.ErrEmptyAuthList,
			core.ErrSetCodeTxCreate, core.ErrBlobTxCreate, core.ErrMissingBlobHashes, core.ErrTooManyBlobs,
			types.ErrInvalidSig, types.ErrTxTypeNotSupported, types.ErrInvalidChainId, types.ErrUnexpectedProtection,
		}},
		{exec.ErrTooBig, []error{txpool.ErrOversizedData}},
		{exec.ErrFull, []error{legacypool.ErrTxPoolOverflow, txpool.ErrAccountLimitExceeded, txpool.ErrUnderpriced, txpool.ErrInflightTxLimitReached, txpool.ErrAlreadyReserved}},
	} {
		for _, says := range c.says {
			if err := engineapi.ExplainTx(answer("before: " + says.Error() + ": after")); !errors.Is(err, c.want) || c.want == nil && err != nil {
				t.Errorf("%v: got error %v, want %v", says, err, c.want)
			}
		}
	}
	other := answer("disk is full of something")
	if err := engineapi.ExplainTx(other); err != error(other) {
		t.Errorf("other words: got error %v, want them as they are", err)
	}
}
