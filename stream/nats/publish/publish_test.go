package publish

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"headrace/await"
	"headrace/internal/logs/logstest"
	"headrace/node"
	"headrace/ref"
	"headrace/stream/nats"
	"headrace/stream/nats/internal/leader"
	"headrace/stream/nats/server"
)

var (
	cuts    = flag.Int("cuts", 4, "how often TestCutBack puts the server's directory back")
	blocksN = flag.Uint64("blocks", 10_000, "blocks of a catch-up")
)

// One publisher fills a stream with what the node has, and goes on with each block as it comes; all that the headers say
// is so.
func TestOne(t *testing.T) {
	h, m := newHost(t, server.Options{}), newMemory()
	m.mine(300)
	p := publishing(t, m, Options{Servers: h.servers()})
	p.until(t, "at block 300", at(m.ref(300)))
	for n := uint64(301); n <= 310; n++ {
		m.mine(1)
		p.until(t, "at the next block", at(m.ref(n)))
	}
	r := newReader(t, h.servers())
	r.wants(m, 1, 310)
	if s := p.until(t, "publishing", func(s node.Stream) bool { return s.State == node.StreamPublishing }); s.Counts.Published != 310 {
		t.Errorf("got %+v, want 310 messages", s)
	}
	raw := r.raw()[4]
	got, err := nats.Parse(testName, raw.Subject, raw.Header, raw.Data)
	if err != nil {
		t.Fatal(err)
	}
	five, hash := m.ref(5), m.ref(5).Hash
	want := nats.Message{Block: five, Parent: m.ref(4).Hash, Source: m.status.Load().Source.Position, Origin: 5, Root: fmt.Sprintf("%x", hash[:4]), Final: 5}
	want.Source, want.Body = got.Source, got.Body
	if fmt.Sprint(got) != fmt.Sprint(want) || got.Source.Height < 5 || raw.Subject != "hr."+testName+".block.5" || raw.Header.Get("Nats-Msg-Id") != fmt.Sprintf("5-%s", hash) {
		t.Errorf("got %v with the headers %v, want %v", got, raw.Header, want)
	}
	if !strings.Contains(string(got.Body), `"height":5,"hash":"`+hash.String()) || !strings.Contains(string(got.Body), `"tx_hashes":["`) {
		t.Errorf("got the body %s, want the JSON of the block", got.Body)
	}
	info := r.stream().CachedInfo().Config
	if !info.AllowAtomicPublish || info.Metadata[nats.MetaHead] != "safe" || info.Metadata[nats.MetaGenesis] != testGenesis.Hash().String() {
		t.Errorf("got a stream of %+v", info)
	}
}

// Three publishers at once make one chain: in a catch-up, block by block, and when each of them is the only one for a while;
// whether or not the server knows messages by their ids.
func TestThree(t *testing.T) {
	for _, noIDs := range []bool{false, true} {
		t.Run(fmt.Sprintf("without ids %v", noIDs), func(t *testing.T) { three(t, noIDs) })
	}
}

func three(t *testing.T, noIDs bool) {
	h := newHost(t, server.Options{})
	var nodes [3]*memory
	var all [3]*working
	begin := func(i int) {
		all[i] = publishing(t, nodes[i], Options{Servers: h.servers(), noIDs: noIDs})
	}
	for i := range nodes {
		nodes[i] = newMemory()
		nodes[i].mine(1000)
		begin(i)
	}
	to := uint64(1000)
	for round := range 30 {
		if round%5 == 4 {
			all[round%3].stop()
		}
		to += rand.Uint64N(3) + 1
		for _, i := range rand.Perm(3) {
			nodes[i].set(to, to, to)
		}
		if round%5 == 4 {
			all[(round+1)%3].until(t, "there", at(nodes[0].ref(to)))
			begin(round % 3)
		}
	}
	for i := range all {
		all[i].until(t, "at the end", at(nodes[i].ref(to)))
	}
	newReader(t, h.servers()).wants(nodes[0], 1, to)
	published := uint64(0)
	for i := range all {
		published += all[i].Streaming().Counts.Published
	}
	if published > to {
		t.Errorf("%d messages were counted, of %d blocks", published, to)
	}
}

