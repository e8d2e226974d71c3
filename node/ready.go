package node

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"headrace/follow"
	"headrace/internal/syncer"
)

// staleAfter is how many block times may pass without news, or with a lag, before the node is not ready (I5). living is
// that time for a source whose blocks come on demand, which is asked so often whether it is there.
const (
	staleAfter = 3
	living     = 2 * time.Second
)

// minStall is the least that the node waits for: what the news of a block may be late by has nothing to do with how often
// blocks come.
const minStall = time.Second

// bound returns for how long the source may be silent, or the node behind it, before the node is not ready. With slots it
// is half a slot more: two missed ones in turn, and a block that is late in the third, are no reason.
func (up *upstream) bound(blockTime time.Duration) time.Duration {
	blockTime = up.each(blockTime)
	bound := staleAfter * blockTime
	if up.slots && blockTime != living {
		bound += blockTime / 2
	}
	return max(bound, minStall)
}

// each returns how often a block of the source comes, as far as one has to reckon with it.
func (up *upstream) each(blockTime time.Duration) time.Duration {
	if blockTime < 0 {
		return living
	}
	return cmp.Or(blockTime, up.unknown)
}

// row is one thing that is in the way, or may be: a Waiting, and what it means for readiness.
type row struct {
	Waiting
	after   time.Duration // from Since on it makes the node not ready when it has lasted so long
	past    time.Time     // it counts from then on, if that is later: things have got on in spite of it
	never   bool          // it makes nothing not ready: another row does if it lasts
	symptom bool          // a cause, where one is known, is told in its place
	told    bool          // it is in the status before it makes the node not ready
	bare    bool          // its cause says all: neither stage nor height beside it
	own     bool          // of the sequencer, or of the stream: it follows from the rest, as a rule, and is no cause of that
}

func (r *row) late(now time.Time) bool { return !r.never && r.left(now) <= 0 }

// left is how long it may last yet.
func (r *row) left(now time.Time) time.Duration {
	since := r.Since
	if r.past.After(since) {
		since = r.past
	}
	return r.after - now.Sub(since)
}

func (r *row) text() string {
	if r.bare {
		return r.Cause
	}
	return fmt.Sprintf("%s (%s at %d)", r.Cause, r.Stage, r.Height)
}

// verdict is whether a node is ready, why not, and when the answer may change by the clock alone.
type verdict struct {
	ready   bool
	reason  string
	stage   follow.Stage // of what stands in the way
	waiting []Waiting
	next    time.Duration
}

// judge computes readiness from the rows, the most telling first (I5).
func judge(rows []row, before []Waiting, at time.Time) (v verdict) {
	since(rows, before, at)
	v = verdict{ready: true, waiting: []Waiting{}, next: time.Hour}
	var cause, sent *row
	for i := range rows {
		r := &rows[i]
		known := !r.symptom && (r.told || r.late(at))
		if cause == nil && known && !r.own {
			cause = r
		}
		if sent == nil && known && r.own && r.Stage == follow.StageSubmit {
			sent = r
		}
	}
	var told []*row
	for i := range rows {
		r := &rows[i]
		late := r.late(at)
		if r.told || late {
			told = append(told, r)
		}
		if !r.never && !late {
			v.next = min(v.next, r.left(at))
		}
		if !late || !v.ready {
			continue
		}
		switch {
		case !r.symptom:
		case r.own && sent != nil: // what is not posted follows from what becomes of submissions
			r = sent
		case cause != nil:
			r = cause
		}
		v.ready, v.reason, v.stage = false, r.text(), r.Stage
	}
	if !v.ready {
		v.next = min(v.next, time.Second) // texts have ages in them
	}
	for _, r := range told {
		w := r.Waiting
		w.Since = standsSince(told, r)
		v.waiting = append(v.waiting, w)
	}
	return v
}

// standsSince returns since when what a row tells has stood. A symptom and what else is told of its stage and height are
// one trouble: what was announced is not applied, no block of the chain has come for longer than that, and at last the
// call that is to fetch it has failed.
func standsSince(told []*row, r *row) time.Time {
	since := r.Since
	for _, o := range told {
		if o.Stage == r.Stage && o.Height == r.Height && (o.symptom || r.symptom) && o.Since.Before(since) {
			since = o.Since
		}
	}
	return since
}

