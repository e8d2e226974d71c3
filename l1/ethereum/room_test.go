package ethereum_test

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"math/big"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/core/vm"
	"github.com/ethereum/go-ethereum/core/vm/program"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/params"
	"github.com/ethereum/go-ethereum/rpc"

	"headrace/devnet/geth"
	"headrace/l1"
	client "headrace/l1/ethereum"
)

// sender signs transactions of one account, in order, whether or not those before are included.
type sender struct {
	r     *rig
	key   *ecdsa.PrivateKey
	nonce uint64
}

func (r *rig) sender(key *ecdsa.PrivateKey) *sender { return &sender{r, key, r.nonce(key)} }

// tx signs a transaction to an account, or one that makes a contract.
func (s *sender) tx(to *common.Address, value *big.Int, gas uint64, data []byte) *types.Transaction {
	s.r.t.Helper()
	tx, err := types.SignNewTx(s.key, types.LatestSignerForChainID(big.NewInt(geth.DevChainID)), &types.DynamicFeeTx{
		ChainID: big.NewInt(geth.DevChainID), Nonce: s.nonce, GasTipCap: big.NewInt(1e9), GasFeeCap: big.NewInt(1e12), Gas: gas, To: to, Value: value, Data: data,
	})
	s.r.check(err)
	s.nonce++
	return tx
}

// force queues an item, with so much gas that more of them fit into one block of the L1.
func (s *sender) force(item []byte, value *big.Int) *types.Transaction {
	to := s.r.inbox()
	return s.tx(&to, value, 200_000+45*uint64(len(item)), bindings.PackForce(item))
}

// call calls the inbox after the head, as if the account proposed then, and reports whether it succeeds.
func (r *rig) calls(key *ecdsa.PrivateKey, data []byte) bool {
	r.t.Helper()
	to := r.inbox()
	_, err := r.eth.CallContract(r.t.Context(), ethereum.CallMsg{From: common.Address(address(key)), To: &to, Data: data, Gas: 15_000_000}, nil)
	return err == nil
}

// receipts are those of the head.
func (r *rig) receipts() types.Receipts {
	r.t.Helper()
	out, err := r.eth.BlockReceipts(r.t.Context(), rpc.BlockNumberOrHashWithHash(r.chain.Head().Hash(), false))
	r.check(err)
	return out
}

// What this module says of the room of a proposal is what the contract does, whatever waits: no item less than it says is
// taken, none more, and the sizes are those of what was queued.
func TestRoomAgrees(t *testing.T) {
	t.Parallel()
	r := newRig(t, geth.Prague, l1.Settings{ForcedDelay: 5, ForcedRoom: l1.MinRoom})
	c := r.client(nil)
	settings, err := c.Settings(t.Context())
	if want := (l1.Settings{ForcedDelay: 5, ForcedRoom: l1.MinRoom}); err != nil || settings != want || settings.Version() != 2 {
		t.Fatalf("settings: got %+v, %v, want %+v of version 2", settings, err, want)
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 2))
	sizes := []int{1, 2, 700, 9000, 20_000, l1.MaxForced - 1, l1.MaxForced}
	from := r.sender(geth.DevKey(5))
	var queued []int
	full, partly := 0, 0
	for range 60 {
		var txs []*types.Transaction
		for range rng.IntN(4) {
			size := sizes[rng.IntN(len(sizes))]
			queued = append(queued, size)
			txs = append(txs, from.force(make([]byte, size), nil))
		}
		head := r.mine(txs...).Header
		for i, receipt := range r.receipts() {
			if receipt.Status != types.ReceiptStatusSuccessful {
				t.Fatalf("seed %d: item %d was refused", seed, i)
			}
		}
		state := r.state()
		queue, err := c.Queue(t.Context(), l1.Hash(head.Hash()), 1000)
		r.check(err)
		if len(queue) != len(queued)-int(state.ForcedHead) {
			t.Fatalf("seed %d: got %d items, want those from %d on of %d", seed, len(queue), state.ForcedHead, len(queued))
		}
		for i, f := range queue {
			if want := queued[int(state.ForcedHead)+i] + l1.ForcedItemBytes; f.Room != want {
				t.Fatalf("seed %d: item %d takes %d bytes, want %d", seed, f.Source.Index, f.Room, want)
			}
		}
		due, fit := settings.Due(queue, head.Time), settings.Fit(queue)
		if fit < len(queue) {
			full++
		}
		if due > 0 && due < fit {
			partly++
		}
		propose := func(forced int) []byte {
			return bindings.PackPropose(state.LastProposal, common.Hash{7}, uint16(forced), payload("a"))
		}
		for n, want := range map[int]bool{due - 1: false, due: true, fit: true, fit + 1: false} {
			if n >= 0 && r.calls(r.proposer, propose(n)) != want {
				t.Fatalf("seed %d: a proposal of %d items succeeds: %v, want %v, with %d due and room for %d of %d", seed, n, !want, want, due, fit, len(queue))
			}
		}
		if rng.IntN(2) == 0 {
			tx := r.proposeTx(payload("a"), uint16(fit)) // more may be due in its block, not less
			if r.mine(tx); !r.succeeded(tx) {
				t.Fatalf("seed %d: a proposal of all %d items that fit failed", seed, fit)
			}
		}
	}
	if full == 0 || partly == 0 {
		t.Errorf("seed %d: %d times more waited than fits, and %d times a part was due: the test shows less than it should", seed, full, partly)
	}
}