// The server's directory is put back to an earlier copy while it is down: what was acknowledged is gone, and is there again
// soon after, whether blocks came meanwhile or not.
func TestCutBack(t *testing.T) {
	h := newHost(t, server.Options{})
	nodes := [2]*memory{newMemory(), newMemory()}
	var all [2]*working
	for i := range nodes {
		nodes[i].mine(50)
		all[i] = publishing(t, nodes[i], Options{Servers: h.servers()})
	}
	copied := t.TempDir() + "/copy"
	to := uint64(50)
	for i := range *cuts {
		all[0].until(t, "at the head", at(nodes[0].ref(to)))
		h.down()
		if i%2 == 0 {
			copyDir(t, h.opt.Dir, copied)
		} else {
			copyDir(t, copied, h.opt.Dir)
		}
		if rand.N(2) == 0 {
			to += rand.Uint64N(20)
			for _, m := range nodes {
				m.set(to, to, to)
			}
		}
		h.up()
		to += rand.Uint64N(20)
		for _, m := range nodes {
			m.set(to, to, to)
		}
	}
	r := newReader(t, h.servers())
	for _, w := range all {
		w.until(t, "at the end, and sure of it", at(nodes[0].ref(to)))
	}
	r.eventually(nodes[0], to)
	r.wants(nodes[0], 1, to)
}

// A stream that was purged, or deleted, begins anew, without a new block.
func TestPurgedAndDeleted(t *testing.T) {
	h, m := newHost(t, server.Options{}), newMemory()
	m.mine(40)
	p := publishing(t, m, Options{Servers: h.servers(), From: 11})
	r := newReader(t, h.servers())
	r.eventually(m, 40)
	r.wants(m, 11, 40)
	if err := r.stream().Purge(bounded(t)); err != nil {
		t.Fatal(err)
	}
	r.eventually(m, 40)
	r.wants(m, 11, 40)
	if err := r.js.DeleteStream(bounded(t), nats.StreamName(testName)); err != nil {
		t.Fatal(err)
	}
	r.eventually(m, 40)
	r.wants(m, 11, 40)
	// The last messages alone are gone.
	for seq := uint64(25); seq <= 30; seq++ {
		if err := r.stream().DeleteMsg(bounded(t), seq); err != nil {
			t.Fatal(err)
		}
	}
	r.eventually(m, 40)
	r.wants(m, 11, 40)
	// What is not kept any more is passed over.
	m.prune(31)
	if err := r.stream().Purge(bounded(t)); err != nil {
		t.Fatal(err)
	}
	r.eventually(m, 40)
	r.wants(m, 31, 40)
	if s := p.Streaming(); s.Lag != 0 {
		t.Errorf("got %+v", s)
	}
}

// Blocks that are larger than a message may be come in parts, all or none, among others that are not; and two publishers
// make one block of them.
func TestParts(t *testing.T) {
	for _, noIDs := range []bool{false, true} {
		t.Run(fmt.Sprintf("without ids %v", noIDs), func(t *testing.T) { parts(t, noIDs) })
	}
}

func parts(t *testing.T, noIDs bool) {
	h := newHost(t, server.Options{MaxPayload: 16 << 10})
	large := func(height uint64) int {
		if height%3 == 0 {
			return int(height) * 10_000
		}
		return 100
	}
	var nodes [2]*memory
	for i := range nodes {
		nodes[i] = newMemory()
		nodes[i].txBytes = large
		nodes[i].mine(12)
		publishing(t, nodes[i], Options{Servers: h.servers(), noIDs: noIDs})
	}
	r := newReader(t, h.servers())
	r.eventually(nodes[0], 12)
	for n := uint64(13); n <= 15; n++ {
		for _, m := range nodes {
			m.mine(1)
		}
		r.eventually(nodes[0], n)
	}
	r.wants(nodes[0], 1, 15)
	var joiner nats.Joiner
	var parts int
	for _, raw := range r.raw() {
		m, err := nats.Parse(testName, raw.Subject, raw.Header, raw.Data)
		if err != nil {
			t.Fatal(err)
		}
		parts = max(parts, m.Parts)
		if whole, ok, dropped := joiner.Add(m); dropped {
			t.Errorf("a part of block %d stands alone", m.Block.Height)
		} else if want := large(m.Block.Height) / 3 * 4; ok && (len(whole.Body) < want || !strings.Contains(string(whole.Body), whole.Block.Hash.String())) {
			t.Errorf("block %d has %d bytes in the stream, want %d and more", m.Block.Height, len(whole.Body), want)
		}
	}
	if parts < 10 {
		t.Errorf("got %d parts at the most: the test is of none", parts)
	}
	// Half of a batch, as a restored stream may end with: the block is published again, whole.
	last := r.stream().CachedInfo().State.LastSeq
	if err := r.stream().DeleteMsg(bounded(t), last); err != nil {
		t.Fatal(err)
	}
	r.eventually(nodes[0], 15)
	for _, m := range nodes {
		m.mine(1)
	}
	r.eventually(nodes[0], 16)
	joiner = nats.Joiner{}
	var whole uint64 // blocks, in order
	for _, raw := range r.raw() {
		m, err := nats.Parse(testName, raw.Subject, raw.Header, raw.Data)
		if err != nil {
			t.Fatal(err)
		}
		if b, ok, _ := joiner.Add(m); ok && b.Block.Height == whole+1 {
			whole++
		}
	}
	if whole != 16 {
		t.Errorf("the stream has %d blocks whole, want 16", whole)
	}
}

