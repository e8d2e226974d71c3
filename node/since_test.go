package node_test

import (
	"testing"
	"time"

	"headrace/follow"
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
