package telemetry

import (
	"slices"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"headrace/block"
	"headrace/follow"
	"headrace/node"
)

// Traces makes spans of what a node's observer tells. It is made with NewTraces, and closed with Close.
//
// A block has one trace, whose id is in its hash: what all nodes do with it is in the same one, and a node's sampling
// is that of all others with its ratio. On each node it has a root "block", from the announcement of the source's
// height that completed it to its being published; and where it was made, a root "sequence", from the begin of its
// build to its being safe. The set-up of a subscription is a trace of its own, "subscribe".
//
// The children of a root follow one another: each begins where the one before ends, the first with the root, and the
// root ends with the last. So they are inside, and their sum is the whole. Nothing is made of a block before it is
// known whether it is sampled: until then there are marks, whose number is bounded.
type Traces struct {
	export *export

	mu        sync.Mutex // guards the rest
	announced follow.Announced
	fetching  time.Time // when the last fetch began
	applied   time.Time // when the last item was applied
	item      item
	building  made            // the block that is being made; nothing if start is zero
	made      map[uint64]made // sampled blocks that are not known to be posted and safe, by height
	asked     [keepAsked]asked
	next      int // in asked
}

// mark is the end of a part, which begins where the one before ends.
type mark struct {
	name   string
	height uint64 // of an execution: the block
	end    time.Time
	failed bool
}

// item is what the sink was given last.
type item struct {
	ref       follow.Ref
	inline    bool
	announced time.Time // zero: it was not by itself
	fetching  time.Time // when its fetch began; zero: it was pushed
	given     time.Time // to the sink, first
	again     time.Time // and last, if it had to be tried again
	derived   bool      // the section is at it: what is told of other steps belongs to it
	marks     []mark    // from the begin of its derivation
	checked   time.Time // when that was
}

// made is a block of this node's.
type made struct {
	ref    block.Ref
	txs    int
	start  time.Time
	marks  []mark
	posted bool      // and included
	safe   time.Time // since when it is; zero: it is not
}

// asked is a request that was answered.
type asked struct {
	method     string
	start, end time.Time
	failed     bool
}

const (
	keepAsked = 32
	keepMarks = 64   // of one block
	keepMade  = 4096 // blocks that wait to be posted
)

// others is a part in which the section was at other blocks of the same item.
const others = "others"

// Observer returns what makes the spans.
func (t *Traces) Observer() (o node.Observer) {
	o.Done = t.done
	o.Applied = t.block
	o.Reverted = t.reverted
	o.Source = follow.Observer{
		Subscribed: t.subscribed, Applying: t.applying, Applied: t.itemApplied,
		News:     func(head follow.Ref, _ bool) { t.announced.Note(head.Height, time.Now()) },
		Fetching: func(_, _ uint64) { t.locked(func(now time.Time) { t.fetching = now }) },
		Reverted: func(item follow.Ref) { t.announced.Reverted(item.Height) },
		Called:   t.called,
	}
	return o
}

func (t *Traces) locked(do func(now time.Time)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	do(time.Now())
}

// applying notes that the sink is given an item.
func (t *Traces) applying(ref follow.Ref, inline bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	if t.item.ref == ref && t.item.inline == inline && !t.item.given.IsZero() {
		t.item.again, t.item.derived, t.item.marks = now, false, t.item.marks[:0]
		return
	}
	t.item = item{ref: ref, inline: inline, announced: t.announced.When(ref.Height), given: now, marks: t.item.marks[:0]}
	if !inline {
		t.item.fetching = later(t.fetching, t.applied)
	}
}

func (t *Traces) itemApplied(ref follow.Ref, _ bool) {
	t.announced.Applied(ref.Height)
	t.locked(func(now time.Time) { t.applied = now })
}

