package nats_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"headrace/ref"
	"headrace/stream/nats"
)

var trunk = branchOf("a", nil, 0, 200)

// Each block comes once, in order, with its body, whatever the number of messages that it has; those that were there before
// and those that come.
func TestReadBringsEachBlockOnce(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	w := s.newWriter()
	big := trunk.block(7)
	big.Body = trunk.body(7, 9000) // base64 makes 12,000 of it, and so seven messages
	w.publish(trunk.blocks(1, 6)...)
	w.publish(big)
	w.publish(trunk.blocks(8, 10)...)
	b := newTable(1)
	r := read(t, s.dial(), b, quick)
	b.until(t, trunk[:10])
	w.publish(trunk.blocks(11, 60)...)
	if got := b.until(t, trunk[:60]); got.applied != 60 || len(got.undos) > 0 {
		t.Errorf("got %d blocks and undos %v, want 60 and none", got.applied, got.undos)
	}
	r.stop()
	if !errors.Is(r.err, context.Canceled) {
		t.Errorf("got %v, want the context's error", r.err)
	}
	if got := consumers(t, w); got != 0 {
		t.Errorf("got %d consumers that are left, want none", got)
	}
}

func consumers(t *testing.T, w *writer) int {
	t.Helper()
	info, err := w.stream().Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return info.State.Consumers
}

// It begins where the sink says, in the middle of parts too, and goes on where it stopped, at each place.
func TestReadBeginsAndGoesOnAnywhere(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	w := s.newWriter()
	for height := uint64(1); height <= 12; height++ {
		m := trunk.block(height)
		m.Body = trunk.body(height, int(height%3)*2000)
		w.publish(m)
	}
	js := s.dial()
	for first := uint64(1); first <= 12; first++ {
		b := newTable(first)
		r := read(t, js, b, quick)
		got := b.until(t, trunk[:12])
		r.stop()
		if got.applied != int(13-first) {
			t.Errorf("from %d: got %d blocks, want %d", first, got.applied, 13-first)
		}
		b = newTable(1).with(trunk[:first])
		r = read(t, js, b, quick)
		got = b.until(t, trunk[:12])
		r.stop()
		if got.applied != int(12-first) {
			t.Errorf("after %d: got %d blocks, want %d", first, got.applied, 12-first)
		}
	}
}

// A reorg is undone once, and only what is above the block that still holds.
func TestReadUndoesReorgs(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	w := s.newWriter()
	w.publish(trunk.blocks(1, 30)...)
	b := newTable(1)
	read(t, s.dial(), b, quick)
	b.until(t, trunk[:30])

	other := branchOf("b", trunk, 26, 40)
	w.publish(trunk.reorg(30, 26))
	w.publish(other.blocks(27, 32)...)
	got := b.until(t, other[:32])
	if len(got.undos) != 1 || got.undos[0].From != trunk.at(30) || got.undos[0].To != trunk.at(26) || !strings.HasPrefix(got.undos[0].Cursor, "26-"+trunk.at(26).Hash.String()+"-") {
		t.Errorf("got undos %v, want one, from 30 to 26", got.undos)
	}
	third := branchOf("c", other, 31, 60) // one after the other, without a block between
	w.publish(other.reorg(32, 31), third.reorg(31, 25), trunk.block(26))
	fourth := branchOf("d", trunk, 26, 50)
	w.publish(fourth.blocks(27, 50)...)
	if got := b.until(t, fourth[:50]); len(got.undos) != 3 {
		t.Errorf("got undos %v, want three", got.undos)
	}
}

// branches fills a stream with the trunk to block 30, another branch of it from 27 to 28, and a third one from 25 to 40, where
// it stands. A message of the trunk is gone from it.
func (w *writer) branches() (other, third branch) {
	w.t.Helper()
	w.publish(trunk.blocks(1, 30)...)
	other = branchOf("b", trunk, 26, 40)
	w.publish(trunk.reorg(30, 26))
	w.publish(other.blocks(27, 28)...)
	w.publish(other.reorg(28, 24))
	third = branchOf("c", trunk, 24, 40)
	w.publish(third.blocks(25, 40)...)
	if err := w.stream().DeleteMsg(w.t.Context(), 29); err != nil { // behind block 28 the history does not go on
		w.t.Fatal(err)
	}
	return other, third
}

