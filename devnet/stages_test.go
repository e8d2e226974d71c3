package devnet_test

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"sync"
	"testing"
	"time"

	"headrace/block"
	"headrace/da"
	"headrace/da/fault"
	"headrace/da/local"
	"headrace/devnet"
	"headrace/follow"
	"headrace/internal/latetest"
	"headrace/node"
)

// layerTime is the time between the blocks of a layer with faults: long enough for a busy machine to keep to it.
const layerTime = time.Second

// hindrance is what one fault means for readiness.
type hindrance struct {
	name   string
	faults []fault.Fault
	level  da.Level
	seq    bool // a sequencer meets it; otherwise a full node does

	effect
}

// effect is what a fault does to a node's readiness.
type effect struct {
	stages []follow.Stage // it is not ready, at one of these; none: it is ready all the time
	says   string         // what the reason matches
	then   string         // what it matches later; "": the same
	why    string         // it is ready, or ready again, while the fault lasts
}

func stops(says string, at ...follow.Stage) effect { return effect{stages: at, says: says} }
func ready(why string) effect                      { return effect{why: why} }

// later is e with what the reason is when the fault has lasted.
func (e effect) later(says string) effect { e.then = says; return e }

// heals is e with why it is ready again while the fault lasts.
func (e effect) heals(why string) effect { e.why = why; return e }