// flood is 600 of the smallest items, of a stranger who pays for them, and then one of somebody else.
func (r *rig) flood(n int) (spent uint64, last *types.Transaction) {
	r.t.Helper()
	from, value := r.sender(geth.DevKey(5)), big.NewInt(params.Ether/10)
	for done := 0; done < n; {
		var txs []*types.Transaction
		for ; done < n && len(txs) < 100; done++ {
			txs = append(txs, from.force([]byte{1}, value))
		}
		r.mine(txs...)
		for _, receipt := range r.receipts() {
			if receipt.Status != types.ReceiptStatusSuccessful {
				r.t.Fatalf("transaction %s of the flood failed", receipt.TxHash)
			}
			spent += receipt.GasUsed
		}
	}
	last = r.sender(geth.DevKey(6)).force(l1.EncodeTxs([][]byte{make([]byte, 200)}), value)
	if r.mine(last); !r.succeeded(last) {
		r.t.Fatal("the honest item was refused")
	}
	return spent, last
}

// An honest item behind 600 of the smallest, all due, is taken within the proposals that l1.Settings.Wait says, ten and
// not 300; and who was in the way has paid what the contract's comment says.
func TestFloodOfSmallItems(t *testing.T) {
	t.Parallel()
	r := newRig(t, geth.Prague, l1.Settings{})
	const n, fee = 600, 16
	r.mine(r.tx(r.owner, r.inbox(), bindings.PackSetForcedFee(fee)))
	c := r.client(nil)
	settings, err := c.Settings(t.Context())
	r.check(err)
	before := r.head().Height
	gas, _ := r.flood(n)

	// Each item paid by what waited before it, at the base fee of its block.
	want, item, charged := new(big.Int), 1+l1.ForcedItemBytes, uint64(0)
	index := 0
	for number := before + 1; number <= r.head().Height; number++ {
		block, err := r.eth.BlockByNumber(t.Context(), new(big.Int).SetUint64(number))
		r.check(err)
		for range block.Transactions() {
			size := 1
			if index == n {
				size = len(l1.EncodeTxs([][]byte{make([]byte, 200)}))
			}
			g := settings.ForcedGas(fee, size, index*item)
			want.Add(want, new(big.Int).Mul(block.BaseFee(), new(big.Int).SetUint64(g)))
			if index++; index <= n {
				charged += g
			}
		}
	}
	if got := r.balance(r.inbox()); got.Cmp(want) != 0 {
		t.Errorf("the inbox has %s wei, want %s", got, want)
	}
	q, most := uint64(n*item), uint64(l1.MaxForced+l1.ForcedItemBytes)
	if least := fee*q + fee*q*(q-most)/(2*uint64(settings.ForcedRoom)); charged < least || charged < 4*fee*q {
		t.Errorf("the fee of %d bytes came to %d gas, want %d at least", q, charged, least)
	}
	bound := settings.Wait(n, n*item)
	proposals := 0
	for r.state().ForcedHead <= n {
		queue, err := c.Queue(t.Context(), l1.Hash{}, settings.Most())
		r.check(err)
		tx := r.proposeTx(payload("a"), uint16(settings.Due(queue, ^uint64(0))))
		if r.mine(tx); !r.succeeded(tx) {
			t.Fatalf("proposal %d failed", proposals+1)
		}
		proposals++
	}
	t.Logf("%d items of one byte: %d gas and a fee of %d; the next one is in proposal %d, at the latest in %d", n, gas, charged, proposals, bound)
	if proposals > bound || bound > 20 {
		t.Errorf("the honest item was taken by proposal %d, want %d at the latest, which is no more than 20", proposals, bound)
	}
}