// since says of each row since when it stands, where nobody has noted that: since it was first published. The height may
// rise meanwhile, as that of a submission that fails does.
func since(now []row, before []Waiting, at time.Time) {
	for i := range now {
		w := &now[i].Waiting
		if !w.Since.IsZero() {
			continue
		}
		w.Since = at
		if j := slices.IndexFunc(before, func(b Waiting) bool { return b.Stage == w.Stage && !b.Since.IsZero() }); j >= 0 {
			w.Since = before[j].Since
		}
	}
}

// view is all that readiness is computed from.
type view struct {
	*Status
	sync      *syncer.Status
	src       follow.State
	up        *upstream
	blockTime time.Duration
	busy      syncer.Busy
	pace      pace
	quiet     time.Duration // how long the chain goes without a block; 0: not known yet
	wasReady  bool
	seen      *seen
	now       time.Time
}

// pace is that of a sequencer's own blocks. The zero pace: it makes none.
type pace struct {
	each     time.Duration // a block is made so often at least
	delay    time.Duration // it may wait for so long before it is posted
	unposted time.Time     // when the lowest block that is not safe was made; zero: there is none
}

// seen is what was seen before, to tell since when something stands. It is owned by publish.
type seen struct {
	position mark // since when the position stands while the head is above it
	proven   mark // since when that stands while the position is above it
	missing  mark // since when the next block lacks a part
	below    mark // since when the source's head is below the position
	unproven time.Time
}

// mark is a height, and since when it is that.
type mark struct {
	height uint64
	since  time.Time
}

// at notes a height, and returns since when it is that. If nothing waits, it begins anew.
func (m *mark) at(height uint64, waits bool, now time.Time) time.Time {
	if !waits || m.height != height || m.since.IsZero() {
		*m = mark{height, now}
	}
	return m.since
}

// rows returns all that is in the way or may be, the most telling first.
func (v *view) rows() []row {
	bound, src := v.up.bound(v.blockTime), v.src
	var out []row
	add := func(r ...row) { out = append(out, r...) }
	if v.Disk != "" {
		add(row{Waiting: Waiting{Stage: follow.StageDisk, Height: v.Heads.Unsafe.Height, Cause: v.Disk}, told: true, bare: true})
	}
	add(v.loop(bound)...)
	add(v.news()...)
	add(v.relayed(bound)...)
	add(v.head(bound)...)
	add(v.anew()...)
	add(v.behind(bound)...)
	if v.headless {
		add(row{Waiting: Waiting{Stage: follow.StageDerive, Height: v.sync.Missing.Height, Cause: v.Unseen}, bare: true, told: true})
	}
	add(v.streaming(bound)...)
	add(v.missing(bound)...)
	add(v.proving(bound)...)
	add(v.engine(bound)...)
	add(v.endpoints(bound)...)
	if !src.AdvancedAt.IsZero() {
		add(v.chain()...)
		add(v.making(bound)...)
	}
	add(v.compared()...)
	return append(v.unsafeOnly(bound, out), out...)
}

// ofSource are the stages of a source that is silent.
var ofSource = map[follow.Stage]bool{follow.StageSource: true, follow.StageSubscribe: true, follow.StageFetch: true, follow.StageHead: true, follow.StageEndpoint: true}