// What is tried again and again is logged once, and a reorg when it is in the stream.
func TestTriesAreLoggedOnce(t *testing.T) {
	h, m := newHost(t, server.Options{}), newMemory()
	m.l1 = true
	m.set(20, 5, 20)
	m.prune(5)
	r := newReader(t, h.servers())
	full := func(messages int64) func(ctx context.Context) (jetstream.Stream, error) { // with as many it takes no more
		c := (&session{p: &Publisher{name: testName, opt: Options{Genesis: testGenesis, Head: await.Safe, Replicas: 1}}}).config()
		c.Discard, c.MaxMsgs, c.MaxMsgSize = jetstream.DiscardNew, messages, -1
		if messages == 0 {
			c.MaxMsgs, c.MaxMsgSize = 1, 1
		}
		return func(ctx context.Context) (jetstream.Stream, error) { return r.js.CreateOrUpdateStream(ctx, c) }
	}
	var said logstest.Text
	ask(r, full(0))
	p := publishing(t, m, Options{Servers: h.servers(), Logger: slog.New(slog.NewTextHandler(&said, nil))})
	fails := func() {
		t.Helper()
		so := p.Streaming().Counts.Errors
		p.until(t, "failing again and again", func(s node.Stream) bool {
			return s.State == node.StreamFailing && s.Counts.Errors >= so+4
		})
	}
	const pruned, back = "the stream is empty, and begins with the oldest block", "the stream has gone back"
	fails()
	if n := said.Count(pruned); n != 1 {
		t.Errorf("it was said %d times that blocks are pruned, want once", n)
	}
	ask(r, full(16))
	p.until(t, "there", at(m.ref(20)))
	m.fork(10, 7)
	m.set(20, 5, 30)
	fails()
	if n := said.Count(back); n != 0 {
		t.Errorf("it was said %d times that the stream has gone back, and it has not", n)
	}
	ask(r, full(100))
	p.until(t, "there", at(m.ref(20)))
	if n := said.Count(back); n != 1 {
		t.Errorf("it was said %d times that the stream has gone back, want once", n)
	}
}

// A block that no batch of messages holds stops nothing but the stream, which says so.
func TestTooLarge(t *testing.T) {
	h, m := newHost(t, server.Options{MaxPayload: 4 << 10}), newMemory()
	m.txBytes = func(uint64) int { return 2 << 20 }
	m.mine(1)
	p := publishing(t, m, Options{Servers: h.servers()})
	p.until(t, "failing, with the cause", func(s node.Stream) bool {
		return s.State == node.StreamFailing && strings.Contains(s.Cause, "the server's limit of a message")
	})
}

// A reorg of the L1 takes blocks back, while blocks are published; and back again, within the time in which the server
// knows the ids of messages.
func TestReorg(t *testing.T) {
	h := newHost(t, server.Options{})
	nodes := [2]*memory{newMemory(), newMemory()}
	for _, m := range nodes {
		m.l1 = true
		m.set(20, 5, 100)
		publishing(t, m, Options{Servers: h.servers()})
	}
	r := newReader(t, h.servers())
	r.eventually(nodes[0], 20)
	position := uint64(100)
	reorgs := 0
	for round, salt := range []byte{1, 0, 1, 2, 0} { // those of branch 0 and 1 come again
		position += 3
		for i := range nodes {
			m := nodes[(i+round)%2]
			m.fork(10, salt)
			m.set(20+uint64(round)%2, 5, position)
		}
		r.eventually(nodes[0], 20+uint64(round)%2)
		reorgs++
	}
	r.wants(nodes[0], 1, 20)
	if _, _, got := r.chain(); got < reorgs {
		t.Errorf("got %d reorgs in the stream, want at least %d", got, reorgs)
	}
	// The head goes back, and nothing comes in its place yet.
	for _, m := range nodes {
		m.set(15, 5, position+1)
	}
	r.eventually(nodes[0], 15)
	r.wants(nodes[0], 1, 15)
}