// done notes the end of a step. What is told between the derivation of an item and its last block is of that item: the
// section is held until then. The same goes for what is told between a build and the block.
func (t *Traces) done(step node.Step, height uint64, took time.Duration, err error) {
	if step == node.StepProve { // several at a time, and of no block
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	switch step {
	case node.StepPost:
		t.post(height, now.Add(-took), now, err != nil)
		return
	case node.StepBuild:
		t.item.derived = false
		t.building = made{ref: block.Ref{Height: height}, start: now.Add(-took), marks: append(t.building.marks[:0], mark{name: "build", end: now})}
		return
	case node.StepDerive:
		t.building.start = time.Time{}
		if height != t.item.ref.Height {
			return
		}
		if t.item.derived = err == nil; !t.item.derived {
			t.item.marks = t.item.marks[:0]
			return
		}
		if len(t.item.marks) == 0 {
			t.item.checked = now.Add(-took)
		}
	}
	m := mark{name: string(step), end: now, failed: err != nil}
	if step == node.StepExecute {
		m.height = height
	}
	switch {
	case !t.building.start.IsZero():
		t.building.marks = add(t.building.marks, m)
	case t.item.derived:
		t.item.marks = add(t.item.marks, m)
	}
}

// add adds a mark. Beyond the bound the last one is moved on.
func add(marks []mark, m mark) []mark {
	if len(marks) == keepMarks {
		marks = marks[:keepMarks-1]
		m.name = others
	}
	return append(marks, m)
}

// block makes the trace of a block that has become part of the chain, or safe.
func (t *Traces) block(a node.Applied) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	if !a.Safe {
		t.produced(&a, now)
		return
	}
	if t.item.derived && a.Source == block.Ref(t.item.ref) {
		if t.export.samples(a.Ref.Hash) {
			t.received(&a, now)
		}
		t.item.marks = add(t.item.marks, mark{name: others, end: now})
	}
	if m, ok := t.made[a.Ref.Height]; ok && m.ref == a.Ref {
		t.confirmed(m, now)
	}
}

// received exports what this node did with a block from the source.
func (t *Traces) received(a *node.Applied, now time.Time) {
	it := &t.item
	var parts []mark
	start := it.given
	switch {
	case it.inline:
		start = earlier(it.announced, start)
		parts = append(parts, mark{name: "queue", end: it.given})
	case !it.announced.IsZero() && it.announced.Before(it.fetching):
		start = it.announced
		parts = append(parts, mark{name: "wait", end: it.fetching}, mark{name: "fetch", end: it.given})
	default: // it was announced while others were fetched, or not by itself
		start = earlier(later(it.announced, it.fetching), start)
		parts = append(parts, mark{name: "fetch", end: it.given})
	}
	if !it.again.IsZero() {
		parts = append(parts, mark{name: "retry", end: it.again, failed: true})
	}
	parts = append(parts, mark{name: "verify", end: it.checked})
	parts = append(parts, own(it.marks, a.Ref.Height)...)
	parts = append(parts, mark{name: "publish", end: now})
	way := "fetched"
	if it.inline {
		way = "inline"
	}
	t.export.block("block", a.Ref, start, parts, attribute.Int64("headrace.source_height", int64(a.Source.Height)), attribute.Int("headrace.txs", a.Txs),
		attribute.String("headrace.way", way), attribute.Bool("headrace.promoted", a.Promoted))
}

// own are the parts of a block among those of its item: what is of other blocks is called so.
func own(marks []mark, height uint64) []mark {
	out := slices.Clone(marks)
	commit := -1 // the last one is the block's
	for i := range out {
		if out[i].name == string(node.StepCommit) {
			commit = i
		}
	}
	for i := range out {
		m := &out[i]
		if m.name == string(node.StepExecute) && m.height != height || m.name == string(node.StepCommit) && i != commit {
			m.name = others
		}
	}
	merged := out[:0]
	for _, m := range out {
		if n := len(merged); n > 0 && m.name == others && merged[n-1].name == others {
			merged[n-1].end, merged[n-1].failed = m.end, merged[n-1].failed || m.failed
			continue
		}
		merged = append(merged, m)
	}
	return merged
}

