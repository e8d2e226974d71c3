package ethereum

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/rpc"

	"headrace/l1"
)

// AccountOptions tune an Account. The zero value works.
type AccountOptions struct {
	Content    Content       // where proposals' content goes; default: where it is cheaper
	MaxBlobs   int           // in one transaction; default 6, the most since Osaka
	Resend     time.Duration // a transaction that is not included after so long is sent again with a higher fee; default 36 s
	MaxFee     *big.Int      // wei per gas, at most; default 500 gwei
	MaxBlobFee *big.Int      // wei per blob gas, at most; default 500 gwei
}

// Content says where the content of proposals goes.
type Content int

const (
	Cheapest Content = iota
	CallData
	Blobs
)

func (o AccountOptions) withDefaults() AccountOptions {
	o.MaxBlobs = cmp.Or(o.MaxBlobs, 6)
	o.Resend = cmp.Or(o.Resend, 36*time.Second)
	o.MaxFee = cmp.Or(o.MaxFee, gwei(500))
	o.MaxBlobFee = cmp.Or(o.MaxBlobFee, gwei(500))
	return o
}

func gwei(n int64) *big.Int { return new(big.Int).Mul(big.NewInt(n), big.NewInt(1e9)) }

// Account sends transactions to the inbox: an l1.Proposer, and whatever else an account may do there. It has one transaction under way at a time, always
// at the account's next nonce: what an earlier process left in the pool is replaced and never doubled. No other program may use the account.
type Account struct {
	client *Client
	key    *ecdsa.PrivateKey
	from   common.Address
	signer types.Signer
	opt    AccountOptions

	mu         sync.Mutex // held by the call whose transaction is under way; guards the rest
	cellProofs bool       // the endpoint wants blobs with cell proofs
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

// Force queues transactions for inclusion, in call data.
func (a *Account) Force(ctx context.Context, txs [][]byte) (l1.Inclusion, error) {
	return a.simple(ctx, bindings.PackForce(l1.EncodeTxs(txs)))
}

// Finalize declares the blocks up to those of a proposal proven. Only the inbox's owner may.
func (a *Account) Finalize(ctx context.Context, id uint64, hash l1.Hash) (l1.Inclusion, error) {
	return a.simple(ctx, bindings.PackFinalize(id, hash))
}

// SetProposer allows an account to propose, or forbids it. Only the inbox's owner may.
func (a *Account) SetProposer(ctx context.Context, proposer l1.Address, allowed bool) (l1.Inclusion, error) {
	return a.simple(ctx, bindings.PackSetProposer(common.Address(proposer), allowed))
}

func (a *Account) simple(ctx context.Context, data []byte) (l1.Inclusion, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	nonce, err := a.nonce(ctx)
	if err != nil {
		return l1.Inclusion{}, err
	}
	r, err := a.transact(ctx, nonce, request{to: &a.client.inbox, data: data, extraGas: 400_000})
	if err != nil {
		return l1.Inclusion{}, err
	}
	at := included(r)
	if r.Status != types.ReceiptStatusSuccessful {
		return at, fmt.Errorf("transaction %s in L1 block %d: %w", r.TxHash, at.Block.Number, errReverted)
	}
	return at, nil
}

func included(r *types.Receipt) l1.Inclusion {
	return l1.Inclusion{Block: l1.Ref{Number: r.BlockNumber.Uint64(), Hash: l1.Hash(r.BlockHash)}, Tx: l1.Hash(r.TxHash)}
}

var (
	errReverted   = errors.New("transaction reverted")
	errNonceTaken = fmt.Errorf("another transaction took the account's nonce: %w", l1.ErrUnknownOutcome)
)

// request is a transaction to be made.
type request struct {
	to       *common.Address // nil: a contract is made
	data     []byte
	sidecar  *types.BlobTxSidecar // nil: no blobs
	extraGas uint64               // beyond what any transaction with this data needs
}

// gas is what the transaction may use: estimating would run it in the wrong block, which the inbox's rules may refuse. What is not used costs nothing.
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

// attempt is what the transaction under way was sent as. All attempts have one nonce, so one of them at most is ever included.
type attempt struct {
	nonce       uint64
	fees        fees
	hashes      []common.Hash
	sentAt      time.Time
	unanswered  bool // the endpoint did not say that it has the last one
	underpriced int  // times in a row that the endpoint wanted more
}

type fees struct{ tip, cap, blob *big.Int }

// nonce returns the account's next nonce after the head.
func (a *Account) nonce(ctx context.Context) (uint64, error) {
	var nonce hexutil.Uint64
	err := a.client.call(ctx, &nonce, "eth_getTransactionCount", a.from, "latest")
	return uint64(nonce), err
}

// transact sends a transaction with a nonce, and waits until it is included, reverted or not. Called with mu held.
func (a *Account) transact(ctx context.Context, nonce uint64, r request) (*types.Receipt, error) {
	try := attempt{nonce: nonce}
	heads := a.watchHeads(ctx)
	defer heads.stop()
	if err := a.send(ctx, r, &try); err != nil {
		return nil, err
	}
	resend := time.NewTicker(max(a.opt.Resend/8, time.Millisecond)) // looks whether it is time, also when no head comes
	defer resend.Stop()
	for {
		receipt, nonce, err := a.outcome(ctx, &try)
		switch {
		case receipt != nil:
			return receipt, nil
		case err == nil && nonce > try.nonce:
			return nil, errNonceTaken
		}
		if err != nil && ctx.Err() == nil {
			a.client.opt.Logger.Warn("look for transaction", "hash", try.hashes[0], "err", err)
		}
		if ctx.Err() == nil && a.dueAgain(&try) {
			if err == nil && nonce < try.nonce { // a reorg took back an earlier transaction of the account, for good
				return nil, errNonceTaken
			}
			if !try.unanswered {
				a.bump(&try, r.sidecar != nil)
			}
			if err := a.send(ctx, r, &try); err != nil {
				a.client.opt.Logger.Warn("send transaction again", "hash", try.hashes[0], "err", err)
				try.sentAt = time.Now()
			}
		}
		select {
		case <-heads.moved:
		case <-resend.C:
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for transaction %s: %w: %w", try.hashes[len(try.hashes)-1], l1.ErrUnknownOutcome, context.Cause(ctx))
		}
	}
}

// dueAgain reports whether it is time to send again: soon if the endpoint may not have the transaction at all.
func (a *Account) dueAgain(try *attempt) bool {
	wait := a.opt.Resend
	if try.unanswered {
		wait /= 8
	}
	return time.Since(try.sentAt) >= wait
}

// outcome returns the receipt of the attempt that was included, nil if none was yet, and the account's nonce.
func (a *Account) outcome(ctx context.Context, try *attempt) (*types.Receipt, uint64, error) {
	nonce, err := a.nonce(ctx) // before the receipts: if an attempt is included in between, it is seen
	if err != nil {
		return nil, 0, err
	}
	receipts := make([]*types.Receipt, len(try.hashes))
	elems := make([]rpc.BatchElem, len(try.hashes))
	for i, h := range try.hashes {
		elems[i] = rpc.BatchElem{Method: "eth_getTransactionReceipt", Args: []any{h}, Result: &receipts[i]}
	}
	if err := a.client.callBatch(ctx, elems); err != nil {
		return nil, 0, err
	}
	for i, r := range receipts {
		if err := elems[i].Error; err != nil && !saysIndexing(err) {
			return nil, 0, err
		}
		if r != nil && r.BlockNumber != nil {
			return r, nonce, nil
		}
	}
	return nil, nonce, nil
}

// send signs and sends one more attempt. It returns an error only if the attempt is not on its way: the endpoint has refused it.
func (a *Account) send(ctx context.Context, r request, try *attempt) error {
	for {
		if err := a.price(ctx, try); err != nil {
			return err
		}
		tx, err := a.sign(r, try)
		if err != nil {
			return err
		}
		raw, err := tx.MarshalBinary()
		if err != nil {
			return fmt.Errorf("encode transaction: %w", err)
		}
		if n := len(try.hashes); n == 0 || try.hashes[n-1] != tx.Hash() {
			try.hashes = append(try.hashes, tx.Hash()) // before it is sent: it may get through although we see an error
		}
		try.sentAt = time.Now()
		err = a.client.call(ctx, nil, "eth_sendRawTransaction", hexutil.Bytes(raw))
		try.unanswered = err != nil && !answered(err)
		switch refusal(err) {
		case refusedNot:
			try.underpriced = 0
			return nil
		case refusedNonce:
			return nil // an attempt is included, or another transaction: outcome will tell
		case refusedPrice:
			if try.underpriced++; try.underpriced > 20 || !a.bump(try, r.sidecar != nil) {
				return fmt.Errorf("fee %s, tip %s, blob fee %s is too low, and more is not allowed: %w", try.fees.cap, try.fees.tip, try.fees.blob, err)
			}
		case refusedFunds:
			return fmt.Errorf("account %s: %w: %w", a.from, l1.ErrFunds, err)
		default:
			if r.sidecar == nil || a.cellProofs {
				return fmt.Errorf("send transaction: %w", err)
			}
			a.cellProofs = true // perhaps it was only that
		}
	}
}

// The ways an endpoint can answer a transaction.
const (
	refusedNot = iota // it is in the pool, or perhaps: no answer came
	refusedNonce
	refusedPrice
	refusedFunds
	refusedOther
)

// refusal tells endpoints' answers apart by the words that go-ethereum, and most others after it, use.
func refusal(err error) int {
	var rpcErr rpc.Error
	if !errors.As(err, &rpcErr) {
		return refusedNot
	}
	text := strings.ToLower(rpcErr.Error())
	for _, row := range []struct {
		words string
		kind  int
	}{
		{"already known", refusedNot}, {"already imported", refusedNot}, {"known transaction", refusedNot}, {"alreadyknown", refusedNot},
		{"nonce too low", refusedNonce}, {"nonce is too low", refusedNonce}, {"oldnonce", refusedNonce},
		{"underpriced", refusedPrice}, {"fee too low", refusedPrice}, {"feetoolow", refusedPrice}, {"less than block base fee", refusedPrice},
		{"less than block blob gas fee", refusedPrice}, {"gas price below minimum", refusedPrice},
		{"insufficient funds", refusedFunds}, {"insufficientfunds", refusedFunds},
	} {
		if strings.Contains(text, row.words) {
			return row.kind
		}
	}
	return refusedOther
}

// price sets the fees of the next attempt: what the market asks for, and never less than try has already.
func (a *Account) price(ctx context.Context, try *attempt) error {
	head, err := a.client.header(ctx, "latest")
	if err != nil {
		return err
	}
	if head == nil || head.BaseFee == nil {
		return errors.New("L1 has no base fee")
	}
	var tip, blob hexutil.Big
	if err := a.client.call(ctx, &tip, "eth_maxPriorityFeePerGas"); err != nil {
		tip = hexutil.Big(*gwei(1)) // not all endpoints have the call
	}
	if err := a.client.call(ctx, &blob, "eth_blobBaseFee"); err != nil {
		blob = hexutil.Big(*gwei(1))
	}
	market := fees{tip: tip.ToInt(), blob: new(big.Int).Mul(blob.ToInt(), big.NewInt(2))}
	market.cap = new(big.Int).Add(new(big.Int).Mul(head.BaseFee, big.NewInt(2)), market.tip)
	f := &try.fees
	f.tip, f.cap, f.blob = larger(f.tip, market.tip), larger(f.cap, market.cap), larger(f.blob, market.blob)
	a.limit(f)
	return nil
}

func larger(a, b *big.Int) *big.Int {
	if a == nil || a.Cmp(b) < 0 {
		return b
	}
	return a
}

func (a *Account) limit(f *fees) {
	if f.cap.Cmp(a.opt.MaxFee) > 0 {
		f.cap = a.opt.MaxFee
	}
	if f.tip.Cmp(f.cap) > 0 {
		f.tip = f.cap
	}
	if f.blob.Cmp(a.opt.MaxBlobFee) > 0 {
		f.blob = a.opt.MaxBlobFee
	}
}

// bump raises the fees by as much as nodes want for replacing a transaction: by a quarter (they want a tenth), and with blobs to the double. It reports
// whether that changed anything: there is a limit.
func (a *Account) bump(try *attempt, blobs bool) bool {
	more := func(n *big.Int) *big.Int {
		raise := new(big.Int).Rsh(n, 2)
		if blobs {
			raise.Set(n)
		}
		return raise.Add(raise, n).Add(raise, big.NewInt(1))
	}
	before := try.fees
	try.fees = fees{more(before.tip), more(before.cap), more(before.blob)}
	a.limit(&try.fees)
	return try.fees.cap.Cmp(before.cap) != 0 || try.fees.tip.Cmp(before.tip) != 0 || try.fees.blob.Cmp(before.blob) != 0
}

// headHints tell that the head has moved.
type headHints struct {
	moved <-chan struct{} // holds one token; sent to by the goroutine that stop ends
	stop  func()
}

// watchHeads tells of new heads until stop is called. When news fails it is asked for again: whoever waits has a timer besides.
func (a *Account) watchHeads(ctx context.Context) headHints {
	ctx, cancel := context.WithCancel(ctx)
	moved := make(chan struct{}, 1)
	var wg sync.WaitGroup
	wg.Go(func() {
		for ctx.Err() == nil {
			_ = a.client.heads(ctx, func(*header, bool) {
				select {
				case moved <- struct{}{}:
				default:
				}
			})
			select {
			case <-time.After(a.client.opt.Poll): // backoff
			case <-ctx.Done():
			}
		}
	})
	return headHints{moved, func() { cancel(); wg.Wait() }}
}