// unsafeOnly is that the unsafe head goes on while nothing comes from the source: what is said of the source then, in
// rows, is that.
func (v *view) unsafeOnly(bound time.Duration, rows []row) []row {
	silent := cmp.Or(v.src.AdvancedAt, v.StartedAt)
	if v.blockTime < 0 {
		silent = cmp.Or(v.src.NewsAt, v.StartedAt)
	}
	if v.up.nodes != nil {
		silent = cmp.Or(v.up.nodes.heard.since(), v.StartedAt)
	}
	if v.Sequencer != nil || v.Unsafe == nil || v.Heads.Unsafe.Height <= v.Heads.Safe.Height || !v.sync.UnsafeAt.At.After(silent) {
		return nil
	}
	cause := fmt.Sprintf("unsafe only: blocks %d to %d are signed by the proposer, and nothing has come from the %s for %s", v.Heads.Safe.Height+1, v.Heads.Unsafe.Height, v.up.layer, v.now.Sub(silent).Round(time.Millisecond))
	for i := range rows {
		r := &rows[i]
		if r.symptom || r.Since.IsZero() || !r.told && !r.late(v.now) {
			continue
		}
		if !ofSource[r.Stage] { // this node has another trouble
			return nil
		}
		cause += ": " + r.text()
		break
	}
	return []row{{Waiting: Waiting{Stage: follow.StageUnsafe, Height: v.Heads.Safe.Height + 1, Since: silent, Cause: cause}, after: bound, bare: true}}
}

// loop is what the section or the follower's loop does not get on with. An engine that is away, or behind what is
// stored, counts at once: reads of its state would be wrong.
func (v *view) loop(bound time.Duration) []row {
	w := v.src.Waiting
	if st := v.sync.Stage; st != (syncer.Stage{}) && st.Cause != syncer.NotCompared {
		first := v.sync.StageSince
		if !w.Since.IsZero() && w.Since.Before(first) {
			first = w.Since
		}
		w = Waiting{Stage: st.Name, Height: st.Height, Cause: st.Cause, Since: first, Next: w.Next}
	}
	if w == (Waiting{}) {
		return nil
	}
	if _, below := v.below(); w.Stage == follow.StageRevert && !below.IsZero() && below.Before(w.Since) {
		w.Since = below // that the source's head is below shows by now why it is
	}
	r := row{Waiting: w, after: bound, told: true}
	if w.Stage == follow.StageEngine || w.Stage == follow.StageReplay {
		r.after = 0
	}
	return []row{r}
}

// compared is that the engine has not been asked yet where it stands, as after each start. Whatever else is known says more.
func (v *view) compared() []row {
	if st := v.sync.Stage; st.Cause == syncer.NotCompared {
		return []row{{Waiting: Waiting{Stage: st.Name, Height: st.Height, Since: v.sync.StageSince, Cause: st.Cause}, told: true, symptom: true}}
	}
	return nil
}

// news is why none comes. How long that may last the row of the head says.
func (v *view) news() []row {
	if w := v.src.News; w != (follow.Waiting{}) {
		return []row{{Waiting: w, never: true, told: true}}
	}
	return nil
}

// head is the silence of the source, or its standing still.
func (v *view) head(bound time.Duration) []row {
	src, kind, layer := v.src, v.up.unit, v.up.layer
	r := row{Waiting: Waiting{Stage: follow.StageHead, Height: src.Head.Height, Since: src.AdvancedAt}, after: bound, symptom: true, bare: true}
	if v.blockTime < 0 { // nothing but that it answers is a sign of life
		r.Since = src.NewsAt
	}
	if v.up.nodes != nil {
		r.Since = cmp.Or(v.up.nodes.heard.since(), v.StartedAt)
	}
	age := v.now.Sub(r.Since).Round(time.Millisecond)
	paused := ""
	if v.Sequencer != nil {
		paused = v.Sequencer.Paused
	}
	switch {
	case src.AdvancedAt.IsZero():
		r.Stage, r.Since, r.after = follow.StageSubscribe, v.StartedAt, 0
		r.Cause = fmt.Sprintf("waiting for the first news from the %s at %s", layer, addresses(v.Source.Endpoints))
	case v.up.nodes != nil:
		r.Cause = fmt.Sprintf("the %s at %s has told nothing new of the %s for %s, the bound is %s", layer, addresses(v.Source.Endpoints), v.up.nodes.layer, age, bound)
	case v.blockTime < 0:
		r.Cause = fmt.Sprintf("the %s at %s has not answered for %s, the bound is %s", layer, addresses(v.Source.Endpoints), age, bound)
	case src.Head.Height < src.Highest:
		r.Cause = fmt.Sprintf("the head of the %s has gone back from %d to %d", layer, src.Highest, src.Head.Height)
	case paused != "":
		r.Cause = fmt.Sprintf("no new %s block for %s, the bound is %s; and no block is made here: %s", kind, age, bound, paused)
	default:
		r.Cause = fmt.Sprintf("no new %s block for %s, the bound is %s", kind, age, bound)
	}
	return []row{r}
}