// produced notes that this node has made a block, if it is sampled.
func (t *Traces) produced(a *node.Applied, now time.Time) {
	m := t.building
	t.building.start = time.Time{}
	if m.start.IsZero() || m.ref.Height != a.Ref.Height || !t.export.samples(a.Ref.Hash) {
		return
	}
	m.ref, m.txs = a.Ref, a.Txs
	m.marks = append(slices.Clone(m.marks), mark{name: "publish", end: now})
	for i := range m.marks {
		if m.marks[i].name == string(node.StepCommit) { // the first keeps what was signed
			m.marks[i].name = "sign"
			break
		}
	}
	if len(t.made) >= keepMade {
		delete(t.made, t.lowest())
	}
	t.made[a.Ref.Height] = m
}

func (t *Traces) lowest() uint64 {
	low := ^uint64(0)
	for h := range t.made {
		low = min(low, h)
	}
	return low
}

// post notes a submission of the blocks up to a height that are not posted yet.
func (t *Traces) post(to uint64, start, end time.Time, failed bool) {
	for h, m := range t.made {
		if h > to || m.posted {
			continue
		}
		if !m.safe.IsZero() && m.safe.Before(start) { // by an earlier one, whose outcome was not known
			t.finish(m)
			continue
		}
		m.marks = add(m.marks, mark{name: "wait", end: start})
		m.marks = add(m.marks, mark{name: "submit", end: end, failed: failed})
		m.posted = !failed
		if !m.safe.IsZero() && m.posted {
			t.finish(m)
			continue
		}
		t.made[h] = m
	}
}

// confirmed notes that a block is safe: followed from the source.
func (t *Traces) confirmed(m made, now time.Time) {
	if m.safe.IsZero() {
		m.safe = now
	}
	if m.posted {
		t.finish(m)
		return
	}
	t.made[m.ref.Height] = m // the submission that has brought it has not returned yet
}

// finish exports the trace of a block of this node's.
func (t *Traces) finish(m made) {
	delete(t.made, m.ref.Height)
	if last := m.marks[len(m.marks)-1].end; m.safe.After(last) {
		m.marks = append(m.marks, mark{name: "confirm", end: m.safe})
	}
	t.export.block("sequence", m.ref, m.start, m.marks, attribute.Int("headrace.txs", m.txs))
}

// reverted forgets blocks that are not part of the chain any more.
func (t *Traces) reverted(from, to uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for h := range t.made {
		if h >= to && h <= from {
			delete(t.made, h)
		}
	}
}

func (t *Traces) called(method string, _ int, took time.Duration, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	t.asked[t.next] = asked{method, now.Add(-took), now, err != nil}
	t.next = (t.next + 1) % keepAsked
}

// subscribed exports the set-up of a subscription: up to the answer of each request in it, and to the first news.
func (t *Traces) subscribed(took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	start := now.Add(-took)
	var parts []mark
	for _, a := range t.asked {
		if a.method != "" && !a.start.Before(start) {
			parts = append(parts, mark{name: a.method, end: a.end, failed: a.failed})
		}
	}
	slices.SortStableFunc(parts, func(a, b mark) int { return a.end.Compare(b.end) })
	t.export.subscription(start, append(parts, mark{name: "announce", end: now}))
}

// later returns the later of two times.
func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// earlier returns the earlier of two times; the zero time does not count.
func earlier(a, b time.Time) time.Time {
	if !a.IsZero() && a.Before(b) {
		return a
	}
	return b
}

// endpointKind is how an address of telemetry.otlp is spoken to.
func endpointKind(scheme string) (grpc, secure bool) {
	return strings.HasPrefix(scheme, "grpc"), scheme == "https" || scheme == "grpcs"
}
