package node

import (
	"cmp"
	"container/list"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"headrace/await"
	"headrace/block"
	"headrace/exec"
	"headrace/internal/store"
	"headrace/internal/syncer"
	"headrace/watch"
)

// maxSent bounds the submissions that are remembered while nobody waits for them: about as many as the key-value
// engine's pool holds of the smallest ones.
const maxSent = 1 << 16

// sent knows what was offered to the engine here, and which place in the chain is whose. A transaction that an engine
// executes each time it comes can be sent again while it waits: its first place is that of who sent it first, and so
// on. So every submission counts, also one that nobody waits for, and it is remembered until its place is final: what a
// reorg takes back waits again, in its old turn.
//
// As long as there are submissions it follows the store's chain, block by block, whatever the status says, and decides
// only when it has come to the unsafe head. A submission does so before it is offered: its place is in a block that was
// looked at first after that. So it is above the unsafe head of then, or above where that head's branch left; and what
// was reverted, and comes again as it was, is no news for who came after it.
type sent struct {
	mu    sync.Mutex
	path  []lookedAt              // the chain from the finalized block on, as far as it was looked at; empty without submissions
	gone  map[block.Hash]lookedAt // what was looked at, and reverted
	of    map[block.Hash]*submissions
	all   list.List               // of *submission, as they began
	in    []*submission           // a block, by height
	begun uint64                  // how many have begun, ever
	turns uint64                  // how many were taken
	waits map[*submission]*waiter // whoever waits
	ended error                   // why nobody can wait; nil: somebody follows the chain
}

// lookedAt is a block that was looked at when so many submissions had begun.
type lookedAt struct {
	block.Ref
	begun uint64
}

// submissions are those of one transaction. A stranger can send it any number of times: what is done about each does not
// go through all of them.
type submissions struct {
	list   []*submission // in their turns; last those that are not taken yet
	places []*txPlace    // ascending, that somebody may have yet: none that is nobody's for certain

	skipped block.Ref // the last block that has it and in which the engine has skipped it; zero: there is none
}

// turn moves a submission that has its turn now before those that have none.
func (q *submissions) turn(sub *submission) {
	i := len(q.list) - 1
	for i > 0 && q.list[i] != sub {
		i--
	}
	for ; i > 0 && q.list[i-1].turn == 0; i-- {
		q.list[i-1], q.list[i] = q.list[i], q.list[i-1]
	}
}

// submission is one transaction that was offered.
type submission struct {
	hash   block.Hash
	above  block.Ref // the unsafe head noted before it was offered
	number uint64    // in the order in which they began
	turn   uint64    // in that in which they were taken; 0: it is not yet
	at     *txPlace  // nil: in no block yet
	el     *list.Element
}

// txPlace is one place of a transaction.
type txPlace struct {
	block lookedAt
	time  time.Time
	index int
	used  bool // it is a submission's; no other's, unless the engine executes a transaction once
}

// waiter is who waits for a submission. One of the two is sent to, once.
type waiter struct {
	head   await.Label
	done   chan Tx
	failed chan error
}

func (w *waiter) told() bool { return len(w.done)+len(w.failed) > 0 }