// heardAt returns when the canonical source last showed that it goes on, by what is heard here of it: by a new height,
// or, if its blocks come on demand, by an answer.
func heardAt(up *upstream, src follow.State) time.Time {
	if up.blockTime() < 0 {
		return src.NewsAt
	}
	return src.AdvancedAt
}

// relayed is that no node which a replica follows is ready itself, by what they have said lately.
func (v *view) relayed(bound time.Duration) []row {
	if v.up.nodes == nil {
		return nil
	}
	cause, height := v.up.nodes.unready(v.now, bound)
	if cause == "" {
		return nil
	}
	return []row{{Waiting: Waiting{Stage: follow.StageSource, Height: height, Cause: cause}, told: true, bare: true}}
}

// below reports whether the source's head is below what has been read of it, and since when, if it was never seen higher.
func (v *view) below() (below bool, since time.Time) {
	at := v.Source.Position.Height
	below = !v.src.AdvancedAt.IsZero() && v.src.Head.Height < at
	lower := below && v.src.Highest < at
	if since = v.seen.below.at(at, lower, v.now); !lower {
		since = time.Time{}
	}
	return below, since
}

// anew is that the source's head is below what has been read of it. A layer which keeps nothing when it ends has begun
// anew. Another one may only be behind, if it has not been seen higher since the start.
func (v *view) anew() []row {
	at, head := v.Source.Position.Height, v.src.Head.Height
	below, since := v.below()
	switch {
	case below && v.up.resets:
		return []row{{Waiting: Waiting{
			Stage: follow.StageRevert, Height: at,
			Cause: fmt.Sprintf("the %s ends at height %d, and has been read up to height %d: it has begun anew without what it held; begin with a new home, too", v.up.layer, head, at),
		}, bare: true, told: true}}
	case below && v.src.Highest < at:
		return []row{{Waiting: Waiting{
			Stage: follow.StageHead, Height: head, Since: since,
			Cause: fmt.Sprintf("the %s ends at height %d, and this home has read it up to %d: the endpoint is behind, or its chain has begun anew, and then this home is of no more use", v.up.layer, head, at),
		}, after: v.up.bound(v.blockTime), bare: true}}
	}
	return nil
}

// behind is that the node has not taken in what was announced. A node that was at the head may be behind for as long as
// the head may be silent: a burst, after an outage of the source or of a dev chain that is told to, is gone through
// meanwhile. One that was not has to reach it first.
func (v *view) behind(bound time.Duration) []row {
	at := v.Source.Position.Height
	stands := v.seen.position.at(at, v.Source.Lag > 0, v.now)
	if v.Source.Lag == 0 {
		return nil
	}
	rows := []row{{
		Waiting: Waiting{Stage: follow.StageFetch, Height: at + 1, Since: stands, Cause: fmt.Sprintf("it was announced, and has not been applied for %s", v.now.Sub(stands).Round(time.Millisecond))},
		after:   bound, symptom: true,
	}}
	if v.Source.Lag > staleAfter {
		lag := row{
			Waiting: Waiting{Stage: follow.StageCatchUp, Height: at, Cause: fmt.Sprintf("catching up: %d %s blocks behind", v.Source.Lag, v.up.unit)},
			symptom: true, bare: true,
		}
		if v.Source.CatchUp != nil {
			lag.Since = v.Source.CatchUp.Since
		}
		if v.wasReady {
			lag.after = bound
		}
		if first := []row{lag}; rows[0].late(v.now) { // it does not come nearer
			rows = append(rows, lag)
		} else {
			rows = append(first, rows...)
		}
	}
	return rows
}

