package ethereum

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"encoding/json"
	"fmt"
	"time"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"

	"headrace/contracts"
	"headrace/l1"
	"headrace/l1/ethereum/inbox"
)

// What the contract takes at most: its FORCED_FEE_MAX and FORCED_DELAY_MAX.
const (
	MostForcedFee   = 1000
	MostForcedDelay = 365 * 24 * time.Hour
)

// Contract says what an inbox is made with.
type Contract struct {
	Owner     l1.Address  // zero: the account that deploys
	Settings  l1.Settings // with ForcedMax the contract is of version 1; with ForcedRoom, or neither, of version 2
	ForcedFee uint64      // gas for each byte of an item, in version 2: see Fee
	Proposers []l1.Address
}

// code returns what makes the contract, of the version of the settings.
func (c *Contract) code(proposers []common.Address) ([]byte, error) {
	s := c.Settings
	if s.Version() == 1 {
		return codeV1(common.Address(c.Owner), s, proposers)
	}
	arguments := bindings.PackConstructor(common.Address(c.Owner), s.ForcedDelay, uint32(s.ForcedRoom), c.ForcedFee, proposers)
	return append(common.FromHex(inbox.InboxMetaData.Bin), arguments...), nil
}

// codeV1 is code of version 1: of the contract as it was then.
func codeV1(owner common.Address, s l1.Settings, proposers []common.Address) ([]byte, error) {
	var artifact struct {
		ABI      abi.ABI       `json:"abi"`
		Bytecode hexutil.Bytes `json:"bytecode"`
	}
	if err := json.Unmarshal(contracts.V1, &artifact); err != nil {
		return nil, fmt.Errorf("read the contract's version 1: %w", err)
	}
	arguments, err := artifact.ABI.Pack("", owner, s.ForcedDelay, uint16(s.ForcedMax), proposers)
	return append(artifact.Bytecode, arguments...), err
}

// Deploy makes an inbox contract, and returns its address and the block that it is in. opt.Inbox and opt.StartBlock
// are not used.
func Deploy(ctx context.Context, opt Options, account AccountOptions, key *ecdsa.PrivateKey, contract Contract) (l1.Address, l1.Ref, error) {
	opt.Inbox = l1.Address{1} // any: the client is only used to send
	c, err := New(opt)
	if err != nil {
		return l1.Address{}, l1.Ref{}, err
	}
	defer c.Close()
	c.opt.StartBlock = ^uint64(0) // it is not there yet
	a := NewAccount(c, key, account)
	if (contract.Owner == l1.Address{}) {
		contract.Owner = a.Address()
	}
	if contract.Settings.ForcedMax == 0 {
		contract.Settings.ForcedRoom = cmp.Or(contract.Settings.ForcedRoom, l1.DefaultRoom)
	}
	proposers := make([]common.Address, len(contract.Proposers))
	for i, p := range contract.Proposers {
		proposers[i] = common.Address(p)
	}
	code, err := contract.code(proposers)
	if err != nil {
		return l1.Address{}, l1.Ref{}, err
	}
	r, err := a.send(ctx, request{data: code, extraGas: 3_000_000 + 30_000*uint64(len(proposers))})
	if err != nil {
		return l1.Address{}, l1.Ref{}, fmt.Errorf("deploy inbox: %w", err)
	}
	if r.Status != types.ReceiptStatusSuccessful {
		return l1.Address{}, l1.Ref{}, fmt.Errorf("deploy inbox in transaction %s: %w", r.TxHash, errReverted)
	}
	return l1.Address(r.ContractAddress), included(r).Block, nil
}
