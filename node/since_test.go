package node_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"headrace/follow"
	"headrace/internal/syncer"
	"headrace/node"
)

// What waits says since when: as it was noted, or since it was first seen to wait, however its height and cause change.
func TestWaitingSince(t *testing.T) {
	noted, first, now := time.Unix(1, 0), time.Unix(2, 0), time.Unix(3, 0)
	before := []node.Waiting{{Stage: follow.StageSubmit, Height: 7, Cause: "refused", Since: first}, {Stage: follow.StageFetch, Height: 1, Since: noted}}
	is := []node.Waiting{
		{Stage: follow.StageFetch, Height: 2, Since: now}, {Stage: follow.StageSubmit, Height: 9, Cause: "timeout"}, {Stage: follow.StageProduce, Height: 9},
	}
	node.Since(is, before, now)
	for i, want := range []time.Time{now, first, now} {
		if is[i].Since != want {
			t.Errorf("%+v: want it since %s", is[i], want)
		}
	}
}

// A node at the head may be behind for as long as the head may be silent, and one that was not has to reach it first.
func TestBurstIsNoLag(t *testing.T) {
	for _, c := range []struct {
		wasReady bool
		lag      uint64
		ago      time.Duration
		want     bool
	}{
		{true, 3, time.Hour, true}, {false, 3, time.Hour, true},
		{true, 1000, 2900 * time.Millisecond, true}, {true, 1000, 3 * time.Second, false},
		{false, 4, 0, false}, {false, 1000, time.Second, false},
	} {
		if got := node.ReadyBehind(c.wasReady, c.lag, time.Now().Add(-c.ago)); got != c.want {
			t.Errorf("%+v: got ready %t", c, got)
		}
	}
}

// Both the section and the follower's loop may fail first. The later one of them does not make the trouble a new one.
func TestLoopStandsSinceItsFirstFailure(t *testing.T) {
	early, late, now, none := time.Unix(1, 0), time.Unix(2, 0), time.Unix(3, 0), time.Time{}
	for _, c := range [][3]time.Time{{early, late, early}, {late, early, early}, {early, none, early}} {
		if got := node.LoopSince(c[0], c[1], now); !got.Equal(c[2]) {
			t.Errorf("section %s, follower %s: got %s", c[0], c[1], got)
		}
	}
}

// A chain that stands is told of after three times as long as it is ever quiet. One that was never idle may be lazy, and
// is given the time for that.
func TestChainStands(t *testing.T) {
	for _, c := range []struct {
		rhythm syncer.Rhythm
		lazy   time.Duration
		ago    time.Duration
		lag    uint64
		want   string // in the reason; "": it is ready
	}{
		{syncer.Rhythm{Quiet: 5 * time.Second}, 0, 14 * time.Second, 0, ""},
		{syncer.Rhythm{Quiet: 5 * time.Second}, 0, 15 * time.Second, 0, "no new block of the chain for 15s, and did so each 5s"},
		{syncer.Rhythm{Quiet: 5 * time.Second, Busy: true}, 0, 179 * time.Second, 0, ""},
		{syncer.Rhythm{Quiet: 5 * time.Second, Busy: true}, 0, 180 * time.Second, 0, "for 3m0s, which was never idle yet, and may be for 1m0s"},
		{syncer.Rhythm{Quiet: 5 * time.Second, Busy: true}, time.Hour, 2 * time.Hour, 0, ""},
		{syncer.Rhythm{Quiet: 5 * time.Second, Busy: true}, time.Second, 15 * time.Second, 0, "may be for 5s"},
		{syncer.Rhythm{Quiet: 5 * time.Second}, 0, 15 * time.Second, 1, "it was announced, and is not applied; there has been no new block of the chain for 15s (fetch at 11)"},
	} {
		ready, reason := node.ReadyStanding(c.rhythm, c.lazy, c.ago, c.lag)
		if ready != (c.want == "") || !strings.Contains(reason, c.want) {
			t.Errorf("%+v: got ready %t, %q", c, ready, reason)
		}
	}
}