// missing is a part of the next block that has not come, though other parts are here. Of one and the same block that may
// last as long as anything else. That they are read again, and not here meanwhile, is no end of it: the block itself is.
func (v *view) missing(bound time.Duration) []row {
	m, cause := &v.seen.missing, missing(v.sync.Missing)
	if cause == "" {
		if m.height != v.Heads.Safe.Height+1 {
			*m = mark{}
		}
		return nil
	}
	stands := m.at(v.sync.Missing.Height, true, v.now)
	return []row{{Waiting: Waiting{Stage: follow.StageDerive, Height: v.sync.Missing.Height, Cause: cause, Since: stands}, after: bound, told: true}}
}

// proving is that what was applied is not shown to be complete: nothing of it for too long, or too little.
func (v *view) proving(bound time.Duration) []row {
	proven, at := v.Source.Proven.Height, v.Source.Position.Height
	stands := v.seen.proven.at(proven, proven < at, v.now)
	if proven >= at {
		v.seen.unproven = time.Time{}
		return nil
	}
	if at-proven <= staleAfter {
		v.seen.unproven = time.Time{}
	} else if v.seen.unproven.IsZero() {
		v.seen.unproven = v.now
	}
	cause := fmt.Sprintf("%d %s blocks are applied and not proven", at-proven, v.up.unit)
	if v.sync.Proof != "" {
		cause += ": " + v.sync.Proof
	}
	r := row{Waiting: Waiting{Stage: follow.StageProve, Height: proven + 1, Cause: cause, Since: stands}, after: bound, told: v.sync.Proof != ""}
	if far := v.seen.unproven; !far.IsZero() {
		if far.Before(stands) {
			r.Since = far
		}
		if !v.wasReady {
			r.after = 0
		}
	}
	return []row{r}
}

// streaming is that the node's blocks do not get into their stream. It serves them all the same, so it is ready, unless
// another node has published another block as final: then one of the two serves what is wrong.
func (v *view) streaming(bound time.Duration) []row {
	s := v.Stream
	if s == nil || s.State == StreamPublishing {
		return nil
	}
	r := row{Waiting: Waiting{Stage: follow.StageStream, Height: s.At.Height + 1, Since: s.Since, Cause: s.Cause}, own: true, bare: true}
	if s.State == StreamStopped {
		r.told = true
		return []row{r}
	}
	r.never, r.told = true, v.now.Sub(s.Since) >= bound
	return []row{r}
}

// engine is a call to it that does not return.
func (v *view) engine(bound time.Duration) []row {
	b := v.busy
	if b.Since.IsZero() {
		return nil
	}
	stage := follow.StageEngine
	switch b.Step {
	case syncer.StepExecute:
		stage = follow.StageExecute
	case syncer.StepBuild:
		stage = follow.StageProduce
	}
	return []row{{
		Waiting: Waiting{Stage: stage, Height: b.Height, Since: b.Since, Cause: fmt.Sprintf("the engine was asked to %s, and has not answered for %s", b.Step, v.now.Sub(b.Since).Round(time.Millisecond))},
		after:   bound, told: v.now.Sub(b.Since) >= bound/staleAfter, // it may be the cause of what has lasted longer
	}}
}

// kind is what an endpoint can do in the place of others. News and blocks of an L1 are had over HTTP and by a WebSocket
// alike; the beacon API has something else.
func (e *Endpoint) kind() string {
	if e.Role == "beacon" {
		return e.Role
	}
	return "source"
}

