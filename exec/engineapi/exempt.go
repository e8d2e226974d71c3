package engineapi

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"headrace/exec"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/rpc"
)

// Exempt is exec.Exempter's. The block that follows the one at height is thought to begin with the item's
// transactions, one after the other. One is exempt if it could not be there: because of what it is and what it
// offers for gas at that block's base fee (see rule), or because of its sender's nonce, balance and code (see
// account); and if the gas of the item's transactions, up to and with it, is more than a block's.
//
// What an item costs is bounded by its size: one request for each batchSize senders of transactions that are whole and
// offer enough (of a forced item of l1.MaxForced bytes, 290 at most), and one more for those that have code. What was
// read of a block is kept while that is one of the last few asked about, so each account is asked for once. A block's
// state never changes, so nothing waits for the client but this call: Execute and Build go on meanwhile.
func (e *Engine) Exempt(ctx context.Context, height uint64, item [][]byte) (why []string, err error) {
	after, top, err := e.recordOf(ctx, height)
	if err != nil {
		return nil, err
	}
	o, err := e.outlook(ctx, after, after.time+1, top > height)
	if errors.Is(err, errNoBlock) {
		err = e.lostNow(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("check forced transactions after block %d: %w", height, err)
	}
	offers := o.offers(item)
	if err := o.read(ctx, offers); err != nil {
		return nil, fmt.Errorf("check forced transactions after block %d: %w", height, err)
	}
	why = make([]string, len(item))
	for i, f := range offers {
		if why[i] = f.why; why[i] == "" {
			a := o.account(f.from)
			if why[i] = a.exempt(f.tx); why[i] == "" {
				a.spend(f.tx)
			}
		}
	}
	return why, nil
}

// recordOf returns the record of an executed block, and where the head is.
func (e *Engine) recordOf(ctx context.Context, height uint64) (after record, top uint64, err error) {
	if err := e.begin(ctx); err != nil {
		return after, 0, err
	}
	defer e.mu.Unlock()
	if height < e.first.height || height > e.head.height {
		return after, 0, fmt.Errorf("check forced transactions after block %d: %w: head is %d", height, exec.ErrParent, e.head.height)
	}
	after, err = e.at(height)
	return after, e.head.height, err
}

// lostNow is lost without mu.
func (e *Engine) lostNow(ctx context.Context) error {
	if err := e.begin(ctx); err != nil {
		return err
	}
	defer e.mu.Unlock()
	return e.lost(ctx, errNoBlock.Error())
}

var errNoBlock = errors.New("does not know our block")

const (
	batchSize = 100     // accounts in one request
	keepState = 3       // blocks whose accounts are kept
	maxKept   = 1 << 15 // accounts of one block that are kept, of some 200 bytes each
)

// state is what has been read of the state after one execution block. It never changes.
type state struct {
	exec   common.Hash
	parent *Header // the block

	mu       sync.Mutex // guards the rest
	accounts map[common.Address]account
}

// stateOf returns what is kept of the state after a block, and fetches the block if nothing is.
func (e *Engine) stateOf(ctx context.Context, exec common.Hash) (*state, error) {
	if s := e.kept(exec); s != nil {
		return s, nil
	}
	parent, err := e.client.ByHash(ctx, exec)
	if err != nil {
		return nil, err
	}
	if parent == nil {
		return nil, errNoBlock
	}
	return &state{exec: exec, parent: parent, accounts: map[common.Address]account{}}, nil
}

func (e *Engine) kept(exec common.Hash) *state {
	e.statesMu.Lock()
	defer e.statesMu.Unlock()
	for _, s := range e.states {
		if s.exec == exec {
			return s
		}
	}
	return nil
}

// keep keeps what was read without an error.
func (e *Engine) keep(s *state) {
	if e.kept(s.exec) != nil {
		return
	}
	e.statesMu.Lock()
	defer e.statesMu.Unlock()
	e.states = append([]*state{s}, e.states[:min(len(e.states), keepState-1)]...)
}

// outlook is what is known of a block that follows an executed one.
type outlook struct {
	e        *Engine
	state    *state
	below    bool // the executed one is below the head: its state may be dropped
	rule     *rule
	known    map[common.Address]account  // as they are after the executed one
	accounts map[common.Address]*account // as they are after what was picked
}

func (e *Engine) outlook(ctx context.Context, after record, time uint64, below bool) (*outlook, error) {
	s, err := e.stateOf(ctx, after.exec)
	if err != nil {
		return nil, err
	}
	return &outlook{
		e: e, state: s, below: below, rule: ruleAfter(e.opt.Genesis.Config, &s.parent.Header, time),
		known: map[common.Address]account{}, accounts: map[common.Address]*account{},
	}, nil
}

// offered is a transaction of a forced item, and why no block could include it whatever its sender's account is.
type offered struct {
	tx   *types.Transaction
	from common.Address
	why  string
}

// offers reads an item.
func (o *outlook) offers(item [][]byte) []offered {
	out, left := make([]offered, len(item)), o.rule.gasLimit
	for i, raw := range item {
		f := &out[i]
		f.tx, f.from, f.why = o.rule.offer(raw)
		if f.tx != nil && f.tx.Gas() <= left {
			left -= f.tx.Gas()
		} else if f.tx != nil {
			left, f.why = 0, fmt.Sprintf("its item asks for more gas than a block has, which is %d", o.rule.gasLimit)
		}
	}
	return out
}

// read reads the accounts of those who have sent what could be included.
func (o *outlook) read(ctx context.Context, offers []offered) error {
	var need []common.Address
	o.state.mu.Lock()
	for _, f := range offers {
		if _, ok := o.known[f.from]; ok || f.why != "" {
			continue
		}
		a, ok := o.state.accounts[f.from]
		if o.known[f.from] = a; !ok {
			need = append(need, f.from)
		}
	}
	o.state.mu.Unlock()
	for some := range slices.Chunk(need, batchSize) {
		if err := o.fetch(ctx, some); err != nil {
			return err
		}
	}
	o.e.keep(o.state)
	return nil
}

// fetch asks for accounts. eth_getProof gives all of one at once, by the block's hash, but for the code.
func (o *outlook) fetch(ctx context.Context, addrs []common.Address) error {
	block := rpc.BlockNumberOrHashWithHash(o.state.exec, false)
	accounts := make([]*account, len(addrs))
	proofs := make([]rpc.BatchElem, len(addrs))
	ask := func() error {
		for i, addr := range addrs {
			accounts[i] = new(account)
			proofs[i] = rpc.BatchElem{Method: "eth_getProof", Args: []any{addr, []string{}, block}, Result: accounts[i]}
		}
		return o.e.client.batch(ctx, "eth_getProof", proofs)
	}
	err := ask()
	if answered(err) && o.below {
		if err = ask(); answered(err) { // twice: it has the block, and no longer the state
			return fmt.Errorf("%w: %w", exec.ErrPruned, err)
		}
	}
	if err != nil {
		return err
	}
	codes := make([]hexutil.Bytes, len(addrs))
	var coded []rpc.BatchElem
	for i, a := range accounts {
		if a.Balance == nil {
			return fmt.Errorf("client gives account %s without a balance", addrs[i])
		}
		if a.contract = a.CodeHash != (common.Hash{}) && a.CodeHash != emptyCode; a.contract {
			coded = append(coded, rpc.BatchElem{Method: "eth_getCode", Args: []any{addrs[i], block}, Result: &codes[i]})
		}
	}
	if len(coded) > 0 {
		if err := o.e.client.batch(ctx, "eth_getCode", coded); err != nil {
			return err
		}
	}
	o.state.mu.Lock()
	defer o.state.mu.Unlock()
	for i, a := range accounts {
		a.contract = a.contract && !delegation(codes[i])
		if o.known[addrs[i]] = *a; len(o.state.accounts) < maxKept {
			o.state.accounts[addrs[i]] = *a
		}
	}
	return nil
}

// account returns an account that was read.
func (o *outlook) account(addr common.Address) *account {
	a := o.accounts[addr]
	if a == nil {
		known := o.known[addr]
		a = &known
		o.accounts[addr] = a
	}
	return a
}

// answered reports whether err is what the client answered to a request that it knows.
func answered(err error) bool {
	var answer rpc.Error
	return errors.As(err, &answer) && !errors.Is(err, errNoMethod)
}
