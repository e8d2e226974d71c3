package nats_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"

	"headrace/ref"
	"headrace/stream/nats"
)

// A reorg is undone when it is published, and not with the block behind it, which an idle chain may not have for long: by who
// reads then, and by who comes later.
func TestReadUndoesBeforeTheNextBlock(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	w := s.newWriter()
	w.publish(trunk.blocks(1, 30)...)
	js := s.dial()
	b := newTable(1)
	read(t, js, b, quick)
	b.until(t, trunk[:30])
	w.publish(trunk.reorg(30, 26))
	if got := b.until(t, trunk[:26]); len(got.undos) != 1 {
		t.Errorf("got undos %v, want one", got.undos)
	}
	for at := uint64(27); at <= 30; at++ {
		b := newTable(1).with(trunk[:at])
		r := read(t, js, b, quick)
		if got := b.until(t, trunk[:26]); len(got.undos) != 1 || got.applied != int(30-at) {
			t.Errorf("at %d: got undos %v and %d blocks, want one and %d", at, got.undos, got.applied, 30-at)
		}
		r.stop()
	}
}

// So is one from a block that is not the sink's last, where a stream was cut back: what is above it is void as well. One from
// a block that the sink does not have takes nothing back.
func TestReadUndoesWhatIsAboveAVoidBlock(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	w := s.newWriter()
	w.publish(trunk.blocks(1, 20)...)
	other := branchOf("b", trunk, 15, 40)
	js := s.dial()
	b, kept := newTable(1).with(trunk[:30]), newTable(1).with(other[:30])
	read(t, js, b, quick)
	read(t, s.dial(), kept, quick)
	for limit := time.Now().Add(time.Minute); waiters(t, w) < 2; time.Sleep(time.Millisecond) { // the server's state
		if time.Now().After(limit) {
			t.Fatal("the two do not wait")
		}
	}
	w.publish(trunk.reorg(20, 15))
	if got := b.until(t, trunk[:15]); len(got.undos) != 1 || got.undos[0].From != trunk.at(30) {
		t.Errorf("got undos %v, want one from 30", got.undos)
	}
	w.publish(other.blocks(16, 40)...)
	if got := kept.until(t, other[:40]); len(got.undos) > 0 || got.applied != 10 {
		t.Errorf("got undos %v and %d blocks, want none and 10", got.undos, got.applied)
	}
	b.until(t, other[:40])
}

// waiters is how many readers wait for messages.
func waiters(t *testing.T, w *writer) (n int) {
	t.Helper()
	list := w.stream().ListConsumers(t.Context())
	for info := range list.Info() {
		if info.NumWaiting > 0 && info.NumPending == 0 {
			n++
		}
	}
	return n
}

// forgetful is a table that knows its last block, and of those that are not final no other.
type forgetful struct {
	*table
	final uint64
	asked chan<- uint64 // told each height that is asked for; nil: nobody is
}

func (f *forgetful) At(ctx context.Context, height uint64) (ref.Hash, bool, error) {
	last, err := f.Last(ctx)
	if f.asked != nil {
		f.asked <- height
	}
	switch {
	case height <= f.final:
		return ref.Hash{}, true, err
	case height == last.Height:
		return last.Hash, true, err
	}
	return nats.Forgotten, true, err
}

// A sink that has forgotten its blocks goes back no further than one that has not, where the stream's history says what they
// were.
func TestReadGoesBackNoFurtherThanItMust(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	other, third := s.newWriter().branches()
	js := s.dial()
	for _, start := range []branch{trunk[:26], trunk[:27], trunk[:28], trunk[:30], other[:27], other[:28]} {
		b := &forgetful{newTable(1).with(start), 4, nil}
		r := read(t, js, b, quick)
		got := b.until(t, third[:40])
		r.stop()
		for _, u := range got.undos {
			if u.To.Height < 24 {
				t.Errorf("at %d: got an undo to %d, want none below 24", len(start), u.To.Height)
			}
		}
	}
}