// Two nodes on two forks of an L1, neither of which goes on, take back each other's blocks once at the most.
func TestTwoForks(t *testing.T) {
	h := newHost(t, server.Options{})
	a, b := newMemory(), newMemory()
	a.l1, b.l1 = true, true
	b.fork(10, 7)
	a.set(20, 5, 100)
	b.set(20, 5, 100)
	var mu sync.Mutex
	reorgs := 0
	sent := func(m *nats.Message) {
		mu.Lock()
		defer mu.Unlock()
		if m.IsReorg() {
			reorgs++
		}
	}
	looks := make(chan struct{}, 1) // holds one for a look at the stream
	looked := func() {
		select {
		case looks <- struct{}{}:
		default:
		}
	}
	first := publishing(t, a, Options{Servers: h.servers(), sent: sent, looked: looked})
	first.until(t, "there", at(a.ref(20)))
	second := publishing(t, b, Options{Servers: h.servers(), sent: sent})
	second.until(t, "waiting, with the cause", func(s node.Stream) bool {
		return s.State == node.StreamWaiting && strings.Contains(s.Cause, "another one here than in the stream")
	})
	b.set(20, 5, 101)
	second.until(t, "there", at(b.ref(20)))
	first.until(t, "waiting", func(s node.Stream) bool { return s.State == node.StreamWaiting })
	a.set(20, 5, 101) // no further than what the stream says
	for range 10 {
		<-looks
	}
	mu.Lock()
	if reorgs != 1 {
		t.Errorf("got %d reorgs, want one", reorgs)
	}
	mu.Unlock()
	a.fork(10, 7) // the fork ends: a's L1 has come over
	a.set(21, 5, 102)
	b.set(21, 5, 102)
	newReader(t, h.servers()).eventually(a, 21)
}

// What two nodes call final, and is not the same, is said, and nothing is published by the one that sees it; its node and
// the other publisher go on.
func TestDisagree(t *testing.T) {
	h := newHost(t, server.Options{})
	a, b := newMemory(), newMemory()
	b.fork(10, 7)
	a.mine(20)
	b.mine(20)
	first := publishing(t, a, Options{Servers: h.servers()})
	first.until(t, "there", at(a.ref(20)))
	second := publishing(t, b, Options{Servers: h.servers()})
	s := second.until(t, "stopped", func(s node.Stream) bool { return s.State == node.StreamStopped })
	if !strings.Contains(s.Cause, "two nodes disagree") || !strings.Contains(s.Cause, a.ref(20).Hash.String()) || !strings.Contains(s.Cause, b.ref(20).Hash.String()) {
		t.Errorf("got the cause %q, want one with both hashes", s.Cause)
	}
	b.mine(10)
	a.mine(1)
	first.until(t, "there", at(a.ref(21)))
	if got := second.Streaming(); got.State != node.StreamStopped || got.Counts.Published > 0 {
		t.Errorf("got %+v of one who has stopped", got)
	}
	newReader(t, h.servers()).wants(a, 1, 21)
}

// A node whose home was restored from a copy, and is behind the stream, waits and says so, on an L1 too.
func TestBehind(t *testing.T) {
	for _, l1 := range []bool{false, true} {
		t.Run(fmt.Sprintf("l1 %v", l1), func(t *testing.T) {
			h := newHost(t, server.Options{})
			ahead, restored := newMemory(), newMemory()
			ahead.l1, restored.l1 = l1, l1
			ahead.set(20, 15, 100)
			publishing(t, ahead, Options{Servers: h.servers()}).until(t, "there", at(ahead.ref(20)))
			restored.set(8, 8, 70)
			p := publishing(t, restored, Options{Servers: h.servers()})
			p.until(t, "waiting, with the cause", func(s node.Stream) bool {
				return s.State == node.StreamWaiting && s.Cause == "the stream is at block 20, and this node at 8"
			})
			restored.set(21, 15, 101)
			p.until(t, "there", at(ahead.ref(21)))
			newReader(t, h.servers()).wants(ahead, 1, 21)
		})
	}
}

