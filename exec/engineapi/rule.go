package engineapi

import (
	"bytes"
	"errors"
	"fmt"
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/params"
	"github.com/ethereum/go-ethereum/rlp"
)

// The rule of forced transactions: what a transaction must be so that a block can hold it. A proposal stands or falls
// with it, so it is consensus of the rollup and all of it is written out here, numbers included: no release of
// go-ethereum may change a verdict. Two things are go-ethereum's, because they are Ethereum's consensus: how a
// transaction is encoded, and who signed it. The vectors in testdata/rule.json hold all of it in place.
const (
	dynamicFeeType = 2 // EIP-1559; with legacy transactions, 0, and those with an access list, 1, the types that are taken
	blobType       = 3 // EIP-4844
	lastType       = 4 // EIP-7702

	maxTxBytes  = 128 << 10 // what execution clients' pools take
	minTip      = 1_000_000 // wei per gas above the base fee, which go-ethereum asks for if it is not told otherwise (miner.gasprice)
	maxInitCode = 49_152    // bytes, EIP-3860
	maxTxGas    = 1 << 24   // EIP-7825, from Osaka on

	txGas        = 21_000
	createGas    = 32_000 // beside txGas
	zeroByteGas  = 4
	otherByteGas = 16 // EIP-2028
	initWordGas  = 2  // EIP-3860
	addressGas   = 2_400
	storageGas   = 1_900 // both of an access list, EIP-2930
	tokenGas     = 10    // EIP-7623, from Prague on; a byte is a token if it is zero, and otherTokens if not
	otherTokens  = 4

	baseFeeStep = 8 // EIP-1559: the base fee changes by an eighth at most
	gasTarget   = 2 // and not at all if half of the gas limit was used
)

// rule is what decides about a transaction in one block, beside its sender's account.
type rule struct {
	chainID  *big.Int
	prague   bool // or later
	osaka    bool // or later; the forks that change the number of blobs only are no different
	gasLimit uint64
	baseFee  *big.Int
}

// ruleAfter is the rule of a block at a time after parent. checkGenesis has seen to it that the forks before Prague
// are in force, and that there is none that the rule does not know.
func ruleAfter(config *params.ChainConfig, parent *types.Header, time uint64) *rule {
	begun := func(at *uint64) bool { return at != nil && *at <= time }
	return &rule{
		chainID: config.ChainID, prague: begun(config.PragueTime), osaka: begun(config.OsakaTime),
		gasLimit: parent.GasLimit, baseFee: nextBaseFee(parent),
	}
}

// nextBaseFee is the base fee of the block after parent, by EIP-1559.
func nextBaseFee(parent *types.Header) *big.Int {
	target := parent.GasLimit / gasTarget
	more := parent.GasUsed > target
	off := target - parent.GasUsed
	if more {
		off = parent.GasUsed - target
	}
	fee := new(big.Int).Set(parent.BaseFee)
	if off == 0 {
		return fee
	}
	step := new(big.Int).SetUint64(off)
	step.Mul(step, fee).Div(step, new(big.Int).SetUint64(target)).Div(step, big.NewInt(baseFeeStep))
	if !more {
		return fee.Sub(fee, step)
	}
	if step.Sign() == 0 {
		step.SetUint64(1)
	}
	return fee.Add(fee, step)
}

// bundled and versioned are a blob transaction with its blobs, as pools pass it on: no block holds it in this form.
type (
	bundled struct {
		Tx                  *types.BlobTx
		Blobs               [][1 << 17]byte
		Commitments, Proofs [][48]byte
	}
	versioned struct {
		Tx                  *types.BlobTx
		Version             byte
		Blobs               [][1 << 17]byte
		Commitments, Proofs [][48]byte
	}
)

var errType = errors.New("its type is unknown")

// decode reads a transaction of one of the types that Ethereum had when the rule was written. What is none takes no
// gas of its item.
func decode(raw []byte) (*types.Transaction, error) {
	if len(raw) > 0 && raw[0] <= 0x7f && (raw[0] == 0 || raw[0] > lastType) {
		return nil, errType
	}
	if len(raw) > 0 && raw[0] == blobType {
		if tx, err := unbundle(raw[1:]); tx != nil || err != nil {
			return tx, err
		}
	}
	tx := new(types.Transaction)
	return tx, tx.UnmarshalBinary(raw)
}