// A node is ready as long as one endpoint of each kind serves. A WebSocket and HTTP of an L1 can do the same.
func TestEndpointsOfAKind(t *testing.T) {
	now := time.Now()
	at := func(role string, failing time.Duration) node.Endpoint {
		return node.Endpoint{Address: role, Role: role, Healthy: failing == 0, Since: now.Add(-failing)}
	}
	const long = time.Minute
	for _, c := range []struct {
		endpoints []node.Endpoint
		ready     bool
		waits     int
	}{
		{[]node.Endpoint{at("da", 0)}, true, 0},
		{[]node.Endpoint{at("da", 2*time.Second)}, true, 0},
		{[]node.Endpoint{at("da", 3*time.Second)}, false, 1},
		{[]node.Endpoint{at("da", long), at("da", 0)}, true, 1},
		{[]node.Endpoint{at("da", 2*time.Second), at("da", 0)}, true, 0},
		{[]node.Endpoint{at("news", long), at("read", 0)}, true, 1},
		{[]node.Endpoint{at("news", 0), at("read", long)}, true, 1},
		{[]node.Endpoint{at("news", long), at("read", long)}, false, 2},
		{[]node.Endpoint{at("news", 0), at("read", 0), at("beacon", long)}, false, 1},
		{[]node.Endpoint{at("da", long), at("da", 2*time.Second)}, true, 1}, // the other one served until a moment ago
		{[]node.Endpoint{at("da", 2*time.Second), at("da", long)}, true, 1},
		{[]node.Endpoint{at("da", long), at("da", 3*time.Second)}, false, 2},
		{[]node.Endpoint{at("news", time.Second), at("read", long), at("beacon", 0)}, true, 1},
		{[]node.Endpoint{at("news", 0), at("beacon", 0), at("beacon", long)}, true, 1},
	} {
		ready, waiting := node.ReadyBy(c.endpoints, now)
		if ready != c.ready || len(waiting) != c.waits {
			t.Errorf("%+v: got ready %t, %+v, want %t, %d rows", c.endpoints, ready, waiting, c.ready, c.waits)
		}
	}
}

// That the endpoint's chain is shown to be another one says more than that it ends below what was read, from when it is
// known on; and the node that was not ready is not ready then.
func TestBelowWhatWasRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // its clock stands
		for ago, late := range map[time.Duration]bool{2 * time.Second: false, 3 * time.Second: true, time.Hour: true} {
			says := func(what string, w follow.Waiting, want string) {
				t.Helper()
				if got := node.ReadyBelow(ago, w); !late && got != "" || late && !strings.Contains(got, want) {
					t.Errorf("below for %s, %s: got %q, want %q if that is late", ago, what, got, want)
				}
			}
			says("no more is known", follow.Waiting{}, "ends at height 2, and this home has read it up to 10")
			w := follow.Waiting{Stage: follow.StageRevert, Height: 10, Cause: "its item 2 is another", Since: time.Now().Add(-ago)}
			says("shown at once", w, w.Cause)
			w.Since = time.Now()
			says("shown now", w, w.Cause)
			w.Stage = follow.StageFetch
			says("it waits for something else", w, "ends at height 2")
		}
	})
}

// A node that is behind and does not move is not said to come nearer.
func TestBehindAndStanding(t *testing.T) {
	for ago, want := range map[time.Duration]string{time.Second: "catching up: 9 DA blocks behind", 3 * time.Second: "has not been applied for 3s (fetch at 11)"} {
		if got := node.BehindFor(9, ago); !strings.Contains(got, want) {
			t.Errorf("after %s: got %q, want %q", ago, got, want)
		}
	}
}

// What is reported as failed may be on the layer all the same: a sequencer whose blocks become safe is ready, and so is
// one that has nothing to post. What waits is told since it failed first.
func TestFailuresThatHinderNothing(t *testing.T) {
	for _, c := range []struct {
		pending       uint64
		failing, safe time.Duration
		want          bool
	}{
		{2, 3 * time.Second, 3 * time.Second, false}, {2, time.Hour, 3 * time.Second, false}, {2, 2 * time.Second, time.Hour, true},
		{2, time.Hour, 2 * time.Second, true}, {0, time.Hour, time.Hour, true},
	} {
		ready, since := node.ReadyPosting(node.Sequence{Failure: "refused", Pending: c.pending}, c.failing, c.safe)
		if ready != c.want || c.pending > 0 && time.Since(since).Round(time.Second) != c.failing {
			t.Errorf("%+v: got ready %t, since %s", c, ready, time.Since(since))
		}
	}
	for pending, want := range map[uint64]bool{0: true, 2: false} { // what was sent before it is on the layer, or not
		q := node.Sequence{Failure: "no funds", Stuck: "no funds: fund it", Pending: pending}
		if ready, _ := node.ReadyPosting(q, time.Second, time.Second); ready != want {
			t.Errorf("stuck with %d blocks to post: got ready %t, want %t", pending, ready, want)
		}
	}
}

// A block lacks a part until it is there. Reading again what is here of it does not begin that anew, and the next block
// does.
func TestMissingSinceItsFirstFailure(t *testing.T) {
	start := time.Unix(100, 0)
	got := node.MissingSince(start, []int{0, 1, 2, 0, 0, 3, 0, 1, 1, 0, 0, 1}, []uint64{4, 4, 4, 4, 4, 4, 5, 5, 5, 5, 6, 6})
	want := []int{-1, 1, 1, -1, -1, 1, -1, 7, 7, -1, -1, 11}
	for i, at := range got {
		if want[i] < 0 != at.IsZero() || want[i] >= 0 && !at.Equal(start.Add(time.Duration(want[i])*time.Second)) {
			t.Errorf("look %d: since %s, want second %d", i, at, want[i])
		}
	}
}