// hindrances are all faults of headrace da. A kind may have several rows.
func hindrances() []hindrance {
	one := func(k fault.Kind) []fault.Fault { return []fault.Fault{{Kind: k}} }
	// What hits only who comes anew is put in force together with an end of all connections.
	anew := func(k fault.Kind) []fault.Fault { return []fault.Fault{{Kind: k}, {Kind: fault.Disconnect, Rate: 0.5}} }
	const stands, unproven, missing = `no new DA block for`, `applied and not proven: .*lost the data`, `of block \d+ .*(wait|is not)`
	return []hindrance{
		{name: "head-behind", faults: []fault.Fault{{Kind: fault.HeadBehind, Depth: 1000}}, effect: stops(stands+`|gone back`, follow.StageHead).later(`the head of the DA layer has gone back from \d+`)},
		{name: "pause", faults: one(fault.Pause), effect: stops(stands, follow.StageHead)},
		{name: "syncing", faults: one(fault.Syncing), effect: stops(stands, follow.StageHead)},
		{name: "below-tail", faults: []fault.Fault{{Kind: fault.BelowTail, To: 1 << 40}}, level: da.Trust, effect: ready("what is pushed need not be fetched")},
		{name: "below-tail and gaps", faults: []fault.Fault{{Kind: fault.BelowTail, To: 1 << 40}, {Kind: fault.Gap, Times: 2}}, effect: stops(`no endpoint keeps height`, follow.StageFetch)},
		{name: "other-chain", faults: one(fault.OtherChain), effect: stops(`serves another chain`, follow.StageRevert)},
		{name: "other-chain with its id", faults: []fault.Fault{{Kind: fault.OtherChain, Text: "another"}}, effect: stops(`headers are of "another"`, follow.StageSubscribe)},
		{name: "false-empty", faults: one(fault.FalseEmpty), effect: stops(unproven, follow.StageProve)},
		{name: "false-empty, not looked at", faults: one(fault.FalseEmpty), level: da.Trust, effect: stops(`brings no new block of the chain for`, follow.StageChain)},
		{name: "false-empty, late", faults: []fault.Fault{{Kind: fault.FalseEmpty, Delay: fault.Duration(time.Hour)}}, effect: stops(stands, follow.StageHead).later(`catching up|has not been applied for|lost the data`)},
		{name: "missing-blob", faults: one(fault.MissingBlob), effect: stops(missing+"|"+unproven, follow.StageDerive, follow.StageProve)},
		{name: "missing-blob, all looked at", faults: one(fault.MissingBlob), level: da.Prove, effect: ready("the blobs are read out of the proven shares")},
		{name: "missing-blob, not looked at", faults: one(fault.MissingBlob), level: da.Trust, effect: stops(missing+`|brings no new block`, follow.StageDerive, follow.StageChain).later(missing + `|brings no new block|was announced`)},
		{name: "corrupt-blob", faults: one(fault.CorruptBlob), effect: ready("the blobs are read out of the proven shares")},
		{name: "corrupt-blob, all looked at", faults: one(fault.CorruptBlob), level: da.Prove, effect: ready("the blobs are read out of the proven shares")},
		{name: "corrupt-blob, not looked at", faults: one(fault.CorruptBlob), level: da.Trust, effect: stops(missing+`|brings no new block`, follow.StageDerive, follow.StageChain).later(missing + `|brings no new block|was announced`)},
		{name: "huge-blob", faults: []fault.Fault{{Kind: fault.HugeBlob, Size: 10_000}}, effect: ready("it is nobody's block")},
		{name: "huge-blob, all looked at", faults: []fault.Fault{{Kind: fault.HugeBlob, Size: 10_000}}, level: da.Prove, effect: ready("the blobs are read out of the proven shares")},
		{name: "submit-reject", faults: one(fault.SubmitReject), seq: true, effect: stops(`submission rejected`, follow.StageSubmit)},
		{name: "submit-lost", faults: one(fault.SubmitLost), seq: true, effect: ready("what is reported as failed is looked for, and found")},
		{name: "submit-timeout", faults: one(fault.SubmitTimeout), seq: true, effect: stops(`were sent to the DA layer, which has not answered for`, follow.StageSubmit)},
		{name: "gap", faults: []fault.Fault{{Kind: fault.Gap, Times: 2}}, effect: ready("what is left out is fetched")},
		{name: "duplicate", faults: one(fault.Duplicate), effect: ready("the second one is known")},
		{name: "reorder", faults: []fault.Fault{{Kind: fault.Reorder, Rate: 0.5}}, effect: ready("what comes late was fetched")},
		{name: "stall", faults: one(fault.Stall), effect: stops(stands, follow.StageHead).heals("a stuck subscription is left, and the head is asked for")},
		{name: "channel-close", faults: one(fault.ChannelClose), effect: ready("the head is asked for at once")},
		{name: "disconnect", faults: one(fault.Disconnect), effect: ready("the head is asked for at once")},
		{name: "half-open", faults: one(fault.HalfOpen), effect: stops(stands, follow.StageHead).heals("a dead connection is found out, and the head is asked for")},
		{name: "refuse", faults: one(fault.Refuse), effect: ready("a connection that is up goes on")},
		{name: "refuse, anew", faults: anew(fault.Refuse), effect: stops(`asks to slow down: HTTP status 503`, follow.StageSubscribe)},
		{name: "unauthorized", faults: one(fault.Unauthorized), effect: ready("a connection that is up goes on")},
		{name: "unauthorized, anew", faults: anew(fault.Unauthorized), effect: stops(`token missing, not valid, or not sufficient`, follow.StageSubscribe)},
		{name: "rate-limited", faults: one(fault.RateLimited), effect: ready("a connection that is up goes on")},
		{name: "rate-limited, anew", faults: anew(fault.RateLimited), effect: stops(`asks to slow down: HTTP status 429`, follow.StageSubscribe)},
		{name: "no-subscription", faults: one(fault.NoSubscription), effect: ready("a connection that is up goes on")},
		{name: "no-subscription, anew", faults: anew(fault.NoSubscription), effect: ready("the head is asked for at once")},
		{name: "latency", faults: []fault.Fault{{Kind: fault.Latency, Delay: fault.Duration(layerTime / 2)}}, effect: ready("less than a block's time is none")},
		{name: "latency, long", faults: []fault.Fault{{Kind: fault.Latency, Delay: fault.Duration(20 * layerTime)}}, effect: stops(stands, follow.StageHead)},
		{name: "bandwidth", faults: one(fault.Bandwidth), effect: ready("it is enough")},
		{name: "bandwidth, little", faults: []fault.Fault{{Kind: fault.Bandwidth, PerSecond: 256}}, effect: stops(stands, follow.StageHead).later(`.`)},
	}
}

// TestNotReadyForFaults: a node meets each fault of a DA layer, over the wire and with the patience that it has by
// default. One that hinders it makes it not ready within three blocks of the layer, at the stage that it is about and in
// words that name it, since when it is; one that does not leaves it ready, for a reason that the row tells. At no time is
// it ready while its heads have stood for longer. When the fault is over it is ready by itself (I5).
func TestNotReadyForFaults(t *testing.T) {
	t.Parallel()
	w := newLayer(t)
	w.sequenceLayer(t, w.URL())
	busy := &lateness{Meter: latetest.New(t)}
	busy.follow(t, w.seq, layerTime)
	var all sync.WaitGroup
	defer all.Wait()
	for _, h := range hindrances() {
		all.Go(func() { t.Run(h.name, func(t *testing.T) { h.meet(t, w, busy) }) })
	}
}

// Every kind of fault has a row.
func TestNotReadyForAllFaults(t *testing.T) {
	for _, k := range fault.Kinds() {
		if !slices.ContainsFunc(hindrances(), func(h hindrance) bool { return h.faults[0].Kind == k }) {
			t.Errorf("no row says what fault %s means for readiness", k)
		}
	}
}