// Blocks below the oldest one here cannot be published: a stream that was cut back so far waits for a node that has them.
func TestPruned(t *testing.T) {
	h, m := newHost(t, server.Options{}), newMemory()
	m.mine(10)
	w := publishing(t, m, Options{Servers: h.servers()})
	w.until(t, "there", at(m.ref(10)))
	w.stop()
	m.mine(20)
	m.prune(11) // the next one
	w = publishing(t, m, Options{Servers: h.servers()})
	w.until(t, "there", at(m.ref(30)))
	w.stop()
	m.mine(20)
	m.prune(32)
	publishing(t, m, Options{Servers: h.servers()}).until(t, "waiting, with the cause", func(s node.Stream) bool {
		return s.State == node.StreamWaiting && strings.Contains(s.Cause, "keeps none below 32")
	})
}

// Nor can a reorg be published behind which this node keeps nothing.
func TestPrunedBehindAReorg(t *testing.T) {
	for _, oldest := range []uint64{31, 30} { // the block at which the stream stands is the one before, or the oldest
		h, m, other := newHost(t, server.Options{}), newMemory(), newMemory()
		m.l1, other.l1 = true, true
		m.set(30, 0, 30)
		w := publishing(t, m, Options{Servers: h.servers()})
		w.until(t, "there", at(m.ref(30)))
		w.stop()
		other.fork(20, 7)
		other.set(60, 50, 60)
		other.prune(oldest)
		publishing(t, other, Options{Servers: h.servers()}).until(t, "waiting, with the cause", func(s node.Stream) bool {
			return s.State == node.StreamWaiting && strings.Contains(s.Cause, fmt.Sprintf("as are some below it, and this node keeps none below %d", oldest))
		})
		newReader(t, h.servers()).wants(m, 1, 30)
	}
}

// A reorg may leave a node without any block: it waits for the first one, behind which the stream goes on.
func TestReorgOfAll(t *testing.T) {
	h, m := newHost(t, server.Options{}), newMemory()
	m.l1 = true
	m.set(3, 0, 3)
	p := publishing(t, m, Options{Servers: h.servers()})
	p.until(t, "there", at(m.ref(3)))
	m.fork(1, 7)
	m.set(0, 0, 5)
	p.until(t, "waiting, with the cause", func(s node.Stream) bool {
		return s.State == node.StreamWaiting && s.Cause == "this node has no block above 0 yet"
	})
	m.set(2, 0, 7)
	p.until(t, "there", at(m.ref(2)))
	newReader(t, h.servers()).wants(m, 1, 2)
}

// A stream up to one head is not filled up to another one, nor is one of another chain.
func TestAnotherStream(t *testing.T) {
	h, m := newHost(t, server.Options{}), newMemory()
	m.mine(3)
	publishing(t, m, Options{Servers: h.servers()}).until(t, "there", at(m.ref(3)))
	p := publishing(t, m, Options{Servers: h.servers(), Head: await.Finalized})
	s := p.until(t, "failing", func(s node.Stream) bool { return s.State == node.StreamFailing })
	if !strings.Contains(s.Cause, `headrace.head="safe", and here it is "finalized"`) {
		t.Errorf("got the cause %q, want both heads", s.Cause)
	}
}

// A message that no publisher has written, at the end of a stream, hides nothing.
func TestForeignMessage(t *testing.T) {
	h, m := newHost(t, server.Options{}), newMemory()
	m.mine(3)
	p := publishing(t, m, Options{Servers: h.servers()})
	p.until(t, "there", at(m.ref(3)))
	r := newReader(t, h.servers())
	if _, err := r.js.Publish(bounded(t), "hr."+testName+".block.4", []byte("garbage")); err != nil {
		t.Fatal(err)
	}
	m.mine(1)
	p.until(t, "there", at(m.ref(4)))
	if last := r.raw()[4]; last.Sequence != 5 || last.Header.Get(nats.HeaderBlock) != fmt.Sprintf("4-%s", m.ref(4).Hash) {
		t.Errorf("got %v as the last message, want block 4", last.Header)
	}
}

