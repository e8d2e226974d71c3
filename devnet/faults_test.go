package devnet_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"headrace/da"
	"headrace/da/fault"
	"headrace/da/local"
	"headrace/follow"
	"headrace/internal/latetest"
	"headrace/node"
)

// sign is how the status shows what is wrong while a fault lasts.
type sign struct {
	text  *regexp.Regexp                     // matches the reason, a cause of waiting, or a new error of the endpoint
	other func(before, now node.Status) bool // or this holds
}

func says(pattern string) sign { return sign{text: regexp.MustCompile(pattern)} }

func (s sign) shows(before, now node.Status) bool {
	if s.text == nil {
		return s.other(before, now)
	}
	texts := []string{now.Reason}
	for _, w := range now.Waiting {
		texts = append(texts, w.Cause)
	}
	if e := now.Source.Endpoints[0]; e.Errors > before.Source.Endpoints[0].Errors {
		texts = append(texts, e.LastError)
	}
	return s.text.MatchString(strings.Join(texts, "\n"))
}

// What is healed as it happens is no reason for anything, and shows in the counters alone, or not at all.
var (
	follows = sign{other: func(before, now node.Status) bool {
		return now.Source.Position.Height >= before.Source.Position.Height+8
	}}
	goesOn  = sign{other: func(before, now node.Status) bool { return follows.other(before, now) && now.Source.Lag == 0 }}
	fetched = sign{other: func(before, now node.Status) bool { return now.Counts.FetchedItems >= before.Counts.FetchedItems+3 }}
	skipped = sign{other: func(before, now node.Status) bool { return fmt.Sprint(before.Skipped) != fmt.Sprint(now.Skipped) }}
)

// row is one fault of the matrix and how it shows. docs/FAULTS.md has the same rows.
type row struct {
	name     string
	faults   []fault.Fault
	socket   sign            // with a WebSocket
	polling  sign            // without
	atLevels map[string]sign // if it differs: by level
}