// unbundle reads a blob transaction that comes with its blobs; nil if it comes without. The first item of its list is
// a list then, and the second too, unless it is a version.
func unbundle(raw []byte) (*types.Transaction, error) {
	items, _, err := rlp.SplitList(raw)
	if err != nil {
		return nil, err
	}
	kind, _, rest, err := rlp.Split(items)
	if err != nil || kind != rlp.List {
		return nil, err
	}
	if kind, _, _, err = rlp.Split(rest); err != nil {
		return nil, err
	}
	if kind == rlp.List {
		var b bundled
		if err := rlp.DecodeBytes(raw, &b); err != nil {
			return nil, err
		}
		return types.NewTx(b.Tx), nil
	}
	var v versioned
	if err := rlp.DecodeBytes(raw, &v); err != nil {
		return nil, err
	}
	if v.Version != 1 {
		return nil, fmt.Errorf("its bundle has version %d", v.Version)
	}
	return types.NewTx(v.Tx), nil
}

// offer decodes a transaction, if it is one, and says what is wrong with it whatever its sender's account is.
func (r *rule) offer(raw []byte) (tx *types.Transaction, from common.Address, why string) {
	tx, err := decode(raw)
	if err != nil {
		return nil, from, fmt.Sprintf("it is no transaction: %v", err)
	}
	if why = r.form(tx, len(raw)); why != "" {
		return tx, from, why
	}
	if why = r.price(tx); why != "" {
		return tx, from, why
	}
	from, err = r.sender(tx)
	if err != nil {
		why = fmt.Sprintf("invalid sender: %v", err)
	}
	return tx, from, why
}

// form says what is wrong with what a transaction is and with the gas that it asks for. Of the five types those are
// taken that a block holds as a whole, and that depend on the sender's account alone: no blobs, and no delegations of
// others.
func (r *rule) form(tx *types.Transaction, size int) string {
	if tx.Type() > dynamicFeeType {
		return fmt.Sprintf("transaction type not supported: %d", tx.Type())
	}
	if size > maxTxBytes {
		return fmt.Sprintf("oversized data: %d bytes, limit %d", size, maxTxBytes)
	}
	if n := len(tx.Data()); tx.To() == nil && n > maxInitCode {
		return fmt.Sprintf("max initcode size exceeded: %d bytes, limit %d", n, maxInitCode)
	}
	if r.osaka && tx.Gas() > maxTxGas {
		return fmt.Sprintf("transaction gas limit too high: %d, cap %d", tx.Gas(), maxTxGas)
	}
	if tx.Gas() > r.gasLimit {
		return fmt.Sprintf("exceeds block gas limit: %d, the block's %d", tx.Gas(), r.gasLimit)
	}
	if tx.Nonce() == 1<<64-1 {
		return "nonce has max value" // EIP-2681
	}
	if needs := intrinsicGas(tx); tx.Gas() < needs {
		return fmt.Sprintf("intrinsic gas too low: %d, minimum needed %d", tx.Gas(), needs)
	}
	if needs := floorGas(tx); r.prague && tx.Gas() < needs {
		return fmt.Sprintf("insufficient gas for floor data gas cost: %d, minimum needed %d", tx.Gas(), needs)
	}
	return ""
}

// bytesOf counts the bytes of a transaction's data.
func bytesOf(tx *types.Transaction) (zeros, others uint64) {
	zeros = uint64(bytes.Count(tx.Data(), []byte{0}))
	return zeros, uint64(len(tx.Data())) - zeros
}

// intrinsicGas is what a transaction uses before it runs. maxTxBytes keeps it far from an overflow.
func intrinsicGas(tx *types.Transaction) uint64 {
	zeros, others := bytesOf(tx)
	gas := txGas + zeros*zeroByteGas + others*otherByteGas
	if tx.To() == nil {
		gas += createGas + (zeros+others+31)/32*initWordGas
	}
	for _, entry := range tx.AccessList() {
		gas += addressGas + uint64(len(entry.StorageKeys))*storageGas
	}
	return gas
}

