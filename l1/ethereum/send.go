package ethereum

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/rpc"

	"headrace/follow"
	"headrace/l1"
)

// How a transaction gets to an endpoint: what is paid for it, and what an endpoint's answer says of it.

// submit signs and sends one more attempt, with fees of the day if price is set. It returns an error only if the
// attempt is not on its way: the node has refused it, or nobody let it through to one.
func (a *Account) submit(ctx context.Context, r request, try *attempt, price bool) error {
	try.blobs = r.sidecar != nil
	a.kind = kind{true, try.nonce, try.blobs}
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
				return fmt.Errorf("%w: %s: %w", l1.ErrFeeCap, a.tooLow(try.fees, r.sidecar != nil), err)
			}
		case otherKind:
			return fmt.Errorf("%w: %w", errOtherKind, err)
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
	otherKind // a transaction of the account waits there that has blobs, or has none, where this one is otherwise
	notSent   // whoever stands before the node let nothing through, or there was no connection
	refused   // by the node
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
	{"invalid chain id", refused}, {"txpool is full", refused}, {"nonce too high", refused},
	{"already reserved", otherKind}, {"conflictingtype", otherKind}, {"can't replace blob", otherKind},
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

type fees struct{ tip, cap, blob *big.Int }

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
	try.asked = fees{cap: head.BaseFee, blob: blob.ToInt()}
	f := &try.fees
	f.tip, f.cap, f.blob = larger(f.tip, market.tip), larger(f.cap, market.cap), larger(f.blob, market.blob)
	a.limit(f, try.blobs)
	return nil
}

func larger(a, b *big.Int) *big.Int {
	if a == nil || a.Cmp(b) < 0 {
		return b
	}
	return a
}

// limit keeps fees within the limits. Nodes take nothing in a transaction's place of which not all fees are higher. So
// where one could not be raised once more, those of which only as much is paid as the L1 asks for, the whole fee and the
// blobs', are at their limits at once.
func (a *Account) limit(f *fees, blobs bool) {
	if len(a.pinned(*f, blobs)) > 0 || f.cap.Cmp(a.opt.MaxFee) > 0 {
		f.cap = a.opt.MaxFee
		if blobs {
			f.blob = a.opt.MaxBlobFee
		}
	}
	for _, most := range []*big.Int{a.opt.MaxTip, f.cap} {
		if f.tip.Cmp(most) > 0 {
			f.tip = most
		}
	}
	if f.blob.Cmp(a.opt.MaxBlobFee) > 0 {
		f.blob = a.opt.MaxBlobFee
	}
}

// pinned names the settings by which a fee could not be raised once more. A tip that has no limit of its own is a part of
// the whole fee, and no more is said of it.
func (a *Account) pinned(f fees, blobs bool) (settings []string) {
	for _, row := range []struct {
		counts       bool
		setting      string
		value, limit *big.Int
	}{
		{true, "l1.max_fee", f.cap, a.opt.MaxFee}, {a.opt.MaxTip.Cmp(a.opt.MaxFee) < 0, "l1.max_tip", f.tip, a.opt.MaxTip}, {blobs, "l1.max_blob_fee", f.blob, a.opt.MaxBlobFee},
	} {
		if row.counts && raised(row.value, blobs).Cmp(row.limit) > 0 {
			settings = append(settings, row.setting)
		}
	}
	return settings
}

// tooLow says of fees which the L1's node finds too low, or which leave no room to take the place of a transaction with
// them, by which setting that is so.
func (a *Account) tooLow(f fees, blobs bool) string {
	offered := fmt.Sprintf("fee %s, tip %s", f.cap, f.tip)
	if blobs {
		offered += fmt.Sprintf(", blob fee %s", f.blob)
	}
	if at := a.pinned(f, blobs); len(at) > 0 {
		return fmt.Sprintf("%s wei is too low, and %s allows no more: raise that, or wait until the L1 asks for less", offered, strings.Join(at, ", "))
	}
	return offered + " wei is too low"
}

// bump raises the fees by as much as nodes want for replacing a transaction: by a quarter (they want a tenth), and
// with blobs to the double. It reports whether that changed anything: there is a limit.
func (a *Account) bump(try *attempt, blobs bool) bool {
	before := try.fees
	try.fees = fees{raised(before.tip, blobs), raised(before.cap, blobs), raised(before.blob, blobs)}
	a.limit(&try.fees, blobs)
	return try.fees.cap.Cmp(before.cap) != 0 || try.fees.tip.Cmp(before.tip) != 0 || blobs && try.fees.blob.Cmp(before.blob) != 0
}

// raised is a fee that nodes take in the place of n.
func raised(n *big.Int, blobs bool) *big.Int {
	raise := new(big.Int).Rsh(n, 2)
	if blobs {
		raise.Set(n)
	}
	return raise.Add(raise, n).Add(raise, big.NewInt(1))
}

// replace raises the fees of a transaction that waits in a pool, for another one in its place. It reports false, and
// leaves them as they are, if the limits keep one of them so low that nodes would not take the other one: then the
// attempt says why.
func (a *Account) replace(try *attempt, blobs bool) bool {
	before := try.fees
	if a.bump(try, blobs) && !short(before.cap, try.fees.cap, blobs) && !short(before.tip, try.fees.tip, blobs) && !(blobs && short(before.blob, try.fees.blob, blobs)) {
		try.pinned = ""
		return true
	}
	more := "a tenth more"
	if blobs {
		more = "the double"
	}
	try.pinned, try.fees = fmt.Sprintf("nothing can take the transaction's place, for which nodes want %s of each fee: %s", more, a.tooLow(before, blobs)), before
	return false
}

// short reports whether a fee is too low for nodes to take it in the place of another one.
func short(before, after *big.Int, blobs bool) bool {
	least := new(big.Int).Mul(before, big.NewInt(11)) // a tenth more
	if blobs {
		least.Mul(before, big.NewInt(20))
	}
	return new(big.Int).Mul(after, big.NewInt(10)).Cmp(least) < 0
}

// tooCheap says which fee of the last attempt is below what the L1 asked for when it was sent, which only a limit can be
// the reason of; "" if none is.
func (t *attempt) tooCheap() string {
	switch {
	case t.asked.cap != nil && t.fees.cap.Cmp(t.asked.cap) < 0:
		return fmt.Sprintf("the L1's base fee is %s wei, and the fee may be %s at most", t.asked.cap, t.fees.cap)
	case t.blobs && t.asked.blob != nil && t.fees.blob.Cmp(t.asked.blob) < 0:
		return fmt.Sprintf("the L1's blob base fee is %s wei, and the blob fee may be %s at most", t.asked.blob, t.fees.blob)
	}
	return ""
}

func gwei(n int64) *big.Int { return new(big.Int).Mul(big.NewInt(n), big.NewInt(1e9)) }