// endpoints are those that fail, or are silent. The node is not ready when all of one kind have failed for too long: one
// that has for a week says nothing of the moment in which another one does, too.
func (v *view) endpoints(bound time.Duration) (out []row) {
	serves, all := map[string]bool{}, map[string]time.Time{} // whether one does, and since when none
	for _, e := range v.Source.Endpoints {
		kind := e.kind()
		if serves[kind] = serves[kind] || e.Healthy; e.Since.After(all[kind]) {
			all[kind] = e.Since
		}
	}
	for _, e := range v.Source.Endpoints {
		if e.Healthy && !e.Silent.IsZero() { // another one does not: that is no reason
			out = append(out, row{
				Waiting: Waiting{
					Stage: follow.StageEndpoint, Height: e.Head, Since: e.Silent,
					Cause: fmt.Sprintf("%s is silent: it has announced nothing for %s, and another endpoint is %d heights ahead", e.Address, v.now.Sub(e.HeadAt).Round(time.Millisecond), e.Lag),
				},
				never: true, told: true, bare: true,
			})
		}
		if e.Healthy {
			continue
		}
		r := row{Waiting: Waiting{Stage: follow.StageEndpoint, Height: e.Head, Since: e.Since, Cause: fmt.Sprintf("%s fails: %s", e.Address, e.LastError)}, after: bound, past: all[e.kind()], bare: true}
		r.never, r.told = serves[e.kind()], !e.Since.IsZero() && v.now.Sub(e.Since) >= bound
		out = append(out, r)
	}
	return out
}

// chain is that the chain itself does not go on while the source does, at its own pace: that of its blocks, and that of
// the source's heights which bring some. Of a sequencer the rows of making and posting say more.
func (v *view) chain() []row {
	if v.Sequencer != nil || v.up.nodes != nil || v.Heads.Safe.Hash.IsZero() || v.quiet == 0 { // a replica's source judges that
		return nil
	}
	each := max(v.quiet, v.waits(), v.up.each(v.blockTime)*time.Duration(max(v.sync.Rhythm.Heights, 1)))
	habit := "and did so each"
	if v.sync.Rhythm.Busy {
		habit = "which was never idle yet, and may be for"
	}
	at := v.sync.SafeAt.At
	stood := v.now.Sub(at).Round(time.Millisecond)
	r := row{
		Waiting: Waiting{
			Stage: follow.StageChain, Height: v.Heads.Safe.Height + 1, Since: at,
			Cause: fmt.Sprintf("the %s brings no new block of the chain for %s, %s %s", v.up.layer, stood, habit, each.Round(time.Millisecond)),
		},
		after: v.up.bound(each), symptom: true,
	}
	if v.Source.Lag > 0 { // it may, and nobody here knows
		r.Stage, r.Height = follow.StageFetch, v.Source.Position.Height+1
		r.Cause = fmt.Sprintf("it was announced, and is not applied; there has been no new block of the chain for %s", stood)
	}
	return []row{r}
}

// waits returns how long blocks wait to be posted with others: as the setting says, or as they have. That a block which is
// made behind one proposal is in the next takes two L1 blocks, and is no such wait.
func (v *view) waits() time.Duration {
	if v.up.delay > 0 || !v.up.slots {
		return v.up.delay
	}
	return max(v.sync.Rhythm.Waited-2*v.up.each(v.blockTime), 0)
}

// quiet returns how long the chain goes without a block when all is well; 0: that is not known yet. One that was never
// idle may be a lazy one that is busy, and how long those may be idle only the setting says.
func (o *Options) quiet(r syncer.Rhythm) time.Duration {
	if r.Busy {
		return max(r.Quiet, cmp.Or(o.Config.Sequencer.LazyInterval, time.Minute))
	}
	return r.Quiet
}