// As many items as a proposal may ever have to take fit into the gas of one transaction, and into what an account
// gives it; and everybody reads them.
func TestMostItems(t *testing.T) {
	t.Parallel()
	r := newRig(t, geth.Osaka, l1.Settings{ForcedRoom: l1.MaxRoom})
	c := r.client(nil)
	settings, err := c.Settings(t.Context())
	r.check(err)
	n := settings.Most()
	r.flood(n)
	r.mining(func(ctx context.Context) {
		a := r.account(c, r.proposer, client.CallData)
		d := draft(1, "all")
		d.Blocks[0].Data = make([]byte, a.Limit()-100)
		for i := range d.Blocks[0].Data {
			d.Blocks[0].Data[i] = 1 // so that they cost what any do
		}
		d.Forced = n - 1
		if _, err := a.Propose(ctx, d); !errors.Is(err, l1.ErrForcedDue) {
			t.Errorf("all but one: got %v, want ErrForcedDue", err)
		}
		d.Forced = n
		at, err := a.Propose(ctx, d)
		r.check(err)
		receipt, err := r.eth.TransactionReceipt(ctx, common.Hash(at.Tx))
		r.check(err)
		t.Logf("a proposal of %d items and %d bytes took %d gas", n, a.Limit(), receipt.GasUsed)
		if receipt.GasUsed > params.MaxTxGas/2 {
			t.Errorf("it took %d gas, want half of what a transaction may use at most", receipt.GasUsed)
		}
		again := one(t, r.client(nil), at.Block.Height).Proposal // by a client that has seen nothing yet
		if p := one(t, c, at.Block.Height).Proposal; len(p.Sources) != n+1 || p.Void != "" || !reflect.DeepEqual(again, p) {
			t.Errorf("got a proposal of %d sources, void %q, the same twice: %v", len(p.Sources), p.Void, reflect.DeepEqual(again, p))
		}
	})
	if got := r.state(); got.ForcedHead != uint64(n) || got.ForcedTail != uint64(n)+1 {
		t.Errorf("state: got %+v, want one item left", got)
	}
}

