package node_test

import (
	"strings"
	"testing"
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
		want   string // in the reason; "": it is ready
	}{
		{syncer.Rhythm{Quiet: 5 * time.Second}, 0, 14 * time.Second, ""},
		{syncer.Rhythm{Quiet: 5 * time.Second}, 0, 15 * time.Second, "no new block of the chain for 15s, and did so each 5s"},
		{syncer.Rhythm{Quiet: 5 * time.Second, Busy: true}, 0, 179 * time.Second, ""},
		{syncer.Rhythm{Quiet: 5 * time.Second, Busy: true}, 0, 180 * time.Second, "for 3m0s, which was never idle yet, and may be for 1m0s"},
		{syncer.Rhythm{Quiet: 5 * time.Second, Busy: true}, time.Hour, 2 * time.Hour, ""},
		{syncer.Rhythm{Quiet: 5 * time.Second, Busy: true}, time.Second, 15 * time.Second, "may be for 5s"},
	} {
		ready, reason := node.ReadyStanding(c.rhythm, c.lazy, c.ago)
		if ready != (c.want == "") || !strings.Contains(reason, c.want) {
			t.Errorf("%+v: got ready %t, %q", c, ready, reason)
		}
	}
}