// making is what a sequencer does not get on with.
func (v *view) making(bound time.Duration) (out []row) {
	q := v.Sequencer
	if q == nil {
		return nil
	}
	safe, layer := v.Heads.Safe.Height, v.up.layer
	if q.Stuck != "" && q.Pending > 0 {
		out = append(out, row{Waiting: Waiting{Stage: follow.StageSubmit, Height: safe + 1, Cause: q.Stuck}, bare: true, told: true, own: true})
	}
	if q.Paused != "" {
		out = append(out, row{Waiting: Waiting{Stage: follow.StageProduce, Height: v.Heads.Unsafe.Height + 1, Cause: q.Paused, Since: q.Stopped}, bare: true, told: true, own: true})
	} else if v.pace.each > 0 {
		out = append(out, row{
			Waiting: Waiting{
				Stage: follow.StageProduce, Height: v.Heads.Unsafe.Height + 1, Since: v.sync.UnsafeAt.At,
				Cause: fmt.Sprintf("no block has been made for %s, one is due each %s", v.now.Sub(v.sync.UnsafeAt.At).Round(time.Millisecond), v.pace.each),
			},
			after: max(staleAfter*v.pace.each, minStall), own: true,
		})
	}
	if q.Failure != "" && q.Stuck == "" && q.Pending > 0 { // what is reported as failed may be on the layer all the same
		out = append(out, row{Waiting: Waiting{Stage: follow.StageSubmit, Height: safe + 1, Cause: q.Failure}, after: bound, past: v.sync.SafeAt.At, told: true, own: true})
	} else if f := q.Flight; f != nil && q.Stuck == "" {
		out = append(out, row{
			Waiting: Waiting{
				Stage: follow.StageSubmit, Height: f.From, Since: f.Since, Next: f.Deadline,
				Cause: fmt.Sprintf("blocks %d to %d were sent to the %s, which has not answered for %s", f.From, f.To, layer, v.now.Sub(f.Since).Round(time.Millisecond)),
			},
			after: bound, own: true, told: v.now.Sub(f.Since) >= bound/staleAfter,
		})
	}
	return append(out, v.posting(bound)...)
}

// posting is that the lowest block which is not safe has been that for too long. Its turn comes when the submission
// before it is through, which may take as long as its own.
func (v *view) posting(bound time.Duration) []row {
	made := v.pace.unposted
	if made.IsZero() {
		return nil
	}
	ripe := made.Add(v.pace.delay) // until then it may wait for others to be posted with it
	turn := ripe
	if safe := v.sync.SafeAt.At; safe.After(ripe) {
		turn = safe
		if latest := ripe.Add(bound); turn.After(latest) {
			turn = latest
		}
	}
	return []row{{
		Waiting: Waiting{
			Stage: follow.StagePost, Height: v.Heads.Safe.Height + 1, Since: turn,
			Cause: fmt.Sprintf("it was made %s ago and is not on the %s yet, with %d blocks after it", v.now.Sub(made).Round(time.Millisecond), v.up.layer, v.Sequencer.Pending-1),
		},
		after: bound, own: true, symptom: true,
	}}
}

// readiness judges a node by its status.
func (n *Node) readiness(o *opened, s *Status, sync *syncer.Status, src follow.State, blockTime time.Duration, now time.Time) verdict {
	before := n.status.Load()
	v := view{
		Status: s, sync: sync, src: src, up: o.up, blockTime: blockTime, busy: o.up.syncer.Busy(), pace: n.pace(o, sync), quiet: n.opt.quiet(sync.Rhythm),
		wasReady: before.Ready, seen: &n.seen, now: now,
	}
	got := judge(v.rows(), before.Waiting, now)
	got.next = min(got.next, o.up.bound(blockTime)) // a call to the engine begins without a word
	return got
}

// pace returns that of the node's own blocks.
func (n *Node) pace(o *opened, sync *syncer.Status) (p pace) {
	c := &o.opt.Config.Sequencer
	if o.seq == nil {
		return p
	}
	if p.each = cmp.Or(c.BlockTime, time.Second); c.Lazy {
		p.each = max(p.each, cmp.Or(c.LazyInterval, time.Minute))
	}
	p.delay = o.up.delay
	if sync.Unsafe.Height > sync.Safe.Height {
		p.unposted = n.madeAt(o, sync.Safe.Height+1)
	}
	return p
}

// madeAt returns when a block of the sequencer's own was made. What is stored of the last one asked for is remembered.
func (n *Node) madeAt(o *opened, height uint64) time.Time {
	if ref, err := o.store.Ref(height); err == nil && n.oldest.Ref != ref {
		if rec, err := o.store.Block(height); err == nil {
			n.oldest = Applied{Ref: ref, Made: rec.Block.Made()}
		}
	}
	if n.oldest.Ref.Height != height {
		return time.Time{}
	}
	return o.seq.MadeAt(n.oldest.Ref, n.oldest.Made)
}

// addresses lists those of endpoints.
func addresses(of []Endpoint) string {
	names := make([]string, len(of))
	for i := range of {
		names[i] = of[i].Address
	}
	return strings.Join(names, ", ")
}