// While a stream that was cut back is filled again, a sink that has forgotten what comes there keeps what it has.
func TestReadKeepsWhatItHasForgotten(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	w := s.newWriter()
	w.publish(trunk.blocks(1, 10)...)
	asked := make(chan uint64, 1000) // by the sink
	b := &forgetful{newTable(1).with(trunk[:30]), 4, asked}
	read(t, s.dial(), b, quick)
	waiting(t, w)
	w.publish(trunk.blocks(11, 20)...)
	for arrives(t, asked, "a question for block 20") != 20 { // the stream stands there when it is compared
	}
	w.publish(trunk.blocks(21, 40)...)
	if got := b.until(t, trunk[:40]); got.applied != 10 || len(got.undos) > 0 {
		t.Errorf("got %d blocks and undos %v, want 10 and none", got.applied, got.undos)
	}
}

// Each message that no publisher has written is told of.
func TestReadTellsWhatItPassesOver(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	w := s.newWriter()
	w.publish(trunk.blocks(1, 10)...)                                            // messages 1 to 10
	w.raw(nats.BlockSubject(chain, 11), natsgo.Header{}, []byte("hello"), false) // 11
	w.changed(trunk.block(11), nats.HeaderStands, "nonsense")                    // 12
	w.publish(trunk.block(11))                                                   // 13
	half := bigBlock(t, 12)[0]
	w.raw(half.Subject(chain), half.Header(), half.Body, false) // 14
	w.publish(trunk.blocks(12, 20)...)                          // from 15 on
	var mu sync.Mutex                                           // guards skipped
	skipped := map[uint64]error{}
	opt := quick
	opt.Quiet = time.Minute // it reads once
	opt.Skipped = func(sequence uint64, why error) {
		mu.Lock()
		defer mu.Unlock()
		skipped[sequence] = why
	}
	b := newTable(1)
	read(t, s.dial(), b, opt)
	b.until(t, trunk[:20])
	mu.Lock()
	defer mu.Unlock()
	if got := slices.Sorted(maps.Keys(skipped)); !slices.Equal(got, []uint64{11, 12, 15}) { // 15 shows that 14 was no block
		t.Errorf("got %v, want messages 11 and 12, and 15 behind a half", skipped)
	}
}

// What a slow sink has not taken yet stays at the server, but for a bounded number of bytes.
func TestReadHoldsFewBytes(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	w := s.newWriter()
	const blocks, size = 60, 360 << 10 // of which base64 makes a third more
	w.limit = 1 << 20
	for height := uint64(1); height <= blocks; height++ {
		m := trunk.block(height)
		m.Body = trunk.body(height, size)
		w.publish(m)
	}
	b := newTable(1)
	began, goOn := make(chan struct{}), make(chan struct{}) // closed by the sink, and by the test
	b.fault = func(height uint64) (bool, error) {
		if height == 1 {
			close(began)
			<-goOn
		}
		return true, nil
	}
	opt := quick
	opt.Quiet = time.Minute // it reads once
	js := s.dial()
	r := read(t, js, b, opt)
	defer r.stop()
	defer close(goOn)
	arrives(t, began, "the first block")
	for limit := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) { // the server tells nobody
		info, open := consumerOf(t, w)
		if open && info == 0 {
			break
		}
		if time.Now().After(limit) {
			t.Fatal("the server goes on sending")
		}
	}
	if err := js.Conn().FlushTimeout(time.Minute); err != nil { // all that it has sent has come
		t.Fatal(err)
	}
	const most = 12 << 20 // 8 MiB as the server counts, of which it also sends a message or two more
	if got := js.Conn().Stats().InBytes; got > most || got < size {
		t.Errorf("got %d bytes of %d while the sink is at the first block, want at most %d", got, blocks*size*4/3, most)
	}
	goOn <- struct{}{}
	b.until(t, trunk[:blocks])
}

// consumerOf returns how many requests of the one consumer the server still answers. It reports false if there is none.
func consumerOf(t *testing.T, w *writer) (requests int, ok bool) {
	t.Helper()
	list := w.stream().ListConsumers(t.Context())
	for info := range list.Info() {
		requests, ok = info.NumWaiting, true
	}
	if err := list.Err(); err != nil {
		t.Fatal(fmt.Errorf("list consumers: %w", err))
	}
	return requests, ok
}