// A sink that was away during reorgs goes back to where the branches met, by the stream's own history.
func TestReadGoesBackAfterReorgsThatItMissed(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	other, third := s.newWriter().branches()
	js := s.dial()
	for at := uint64(22); at <= 30; at++ {
		if at == 29 {
			continue // of which the stream knows nothing: it waits for a publisher
		}
		b := newTable(1).with(trunk[:at])
		r := read(t, js, b, quick)
		b.until(t, third[:40])
		r.stop()
	}
	for at := uint64(26); at <= 28; at++ {
		b := newTable(1).with(other[:at])
		r := read(t, js, b, quick)
		got := b.until(t, third[:40])
		r.stop()
		for _, u := range got.undos {
			if u.To.Height < 24 {
				t.Errorf("at %d: got an undo to %d, want none below 24", at, u.To.Height)
			}
		}
	}
}

// A stream that is deleted and made anew is read on, by hashes and not by sequences: with the same chain, and with another
// one that left it.
func TestReadGoesOnInAStreamMadeAnew(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	w := s.newWriter()
	w.publish(trunk.blocks(1, 30)...)
	b := newTable(1)
	read(t, s.dial(), b, quick)
	b.until(t, trunk[:30])
	w.anew(s)
	w.publish(trunk.blocks(20, 29)...) // it begins higher, and the sink's block is not there yet
	w.publish(trunk.blocks(30, 40)...)
	if got := b.until(t, trunk[:40]); got.applied != 40 || len(got.undos) > 0 {
		t.Errorf("got %d blocks and undos %v, want each once", got.applied, got.undos)
	}
	w.anew(s)
	other := branchOf("b", trunk, 33, 60)
	w.publish(other.blocks(1, 50)...) // the reorg is not in it
	waiting(t, w)                     // if it has come too late to see it: for a publisher that goes on
	w.publish(other.blocks(51, 60)...)
	got := b.until(t, other[:60])
	if len(got.undos) != 1 || got.undos[0].To != trunk.at(33) {
		t.Errorf("got undos %v, want one to 33", got.undos)
	}
}

// A stream that has lost its end, as a server that was restored from a copy, is waited for. What it had is not undone, and
// does not come again.
func TestReadWaitsForAStreamThatWasCutBack(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	w := s.newWriter()
	b := newTable(1)
	read(t, s.dial(), b, quick)
	at := uint64(0)
	for round := range 3 {
		w.publish(trunk.blocks(at+1, at+10)...)
		b.until(t, trunk[:at+10])
		s.stop()
		before := s.copied()
		s.start()
		w.publish(trunk.blocks(at+11, at+20)...)
		b.until(t, trunk[:at+20])
		s.stop()
		s.put(before)
		s.start()
		w.publish(trunk.blocks(at+11, at+25)...) // the same again, by who reads where the stream stands
		got := b.until(t, trunk[:at+25])
		if at += 25; got.applied != int(at) || len(got.undos) > 0 {
			t.Errorf("round %d: got %d blocks and undos %v, want each of %d once", round, got.applied, got.undos, at)
		}
	}
}

// A stream that was cut back to before a reorg has blocks that are void. As long as no publisher goes on there, nothing is
// undone: the reorg comes again.
func TestReadDoesNotGoBackToAVoidBranch(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	w := s.newWriter()
	w.publish(trunk.blocks(1, 30)...)
	s.stop()
	before := s.copied()
	s.start()
	other := branchOf("b", trunk, 26, 60)
	w.publish(trunk.reorg(30, 26))
	w.publish(other.blocks(27, 30)...)
	b := newTable(1).with(other[:30])
	js := s.dial()
	r := read(t, js, b, quick)
	waiting(t, w)
	s.stop()
	s.put(before)
	s.start()
	again := func() {
		t.Helper()
		r.stop()
		r = read(t, js, b, quick)
		waiting(t, w)
	}
	again()
	w.publish(trunk.reorg(30, 26))
	w.publish(other.blocks(27, 35)...)
	if got := b.until(t, other[:35]); len(got.undos) != 0 {
		t.Errorf("got undos %v, want none: what the sink has was never void", got.undos)
	}
	// If one goes on there, the sink follows.
	s.stop()
	s.put(before)
	s.start()
	again()
	w.publish(trunk.blocks(31, 40)...)
	if got := b.until(t, trunk[:40]); len(got.undos) != 1 || got.undos[0].To != trunk.at(26) {
		t.Errorf("got undos %v, want one to 26", got.undos)
	}
}