// Who may set, and take, what; and what is queued stays as it is, whatever the owner does.
func TestForcedFee(t *testing.T) {
	t.Parallel()
	r := newRig(t, geth.Prague, l1.Settings{ForcedDelay: 1000})
	c, stranger := r.client(nil), geth.DevKey(5)
	settings, err := c.Settings(t.Context())
	r.check(err)
	ok := func(name string, want bool, tx *types.Transaction) {
		t.Helper()
		if r.mine(tx); r.succeeded(tx) != want {
			t.Errorf("%s: got success %v, want %v", name, !want, want)
		}
	}
	fee := func(length int) client.Fee {
		t.Helper()
		f, err := c.ForcedFee(t.Context(), length)
		r.check(err)
		return f
	}
	if f := fee(100); f.Gas != 0 || f.Wei.Sign() != 0 {
		t.Errorf("without a fee: got %+v", f)
	}
	ok("stranger sets the fee", false, r.tx(stranger, r.inbox(), bindings.PackSetForcedFee(1)))
	ok("beyond the bound", false, r.tx(r.owner, r.inbox(), bindings.PackSetForcedFee(client.MostForcedFee+1)))
	ok("at the bound", true, r.tx(r.owner, r.inbox(), bindings.PackSetForcedFee(client.MostForcedFee)))
	ok("owner sets the fee", true, r.tx(r.owner, r.inbox(), bindings.PackSetForcedFee(7)))
	waiting, earned := 0, new(big.Int)
	from, to := r.sender(stranger), r.inbox()
	for _, size := range []int{1, l1.MaxForced, 5000, l1.MaxForced, 77, l1.MaxForced, 3} {
		f := fee(size)
		if want := settings.ForcedGas(7, size, waiting); f.Gas != want {
			t.Fatalf("%d bytes behind %d: got %d gas, want %d", size, waiting, f.Gas, want)
		}
		q, err := c.ForcedQueue(t.Context(), size)
		r.check(err)
		if state := r.state(); q.L1 != r.head().Height || q.Items != state.ForcedTail-state.ForcedHead || q.Bytes != waiting || q.Fee.Gas != f.Gas || q.Fee.Wei.Cmp(f.Wei) != 0 || q.Wait != settings.Wait(int(q.Items), waiting) {
			t.Errorf("%d bytes behind %d: got the queue %+v, want the fee %+v", size, waiting, q, f)
		}
		// The base fee of the next block is known from the head.
		tooLittle := from.force(make([]byte, size), big.NewInt(1))
		ok("too little", false, tooLittle)
		had := r.balance(common.Address(address(stranger)))
		paid := from.force(make([]byte, size), big.NewInt(params.Ether))
		ok("more than enough", true, paid)
		receipt := r.receipts()[0]
		base := r.chain.Head().Header.BaseFee
		cost := new(big.Int).Mul(base, new(big.Int).SetUint64(f.Gas))
		earned.Add(earned, cost)
		left := new(big.Int).Sub(had, cost)
		left.Sub(left, new(big.Int).Mul(receipt.EffectiveGasPrice, new(big.Int).SetUint64(receipt.GasUsed)))
		if got := r.balance(common.Address(address(stranger))); got.Cmp(left) != 0 {
			t.Errorf("%d bytes behind %d: the sender has %s wei, want %s: what is not needed comes back", size, waiting, got, left)
		}
		if q, err := c.Queued(t.Context(), l1.Inclusion{Tx: l1.Hash(paid.Hash())}); err != nil || q.Fee.Cmp(cost) != 0 {
			t.Errorf("queued: got %+v, %v, want a fee of %s wei", q, err, cost)
		}
		waiting += size + l1.ForcedItemBytes
	}
	if got := r.balance(to); got.Cmp(earned) != 0 {
		t.Errorf("the inbox has %s wei, want %s", got, earned)
	}
	if p, err := c.Pricing(t.Context()); err != nil || p.GasPerByte != 7 || p.Waiting != waiting || p.Earned.Cmp(earned) != 0 {
		t.Errorf("pricing: got %+v, %v", p, err)
	}

	// What waits does not notice.
	look := func() []l1.Forced {
		t.Helper()
		queue, err := c.Queue(t.Context(), l1.Hash{}, 100)
		r.check(err)
		return queue
	}
	before := look()
	ok("the fee rises", true, r.tx(r.owner, r.inbox(), bindings.PackSetForcedFee(900)))
	ok("stranger withdraws", false, r.tx(stranger, r.inbox(), bindings.PackWithdraw(common.Address(address(stranger)))))
	ok("to nobody", false, r.tx(r.owner, r.inbox(), bindings.PackWithdraw(common.Address{})))
	payee := common.Address{0xaa}
	withdraw := r.tx(r.owner, r.inbox(), bindings.PackWithdraw(payee))
	ok("owner withdraws", true, withdraw)
	if got, err := c.Withdrawn(t.Context(), l1.Inclusion{Tx: l1.Hash(withdraw.Hash())}); err != nil || got.Cmp(earned) != 0 || r.balance(payee).Cmp(earned) != 0 || r.balance(to).Sign() != 0 {
		t.Errorf("withdrawn: got %s, %v, and %s left, want %s and none", got, err, r.balance(to), earned)
	}
	if after := look(); !reflect.DeepEqual(after, before) || len(after) != 7 {
		t.Errorf("the queue was %+v, and is %+v", before, after)
	}
	plain := r.sender(stranger)
	ok("a gift", false, plain.tx(&to, big.NewInt(1), 100_000, nil))
	ok("a proposal with ether", false, r.sender(r.proposer).tx(&to, big.NewInt(1), 500_000, bindings.PackPropose(common.Hash{}, common.Hash{}, 0, payload("a"))))
	ok("a proposal that takes four of them", true, r.proposeTx(payload("a"), 4))
}

