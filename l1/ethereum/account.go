package ethereum

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/rpc"

	"headrace/follow"
	"headrace/internal/edge"
	"headrace/l1"
)

// AccountOptions tune an Account. The zero value works.
type AccountOptions struct {
	Content    Content       // where proposals' content goes; default: where it is cheaper
	MaxBlobs   int           // in one transaction; default 6, the most since Osaka
	Resend     time.Duration // a transaction that is not included after so long is sent again with a higher fee; default three block times, or 36 s while that is not known
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
	o.MaxFee = cmp.Or(o.MaxFee, gwei(500))
	o.MaxBlobFee = cmp.Or(o.MaxBlobFee, gwei(500))
	return o
}

func gwei(n int64) *big.Int { return new(big.Int).Mul(big.NewInt(n), big.NewInt(1e9)) }

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
	r, err := a.send(ctx, request{to: &a.client.inbox, data: data, extraGas: 400_000})
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
	errNonceTaken = fmt.Errorf("another transaction took the account's nonce: %w", l1.ErrUnknownOutcome)
)

// request is a transaction to be made.
type request struct {
	to       *common.Address // nil: a contract is made
	data     []byte
	sidecar  *types.BlobTxSidecar // nil: no blobs
	extraGas uint64               // beyond what any transaction with this data needs
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
	gap         bool        // an earlier transaction of the account is missing, so none of them can be included
	late        int         // times in a row that at was behind other endpoints
	failed      bool        // since the last one was sent, at has failed once, or did not answer that: it may not have it
	underpriced int         // times in a row that the endpoint wanted more
	unsure      error       // what the last one was answered with, if that leaves open whether it was taken
	refused     int         // times in a row that it was answered with an error object which leaves that open
}

type fees struct{ tip, cap, blob *big.Int }

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
			return receipt, err
		case ctx.Err() != nil:
			return nil, try.unknown(context.Cause(ctx))
		case err != nil:
			a.said.Warn(a.client.opt.Logger, "look for transaction", err, "hash", try.hashes[0])
			try.failed = true
		}
		a.again(ctx, r, &try)
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

// mostRefusals is how often in a row a transaction may be answered with an error object that leaves open what became of
// it, before the caller learns of that.
const mostRefusals = 3