// waiting returns when one reader waits for messages.
func waiting(t *testing.T, w *writer) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		list := w.stream().ListConsumers(ctx)
		for info := range list.Info() {
			if info.NumWaiting > 0 && info.NumPending == 0 {
				return
			}
		}
		if ctx.Err() != nil {
			t.Fatal("no reader waits")
		}
	}
}

// A block that the stream has no more ends Read, unless a node has it: then the node's stream is read as far as it must be.
func TestReadGoesOnByANode(t *testing.T) {
	t.Parallel()
	other := branchOf("b", trunk, 26, 60)
	for name, c := range map[string]struct {
		sink *table
		node *fakeNode
		fill func(t *testing.T, w *writer)
		want branch
		asks string // the first question to the node
		gone bool   // without a node Read ends
	}{
		"purged": {newTable(1).with(trunk[:10]), &fakeNode{chain: trunk[:60], final: 60}, func(t *testing.T, w *writer) {
			w.publish(trunk.blocks(1, 60)...)
			if err := w.stream().Purge(t.Context(), jetstream.WithPurgeSequence(31)); err != nil {
				t.Fatal(err)
			}
		}, trunk[:60], fmt.Sprintf("10-%s", trunk.at(10).Hash), true},
		"begins higher": {newTable(1), &fakeNode{chain: trunk[:60], final: 60}, func(t *testing.T, w *writer) {
			w.publish(trunk.blocks(40, 60)...)
		}, trunk[:60], "1", true},
		"a hole": {newTable(1), &fakeNode{chain: trunk[:60], final: 60}, func(t *testing.T, w *writer) {
			w.publish(trunk.blocks(1, 60)...)
			for seq := uint64(30); seq < 35; seq++ {
				if err := w.stream().DeleteMsg(t.Context(), seq); err != nil {
					t.Fatal(err)
				}
			}
		}, trunk[:60], fmt.Sprintf("29-%s", trunk.at(29).Hash), true},
		"half a block": {newTable(1), &fakeNode{chain: trunk[:60], final: 60}, func(t *testing.T, w *writer) {
			w.publish(trunk.blocks(1, 29)...)
			big := trunk.block(30)
			big.Body = trunk.body(30, 5000)
			w.publish(big)
			w.publish(trunk.blocks(31, 60)...)
			if err := w.stream().DeleteMsg(t.Context(), 31); err != nil {
				t.Fatal(err)
			}
		}, trunk[:60], fmt.Sprintf("29-%s", trunk.at(29).Hash), true},
		"a block that does not follow": {newTable(1), &fakeNode{chain: trunk[:60], final: 60}, func(t *testing.T, w *writer) {
			w.publish(trunk.blocks(1, 29)...)
			w.publish(other.block(30))
			w.publish(trunk.blocks(31, 60)...)
		}, trunk[:60], fmt.Sprintf("29-%s", trunk.at(29).Hash), true},
		"a reorg below what is there": {newTable(1).with(trunk[:30]), &fakeNode{chain: other, final: 20}, func(t *testing.T, w *writer) {
			w.publish(other.blocks(40, 60)...)
		}, other[:60], fmt.Sprintf("30-%s", trunk.at(30).Hash), true},
		"a reorg that is final": {newTable(1).with(trunk[:30]), &fakeNode{chain: other, final: 55}, func(t *testing.T, w *writer) {
			w.publish(other.blocks(40, 60)...)
		}, other[:60], fmt.Sprintf("30-%s", trunk.at(30).Hash), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t)
			w := s.newWriter()
			c.fill(t, w)
			js := s.dial()
			alone := &table{first: c.sink.first, state: c.sink.state}
			r := read(t, js, alone, quick)
			if err := r.ends(t); !errors.Is(err, nats.ErrGone) || !strings.Contains(err.Error(), "a node that has it must be named") {
				t.Fatalf("without a node: got %v, want that the block is gone", err)
			}
			opt := quick
			opt.Node = c.node.client(t)
			r = read(t, js, c.sink, opt)
			got := c.sink.until(t, c.want)
			if more := branchOf("more", c.want, 60, 65); true {
				w.publish(more.blocks(61, 65)...) // by the stream again
				c.sink.until(t, more)
			}
			c.node.mu.Lock()
			defer c.node.mu.Unlock()
			if len(c.node.asked) == 0 || c.node.asked[0] != c.asks {
				t.Errorf("got questions %q, want %q first", c.node.asked, c.asks)
			}
			if strings.Contains(name, "reorg") && len(got.undos) == 0 || !strings.Contains(name, "reorg") && len(got.undos) > 0 {
				t.Errorf("got undos %v", got.undos)
			}
			_ = r
		})
	}
}

