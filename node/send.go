package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"time"

	"headrace/await"
	"headrace/block"
	"headrace/exec"
	"headrace/internal/httpd"
	"headrace/internal/sequencer"
)

// Sent is what is known of a transaction that was offered.
type Sent struct {
	Accepted bool       `json:"accepted"`
	Hash     block.Hash `json:"hash"` // Ethereum's, on an EVM chain; else SHA-256 of its bytes

	// What follows is of one that is waited for.

	Result string     `json:"result,omitempty"` // "reached", "timeout" or "ended"
	Head   string     `json:"head,omitempty"`   // that was asked for
	Above  *block.Ref `json:"above,omitempty"`  // the unsafe head noted before it was offered
	Tx     *Tx        `json:"tx,omitempty"`     // where it is, or is so far
	Error  string     `json:"error,omitempty"`  // why it was not reached
}

// The results of a wait.
const (
	resultReached = "reached"
	resultTimeout = "timeout"
	resultEnded   = "ended"
)

// Send offers a transaction to the engine for the next block, as SubmitTx does, and once it is taken waits until it is in
// a block up to the head. That block is above the unsafe head noted before the transaction was offered. One that is sent
// twice to an engine that executes it twice is two transactions: the first place in the chain is that of the first, and
// so on. (One that is executed once at most may have been in the chain before, if it had been sent before.) A reorg
// that takes the block back before the head has come to it puts the wait back to waiting. A block in which the engine has
// skipped it is none that it is in; it may be in a later one.
//
// An error without Sent.Accepted is SubmitTx's. With it, the transaction is the engine's, and the error is that of the
// wait, an *await.Error: Sent says what is known.
func (n *Node) Send(ctx context.Context, tx []byte, head await.Label) (Sent, error) {
	return n.send(ctx, tx, sending{head: &head})
}

// errCannotWait: the transaction was not offered, since nobody could tell where it is.
var errCannotWait = errors.New("the chain cannot be read: nothing was sent, since nobody could tell where it is")

// errBusy: as many requests wait as may; nothing was offered.
var errBusy = errors.New("too many requests wait")

// sending says how a transaction is sent. The zero value: without a wait.
type sending struct {
	head  *await.Label // that is waited for; nil: none is
	time  time.Duration
	timed bool   // the wait ends time after the beginning, and before it the transaction is held for that long at most
	taken func() // called when the engine has the transaction; nil: nothing is
}

// send is Send and SubmitTx.
func (n *Node) send(ctx context.Context, tx []byte, how sending) (Sent, error) {
	began, o := time.Now(), n.at.Load()
	known := Sent{Hash: exec.TxHash(o.engine, tx)}
	if o.seq == nil {
		return known, errNotSequencer
	}
	sub, err := n.sent.begin(o, known.Hash, how.head != nil)
	if err != nil && how.head != nil {
		return known, fmt.Errorf("%w: %w", errCannotWait, err)
	}
	err = n.offer(ctx, o, tx, how)
	if slices.ContainsFunc(refusals, func(not refusal) bool { return errors.Is(err, not.err) }) {
		n.sent.refused(sub)
		return known, err
	}
	if how.head == nil || err != nil {
		n.sent.accepted(o, sub, nil) // it may be in a block
		known.Accepted = err == nil
		return known, err
	}
	w := &waiter{head: *how.head, done: make(chan Tx, 1), failed: make(chan error, 1)}
	known.Accepted, known.Head, known.Above = true, how.head.String(), &sub.above
	if how.taken != nil {
		how.taken()
	}
	if n.opt.offered != nil {
		n.opt.offered()
	}
	n.sent.accepted(o, sub, w)
	if how.timed {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, began.Add(how.time))
		defer cancel()
	}
	err = n.wait(ctx, o, sub, w, &known)
	return known, err
}

// offer gives a transaction to the engine.
func (n *Node) offer(ctx context.Context, o *opened, tx []byte, how sending) (err error) {
	if how.timed {
		err = o.seq.SubmitTxWithin(ctx, tx, how.time)
	} else {
		err = o.seq.SubmitTx(ctx, tx)
	}
	if now := n.at.Load(); now != o {
		now.seq.Notify() // it has the same pool
	}
	return err
}

// wait waits for a submission, and adds what becomes of it to what is known.
func (n *Node) wait(ctx context.Context, o *opened, sub *submission, w *waiter, known *Sent) error {
	var cause error
	select {
	case tx := <-w.done:
		return n.reached(ctx, tx, known)
	case cause = <-w.failed:
	case <-ctx.Done():
		cause = context.Cause(ctx)
	}
	var skipped block.Ref
	known.Tx, skipped = n.sent.leave(o, sub)
	select { // what is there when the wait ends counts
	case tx := <-w.done:
		return n.reached(ctx, tx, known)
	default:
	}
	known.Result = resultEnded
	if errors.Is(cause, context.DeadlineExceeded) {
		known.Result = resultTimeout
	}
	last := fmt.Sprintf("accepted above block %d 0x%s, in no block yet", known.Above.Height, known.Above.Hash)
	if skipped != (block.Ref{}) {
		last += fmt.Sprintf("; the engine has skipped it in block %d 0x%s", skipped.Height, skipped.Hash)
	}
	if at := known.Tx; at != nil {
		last = fmt.Sprintf("in block %d 0x%s, which is %s", at.Block.Height, at.Block.Hash, at.Head)
	}
	err := &await.Error{What: fmt.Sprintf("transaction 0x%s in a block up to the %s head", known.Hash, known.Head), Last: last, Cause: cause}
	known.Error = err.Error()
	return err
}