// The ids of messages are forgotten: the stream has each block once all the same, however often its publisher is killed
// between a message and its answer.
func TestIDsForgotten(t *testing.T) {
	h, m := newHost(t, server.Options{}), newMemory()
	r := newReader(t, h.servers())
	c := (&session{p: mustNew(t, Options{Servers: h.servers()})}).config()
	c.Duplicates = 100 * time.Millisecond
	if _, err := r.js.CreateStream(bounded(t), c); err != nil {
		t.Fatal(err)
	}
	for n := range uint64(10) {
		m.mine(5)
		var once sync.Once
		heard := make(chan struct{})
		w := publishing(t, m, Options{Servers: h.servers(), sent: func(x *nats.Message) {
			if x.Block.Height == n*5+3 {
				once.Do(func() { close(heard) })
			}
		}})
		<-heard
		w.stop()
	}
	publishing(t, m, Options{Servers: h.servers()})
	r.eventually(m, 50)
	r.wants(m, 1, 50)
}

// While the server is away no block is read, so that no memory grows; when it comes all of them are published.
func TestAway(t *testing.T) {
	h, m := newHost(t, server.Options{NoSync: true}), newMemory()
	m.txBytes = func(uint64) int { return 1 << 10 }
	m.mine(10)
	p := publishing(t, m, Options{Servers: h.servers()})
	p.until(t, "there", at(m.ref(10)))
	h.down()
	m.mine(1)
	p.until(t, "failing", func(s node.Stream) bool { return s.State == node.StreamFailing })
	m.ref(*blocksN) // the memory of the test itself
	before, read := heap(), m.fetched.Load()
	for m.status.Load().Heads.Safe.Height < *blocksN {
		m.mine(1)
	}
	failures := p.Streaming().Counts.Errors
	p.until(t, "trying", func(s node.Stream) bool { return s.Counts.Errors > failures+2 })
	if n := m.fetched.Load() - read; n > 100 {
		t.Errorf("%d blocks were read while there was no server", n)
	}
	if grown := heap() - before; grown > 8<<20 {
		t.Errorf("the heap has grown by %d bytes", grown)
	}
	h.up()
	r := newReader(t, h.servers())
	r.eventually(m, *blocksN)
	r.wants(m, 1, *blocksN)
}

func heap() int64 {
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return int64(s.HeapAlloc)
}

// What one node published as final, another one never takes back, though it stands further on the source and has another
// block, or none: it waits, or stops if its own block is final.
func TestFinalIsNotTakenBack(t *testing.T) {
	h := newHost(t, server.Options{})
	a, b := newMemory(), newMemory()
	a.l1, b.l1 = true, true
	a.set(20, 20, 100)
	publishing(t, a, Options{Servers: h.servers()}).until(t, "there", at(a.ref(20)))
	b.set(15, 5, 200)
	p := publishing(t, b, Options{Servers: h.servers()})
	p.until(t, "waiting below", func(s node.Stream) bool {
		return s.State == node.StreamWaiting && strings.Contains(s.Cause, "this node at 15")
	})
	b.fork(10, 4)
	b.set(25, 5, 201)
	p.until(t, "waiting beside", func(s node.Stream) bool {
		return s.State == node.StreamWaiting && strings.Contains(s.Cause, "another one here")
	})
	b.set(25, 20, 202)
	p.until(t, "stopped", func(s node.Stream) bool { return s.State == node.StreamStopped })
	newReader(t, h.servers()).wants(a, 1, 20)
}

// Where another branch left the stream's below what was final for who published it, nothing is taken back: two nodes
// disagree.
func TestFinalBelowIsNotTakenBack(t *testing.T) {
	h := newHost(t, server.Options{})
	a, b := newMemory(), newMemory()
	a.l1, b.l1 = true, true
	a.set(20, 15, 100)
	publishing(t, a, Options{Servers: h.servers()}).until(t, "there", at(a.ref(20)))
	b.set(15, 5, 200)
	b.fork(10, 4)
	b.set(25, 5, 201)
	p := publishing(t, b, Options{Servers: h.servers()})
	p.until(t, "stopped", func(s node.Stream) bool {
		return s.State == node.StreamStopped && strings.Contains(s.Cause, "block 15 is final")
	})
	newReader(t, h.servers()).wants(a, 1, 20)
}

