package syncer_test

import (
	"testing"
	"time"

	"headrace/follow"
	"headrace/internal/syncer"
	"headrace/internal/syncer/syncertest"
)

// TestNoObserverCostsNothing: without an observer, what would tell it allocates nothing on the way of an item.
func TestNoObserverCostsNothing(t *testing.T) {
	m := syncertest.NewWorld(t, -1).Open(syncertest.NewHome(), nil)
	defer m.Close()
	start := time.Now()
	health := follow.NewHealth("http://a", "da", new(follow.Observer))
	for what, tell := range map[string]func(){
		"a step":        func() { m.Took(syncer.StepExecute, 1, start, nil) },
		"a call":        func() { health.Called("blob.GetAll", 1, start, nil) },
		"news":          func() { health.Heard(1, "websocket") },
		"news and none": func() { health.Heard(1, "websocket"); health.Silent(nil) },
	} {
		if n := testing.AllocsPerRun(1000, tell); n != 0 {
			t.Errorf("%s: got %v allocations, want none", what, n)
		}
	}
}