// A node that has pruned the block, too, or is of another chain, ends Read.
func TestReadEndsWhereNobodyHasIt(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	w := s.newWriter()
	w.publish(trunk.blocks(40, 60)...)
	for name, c := range map[string]struct {
		sink *table
		node *fakeNode
		says string
	}{
		"pruned":  {newTable(1).with(trunk[:10]), &fakeNode{chain: trunk[:60], final: 60, oldest: 30}, "410"},
		"foreign": {newTable(1).with(branchOf("x", nil, 0, 10)), &fakeNode{chain: trunk[:60], final: 60}, "409"},
	} {
		opt := quick
		opt.Node = c.node.client(t)
		if err := read(t, s.dial(), c.sink, opt).ends(t); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want the node's refusal with %s", name, err, c.says)
		}
	}
	// With the whole chain in the stream no node is needed to see it.
	if err := w.stream().Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.publish(trunk.blocks(1, 60)...)
	if err := read(t, s.dial(), newTable(1).with(branchOf("x", nil, 0, 30)), quick).ends(t); !errors.Is(err, nats.ErrForeign) {
		t.Errorf("another chain: got %v, want that it is foreign", err)
	}
}

// A stream that is purged while a reader looks for its place is no stream that lacks it, nor one of another chain: it is filled
// again.
func TestReadLooksTwice(t *testing.T) {
	t.Parallel()
	b := branchOf("b", trunk, 9, 40)
	for name, c := range map[string]struct {
		in, news []nats.Message // the stream when the reader looks, and what comes when it has begun to wait
		after    string         // what it asks for, and
		asks     string         // what it asks for behind that, before which the stream is purged
		refill   []nats.Message
		want     branch
	}{
		"gone":    {trunk.blocks(1, 20), nil, "hr.", "block.11", trunk.blocks(1, 30), trunk[:30]},
		"foreign": {append(trunk.blocks(1, 9), b.block(10)), b.blocks(11, 11), "block.11", "block.10", b.blocks(1, 30), b[:30]},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t)
			w := s.newWriter()
			w.publish(c.in...)
			asked, purged := false, false
			waits, again := make(chan struct{}), make(chan struct{}) // closed when it has a consumer, and one behind the purge
			first, second := sync.OnceFunc(func() { close(waits) }), sync.OnceFunc(func() { close(again) })
			sink := newTable(1).with(trunk[:10])
			r := read(t, s.dialBy(func(subject, data string) {
				switch get := strings.Contains(subject, ".MSG.GET."); {
				case strings.Contains(subject, ".CONSUMER.CREATE.") && purged:
					second()
				case strings.Contains(subject, ".CONSUMER.CREATE."):
					first()
				case get && asked && !purged && strings.Contains(data, c.asks+`"`):
					purged = true
					if err := w.stream().Purge(t.Context()); err != nil {
						t.Error(err)
					}
				case get && strings.Contains(data, c.after):
					asked = true
				}
			}), sink, quick)
			then := func(event <-chan struct{}, publish []nats.Message) {
				t.Helper()
				select {
				case <-event:
				case <-r.done:
					t.Fatalf("got %v, want that it looks again", r.err)
				case <-time.After(time.Minute):
					t.Fatal("it does not look")
				}
				w.publish(publish...)
			}
			if c.news != nil {
				then(waits, c.news)
			}
			then(again, c.refill)
			sink.until(t, c.want)
		})
	}
}