// The chain is another one in the middle of a catch-up: no block comes behind one that is not its parent.
func TestChangesMeanwhile(t *testing.T) {
	h, m := newHost(t, server.Options{}), newMemory()
	m.l1 = true
	m.set(100, 5, 100)
	var once sync.Once
	forked := make(chan struct{})
	publishing(t, m, Options{Servers: h.servers(), sent: func(x *nats.Message) {
		if x.Block.Height == 50 {
			once.Do(func() {
				m.fork(40, 3)
				m.set(100, 5, 103)
				close(forked)
			})
		}
	}})
	<-forked
	r := newReader(t, h.servers())
	r.eventually(m, 100)
	r.wants(m, 1, 100)
	if _, _, reorgs := r.chain(); reorgs != 1 {
		t.Errorf("got %d reorgs, want one", reorgs)
	}
}

// What is in flight is bounded in bytes.
func TestFlight(t *testing.T) {
	const size = 300_000
	h, m := newHost(t, server.Options{NoSync: true}), newMemory()
	m.txBytes = func(uint64) int { return size * 3 / 4 }
	m.mine(200)
	var p *working
	var most, sent int // of messages
	begin := make(chan struct{})
	p = publishing(t, m, Options{Servers: h.servers(), sent: func(x *nats.Message) {
		<-begin
		sent++
		most = max(most, sent-int(p.Streaming().Counts.Published))
	}})
	close(begin)
	p.until(t, "there", at(m.ref(200)))
	p.stop()
	if most*size > maxFlight || most < 2 {
		t.Errorf("%d messages of %d bytes were in flight, want some, and %d bytes at most", most, size, maxFlight)
	}
}

func mustNew(t testing.TB, opt Options) *Publisher {
	t.Helper()
	opt.Genesis = testGenesis
	p, err := New(opt)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// BenchmarkCatchUp is how many blocks a second one publisher brings into an empty stream.
func BenchmarkCatchUp(b *testing.B) {
	for _, synced := range []bool{true, false} {
		b.Run(fmt.Sprintf("synced %v", synced), func(b *testing.B) {
			h, m := newHost(b, server.Options{NoSync: !synced}), newMemory()
			n := uint64(max(b.N, 1))
			m.mine(n)
			m.ref(n)
			b.ResetTimer()
			publishing(b, m, Options{Servers: h.servers()}).until(b, "there", at(m.ref(n)))
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "blocks/s")
		})
	}
}

// eventually waits until the stream's last message says that it stands at a block of m.
func (r *reader) eventually(m *memory, height uint64) {
	r.t.Helper()
	if err := r.waits(bounded(r.t), m.ref(height)); err != nil {
		r.t.Fatal(err)
	}
}

// waits waits until the stream stands at a block, until ctx ends. It wakes with each message, and looks now and then, as a
// stream may be deleted, or cut back, without one.
func (r *reader) waits(ctx context.Context, want ref.Ref) error {
	r.t.Helper()
	began := time.Now()
	var sent atomic.Int64 // when the last message was seen, in ns after began: a question that nobody answers takes longer
	seen, err := r.conn.Subscribe("hr."+testName+".>", func(*natsgo.Msg) { sent.Store(int64(time.Since(began))) })
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = seen.Unsubscribe() }()
	sub, err := r.conn.SubscribeSync("hr." + testName + ".>") // before the look at what is there
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	for {
		at, err := r.stands(ctx, patience) // one without a leader gives no answer at all
		if err == nil && at == want {
			r.t.Logf("the stream is seen at block %d after %s, and its last message was sent after %s", want.Height,
				time.Since(began).Round(time.Millisecond), time.Duration(sent.Load()).Round(time.Millisecond))
			return nil
		}
		short, cancel := context.WithTimeout(ctx, time.Second)
		_, _ = sub.NextMsgWithContext(short)
		cancel()
		if ctx.Err() != nil {
			return fmt.Errorf("the stream does not come to stand at block %d %s: it is at %v (%w)", want.Height, want.Hash, at, err)
		}
	}
}

// stands returns where the stream's last message says that it stands.
func (r *reader) stands(ctx context.Context, each time.Duration) (ref.Ref, error) {
	ctx, cancel := context.WithTimeout(ctx, each)
	defer cancel()
	last, err := leader.Ask(ctx, 500*time.Millisecond, func(ctx context.Context) (leader.Message, error) {
		return leader.Get(ctx, r.conn, jetstream.DefaultAPIPrefix, nats.StreamName(testName), map[string]any{"last_by_subj": "hr." + testName + ".>"})
	})
	if err != nil {
		return ref.Ref{}, err
	}
	m, err := nats.Parse(testName, last.Subject, last.Header, nil)
	return m.Stands(), err
}
