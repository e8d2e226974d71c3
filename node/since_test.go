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