// What a sink's transaction came to is not guessed: the next Read asks. Whether it was stored or not, each block is once.
func TestReadAsksASinkThatFailed(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	w := s.newWriter()
	w.publish(trunk.blocks(1, 30)...)
	other := branchOf("b", trunk, 25, 60)
	w.publish(trunk.reorg(30, 25))
	w.publish(other.blocks(26, 60)...)
	js := s.dial()
	for _, stored := range []bool{false, true} {
		b := newTable(1)
		failed, calls := errors.New("no commit"), 0
		b.fault = func(uint64) (bool, error) {
			if calls++; calls%3 == 0 {
				return stored, failed
			}
			return true, nil
		}
		for tries := 0; ; tries++ {
			r := read(t, js, b, quick)
			ended := false
			select {
			case <-r.done:
				ended = true
			case <-reached(t, b, other.at(60)):
			}
			r.stop()
			if !ended {
				break
			}
			if !errors.Is(r.err, failed) || tries > 60 {
				t.Fatalf("stored %t: got %v after %d tries, want the sink's error", stored, r.err, tries)
			}
		}
		if got := b.until(t, other); got.applied != 65 || len(got.undos) != 1 {
			t.Errorf("stored %t: got %d blocks and undos %v, want 65 and one", stored, got.applied, got.undos)
		}
	}
}

// reached is closed when a table's last block is one.
func reached(t *testing.T, b *table, last ref.Ref) <-chan struct{} {
	c := make(chan struct{}) // closed by the goroutine below
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	go func() {
		defer close(c)
		_, _ = b.state.Wait(ctx, func(s tableState) bool { return s.last() == last })
	}()
	return c
}

// Two processes over one store do no harm: one of them ends.
func TestReadEndsBesideAnother(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	w := s.newWriter()
	b := newTable(1)
	one, two := read(t, s.dial(), b, quick), read(t, s.dial(), b, quick)
	for until := time.Now().Add(time.Minute); consumers(t, w) < 2; time.Sleep(time.Millisecond) { // the server's state
		if time.Now().After(until) {
			t.Fatal("the two do not read")
		}
	}
	w.publish(trunk.blocks(1, 100)...)
	select {
	case <-one.done:
	case <-two.done:
	case <-time.After(time.Minute):
		t.Fatal("both go on")
	}
	got := b.state.Load()
	if got.wrong == nil {
		t.Error("got no refusal by the store")
	}
	for i, r := range got.chain {
		if r != trunk.at(uint64(i+1)) {
			t.Fatalf("got block %v, want %v", r, trunk.at(uint64(i+1)))
		}
	}
}

// What anybody else has published is passed over, wherever it lies: at the end, and at the subject of a block.
func TestReadPassesOverForeignMessages(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	w := s.newWriter()
	w.publish(trunk.blocks(1, 20)...)
	noise := func() {
		for _, subject := range []string{nats.BlockSubject(chain, 20), nats.BlockSubject(chain, 21), nats.ReorgSubject(chain), "hr." + chain + ".block.x"} {
			w.raw(subject, natsgo.Header{}, []byte("hello"), false)
		}
		back := trunk.reorg(20, 5)
		h := natsgo.Header(back.Header())
		h.Set(nats.HeaderStands, "nonsense")
		w.raw(nats.ReorgSubject(chain), h, nil, false)
	}
	noise()
	js := s.dial()
	b := newTable(1).with(trunk[:20])
	read(t, js, b, quick)
	waiting(t, w)
	w.publish(trunk.blocks(21, 30)...)
	noise()
	w.publish(trunk.blocks(31, 40)...)
	noise()
	b.until(t, trunk[:40])
	for _, from := range []uint64{1, 20, 21, 40} {
		b := newTable(from)
		r := read(t, js, b, quick)
		b.until(t, trunk[:40])
		r.stop()
	}
}

// A server that is away, or that is another one when it comes back, costs time only. Why is told once.
func TestReadComesBack(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	w := s.newWriter()
	w.publish(trunk.blocks(1, 10)...)
	b := newTable(1)
	opt := quick
	opt.Attempt = time.Second
	lost := make(chan error, 100) // by Read
	opt.Lost = func(err error) { lost <- err }
	read(t, s.dial(), b, opt)
	b.until(t, trunk[:10])
	for i := range uint64(3) {
		s.stop()
		select {
		case err := <-lost:
			if err == nil || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %q, want why it is lost", err)
			}
		case <-time.After(time.Minute):
			t.Fatal("nothing is told of a server that is gone")
		}
		s.start()
		w.publish(trunk.blocks(10+10*i+1, 10+10*i+10)...)
		b.until(t, trunk[:20+10*i])
	}
	if len(lost) > 3 {
		t.Errorf("got %d more reasons, want one each time", len(lost))
	}
}