// newLayer is newWorld on the clock of a layer.
func newLayer(t *testing.T) *world {
	t.Helper()
	w := new(world)
	var err error
	if w.DA, err = devnet.NewDA(devnet.DAOptions{Listen: "127.0.0.1:0", Chain: local.Options{Interval: layerTime}}); err != nil {
		t.Fatal(err)
	}
	background(t, w.Run)
	if w.key, err = block.GenerateKey(block.Ed25519); err != nil {
		t.Fatal(err)
	}
	w.genesis = &block.Genesis{
		ChainID: "hindered", StartTime: time.Now().UTC(), InitialHeight: 1, DAStartHeight: 1, ProposerAddress: w.key.Public().Address(),
		DA: &block.GenesisDA{HeaderNamespace: "hdr", DataNamespace: "dat"},
	}
	return w
}

// byDefault has a node wait as one does that nobody has tuned.
func byDefault(tune func(*node.Options)) func(*node.Options) {
	return func(o *node.Options) {
		d := node.Default().DA
		o.Bounds, o.Config.DA.CallTimeout, o.Config.DA.SubmitTimeout, o.Config.DA.BlockTime = node.Bounds{}, d.CallTimeout, d.SubmitTimeout, layerTime
		if tune != nil {
			tune(o)
		}
	}
}

// sequenceLayer runs a sequencer of two blocks to one of the layer, some of them without transactions.
func (w *world) sequenceLayer(t *testing.T, url string) {
	t.Helper()
	w.seq = w.node(t, url, da.ProveEmpty, byDefault(func(o *node.Options) {
		o.Key, o.Config.Sequencer.Enabled, o.Config.Sequencer.BlockTime = w.key, true, layerTime/2
	}))
	w.load(t, layerTime*3/4)
}

func (h *hindrance) meet(t *testing.T, w *world, busy *lateness) {
	faults := new(fault.Set)
	defer faults.Clear()
	var n *node.Node
	if h.seq {
		w = newLayer(t)
		w.sequenceLayer(t, w.endpoint(t, faults))
		n = w.seq
	} else {
		n = w.node(t, w.endpoint(t, faults), h.level, byDefault(nil))
	}
	m := monitor{T: t, n: n, busy: busy, bound: 3 * layerTime}
	m.until("well", func(s node.Status) bool {
		return s.Ready && s.Source.Live && s.Heads.Safe.Height >= 10 && s.Chain.Quiet != ""
	})
	h.of(&m, func() {
		for _, f := range h.faults {
			begin(t, faults, f)
		}
	}, faults.Clear, w.seq)
}

// of holds a node that a fault begins and ends for against the effect.
func (h *effect) of(m *monitor, begin, end func(), seq *node.Node) {
	m.Helper()
	begin()
	m.begin()
	at := m.n.Status().Load().Source.Head.Height
	if len(h.stages) > 0 {
		h.hinders(m)
	}
	if h.why != "" {
		always := len(h.stages) == 0
		m.until("going on while it lasts", func(s node.Status) bool {
			if moved := m.sinceMoved(&s); always && !s.Ready && (moved < m.bound-layerTime/2 || moved > m.most()) { // between them a busy machine is
				m.Fatalf("not ready %s after its heads moved: %s (%s), %+v", moved, s.Reason, s.Stage, s.Waiting)
			}
			return s.Ready && s.Source.Position.Height >= at+8
		})
	}
	end()
	safe, ended := seq.Status().Load().Heads.Unsafe.Height, time.Now()
	m.until("ready again", func(s node.Status) bool { return s.Ready && len(s.Waiting) == 0 && s.Heads.Safe.Height >= safe })
	m.Logf("ready again %s after its end", time.Since(ended).Round(time.Millisecond))
}

// hinders waits for what the row says of a node that is not ready. A layer that was late itself may have made it not ready
// before the fault did: then it is ready again, and is looked at once more.
func (h *effect) hinders(m *monitor) {
	m.Helper()
	again := h.hinder(m)
	if again != "" && m.layerLate() {
		m.Logf("the layer was late: %s", again)
		again = h.hinder(m)
	}
	if again != "" {
		m.Error(again)
	}
}

