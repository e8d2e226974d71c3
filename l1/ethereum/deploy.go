package ethereum

import (
	"context"
	"crypto/ecdsa"
	"fmt"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"headrace/l1"
	"headrace/l1/ethereum/inbox"
)

// Contract says what an inbox is made with.
type Contract struct {
	Owner     l1.Address // zero: the account that deploys
	Settings  l1.Settings
	Proposers []l1.Address
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
	proposers := make([]common.Address, len(contract.Proposers))
	for i, p := range contract.Proposers {
		proposers[i] = common.Address(p)
	}
	arguments := bindings.PackConstructor(common.Address(contract.Owner), contract.Settings.ForcedDelay, uint16(contract.Settings.ForcedMax), proposers)
	r, err := a.send(ctx, request{data: append(common.FromHex(inbox.InboxMetaData.Bin), arguments...), extraGas: 3_000_000 + 30_000*uint64(len(proposers))})
	if err != nil {
		return l1.Address{}, l1.Ref{}, fmt.Errorf("deploy inbox: %w", err)
	}
	if r.Status != types.ReceiptStatusSuccessful {
		return l1.Address{}, l1.Ref{}, fmt.Errorf("deploy inbox in transaction %s: %w", r.TxHash, errReverted)
	}
	return l1.Address(r.ContractAddress), included(r).Block, nil
}