// reentrant returns the code of a contract that passes calls on to the inbox, with the ether that comes. When some comes
// back, once, it spends what it has on another item, and then tries to withdraw.
func reentrant(inbox common.Address) []byte {
	again, steal := bindings.PackForce([]byte{2}), bindings.PackWithdraw(common.Address{1})
	back := program.New().Sstore(1, 1).Mstore(again, 0)
	back.Push(0).Push(0).Push(len(again)).Push(0).Op(vm.SELFBALANCE).Push(inbox).Op(vm.GAS, vm.CALL, vm.POP)
	back.Mstore(steal, 0).Call(nil, inbox, 0, 0, len(steal), 0, 0).Op(vm.POP)
	const head = 5 + 7
	end := head + back.Size()
	forward := end + 2
	code := program.New().Op(vm.CALLDATASIZE, vm.PUSH2).Append([]byte{byte(forward >> 8), byte(forward)}).Op(vm.JUMPI)
	code.Push(1).Op(vm.SLOAD, vm.PUSH2).Append([]byte{byte(end >> 8), byte(end)}).Op(vm.JUMPI)
	code.Append(back.Bytes()).Op(vm.JUMPDEST, vm.STOP)
	code.Op(vm.JUMPDEST, vm.CALLDATASIZE).Push(0).Push(0).Op(vm.CALLDATACOPY)
	code.Push(0).Push(0).Op(vm.CALLDATASIZE).Push(0).Op(vm.CALLVALUE).Push(inbox).Op(vm.GAS, vm.CALL, vm.POP, vm.STOP)
	return program.New().ReturnViaCodeCopy(code.Bytes()).Bytes()
}

// A caller whose code runs when ether comes back to it, and calls the inbox again, pays for each item, and gets nothing
// that is not its own: neither as a stranger nor as the owner.
func TestReentrantCaller(t *testing.T) {
	t.Parallel()
	r := newRig(t, geth.Prague, l1.Settings{})
	c := r.client(nil)
	r.mine(r.tx(r.owner, r.inbox(), bindings.PackSetForcedFee(100)))
	honest := r.sender(geth.DevKey(6)).force([]byte{9}, big.NewInt(params.Ether))
	r.mine(honest)
	for name, owns := range map[string]bool{"a stranger": false, "the owner": true} {
		from := r.sender(geth.DevKey(5))
		at := crypto.CreateAddress(common.Address(address(from.key)), from.nonce)
		r.mine(from.tx(nil, nil, 1_000_000, reentrant(r.inbox())))
		if owns {
			r.mine(r.tx(r.owner, r.inbox(), bindings.PackSetOwner(at)))
		}
		inbox, tail := r.balance(r.inbox()), r.state().ForcedTail
		tx := from.tx(&at, big.NewInt(params.Ether), 2_000_000, bindings.PackForce([]byte{1}))
		if r.mine(tx); !r.succeeded(tx) {
			t.Fatalf("%s: the call failed", name)
		}
		fees := new(big.Int)
		items := uint64(0)
		for _, l := range r.receipts()[0].Logs {
			if paid, err := bindings.UnpackForcedPaidEvent(l); err == nil {
				fees.Add(fees, paid.Fee)
			}
			if f, err := bindings.UnpackForcedQueuedEvent(l); err == nil {
				if f.Index != tail+items {
					t.Errorf("%s: got item %d, want %d", name, f.Index, tail+items)
				}
				items++
			}
		}
		rest := r.balance(at) // of its ether
		if spent := new(big.Int).Sub(big.NewInt(params.Ether), rest); items != 2 || spent.Cmp(fees) != 0 {
			t.Errorf("%s: got %d items for %s wei, want two for their fees, %s", name, items, spent, fees)
		}
		want := new(big.Int).Add(inbox, fees)
		if owns {
			want.SetInt64(0) // its own to take
		}
		if got := r.balance(r.inbox()); got.Cmp(want) != 0 {
			t.Errorf("%s: the inbox has %s wei, want %s", name, got, want)
		}
	}
	queue, err := c.Queue(t.Context(), l1.Hash{}, 10)
	if err != nil || len(queue) != 5 || queue[2].Room != 1+l1.ForcedItemBytes {
		t.Errorf("queue: got %+v, %v, want five items", queue, err)
	}
}