// hinder returns what is wrong if the node is ready again.
func (h *effect) hinder(m *monitor) (again string) {
	m.Helper()
	s := m.until("not ready", func(s node.Status) bool { return !s.Ready })
	after := m.stood(&s)
	m.Logf("after %s: %s (%s), %+v, %+v", after.Round(time.Millisecond), s.Reason, s.Stage, s.Waiting, s.Source.Endpoints)
	if most := m.most(); after > most {
		m.Errorf("not ready %s after its heads moved last, want %s at most", after, most)
	}
	// What is true of every trouble may be told before its cause, on a busy machine.
	s = m.until("not ready for the cause itself", func(now node.Status) bool { return now.Ready || h.names(&now) })
	if s.Ready {
		return fmt.Sprintf("it is ready again, want %q (%v)", h.says, h.stages)
	}
	if s.Remedy != s.Stage.Remedy() || len(s.Waiting) == 0 {
		m.Errorf("got %q (%s), %q and %+v, want %q (%v)", s.Reason, s.Stage, s.Remedy, s.Waiting, h.says, h.stages)
	}
	if h.why != "" || len(s.Waiting) == 0 {
		return ""
	}
	first := s.Waiting[0]
	first.Since = standsSince(s.Waiting, first.Stage)
	then := regexp.MustCompile(cmp.Or(h.then, h.says))
	s = m.until("not ready for long, and told why", func(now node.Status) bool {
		return now.At.Sub(s.At) > 3*layerTime && (now.Ready || then.MatchString(now.Reason))
	})
	if s.Ready {
		return fmt.Sprintf("later it is ready, want %q", then)
	}
	if since := standsSince(s.Waiting, first.Stage); since.After(first.Since) {
		m.Errorf("it is at stage %s since %s, and was since %s before: %+v", first.Stage, since, first.Since, s.Waiting)
	}
	return ""
}

// standsSince returns since when a node is at a stage, or the zero time if it is not. A stage may have several rows: what
// was announced is not applied since it was, and the chain has had no block since the one before that.
func standsSince(rows []node.Waiting, at follow.Stage) (since time.Time) {
	for _, w := range rows {
		if w.Stage == at && (since.IsZero() || w.Since.Before(since)) {
			since = w.Since
		}
	}
	return since
}

// names reports whether a status names the cause.
func (h *effect) names(s *node.Status) bool {
	return slices.Contains(h.stages, s.Stage) && regexp.MustCompile(h.says).MatchString(s.Reason)
}

// monitor looks at each status of a node.
type monitor struct {
	*testing.T
	n     *node.Node
	busy  *lateness
	bound time.Duration // that heads may stand for

	since        time.Time // when the fault began
	safe, proven uint64
	moved        [2]time.Time // when each moved last
	news         uint64       // the head of the layer when the safe one did
	newsAt       time.Time    // when the next one was told; zero: it was not
}

// begin notes that a fault begins.
func (m *monitor) begin() { m.since = time.Now() }

// stood is how long the head that has stood for longest did, by the node's clock. A height that is told meanwhile, as by
// a slow link, has as long to be applied; those after it do not.
func (m *monitor) stood(s *node.Status) time.Duration {
	last := later(m.moved[0], m.newsAt)
	if m.moved[1].Before(last) {
		last = m.moved[1]
	}
	return s.At.Sub(later(last, m.since))
}

// sinceMoved is how long the head that has stood for longest did.
func (m *monitor) sinceMoved(s *node.Status) time.Duration {
	return max(s.At.Sub(m.moved[0]), s.At.Sub(m.moved[1]))
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// look notes what has moved.
func (m *monitor) look(s *node.Status) {
	news := s.Source.Head.Height
	if h := s.Heads.Safe.Height; h != m.safe || m.moved[0].IsZero() {
		m.safe, m.moved[0], m.news, m.newsAt = h, s.At, news, time.Time{}
	}
	if news > m.news && m.newsAt.IsZero() {
		m.newsAt = s.At
	}
	if h := s.Source.Proven.Height; h != m.proven || h >= s.Source.Position.Height { // there is nothing to prove
		m.proven, m.moved[1] = h, s.At
	}
}

// most is how long they may stand before the node is not ready, on a machine that is as busy as this one.
func (m *monitor) most() time.Duration {
	return m.bound + 2*time.Second + 10*m.busy.Worst(m.since) + m.busy.blocks(m.since)
}

// layerLate reports whether a block of the layer has been late by half of its time since the fault began.
func (m *monitor) layerLate() bool { return m.busy.blocks(m.since) > layerTime/2 }

// until waits for a status, and holds each that it sees against the promise.
func (m *monitor) until(what string, pred func(node.Status) bool) node.Status {
	m.Helper()
	ctx, cancel := context.WithTimeout(m.Context(), 2*patience)
	defer cancel()
	for {
		s, changed := m.n.Status().Get()
		m.look(&s)
		if stood := m.stood(&s); s.Ready && !m.since.IsZero() && stood > m.most() {
			m.Errorf("ready after its heads have stood for %s, want %s at most, safe at %d, proven %d: %+v, %+v, %+v", stood, m.most(), m.safe, m.proven, s.Waiting, s.Chain, s.Source)
		}
		if pred(s) {
			return s
		}
		select {
		case <-changed:
		case <-ctx.Done():
			m.Fatalf("node is not %s: %+v", what, s)
		}
	}
}