func faultRows() []row {
	dat := da.NamespaceFromName("dat")
	one := func(k fault.Kind) []fault.Fault { return []fault.Fault{{Kind: k}} }
	// What hits only who comes anew is put in force together with an end of all connections.
	anew := func(f fault.Fault) []fault.Fault { return []fault.Fault{f, {Kind: fault.Disconnect, Rate: 0.2}} }
	stalled := says(`no new DA block for`)
	waits := says(`is here, .* its data is not|no header of block \d+ has been posted`)
	unproven := says(`not proven by the header|lost the data of this height`)
	proofs := map[string]sign{"trust": waits}
	slow := says(`endpoint asks to slow down`)
	return []row{
		{"head-behind", []fault.Fault{{Kind: fault.HeadBehind, Depth: 1000}}, says(`head of the DA layer has gone back`), says(`head of the DA layer has gone back`), nil},
		{"pause", one(fault.Pause), stalled, stalled, nil},
		{"syncing", one(fault.Syncing), stalled, says(`syncing in progress|no new DA block for`), nil},
		{"below-tail", []fault.Fault{{Kind: fault.BelowTail, To: 1 << 40}, {Kind: fault.Gap, Rate: 0.5}, {Kind: fault.Refuse, For: fault.Duration(5 * beat)}}, says(`no endpoint keeps height`), says(`no endpoint keeps height`), nil},
		{"other-chain", one(fault.OtherChain), says(`serves another chain`), says(`serves another chain`), nil},
		{"other-chain-id", []fault.Fault{{Kind: fault.OtherChain, Text: "another"}}, says(`headers are of "another"`), says(`headers are of "another"`), nil},
		{"false-empty", one(fault.FalseEmpty), unproven, unproven, map[string]sign{"trust": goesOn}},
		{"false-empty-namespace", []fault.Fault{{Kind: fault.FalseEmpty, Namespace: &dat}}, unproven, unproven, proofs},
		{"false-empty-slow", []fault.Fault{{Kind: fault.FalseEmpty, Delay: fault.Duration(time.Hour)}}, says(`lost the data of this height`), says(`lost the data of this height`), nil},
		{"missing-blob", one(fault.MissingBlob), unproven, unproven, map[string]sign{"trust": goesOn}},
		{"corrupt-blob", one(fault.CorruptBlob), unproven, unproven, map[string]sign{"trust": skipped}},
		{"huge-blob", []fault.Fault{{Kind: fault.HugeBlob, Size: 10_000}}, skipped, skipped, map[string]sign{"prove": unproven}},
		{"gap", []fault.Fault{{Kind: fault.Gap, Rate: 0.5}}, fetched, goesOn, nil},
		{"gap-namespace", []fault.Fault{{Kind: fault.Gap, Rate: 0.5, Namespace: &dat}}, fetched, goesOn, nil},
		{"duplicate", one(fault.Duplicate), goesOn, goesOn, nil},
		{"reorder", []fault.Fault{{Kind: fault.Reorder, Rate: 0.5}}, fetched, goesOn, nil},
		{"stall", one(fault.Stall), says(`subscription is stuck|no new DA block for`), goesOn, nil},
		{"stall-namespace", []fault.Fault{{Kind: fault.Stall, Namespace: &dat}}, says(`subscription is stuck: namespace`), goesOn, nil},
		{"channel-close", one(fault.ChannelClose), says(`server closed the channel`), goesOn, nil},
		{"disconnect", one(fault.Disconnect), says(`connection lost`), goesOn, nil},
		{"half-open", one(fault.HalfOpen), says(`connection is silent`), goesOn, nil},
		{"refuse", anew(fault.Fault{Kind: fault.Refuse}), slow, slow, nil},
		{"unauthorized", anew(fault.Fault{Kind: fault.Unauthorized}), says(`token missing, not valid`), says(`token missing, not valid`), nil},
		{"rate-limited", anew(fault.Fault{Kind: fault.RateLimited}), slow, slow, nil},
		{"no-subscription", anew(fault.Fault{Kind: fault.NoSubscription}), sign{other: func(_, now node.Status) bool { return now.Source.Endpoints[0].Mode == "polling" }}, goesOn, nil},
		{"latency", []fault.Fault{{Kind: fault.Latency, Delay: fault.Duration(beat / 2)}}, goesOn, follows, nil},
		{"bandwidth", []fault.Fault{{Kind: fault.Bandwidth, PerSecond: 4 << 10}}, says(`no new DA block for|is silent|closed the channel|no answer within|catching up`), goesOn, nil},
	}
}

func (r *row) sign(mode string, level da.Level) sign {
	if s, ok := r.atLevels[level.String()]; ok {
		return s
	}
	if mode == "polling" {
		return r.polling
	}
	return r.socket
}

// TestFaults: a full node under load meets each fault at its endpoint, with a WebSocket and without, at each level of
// verification. Its status tells while the fault lasts; when it ends, the node is at the head within three DA block
// times of being connected again, and has every block once (I1, I5, I7, I12).
func TestFaults(t *testing.T) {
	late := latetest.New(t)
	room := make(chan struct{}, 3) // worlds at a time: what two cores can bear
	var all sync.WaitGroup
	levels := []da.Level{da.Trust, da.ProveEmpty, da.Prove}
	for i, r := range faultRows() {
		levels := levels
		if raceDetector() { // ten times as slow: each row at one level, in turn
			levels = levels[i%3 : i%3+1]
		}
		room <- struct{}{}
		all.Go(func() {
			defer func() { <-room }()
			t.Run(r.name, func(t *testing.T) {
				w := newWorld(t, nil)
				w.sequence(t, w.URL())
				w.pace(t)
				var cells sync.WaitGroup
				for _, mode := range []string{"websocket", "polling"} {
					for _, level := range levels {
						cells.Go(func() {
							t.Run(mode+"/"+level.String(), func(t *testing.T) { w.meet(t, late, &r, mode, level) })
						})
					}
				}
				cells.Wait()
			})
		})
	}
	all.Wait()
}

