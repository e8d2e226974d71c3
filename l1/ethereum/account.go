package ethereum

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/rpc"

	"headrace/internal/edge"
	"headrace/l1"
)

// AccountOptions tune an Account. The zero value works.
type AccountOptions struct {
	Content      Content       // where proposals' content goes; default: where it is cheaper
	MaxBlobs     int           // in one transaction; default DefaultMaxBlobs
	Resend       time.Duration // a transaction that is not included after so long is sent again with a higher fee; default ResendBlocks block times, or 12 s for each while that is not known
	ResendBlocks int           // default 3
	MaxFee       *big.Int      // wei per gas, at most; default 500 gwei
	MaxTip       *big.Int      // wei per gas of it for the block's maker, at most; default: as much as MaxFee
	MaxBlobFee   *big.Int      // wei per blob gas, at most; default 500 gwei

	// MaxForcedFee is what the inbox may keep for one forced item, in wei. All of it goes along, so that the fee may grow as far
	// before the item is in a block: or what the account has beside what the gas may come to at MaxFee, if that is less, but twice
	// the fee of the moment at least. Default: that, whatever it is.
	MaxForcedFee *big.Int
}

// DefaultMaxBlobs is how many blobs a transaction may have since the L1's fork Osaka (EIP-7594).
const DefaultMaxBlobs = 6

// Content says where the content of proposals goes.
type Content int

const (
	Cheapest Content = iota
	CallData
	Blobs
)

func (o AccountOptions) withDefaults() AccountOptions {
	o.MaxBlobs = cmp.Or(o.MaxBlobs, DefaultMaxBlobs)
	o.ResendBlocks = cmp.Or(o.ResendBlocks, 3)
	o.MaxFee = cmp.Or(o.MaxFee, gwei(500))
	o.MaxTip = cmp.Or(o.MaxTip, o.MaxFee)
	o.MaxBlobFee = cmp.Or(o.MaxBlobFee, gwei(500))
	return o
}

// Account sends transactions to the inbox: an l1.Proposer, and whatever else an account may do there. It has one
// transaction under way at a time, always at the account's next nonce: what an earlier process left in the pool is
// replaced and never doubled. No other program may use the account.
type Account struct {
	client *Client
	key    *ecdsa.PrivateKey
	from   common.Address
	signer types.Signer
	opt    AccountOptions
	said   edge.Log // what fails again and again

	mu         sync.Mutex // held by the call whose transaction is under way; guards the rest
	cellProofs bool       // the endpoint wants blobs with cell proofs
	kind       kind       // of the transaction that was sent last

	posted posted
}

// NewAccount returns the account of a key. The caller keeps the client open while it uses the account.
func NewAccount(c *Client, key *ecdsa.PrivateKey, opt AccountOptions) *Account {
	return &Account{
		client: c, key: key, from: crypto.PubkeyToAddress(key.PublicKey),
		signer: types.LatestSignerForChainID(new(big.Int).SetUint64(c.opt.ChainID)), opt: opt.withDefaults(),
	}
}

// Address returns the account's address.
func (a *Account) Address() l1.Address { return l1.Address(a.from) }