// Force pays what the inbox wants, and no more than its option allows.
func TestForcePays(t *testing.T) {
	t.Parallel()
	r := newRig(t, geth.Prague, l1.Settings{})
	r.mine(r.tx(r.owner, r.inbox(), bindings.PackSetForcedFee(500)))
	c := r.client(nil)
	r.mining(func(ctx context.Context) {
		for i := range 3 {
			at, err := r.account(c, geth.DevKey(5), client.CallData).Force(ctx, [][]byte{{1}})
			r.check(err)
			if q, err := c.Queued(ctx, at); err != nil || q.Index != uint64(i) || q.Fee.Sign() == 0 {
				t.Errorf("got %+v, %v, want item %d, and a fee", q, err, i)
			}
		}
		cheap := client.NewAccount(c, geth.DevKey(6), client.AccountOptions{MaxForcedFee: big.NewInt(1000)})
		if _, err := cheap.Force(ctx, [][]byte{{1}}); !errors.Is(err, l1.ErrFeeCap) {
			t.Errorf("with 1000 wei: got %v, want ErrFeeCap", err)
		}
		for _, set := range []func() (l1.Inclusion, error){
			func() (l1.Inclusion, error) { return r.account(c, r.owner, client.CallData).SetForcedFee(ctx, 0) },
			func() (l1.Inclusion, error) {
				return r.account(c, r.owner, client.CallData).Withdraw(ctx, l1.Address{9})
			},
			func() (l1.Inclusion, error) { return cheap.Force(ctx, [][]byte{{1}}) },
		} {
			if _, err := set(); err != nil {
				t.Error(err)
			}
		}
	})
	if r.nonce(geth.DevKey(6)) != 1 {
		t.Error("a fee that may not be paid was paid for")
	}
	if got := r.balance(common.Address{9}); got.Sign() == 0 {
		t.Error("nothing was withdrawn")
	}
}