// raceDetector reports whether the test was built with it.
func raceDetector() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// meet runs a full node that meets a fault.
func (w *world) meet(t *testing.T, late *latetest.Meter, r *row, mode string, level da.Level) {
	faults := new(fault.Set)
	defer faults.Clear()
	if mode == "polling" {
		begin(t, faults, fault.Fault{Kind: fault.NoSubscription})
	}
	var count counter
	n := w.node(t, w.endpoint(t, faults), level, func(o *node.Options) { o.Observer.Applied = count.applied })
	before := until(t, n, "at the head", func(s node.Status) bool {
		return s.Ready && s.Source.Live && s.Source.Lag == 0 && s.Heads.Safe.Height >= 5
	})

	var ids []int
	for _, f := range r.faults {
		ids = append(ids, begin(t, faults, f))
	}
	start, hidden := time.Now(), w.Chain().Head().Load().Height+1
	want := r.sign(mode, level)
	told := until(t, n, fmt.Sprintf("telling of the fault (%s)", want.text), func(s node.Status) bool { return want.shows(before, s) })
	// It lasts on for some blocks, whatever the node knows.
	if _, err := w.Chain().Head().Wait(bounded(t), func(h local.Head) bool { return h.Height >= told.Source.Position.Height+8 }); err != nil {
		t.Fatal(err)
	}
	if r.faults[0].Kind == fault.FalseEmpty && level != da.Trust {
		w.checkHidden(t, n, hidden)
	}
	for _, id := range ids {
		faults.Remove(id)
	}
	end, lasted := time.Now(), time.Since(start)
	head, safe := w.Chain().Head().Load().Height, w.seq.Status().Load().Heads.Safe.Height
	until(t, n, fmt.Sprintf("at the head, %d", head), func(s node.Status) bool { return s.Source.Position.Height >= head && s.Source.Lag == 0 })
	took := time.Since(end)
	s := until(t, n, fmt.Sprintf("proven at %d and safe at %d", head, safe), func(s node.Status) bool { return s.Source.Proven.Height >= head && s.Heads.Safe.Height >= safe })
	all := time.Since(end)
	// Pauses between tries double: the next one comes at most about as long after the end as the fault lasted. A dead
	// connection or call is found out first.
	pause := min(lasted, 5*time.Second)
	bound := 3*beat + bounds.Silence + callTimeout + pause + 50*late.Worst(end)
	if took > bound {
		t.Errorf("at the head after %s, want %s at most", took, bound)
	}
	if level == da.Trust { // what is missing is missed by its absence, after 16 heights, or twice as many as the fault lasted
		if made := w.Chain().Head().Load().Height - head; made > 32+2*(head-hidden) {
			t.Errorf("all safe after %d heights, after a fault of %d", made, head-hidden)
		}
	} else if bound += pause; all > bound { // the prover's own
		t.Errorf("all proven after %s, want %s at most", all, bound)
	}
	t.Logf("lasted %s; at the head after %s, all safe and proven after %s", lasted.Round(time.Millisecond), took.Round(time.Millisecond), all.Round(time.Millisecond))
	w.check(t, n, &count, s.Heads.Safe.Height)
}

// checkHidden fails the test if n counts a height as proven whose data has been kept from it since height from (I7).
func (w *world) checkHidden(t *testing.T, n *node.Node, from uint64) {
	t.Helper()
	proven := n.Status().Load().Source.Proven.Height
	for h := from; h <= proven; h++ {
		blobs, err := w.Chain().Blobs(h, da.NamespaceFromName("dat"))
		if err != nil || len(blobs) > 0 {
			t.Fatalf("proven up to %d, but the %d blobs of height %d were hidden (%v)", proven, len(blobs), h, err)
		}
	}
}

// TestFaultsAreAll: every kind of fault is in the matrix, or among those of submissions, and in the document.
func TestFaultsAreAll(t *testing.T) {
	text, err := os.ReadFile("../docs/FAULTS.md")
	if err != nil {
		t.Fatal(err)
	}
	here := map[fault.Kind]bool{}
	for _, k := range submitKinds {
		here[k] = true
	}
	for _, r := range faultRows() {
		here[r.faults[0].Kind] = true
	}
	for _, k := range fault.Kinds() {
		if !here[k] || !strings.Contains(string(text), "| `"+string(k)+"` |") {
			t.Errorf("fault %s: in the matrix: %v; and has it a row in docs/FAULTS.md?", k, here[k])
		}
	}
}