// Idle returns when no transaction of the account is under way: none that the endpoint knows of is not included. It
// returns the L1 block up to which they are. Errors are tried again until ctx ends.
func (a *Account) Idle(ctx context.Context) (uint64, error) {
	look := time.NewTicker(a.client.opt.Poll) // at what is outside: no endpoint tells when a pool forgets
	defer look.Stop()
	for {
		height, idle, err := a.idle(ctx)
		switch {
		case ctx.Err() != nil:
			return 0, ctx.Err()
		case err != nil:
			a.client.opt.Logger.Debug("not known whether a transaction is under way", "account", a.from, "err", err)
		case idle:
			return height, nil
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// idle reads the counts of sent transactions before the height: what is included between the two is below it.
func (a *Account) idle(ctx context.Context) (height uint64, idle bool, err error) {
	at, err := a.client.front(ctx)
	if err != nil {
		return 0, false, err
	}
	var pending hexutil.Uint64
	if err := at.call(ctx, &pending, "eth_getTransactionCount", a.from, "pending"); err != nil {
		return 0, false, err
	}
	nonce, err := at.nonce(ctx, a.from)
	if err != nil {
		return 0, false, err
	}
	head, err := at.head(ctx)
	if err != nil {
		return 0, false, err
	}
	return head.number(), nonce >= uint64(pending), nil
}

// Force queues transactions for inclusion, in call data. An inbox of version 2 wants a fee for that, which grows with its
// queue and with the L1's base fee, and keeps what it is when the transaction is included: what goes along beyond that comes
// back at once. Twice what it is now goes along, or AccountOptions.MaxForcedFee, if that is set: see there. l1.ErrFeeCap: the
// fee is above it now.
func (a *Account) Force(ctx context.Context, txs [][]byte) (l1.Inclusion, error) {
	payload := l1.EncodeTxs(txs)
	fee, err := a.client.ForcedFee(ctx, len(payload))
	if err != nil {
		return l1.Inclusion{}, err
	}
	r := a.simple(bindings.PackForce(payload), new(big.Int).Lsh(fee.Wei, 1))
	more := "try again"
	if most := a.opt.MaxForcedFee; most != nil && fee.Wei.Sign() > 0 {
		if fee.Wei.Cmp(most) > 0 {
			return l1.Inclusion{}, fmt.Errorf("the inbox's fee is %s wei now, and %s may be paid: %w", fee.Wei, most, l1.ErrFeeCap)
		}
		spare, err := a.spare(ctx, r)
		if err != nil {
			return l1.Inclusion{}, err
		}
		if r.value = larger(r.value, spare); r.value.Cmp(most) >= 0 {
			r.value, more = most, "try again, or let more be paid"
		}
	}
	at, err := a.succeed(ctx, r)
	if errors.Is(err, errReverted) && r.value.Sign() > 0 {
		err = fmt.Errorf("%w: was its fee more than %s wei, which went along, when it was included? It grows with the queue and with the L1's base fee: %s", err, r.value, more)
	}
	return at, err
}

// spare returns what the account has beside what a transaction's gas may come to, however often it is sent again with a
// higher fee. It may be below zero.
func (a *Account) spare(ctx context.Context, r request) (*big.Int, error) {
	var has hexutil.Big
	if err := a.client.call(ctx, &has, "eth_getBalance", a.from, "latest"); err != nil {
		return nil, err
	}
	gas := new(big.Int).Mul(a.opt.MaxFee, new(big.Int).SetUint64(r.gas()))
	return gas.Sub(has.ToInt(), gas), nil
}

// Finalize declares the blocks up to those of a proposal proven. Only the inbox's owner may.
func (a *Account) Finalize(ctx context.Context, id uint64, hash l1.Hash) (l1.Inclusion, error) {
	return a.succeed(ctx, a.simple(bindings.PackFinalize(id, hash), nil))
}

// SetProposer allows an account to propose, or forbids it. Only the inbox's owner may.
func (a *Account) SetProposer(ctx context.Context, proposer l1.Address, allowed bool) (l1.Inclusion, error) {
	return a.succeed(ctx, a.simple(bindings.PackSetProposer(common.Address(proposer), allowed), nil))
}

// SetForcedFee sets what is charged for items that are queued from now on, in gas for each byte: see ForcedFee. Only the
// owner of an inbox of version 2 may.
func (a *Account) SetForcedFee(ctx context.Context, gasPerByte uint64) (l1.Inclusion, error) {
	return a.succeed(ctx, a.simple(bindings.PackSetForcedFee(gasPerByte), nil))
}

// Withdraw pays what fees have brought out to an account: all of it. Only the owner of an inbox of version 2 may.
func (a *Account) Withdraw(ctx context.Context, to l1.Address) (l1.Inclusion, error) {
	return a.succeed(ctx, a.simple(bindings.PackWithdraw(common.Address(to)), nil))
}

// simple is a call of the inbox, without blobs.
func (a *Account) simple(data []byte, value *big.Int) request {
	return request{to: &a.client.inbox, data: data, extraGas: 400_000, value: value}
}

// succeed sends a transaction, and returns an error if it was reverted.
func (a *Account) succeed(ctx context.Context, req request) (l1.Inclusion, error) {
	r, err := a.send(ctx, req)
	if err != nil {
		return l1.Inclusion{}, err
	}
	at := included(r)
	if r.Status != types.ReceiptStatusSuccessful {
		return at, fmt.Errorf("transaction %s in L1 block %d: %w", r.TxHash, at.Block.Height, errReverted)
	}
	return at, nil
}

// send sends a transaction with the account's next nonce, and waits until it is included, reverted or not.
func (a *Account) send(ctx context.Context, r request) (*types.Receipt, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	at, err := a.client.front(ctx)
	if err != nil {
		return nil, err
	}
	nonce, err := at.nonce(ctx, a.from)
	if err != nil {
		return nil, err
	}
	return a.transact(ctx, at, nonce, r)
}

func included(r *types.Receipt) l1.Inclusion {
	return l1.Inclusion{Block: l1.Ref{Height: r.BlockNumber.Uint64(), Hash: [32]byte(r.BlockHash)}, Tx: l1.Hash(r.TxHash)}
}

var (
	errReverted   = errors.New("transaction reverted")
	errOtherKind  = errors.New("a transaction of the account waits in the pool, and nodes take none with blobs in the place of one without, nor one without in the place of one with")
	errNonceTaken = fmt.Errorf("another transaction took the account's nonce: %w", l1.ErrUnknownOutcome)
)

// request is a transaction to be made.
type request struct {
	to       *common.Address // nil: a contract is made
	data     []byte
	sidecar  *types.BlobTxSidecar // nil: no blobs
	extraGas uint64               // beyond what any transaction with this data needs
	value    *big.Int             // wei that go with it; nil: none, as with blobs

	// fuller returns the one to be sent in its place, if there is one by now; nil: there never is.
	fuller func(context.Context) (request, bool)
}

// gas is what the transaction may use: estimating would run it in the wrong block, which the inbox's rules may
// refuse. What is not used costs nothing.
func (r *request) gas() uint64 {
	tokens := uint64(0)
	for _, b := range r.data {
		if b == 0 {
			tokens++
		} else {
			tokens += 4
		}
	}
	words := uint64(len(r.data)+31) / 32
	run := 4*tokens + r.extraGas + 15*words + words*words/256 // the execution's share, with copying and hashing the data
	return 21_000 + max(run, 10*tokens)
}

// attempt is what the transaction under way was sent as, and to whom. All attempts have one nonce, so one of them at
// most is ever included.
type attempt struct {
	at          *endpoint // which took the last one: what becomes of it is asked there
	nonce       uint64
	fees        fees
	hashes      []common.Hash
	cells       *types.BlobTxSidecar // with cell proofs, once they were needed
	sentAt      time.Time
	quiet       common.Hash // head of at, as of which nothing had become of it
	doubt       doubt       // that any of them was included, or will be
	forgotten   bool        // a dev chain, whose blocks come on demand, does not know it: it was put back, and will not include it
	gap         bool        // an earlier transaction of the account is missing, so none of them can be included
	late        int         // times in a row that at was behind other endpoints
	failed      bool        // since the last one was sent, at has failed once, or did not answer that: it may not have it
	underpriced int         // times in a row that the endpoint wanted more
	blobs       bool        // it has blobs
	pinned      string      // why nothing can take its place; empty: something can
	asked       fees        // what the L1 asked for when the last one was sent: its base fees, and no tip
	unsure      error       // what the last one was answered with, if that leaves open whether it was taken
	refused     int         // times in a row that it was answered with an error object which leaves that open
}

// nonce returns an account's next nonce after the endpoint's head.
func (e *endpoint) nonce(ctx context.Context, account common.Address) (uint64, error) {
	var nonce hexutil.Uint64
	err := e.call(ctx, &nonce, "eth_getTransactionCount", account, "latest")
	return uint64(nonce), err
}

// nonceAt returns an account's next nonce after a block.
func (e *endpoint) nonceAt(ctx context.Context, account common.Address, h *header) (nonce uint64, err error) {
	var n hexutil.Uint64
	err = e.asOf(ctx, h.hash, func(block any) error { return e.call(ctx, &n, "eth_getTransactionCount", account, block) })
	return uint64(n), err
}

// transact sends a transaction with a nonce, and waits until it is included, reverted or not. Called with mu held.
func (a *Account) transact(ctx context.Context, at *endpoint, nonce uint64, r request) (*types.Receipt, error) {
	try := attempt{at: at, nonce: nonce}
	if err := a.submit(ctx, r, &try, true); err != nil {
		return nil, err
	}
	look := time.NewTicker(a.client.opt.Poll) // at the endpoint's head: it may hear of a block later than those who bring the news
	defer look.Stop()
	for {
		_, moved := a.client.heads.Get()
		receipt, err := a.outcome(ctx, &try)
		switch {
		case receipt != nil, errors.Is(err, errNonceTaken):
			a.paid(receipt)
			return receipt, err
		case ctx.Err() != nil:
			return nil, try.unknown(context.Cause(ctx))
		case err != nil:
			a.said.Warn(a.client.opt.Logger, "look for transaction", err, "hash", try.hashes[0])
			try.failed = true
		}
		a.again(ctx, &r, &try)
		if try.refused == mostRefusals {
			return nil, try.unknown(nil)
		}
		select {
		case <-moved:
		case <-look.C:
		case <-ctx.Done():
		}
	}
}

// paid tells the observer what a transaction has cost. One that was reverted costs too.
func (a *Account) paid(r *types.Receipt) {
	if r == nil || r.EffectiveGasPrice == nil {
		return
	}
	cost := new(big.Int).Mul(new(big.Int).SetUint64(r.GasUsed), r.EffectiveGasPrice)
	if r.BlobGasPrice != nil {
		cost.Add(cost, new(big.Int).Mul(new(big.Int).SetUint64(r.BlobGasUsed), r.BlobGasPrice))
	}
	a.posted.paid(r, cost)
	if tell := a.client.opt.Observer.Paid; tell != nil {
		tell(cost)
	}
}

// mostRefusals is how often in a row a transaction may be answered with an error object that leaves open what became of
// it, before the caller learns of that.
const mostRefusals = 3

// unknown is the error of whoever stops to wait for the attempts, for the cause given, if there is another one.
func (t *attempt) unknown(cause error) error {
	err := fmt.Errorf("wait for transaction %s: %w", t.hashes[len(t.hashes)-1], l1.ErrUnknownOutcome)
	if why := cmp.Or(t.tooCheap(), t.pinned); why != "" {
		err = fmt.Errorf("%w: %s: %w", err, why, l1.ErrFeeCap)
	}
	for _, why := range []error{cause, t.unsure} {
		if why != nil {
			err = fmt.Errorf("%w: %w", err, why)
		}
	}
	return err
}

// patience is how many looks in a row may find that the endpoint which took a transaction is behind others, before
// another one is given it too.
const patience = 3

// again sends the transaction again when it is time: with higher fees or, if the endpoint that took it fails or stays
// behind, soon, and as it is, to another. Where an earlier transaction is missing, sending it once more leads nowhere, and
// some dev chains answer when it is included, not before.
func (a *Account) again(ctx context.Context, r *request, try *attempt) {
	elsewhere, wait := try.failed || try.late >= patience, a.resend()
	switch {
	case elsewhere:
		wait /= 8
	case try.forgotten:
		wait = a.regain()
	}
	nowhere := try.gap && (!elsewhere || len(a.client.readers) == 1)
	if ctx.Err() != nil || nowhere || time.Since(try.sentAt) < wait {
		return
	}
	switch {
	case elsewhere:
		a.move(try, try.at)
	case !try.forgotten:
		if a.replace(try, r.sidecar != nil) && r.fuller != nil { // nodes take another one in its place for a higher fee alone
			if next, ok := r.fuller(ctx); ok {
				next.fuller = r.fuller
				*r, try.cells = next, nil
			}
		}
	}
	if err := a.submit(ctx, *r, try, !elsewhere); err != nil && ctx.Err() == nil {
		a.said.Warn(a.client.opt.Logger, "send transaction again", err, "hash", try.hashes[0])
		try.sentAt, try.failed = time.Now(), true
	}
}

// move makes another endpoint than these, if there is one, the one that takes the transaction.
func (a *Account) move(try *attempt, than ...*endpoint) bool {
	for _, e := range a.client.ranked() {
		if !slices.Contains(than, e) {
			try.at, try.late, try.quiet = e, 0, common.Hash{}
			return true
		}
	}
	return false
}

// outcome returns the receipt of the attempt that was included, nil if none was yet. errNonceTaken: none will be.
func (a *Account) outcome(ctx context.Context, try *attempt) (*types.Receipt, error) {
	e := try.at
	head, err := e.head(ctx)
	if err != nil {
		return nil, err
	}
	behind := e.behind(head) > 0
	if try.late++; !behind {
		try.late = 0
	}
	if head.hash == try.quiet {
		return nil, nil
	}
	nonce, err := e.nonce(ctx, a.from) // before the receipts: if an attempt is included in between, it is seen
	if err != nil {
		return nil, err
	}
	try.gap = nonce < try.nonce && !behind
	receipt, err := e.receipt(ctx, try.hashes)
	switch {
	case errors.Is(err, errIndexing):
		return nil, nil
	case receipt != nil || err != nil:
		return receipt, err
	case nonce == try.nonce:
		try.quiet, try.doubt = head.hash, doubt{}
		try.forgotten = a.client.opt.BlockTime < 0 && !e.knows(ctx, try.hashes[len(try.hashes)-1])
	case behind: // it gives no verdict
	case nonce > try.nonce:
		if receipt = a.receiptElsewhere(ctx, try); receipt == nil && ctx.Err() == nil && try.doubt.holds(head.hash, time.Now(), a.resend()) {
			err = try.taken()
		}
	default: // a reorg took back an earlier transaction of the account: for good, if it stays so
		if now := time.Now(); try.doubt.since.IsZero() {
			try.doubt = doubt{head.hash, now}
		} else if now.Sub(try.doubt.since) >= a.regain() {
			err = try.taken()
		}
	}
	return receipt, err
}

// knows reports whether the endpoint has a transaction, in its pool or in a block, or does not say that it has not.
func (e *endpoint) knows(ctx context.Context, hash common.Hash) bool {
	var tx json.RawMessage
	err := e.call(ctx, &tx, "eth_getTransactionByHash", hash)
	return err != nil || string(tx) != "null"
}

// taken returns errNonceTaken with the hashes of the attempts.
func (t *attempt) taken() error { return fmt.Errorf("transaction %s: %w", t.hashes, errNonceTaken) }

// doubt is a contradiction between two reads: a nonce that is used up, and no receipt. Behind a load balancer the two
// are answered by different nodes, and some nodes find receipts a while after the block. So it is no verdict before it
// has been seen again.
type doubt struct {
	head  common.Hash // when it was seen first
	since time.Time
}

// holds notes the contradiction at a head, and reports whether it is a verdict: seen again some seconds later at
// another head or, on an L1 that makes no other, after some more. resend is the time of some blocks.
func (d *doubt) holds(head common.Hash, now time.Time, resend time.Duration) bool {
	if d.since.IsZero() {
		*d = doubt{head, now}
		return false
	}
	age := now.Sub(d.since)
	return age >= resend/3 || head != d.head && age >= resend/12
}

// receiptElsewhere asks the other endpoints for the receipt: one that fails has no say.
func (a *Account) receiptElsewhere(ctx context.Context, try *attempt) *types.Receipt {
	for _, e := range a.client.ranked() {
		if e == try.at {
			continue
		}
		if r, err := e.receipt(ctx, try.hashes); err == nil && r != nil {
			return r
		}
	}
	return nil
}

// receipt returns the receipt of the one of some transactions that was included, nil if none was yet. errIndexing:
// that cannot be told yet.
func (e *endpoint) receipt(ctx context.Context, hashes []common.Hash) (*types.Receipt, error) {
	receipts := make([]*types.Receipt, len(hashes))
	elems := make([]rpc.BatchElem, len(hashes))
	for i, h := range hashes {
		elems[i] = rpc.BatchElem{Method: "eth_getTransactionReceipt", Args: []any{h}, Result: &receipts[i]}
	}
	if err := e.callBatch(ctx, elems); err != nil {
		return nil, err
	}
	var err error
	for i, r := range receipts {
		switch e := elems[i].Error; {
		case r != nil && r.BlockNumber != nil:
			return r, nil
		case saysIndexing(e):
			err = errIndexing
		case e != nil:
			return nil, e
		}
	}
	return nil, err
}

var errIndexing = errors.New("endpoint cannot find receipts yet")