// begin notes that a transaction is about to be offered. Of one that is executed once at most, only who waits counts:
// then the submission is nil.
func (s *sent) begin(o *opened, hash block.Hash, waits bool) (*submission, error) {
	if !waits && exec.TxOnce(o.engine) {
		return nil, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all.Len() == 0 {
		s.path, s.gone, s.in = nil, map[block.Hash]lookedAt{}, nil
		s.of, s.waits = map[block.Hash]*submissions{}, map[*submission]*waiter{}
		// A block that was signed before a crash comes again as it was. Its transactions are of those who sent then.
		if last, ok, err := syncer.LastSigned(o.store); err != nil {
			return nil, err
		} else if ok {
			s.gone[last.Ref.Hash] = lookedAt{Ref: last.Ref}
		}
	}
	if err := s.catchUp(o); err != nil {
		return nil, err
	}
	s.begun++
	sub := &submission{hash: hash, above: s.at(), number: s.begun}
	q := s.of[hash]
	if q == nil {
		q = new(submissions)
		s.of[hash] = q
	}
	q.list = append(q.list, sub)
	sub.el = s.all.PushBack(sub)
	for el := s.all.Front(); el != nil && s.all.Len() > maxSent; {
		old := el.Value.(*submission)
		el = el.Next()
		if old.turn > 0 && s.waits[old] == nil {
			s.remove(old) // it was accepted longest ago, and nobody waits
		}
	}
	return sub, nil
}

// at returns the last block that was looked at.
func (s *sent) at() block.Ref { return s.path[len(s.path)-1].Ref }

// remove forgets a submission. Its place stays its own.
func (s *sent) remove(sub *submission) {
	q := s.of[sub.hash]
	if q == nil {
		return
	}
	if i := slices.Index(q.list, sub); i >= 0 {
		copy(q.list[1:], q.list[:i]) // as a rule it is the first
		q.list[0] = nil
		q.list = q.list[1:]
		s.all.Remove(sub.el)
	}
	if len(q.list) == 0 {
		delete(s.of, sub.hash)
	}
}

// refused forgets a submission that was certainly not taken.
func (s *sent) refused(sub *submission) {
	if sub == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(sub)
}

// accepted notes that the engine has taken a submission, or may have: it has its turn now. w, if not nil, waits.
func (s *sent) accepted(o *opened, sub *submission, w *waiter) {
	if sub == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turns++
	sub.turn = s.turns
	q := s.of[sub.hash]
	q.turn(sub)
	if w != nil {
		s.waits[sub] = w
	}
	if exec.TxOnce(o.engine) {
		s.findEarlier(o, q, sub.hash)
	}
	s.match(q, exec.TxOnce(o.engine))
	_ = s.catchUp(o) // what cannot be read is the follower's to tell
	if w != nil && s.ended != nil && !w.told() {
		delete(s.waits, sub)
		w.failed <- s.ended
	}
}

// findEarlier looks whether a transaction that is executed once was in the chain before it was offered again: the
// engine may not have known yet.
func (s *sent) findEarlier(o *opened, q *submissions, hash block.Hash) {
	tx, ok, err := o.findTx(hash, await.Unsafe)
	if err != nil || !ok || tx.Block.Height > s.at().Height || len(q.places) > 0 { // above, it is found when the block is looked at
		return
	}
	q.places = []*txPlace{{block: lookedAt{Ref: tx.Block}, time: tx.Time, index: tx.Index}}
}

// match gives the places of a transaction to its submissions: the first to the first, and so on. Once given, a place
// stays whose it is. What an engine executes once has one place for all.
func (s *sent) match(q *submissions, once bool) {
	rest := q.list // those before it have a place
	for _, p := range q.places {
		for len(rest) > 0 && rest[0].at != nil {
			rest = rest[1:]
		}
		for _, sub := range rest {
			if sub.turn > 0 && sub.at == nil && (once || sub.number <= p.block.begun) {
				sub.at, p.used = p, true
				i, _ := slices.BinarySearchFunc(s.in, p.block.Height+1, func(sub *submission, h uint64) int { return cmp.Compare(sub.at.block.Height, h) })
				s.in = slices.Insert(s.in, i, sub)
			}
			if !once && p.used {
				break
			}
		}
	}
	if once {
		return
	}
	if flying := q.list[len(q.list)-1].turn == 0; !flying { // who comes later has seen them
		q.places = nil
	}
	q.places = slices.DeleteFunc(q.places, func(p *txPlace) bool { return p.used })
}

// catchUp looks at the blocks up to the unsafe head.
func (s *sent) catchUp(o *opened) error {
	for {
		st := o.store.State()
		err := s.goBack(o.store, &st)
		if err == nil {
			err = s.goOn(o, &st)
		}
		if err != nil {
			return err
		}
		if s.at() == st.Unsafe { // so all that was looked at is of the chain that ends there
			s.settle(&st)
			return nil
		}
	}
}

// goBack goes to the last block that was looked at and is still in the chain. The submissions above wait again.
func (s *sent) goBack(in *store.Store, st *store.State) error {
	back := false
	for n := len(s.path); n > 0; n-- {
		last := s.path[n-1]
		now, err := in.Ref(last.Height)
		if err != nil && !errors.Is(err, ErrNoBlock) {
			return err
		}
		if err == nil && now == last.Ref {
			break
		}
		s.gone[last.Hash], s.path, back = last, s.path[:n-1], true
	}
	if len(s.path) == 0 { // it is the beginning; or the home has lost even that, and gets it again
		s.path = append(s.path, lookedAt{st.Finalized, s.begun})
	}
	if !back {
		return nil
	}
	to := s.at().Height
	for n := len(s.in); n > 0 && s.in[n-1].at.block.Height > to; n-- {
		s.in[n-1].at = nil
		s.in = s.in[:n-1]
	}
	for _, q := range s.of {
		q.places = slices.DeleteFunc(q.places, func(p *txPlace) bool { return p.block.Height > to })
		if q.skipped.Height > to {
			q.skipped = block.Ref{}
		}
	}
	return nil
}

// goOn looks at the blocks that are above, as far as they are each other's children.
func (s *sent) goOn(o *opened, st *store.State) error {
	for s.at().Height < st.Unsafe.Height {
		height := s.at().Height + 1
		var ref block.Ref
		var err error
		if len(s.of) == 0 {
			ref, err = o.store.Ref(height)
		} else {
			ref, err = s.look(o, height)
		}
		switch {
		case errors.Is(err, ErrNoBlock), err == nil && ref == (block.Ref{}): // reverted meanwhile
			return nil
		case err != nil:
			return err
		}
		s.path = append(s.path, s.seen(ref))
	}
	return nil
}

// seen returns a block with how many submissions had begun when it was looked at first.
func (s *sent) seen(ref block.Ref) lookedAt {
	if before, again := s.gone[ref.Hash]; again {
		return before
	}
	return lookedAt{ref, s.begun}
}

// look looks for submissions in a block. It returns no reference if the block is not the child of the last one.
func (s *sent) look(o *opened, height uint64) (ref block.Ref, err error) {
	rec, err := o.store.Block(height)
	if err != nil {
		return ref, err
	}
	if parent := rec.Block.Header.Header.LastHeaderHash; height > o.store.InitialHeight() && string(parent) != string(s.at().Hash.Field()) {
		return ref, nil
	}
	at := s.seen(rec.Block.Ref())
	hashes, ok, err := o.store.HashesAt(at.Ref)
	if err == nil && !ok {
		hashes, err = o.executed(rec.Block)
	}
	if err != nil {
		return ref, err
	}
	txs, found := exec.UserTxs(o.engine, rec.Block.Data.Txs), map[*submissions]bool{}
	for i, hash := range hashes[:min(len(hashes), len(txs))] {
		if hash == (block.Hash{}) { // the engine has skipped it
			if q := s.of[exec.TxHash(o.engine, txs[i])]; q != nil {
				q.skipped = at.Ref
			}
			continue
		}
		if q := s.of[hash]; q != nil {
			q.places = append(q.places, &txPlace{block: at, time: rec.Block.Made().UTC(), index: i})
			found[q] = true
		}
	}
	for q := range found {
		s.match(q, exec.TxOnce(o.engine))
	}
	return at.Ref, nil
}

// settle tells those who wait what they wait for, and forgets what is final. st is the state whose unsafe head was
// looked at last.
func (s *sent) settle(st *store.State) {
	heads := headsOf(st)
	for sub, w := range s.waits {
		if sub.at != nil && sub.at.block.Height <= heads.of(w.head).Height {
			delete(s.waits, sub)
			w.done <- sub.at.tx(sub.hash, heads)
		}
	}
	final := st.Finalized.Height
	for len(s.in) > 0 && s.in[0].at.block.Height <= final {
		s.remove(s.in[0])
		if q := s.of[s.in[0].hash]; q != nil {
			q.places = slices.DeleteFunc(q.places, func(p *txPlace) bool { return p.used && p.block.Height <= final })
		}
		s.in = s.in[1:]
	}
	for len(s.path) > 1 && s.path[0].Height < final {
		s.path = s.path[1:]
	}
	for hash, at := range s.gone {
		if at.Height <= final {
			delete(s.gone, hash)
		}
	}
}

func (p *txPlace) tx(hash block.Hash, heads Heads) Tx {
	return Tx{Hash: hash, Block: p.block.Ref, Time: p.time, Index: p.index, Head: strongest(heads, p.block.Height)}
}

// leave ends a wait, and returns where the transaction is so far; nil: in no block. skipped is the last one that has it and
// in which the engine has skipped it.
func (s *sent) leave(o *opened, sub *submission) (at *Tx, skipped block.Ref) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.catchUp(o) // what is there by now counts, and who waits is told it
	delete(s.waits, sub)
	if sub.at == nil {
		if q := s.of[sub.hash]; q != nil {
			skipped = q.skipped
		}
		return nil, skipped
	}
	st := o.store.State()
	tx := sub.at.tx(sub.hash, headsOf(&st))
	return &tx, block.Ref{}
}

// follow looks at each block as it comes, until ctx ends.
func (s *sent) follow(ctx context.Context, o *opened) error {
	s.mu.Lock()
	s.ended = nil
	s.mu.Unlock()
	for {
		_, changed := o.up.syncer.Status().Get()
		s.mu.Lock()
		if s.all.Len() > 0 {
			if err := s.catchUp(o); err != nil {
				s.tell(fmt.Errorf("look for transactions: %w", err))
				s.path = []lookedAt{{o.store.State().Unsafe, s.begun}}
			}
		}
		s.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// tell ends all waits.
func (s *sent) tell(err error) {
	for sub, w := range s.waits {
		delete(s.waits, sub)
		w.failed <- err
	}
}

// end ends all waits, and those to come, until somebody follows again. The submissions are remembered: their
// transactions may wait in a pool.
func (s *sent) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = watch.ErrClosed
	if err != nil {
		s.ended = fmt.Errorf("%w: %w", watch.ErrClosed, err)
	}
	s.tell(s.ended)
}