func begin(t *testing.T, s *fault.Set, f fault.Fault) (id int) {
	t.Helper()
	id, err := s.Add(f)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// until waits for a status of n.
func until(t *testing.T, n *node.Node, what string, pred func(node.Status) bool) node.Status {
	t.Helper()
	s, err := n.Status().Wait(bounded(t), pred)
	if err != nil {
		t.Fatalf("node is not %s: %v: %+v", what, err, s)
	}
	return s
}

var submitKinds = []fault.Kind{fault.SubmitReject, fault.SubmitLost, fault.SubmitTimeout}

// TestSubmitFaults: a sequencer whose submissions are refused, lost or not answered says so, and posts everything in
// the end; a full node has every block once.
func TestSubmitFaults(t *testing.T) {
	for _, kind := range submitKinds {
		for _, mode := range []string{"websocket", "polling"} {
			t.Run(string(kind)+"/"+mode, func(t *testing.T) {
				t.Parallel()
				faults := new(fault.Set)
				defer faults.Clear()
				if mode == "polling" {
					begin(t, faults, fault.Fault{Kind: fault.NoSubscription})
				}
				w := newWorld(t, faults)
				w.sequence(t, w.URL())
				var count counter
				n := w.node(t, w.endpoint(t, nil), da.Prove, func(o *node.Options) { o.Observer.Applied = count.applied })
				until(t, n, "at 5", func(s node.Status) bool { return s.Heads.Safe.Height >= 5 })
				id := begin(t, faults, fault.Fault{Kind: kind})
				s := until(t, w.seq, "failing", func(s node.Status) bool {
					return s.Sequencer.Failure != "" && slices.ContainsFunc(s.Waiting, func(w node.Waiting) bool { return w.Stage == follow.StageSubmit })
				})
				until(t, w.seq, "going on", func(now node.Status) bool { return now.Heads.Unsafe.Height >= s.Heads.Unsafe.Height+5 })
				faults.Remove(id)
				made := w.seq.Status().Load().Heads.Unsafe.Height
				end := until(t, n, "level", func(s node.Status) bool { return s.Heads.Safe.Height >= made })
				until(t, w.seq, "well", func(s node.Status) bool { return s.Sequencer.Failure == "" && s.Counts.RevertedUnsafe == 0 })
				w.check(t, n, &count, end.Heads.Safe.Height)
			})
		}
	}
}

// TestChaos: a node follows through faults mixed by chance, and in the end has every block once.
func TestChaos(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			faults := new(fault.Set)
			faults.Seed(seed)
			w := newWorld(t, faults)
			w.sequence(t, w.endpoint(t, nil))
			var count counter
			n := w.node(t, w.URL(), da.Prove, func(o *node.Options) { o.Observer.Applied = count.applied })
			until(t, n, "at 5", func(s node.Status) bool { return s.Heads.Safe.Height >= 5 })
			ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
			defer cancel()
			begun := 0
			chaos := fault.Chaos{Seed: seed, Every: 200 * time.Millisecond, Last: 300 * time.Millisecond, Begin: func(fault.Fault) { begun++ }}
			if err := chaos.Run(ctx, faults); !errors.Is(err, context.DeadlineExceeded) {
				t.Fatal(err)
			}
			head, safe := w.Chain().Head().Load().Height, w.seq.Status().Load().Heads.Safe.Height
			s := until(t, n, "level", func(s node.Status) bool {
				return s.Source.Proven.Height >= head && s.Source.Lag == 0 && s.Heads.Safe.Height >= safe
			})
			w.check(t, n, &count, s.Heads.Safe.Height)
			t.Logf("%d faults, %d blocks", begun, s.Heads.Safe.Height)
		})
	}
}
