package engineapi

import (
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/params"
)

// Rule is the rule of forced transactions in one block.
type Rule struct{ *rule }

func RuleAfter(config *params.ChainConfig, parent *types.Header, time uint64) Rule {
	return Rule{ruleAfter(config, parent, time)}
}

// NewRule is the rule in a block with this gas limit and base fee.
func NewRule(config *params.ChainConfig, time, gasLimit uint64, baseFee *big.Int) Rule {
	r := RuleAfter(config, &types.Header{BaseFee: new(big.Int)}, time)
	r.gasLimit, r.baseFee = gasLimit, baseFee
	return r
}

func (r Rule) Offer(raw []byte) (tx *types.Transaction, from common.Address, why string) {
	return r.offer(raw)
}

func (r Rule) BaseFee() *big.Int { return r.baseFee }

func Cost(tx *types.Transaction) *big.Int { return cost(tx) }

func IsDelegation(code []byte) bool { return delegation(code) }

// ExemptOf says why a sender with this account could not have tx in the next block.
func ExemptOf(nonce uint64, balance *big.Int, contract bool, tx *types.Transaction) string {
	a := account{Nonce: hexutil.Uint64(nonce), Balance: (*hexutil.Big)(balance), contract: contract}
	return a.exempt(tx)
}

var ExplainTx = explainTx