func (n *Node) reached(ctx context.Context, tx Tx, known *Sent) error {
	n.addReceipt(ctx, &tx)
	known.Result, known.Tx = resultReached, &tx
	return nil
}

// refusal is an answer of POST /v1/txs by which a transaction was certainly not taken. Any other answer than these and
// those that say accepted, and the lack of one, leaves that open: it may be in a block yet.
type refusal struct {
	err    error
	status int
	code   string
}

var refusals = []refusal{
	{errNotSequencer, http.StatusConflict, "not_sequencer"},
	{ErrTooBig, http.StatusRequestEntityTooLarge, "too_big"},
	{exec.ErrInvalid, http.StatusBadRequest, "invalid"},
	{exec.ErrFull, http.StatusServiceUnavailable, "full"},
	{sequencer.ErrNotBegun, http.StatusServiceUnavailable, "not_begun"},
	{errors.ErrUnsupported, http.StatusNotImplemented, "unsupported"}, // the engine takes them in another way
	{errCannotWait, http.StatusServiceUnavailable, "cannot_wait"},
	{errBusy, http.StatusServiceUnavailable, "busy"},
}

// parseSending reads the parameters of POST /v1/txs.
func parseSending(q url.Values) (s sending, err error) {
	s.time, s.timed = defaultWait, true
	for name := range q {
		switch value := q.Get(name); name {
		case "wait":
			var head await.Label
			if head, err = parseLabel(value); err != nil {
				err = fmt.Errorf("wait: %w", err)
			}
			s.head = &head
		case "timeout":
			s.time, err = parseTimeout(value)
		default:
			err = fmt.Errorf("there is no parameter %s: use wait and timeout", name)
		}
		if err != nil {
			return s, err
		}
	}
	if s.head == nil && q.Has("timeout") {
		return s, errors.New("timeout goes with wait")
	}
	return s, nil
}

func (n *Node) postTx(w http.ResponseWriter, r *http.Request) {
	q, err := queryOf(r)
	var ask sending
	if err == nil {
		ask, err = parseSending(q)
	}
	if err != nil {
		failTx(w, http.StatusBadRequest, "request", nil, err)
		return
	}
	if ask.head != nil {
		done := n.long.begin(&n.waiters)
		if done == nil {
			w.Header().Set("Retry-After", "1")
			failTx(w, http.StatusServiceUnavailable, "busy", nil, fmt.Errorf("%w: %w", errBusy, n.long.full()))
			return
		}
		defer done()
	}
	most := n.maxTx()
	tx, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(most)))
	if err != nil {
		status := httpd.BodyStatus(err)
		if status == http.StatusRequestEntityTooLarge {
			failTx(w, status, "too_big", nil, fmt.Errorf("%w: a block holds one of at most %d bytes (%w)", ErrTooBig, most, err))
			return
		}
		failTx(w, status, "body", nil, err)
		return
	}
	ask.taken = func() { httpd.Forget(r) } // else those who wait would keep others from sending
	known, err := n.send(r.Context(), tx, ask)
	w.Header().Set("Cache-Control", "no-store")
	switch {
	case known.Result == resultReached:
		reply(w, http.StatusOK, known)
	case known.Result == resultTimeout && r.Context().Err() == nil, known.Accepted && known.Result == "":
		reply(w, http.StatusAccepted, known)
	case known.Accepted: // the request's context is the node's; if it is the client that has gone, nobody reads this
		known.Result = resultEnded
		reply(w, http.StatusGone, known)
	default:
		refuseTx(w, known.Hash, err)
	}
}

// refuseTx answers for a transaction that was not taken, as far as is known.
func refuseTx(w http.ResponseWriter, hash block.Hash, err error) {
	for _, not := range refusals {
		if errors.Is(err, not.err) {
			failTx(w, not.status, not.code, &hash, err)
			return
		}
	}
	failTx(w, http.StatusInternalServerError, "unknown", &hash, err)
}

// failTx answers that a transaction was not taken, or with the code unknown that it may have been.
func failTx(w http.ResponseWriter, status int, code string, hash *block.Hash, err error) {
	reply(w, status, struct {
		Error string      `json:"error"`
		Code  string      `json:"code"`
		Hash  *block.Hash `json:"hash,omitempty"`
	}{err.Error(), code, hash})
}