// floorGas is what a transaction costs at least for its data, by EIP-7623.
func floorGas(tx *types.Transaction) uint64 {
	zeros, others := bytesOf(tx)
	return txGas + (zeros+others*otherTokens)*tokenGas
}

// price says what is wrong with what a transaction offers for gas. What its sender pays the block's maker is what is
// left of the fee above the base fee, and no more than the tip.
func (r *rule) price(tx *types.Transaction) string {
	fee, tip, least := tx.GasFeeCap(), tx.GasTipCap(), big.NewInt(minTip)
	switch {
	case fee.BitLen() > 256:
		return "max fee per gas higher than 2^256-1"
	case tip.Cmp(fee) > 0:
		return fmt.Sprintf("max priority fee per gas higher than max fee per gas: %v, %v", tip, fee)
	case tip.Cmp(least) < 0:
		return fmt.Sprintf("transaction gas price below minimum: gas tip cap %v, minimum needed %v", tip, least)
	case fee.Cmp(r.baseFee) < 0:
		return fmt.Sprintf("fee cap less than base fee: %v, the next base fee is %v", fee, r.baseFee)
	}
	if left := new(big.Int).Sub(fee, r.baseFee); left.Cmp(least) < 0 {
		return fmt.Sprintf("transaction gas price below minimum: tip %v above the next base fee %v, minimum needed %v", left, r.baseFee, least)
	}
	return ""
}

// sender recovers who signed a transaction for this chain. A legacy transaction says in its signature which chain
// that is (EIP-155): one that does not say may be anybody's to replay, so it is not taken.
func (r *rule) sender(tx *types.Transaction) (common.Address, error) {
	id := tx.ChainId()
	if tx.Type() == 0 {
		v, _, _ := tx.RawSignatureValues()
		id = new(big.Int).Sub(v, big.NewInt(35))
		id.Rsh(id, 1) // v is 35 or 36, and twice the id
	}
	if id.Cmp(r.chainID) != 0 {
		return common.Address{}, errors.New("not signed for this chain")
	}
	return types.NewLondonSigner(r.chainID).Sender(tx)
}

// account is what decides whether a sender's transaction is valid.
type account struct {
	Nonce    hexutil.Uint64
	Balance  *hexutil.Big
	CodeHash common.Hash
	contract bool // it has code, and no mere delegation to some
}

// emptyCode is the hash of no code.
var emptyCode = common.HexToHash("0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470")

// delegation reports whether code is none of an account's own, but the address of another's (EIP-7702).
func delegation(code []byte) bool {
	return len(code) == 23 && bytes.HasPrefix(code, []byte{0xef, 0x01, 0x00})
}

// cost is the most that a transaction may take of its sender's balance. It is of one of the types that form lets pass.
func cost(tx *types.Transaction) *big.Int {
	c := new(big.Int).SetUint64(tx.Gas())
	return c.Mul(c, tx.GasFeeCap()).Add(c, tx.Value())
}

func (a *account) exempt(tx *types.Transaction) string {
	nonce := uint64(a.Nonce)
	switch cost := cost(tx); {
	case tx.Nonce() < nonce:
		return fmt.Sprintf("nonce too low: next nonce %d, tx nonce %d", nonce, tx.Nonce())
	case tx.Nonce() > nonce:
		return fmt.Sprintf("nonce too high: next nonce %d, tx nonce %d", nonce, tx.Nonce())
	case a.Balance.ToInt().Cmp(cost) < 0:
		return fmt.Sprintf("insufficient funds for gas * price + value: balance %v, tx cost %v", a.Balance.ToInt(), cost)
	case a.contract:
		return "sender is a contract"
	}
	return ""
}

// spend takes a transaction that was picked into account, at its highest cost.
func (a *account) spend(tx *types.Transaction) {
	a.Nonce++
	a.Balance = (*hexutil.Big)(new(big.Int).Sub(a.Balance.ToInt(), cost(tx)))
}
