// Package await waits for events: a rollup node's height, proposal or transaction, and any other value that somebody
// watches. The functions wait in the process of the node, a Client, which Node returns, at one that runs elsewhere. Package
// await/ethereum waits for the blocks of any Ethereum node. They are for tests, scripts and tools that would otherwise
// sleep and ask again.
//
// Every wait looks first and then waits for news, in an order that loses none; one context bounds everything it does,
// connecting included; and it ends (I11): with the value that satisfied it, which is returned, or with an *Error that
// says what was waited for, what was seen last, what failed last, and why the wait ended: the context's cause, or the
// end of a producer, which matches ErrEnded. A value that is there when the wait ends counts, whatever else has
// ended.
//
// Waits on a watch.Value, and at a running node, see the latest value: values in between may be passed over. Nothing outlives the call that
// started it. Everything is safe for concurrent use.
package await

import (
	"context"
	"fmt"
	"strings"

	"headrace/ref"
	"headrace/watch"
)

// ErrEnded is what the error of a wait matches (errors.Is) whose producer has ended. The producer's own error, if
// any, is wrapped beside it.
var ErrEnded = watch.ErrClosed

// Hash is of a block or a transaction.
type Hash = ref.Hash

// Ref names a block.
type Ref = ref.Ref

// describeRef is a Ref in messages, which have 0x before every hash.
func describeRef(r Ref) string {
	if r.Hash.IsZero() {
		return fmt.Sprint(r.Height)
	}
	return fmt.Sprintf("%d 0x%s", r.Height, r.Hash)
}

// Proposed is a canonical proposal of an L1 inbox.
type Proposed struct {
	ID   uint64 // 0: none
	L1   Ref    // the L1 block that holds it
	Tx   Hash
	L2   Ref    // the safe head after it
	Void string // why it made no block; empty if it did
}

// Progress is what a rollup node has reached, as one consistent snapshot. Any of it can go down again when the source
// reorganises.
type Progress struct {
	Unsafe, Safe, Finalized Ref
	Scanned                 Ref        // the source, a DA layer or an L1, has been applied completely through this block of it
	Proposal                Proposed   // the last canonical one
	Earlier                 []Proposed // canonical ones before it, as many as the node keeps: ProposalAt finds there what others have followed
}

func (p Progress) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "safe head %s", describeRef(p.Safe))
	if p.Unsafe != p.Safe {
		fmt.Fprintf(&b, ", unsafe head %s", describeRef(p.Unsafe))
	}
	if p.Proposal.ID > 0 {
		fmt.Fprintf(&b, ", proposal %d of L1 block %s", p.Proposal.ID, describeRef(p.Proposal.L1))
	}
	fmt.Fprintf(&b, ", source applied through %s", describeRef(p.Scanned))
	return b.String()
}

// Progress makes a bare Progress good for waiting on too.
func (p Progress) Progress() Progress { return p }

// Progressor is a status that has a Progress: node.Status, for one.
type Progressor interface{ Progress() Progress }

// Label says which head of a chain is meant.
type Label int

// The labels, in the field's words.
const (
	Safe      Label = iota // derived from the canonical source
	Unsafe                 // known, by gossip or because it was made here
	Finalized              // cannot be reverted
)

func (l Label) String() string { return [...]string{"safe", "unsafe", "finalized"}[l] }

// Head returns the head that l names.
func (p Progress) Head(l Label) Ref {
	switch l {
	case Unsafe:
		return p.Unsafe
	case Finalized:
		return p.Finalized
	}
	return p.Safe
}

// Value waits for a value that satisfies pred, and returns the first such value seen, or else the last value seen and
// an *Error. What says in the error what was waited for.
func Value[S any](ctx context.Context, v *watch.Value[S], what string, pred func(S) bool, opts ...Option) (S, error) {
	if s := v.Load(); pred(s) {
		return s, nil
	}
	ctx, stop := Race(ctx, SettingsOf(opts).Ends)
	defer stop()
	s, err := v.Wait(ctx, pred)
	if err != nil {
		return s, &Error{What: what, Last: describe(s), Cause: err}
	}
	return s, nil
}

// describe is what is said of the last value in an error.
func describe(s any) string {
	if p, ok := s.(Progressor); ok {
		return p.Progress().String()
	}
	return fmt.Sprintf("%+v", s)
}

func progress[S Progressor](ctx context.Context, status *watch.Value[S], what string, opts []Option, pred func(Progress) bool) (S, error) {
	return Value(ctx, status, what, func(s S) bool { return pred(s.Progress()) }, opts...)
}

// Height waits until the head, the safe one unless WithLabel names another, is at h or above.
func Height[S Progressor](ctx context.Context, status *watch.Value[S], h uint64, opts ...Option) (S, error) {
	label := SettingsOf(opts).Label
	return progress(ctx, status, fmt.Sprintf("%s height %d", label, h), opts, func(p Progress) bool { return p.Head(label).Height >= h })
}

// Proposal waits until the last canonical proposal is id or a later one. It does not say which of several proposals
// id that is, if the L1 reorganises: see ProposalAt.
func Proposal[S Progressor](ctx context.Context, status *watch.Value[S], id uint64, opts ...Option) (S, error) {
	return progress(ctx, status, fmt.Sprintf("proposal %d", id), opts, func(p Progress) bool { return p.Proposal.ID >= id })
}

// ProposalAt waits until the proposal of one L1 transaction, or of one L1 block, by hash, is canonical and applied. A
// proposal that the L1 took back does not count, so a wait for one that never comes back ends with the context.
func ProposalAt[S Progressor](ctx context.Context, status *watch.Value[S], txOrBlock [32]byte, opts ...Option) (S, error) {
	return progress(ctx, status, fmt.Sprintf("the proposal of L1 transaction or block 0x%x", txOrBlock), opts, func(p Progress) bool {
		_, ok := p.ProposalAt(txOrBlock)
		return ok
	})
}

// ProposalAt returns the proposal of an L1 transaction or block, if it is among the canonical ones that p knows.
func (p Progress) ProposalAt(txOrBlock [32]byte) (Proposed, bool) {
	for _, c := range append(p.Earlier[:len(p.Earlier):len(p.Earlier)], p.Proposal) {
		if c.ID > 0 && (c.Tx == txOrBlock || c.L1.Hash == txOrBlock) {
			return c, true
		}
	}
	return Proposed{}, false
}

// L1Scanned waits until everything of the source, an L1 or a DA layer, through block n has been applied, whether
// there was something in it or not.
func L1Scanned[S Progressor](ctx context.Context, status *watch.Value[S], n uint64, opts ...Option) (S, error) {
	return progress(ctx, status, fmt.Sprintf("source block %d", n), opts, func(p Progress) bool { return p.Scanned.Height >= n })
}