// unknown is the error of whoever stops to wait for the attempts, for the cause given, if there is another one.
func (t *attempt) unknown(cause error) error {
	err := fmt.Errorf("wait for transaction %s: %w", t.hashes[len(t.hashes)-1], l1.ErrUnknownOutcome)
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
func (a *Account) again(ctx context.Context, r request, try *attempt) {
	elsewhere, wait := try.failed || try.late >= patience, a.resend()
	if elsewhere {
		wait /= 8
	}
	if ctx.Err() != nil || try.gap && !elsewhere || time.Since(try.sentAt) < wait {
		return
	}
	if elsewhere {
		a.move(try, try.at)
	} else {
		a.bump(try, r.sidecar != nil)
	}
	if err := a.submit(ctx, r, try, !elsewhere); err != nil && ctx.Err() == nil {
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

// submit signs and sends one more attempt, with fees of the day if price is set. It returns an error only if the
// attempt is not on its way: the node has refused it, or nobody let it through to one.
func (a *Account) submit(ctx context.Context, r request, try *attempt, price bool) error {
	var unsent []error    // of endpoints that it did not get to
	var asked []*endpoint // those
	otherForm := false    // of the blobs' proofs, was tried
	for {
		if price {
			if err := a.price(ctx, try); err != nil {
				return err
			}
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
		try.sentAt, try.quiet, try.failed, try.unsure = time.Now(), common.Hash{}, false, nil
		err = try.at.call(ctx, nil, "eth_sendRawTransaction", hexutil.Bytes(raw))
		kind := meaning(err)
		if r.sidecar != nil && kind == refused { // perhaps it is only the form of the proofs
			a.cellProofs = !a.cellProofs // the second time, back
			if otherForm = !otherForm; otherForm {
				continue
			}
		}
		switch kind {
		case taken:
			try.underpriced, try.refused = 0, 0
			return nil
		case unsure: // outcome will tell; until then it is sent as it is, again
			try.failed, try.unsure = true, err
			if try.refused++; !answeredByRPC(err) {
				try.refused = 0
			} else if r.sidecar != nil {
				a.cellProofs = !a.cellProofs // in words that are not known it may say that the proofs have the wrong form
			}
			return nil
		case takenNonce:
			return nil // an attempt is included, or another transaction: outcome will tell
		case lowPrice:
			if try.underpriced++; try.underpriced > 20 || !a.bump(try, r.sidecar != nil) {
				return fmt.Errorf("fee %s, tip %s, blob fee %s is too low, and more is not allowed: %w", try.fees.cap, try.fees.tip, try.fees.blob, err)
			}
		case noFunds:
			return fmt.Errorf("account %s: %w: %w", a.from, l1.ErrFunds, err)
		case notSent:
			unsent, asked = append(unsent, err), append(asked, try.at)
			if !a.move(try, asked...) {
				return notPosted(unsent)
			}
		default:
			try.at.health.Bad(err) // another endpoint may take it
			return fmt.Errorf("send transaction: %w", err)
		}
	}
}

// notPosted is the error of a transaction that got to no node. l1.ErrTooBig: for one of those in its way it was too large.
func notPosted(errs []error) error {
	for _, err := range errs {
		if status(err) == http.StatusRequestEntityTooLarge {
			errs = append([]error{l1.ErrTooBig}, errs...)
			break
		}
	}
	return fmt.Errorf("send transaction: it got to no L1 node: %w", &follow.FailedError{Errs: errs})
}

// answers are the ways in which a transaction can be answered.
type answers int

const (
	taken      answers = iota // it is in the pool
	unsure                    // or perhaps: nothing tells that the node has answered, or what
	takenNonce                // another transaction of the account is included
	lowPrice
	noFunds
	notSent // whoever stands before the node let nothing through, or there was no connection
	refused // by the node
)

// meaning tells what is known after a transaction was answered. The words are those of go-ethereum, and of most others
// after it. Whatever stands before a node may answer in its place, and while the node takes the transaction: with any
// status, and with error objects of its own. So nothing but the node's own words is a verdict, and nothing but a status by
// which nothing is let through means that it was not sent.
func meaning(err error) answers {
	var rpcErr rpc.Error
	switch {
	case err == nil:
		return taken
	case unreached(err), slices.Contains(letsNothingThrough, status(err)):
		return notSent
	case !errors.As(err, &rpcErr):
		return unsure
	case slices.Contains(notUnderstood, rpcErr.ErrorCode()):
		return refused
	}
	text := strings.ToLower(rpcErr.Error())
	for _, row := range words {
		if strings.Contains(text, row.words) {
			return row.means
		}
	}
	return unsure
}

// letsNothingThrough are statuses for a token, a path, a size or a rate, all looked at before anything else.
var letsNothingThrough = []int{
	http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusRequestEntityTooLarge, http.StatusTooManyRequests,
}

// notUnderstood are the codes of a request that was not understood: invalid, without its method, with wrong parameters.
var notUnderstood = []int{-32600, -32601, -32602}

// words are those of nodes, in lower case. The first row that is found counts.
var words = []struct {
	words string
	means answers
}{
	{"already known", taken}, {"already imported", taken}, {"known transaction", taken}, {"alreadyknown", taken},
	{"nonce too low", takenNonce}, {"nonce is too low", takenNonce}, {"oldnonce", takenNonce},
	{"underpriced", lowPrice}, {"fee too low", lowPrice}, {"feetoolow", lowPrice}, {"less than block base fee", lowPrice},
	{"less than block blob gas fee", lowPrice}, {"gas price below minimum", lowPrice},
	{"insufficient funds", noFunds}, {"insufficientfunds", noFunds},
	{"intrinsic gas", refused}, {"floor data gas", refused}, {"exceeds block gas limit", refused}, {"gas limit too high", refused},
	{"gas limit is too high", refused}, {"exceeds the configured cap", refused}, {"exceeds transaction gas limit", refused}, {"oversized data", refused},
	{"max initcode size", refused}, {"not supported", refused}, {"notsupported", refused}, {"invalid sender", refused}, {"invalid signature", refused},
	{"invalid chain id", refused}, {"txpool is full", refused}, {"already reserved", refused}, {"nonce too high", refused},
	{"sidecar", refused}, {"kzg", refused}, {"proof", refused}, {"blob hashes", refused}, {"too many blobs", refused}, {"rlp: ", refused},
}

// answeredByRPC reports whether an error is an error object, by whomever.
func answeredByRPC(err error) bool {
	var rpcErr rpc.Error
	return errors.As(err, &rpcErr)
}

// status returns the HTTP status of an answer that is no JSON-RPC, 0 if that is not what the error is.
func status(err error) int {
	var httpErr rpc.HTTPError
	if errors.As(err, &httpErr) {
		return httpErr.StatusCode
	}
	return 0
}

// unreached reports whether a request was certainly not sent.
func unreached(err error) bool {
	var call *callError
	var dial *net.OpError
	return errors.Is(err, follow.ErrResting) || errors.As(err, &call) && call.unsent || errors.As(err, &dial) && dial.Op == "dial"
}

// price sets the fees of the next attempt: what the market asks for, and never less than try has already.
func (a *Account) price(ctx context.Context, try *attempt) error {
	head, err := try.at.head(ctx)
	if err != nil {
		return err
	}
	if head.BaseFee == nil {
		return errors.New("L1 has no base fee")
	}
	var tip, blob hexutil.Big
	if err := try.at.call(ctx, &tip, "eth_maxPriorityFeePerGas"); err != nil {
		tip = hexutil.Big(*gwei(1)) // not all endpoints have the call
	}
	if err := try.at.call(ctx, &blob, "eth_blobBaseFee"); err != nil {
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

// bump raises the fees by as much as nodes want for replacing a transaction: by a quarter (they want a tenth), and
// with blobs to the double. It reports whether that changed anything: there is a limit.
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