// A consumer that is gone is made anew; a stream that is not there yet is waited for.
func TestReadMakesItsConsumerAnew(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	b := newTable(1)
	read(t, s.dial(), b, quick)
	w := s.newWriter()
	w.publish(trunk.blocks(1, 10)...)
	b.until(t, trunk[:10])
	for round := range uint64(3) {
		waiting(t, w)
		names := w.stream().ConsumerNames(t.Context())
		for name := range names.Name() {
			if err := w.stream().DeleteConsumer(t.Context(), name); err != nil {
				t.Fatal(err)
			}
		}
		w.publish(trunk.blocks(11+10*round, 20+10*round)...)
		b.until(t, trunk[:20+10*round])
	}
}

// A stream of a format that is not known, or of another genesis, is not read.
func TestReadRefusesAnotherStream(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	js := s.dial()
	for says, meta := range map[string]map[string]string{
		"format":              {nats.MetaFormat: "2"},
		"it is of another ch": {nats.MetaFormat: nats.Format, nats.MetaGenesis: ref.Hash{1}.String()},
	} {
		c := jetstream.StreamConfig{Name: nats.StreamName(chain), Subjects: nats.Subjects(chain), Metadata: meta}
		if _, err := js.CreateStream(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if err := read(t, js, newTable(1), quick).ends(t); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("got %v, want %q", err, says)
		}
		if err := js.DeleteStream(t.Context(), c.Name); err != nil {
			t.Fatal(err)
		}
	}
}

// Where a stream stands, and which there are.
func TestHeadAndChains(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	js := s.dial()
	if got, err := nats.Chains(t.Context(), js, quick); err != nil || len(got) != 0 {
		t.Errorf("got %v, %v, want no chain", got, err)
	}
	w := s.newWriter()
	if at, cursor, err := nats.Head(t.Context(), js, chain, quick); err != nil || at != (ref.Ref{}) || cursor != "" {
		t.Errorf("got %v, %q, %v of an empty stream", at, cursor, err)
	}
	w.publish(trunk.blocks(1, 30)...)
	w.publish(trunk.reorg(30, 28))
	if at, cursor, err := nats.Head(t.Context(), js, chain, quick); err != nil || at != trunk.at(28) || cursor != fmt.Sprintf("28-%s-8", trunk.at(28).Hash) {
		t.Errorf("got %v, %q, %v, want block 28", at, cursor, err)
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "hr-other", Subjects: []string{"hr.other.reorg"}}); err != nil {
		t.Fatal(err)
	}
	if got, err := nats.Chains(t.Context(), js, quick); err != nil || len(got) != 1 || got[0] != chain {
		t.Errorf("got %v, %v, want %s", got, err, chain)
	}
}

func TestParseCursor(t *testing.T) {
	hash := trunk.at(7).Hash
	for id, want := range map[string]struct {
		at    ref.Ref
		final uint64
		ok    bool
	}{
		fmt.Sprintf("7-%s-5", hash):   {trunk.at(7), 5, true},
		fmt.Sprintf("7-%s", hash):     {trunk.at(7), 0, true},
		fmt.Sprintf("7-%s-9", hash):   {trunk.at(7), 7, true},
		fmt.Sprintf("7-%s-5-1", hash): {},
		fmt.Sprintf("-7-%s-5", hash):  {},
		"7-x-5":                       {},
		"":                            {},
	} {
		at, final, err := nats.ParseCursor(id)
		if at != want.at || final != want.final || (err == nil) != want.ok {
			t.Errorf("%s: got %v, %d, %v", id, at, final, err)
		}
	}
}

// A connection that is closed for good ends Read, and so does a sink that does not go back.
func TestReadEndsWithItsConnection(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	w := s.newWriter()
	w.publish(trunk.blocks(1, 10)...)
	b, js := newTable(1), s.dial()
	r := read(t, js, b, quick)
	b.until(t, trunk[:10])
	js.Conn().Close()
	if err := r.ends(t); !errors.Is(err, natsgo.ErrConnectionClosed) {
		t.Errorf("got %v, want that the connection is closed", err)
	}
	w.publish(trunk.reorg(10, 8))
	if err := read(t, s.dial(), stuck{newTable(1)}, quick).ends(t); err == nil || !strings.Contains(err.Error(), "the sink stands at block 10 after it was to go back from 10 to 8") {
		t.Errorf("got %v, want that the sink did not go back", err)
	}
}

// stuck is a table that takes no block back.
type stuck struct{ *table }

func (stuck) Undo(context.Context, nats.Undo) error { return nil }