// The fee that an item pays is that of the block it is in, and others may come first. Twice what it was when Force asked goes
// along, and where the caller has set a bound, all of that, as far as the account has it; what is not needed comes back.
func TestForceWhenTheFeeGrows(t *testing.T) {
	t.Parallel()
	r := newRig(t, geth.Prague, l1.Settings{})
	r.mine(r.tx(r.owner, r.inbox(), bindings.PackSetForcedFee(1)))
	c := r.client(nil)
	node, err := rpc.DialContext(t.Context(), r.node.WS())
	r.check(err)
	t.Cleanup(node.Close)
	arrived := make(chan common.Hash, 16) // sent by the subscription, which closes it never
	sub, err := node.EthSubscribe(t.Context(), arrived, "newPendingTransactions")
	r.check(err)
	t.Cleanup(sub.Unsubscribe)

	poor, err := crypto.GenerateKey()
	r.check(err)
	whole := big.NewInt(params.Ether)
	const has = params.Ether / 100 // less than what the gas of its transaction may come to at the highest fee
	to := common.Address(address(poor))
	r.mine(r.sender(geth.DevKey(4)).tx(&to, big.NewInt(has), 21_000, nil))
	gas := uint64(1) // a byte, while nothing waits
	for _, row := range []struct {
		name  string
		key   *ecdsa.PrivateKey
		most  *big.Int // nil: no bound
		times uint64   // the fee grows to so many times what it was
		value *big.Int // that goes along; nil: twice the fee
		fails bool
	}{
		{name: "no bound, as before", key: geth.DevKey(5), times: 1},
		{name: "no bound, ten times as much", key: geth.DevKey(5), times: 10, fails: true},
		{name: "a bound, ten times as much", key: geth.DevKey(6), most: whole, times: 10, value: whole},
		{name: "a bound beyond what the account has", key: poor, most: whole, times: 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			sub := *r
			r := &sub
			r.t = t
			fee, err := c.ForcedFee(t.Context(), len(l1.EncodeTxs([][]byte{{1}})))
			r.check(err)
			had, tail := r.balance(common.Address(address(row.key))), r.state().ForcedTail
			type result struct {
				at  l1.Inclusion
				err error
			}
			ended := make(chan result, 1) // sent by the goroutine below, once
			go func() {
				at, err := client.NewAccount(c, row.key, client.AccountOptions{MaxForcedFee: row.most}).Force(t.Context(), [][]byte{{1}})
				ended <- result{at, err}
			}()
			var hash common.Hash
			select {
			case hash = <-arrived:
			case res := <-ended:
				t.Fatalf("got %+v, %v before anything was mined", res.at, res.err)
			}
			tx, _, err := r.eth.TransactionByHash(t.Context(), hash)
			r.check(err)
			if gas *= row.times; row.times > 1 {
				r.mine(r.tx(r.owner, r.inbox(), bindings.PackSetForcedFee(gas)))
			}
			r.mine(tx)
			res := <-ended
			want := row.value
			if want == nil {
				want = new(big.Int).Lsh(fee.Wei, 1)
			}
			if tx.Value().Cmp(want) != 0 {
				t.Errorf("%s wei went along, want %s, with a fee of %s when it was asked for", tx.Value(), want, fee.Wei)
			}
			if row.fails {
				if res.err == nil || !strings.Contains(res.err.Error(), "try again") || r.state().ForcedTail != tail {
					t.Errorf("got %v, and %d items, want a fee that is too low", res.err, r.state().ForcedTail-tail)
				}
				return
			}
			r.check(res.err)
			q, err := c.Queued(t.Context(), res.at)
			r.check(err)
			receipt, err := r.eth.TransactionReceipt(t.Context(), hash)
			r.check(err)
			left := new(big.Int).Sub(had, q.Fee)
			left.Sub(left, new(big.Int).Mul(receipt.EffectiveGasPrice, new(big.Int).SetUint64(receipt.GasUsed)))
			if got := r.balance(common.Address(address(row.key))); q.Index != tail || got.Cmp(left) != 0 {
				t.Errorf("item %d: the account has %s wei, want %s: no more than the fee of %s is kept", q.Index, got, left, q.Fee)
			}
		})
	}
}

// An inbox whose settings would do harm cannot be made.
func TestDeployRefusals(t *testing.T) {
	t.Parallel()
	r := newRig(t, geth.Prague, l1.Settings{})
	good := client.Contract{Settings: l1.Settings{ForcedRoom: l1.MinRoom, ForcedDelay: uint64(client.MostForcedDelay.Seconds())}, ForcedFee: client.MostForcedFee}
	deploy := func(change func(*client.Contract)) error {
		contract := good
		change(&contract)
		var err error
		r.mining(func(ctx context.Context) {
			_, _, err = client.Deploy(ctx, r.opt, client.AccountOptions{}, r.owner, contract)
		})
		return err
	}
	if err := deploy(func(*client.Contract) {}); err != nil {
		t.Errorf("at the bounds: %v", err)
	}
	for name, change := range map[string]func(*client.Contract){
		"too little room": func(c *client.Contract) { c.Settings.ForcedRoom-- },
		"too much room":   func(c *client.Contract) { c.Settings.ForcedRoom = l1.MaxRoom + 1 },
		"too much delay":  func(c *client.Contract) { c.Settings.ForcedDelay++ },
		"too high a fee":  func(c *client.Contract) { c.ForcedFee++ },
	} {
		if err := deploy(change); err == nil {
			t.Errorf("%s: it was deployed", name)
		}
	}
}
