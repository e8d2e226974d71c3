package sequencer_test

import (
	"testing"
	"testing/synctest"
	"time"

	"headrace/follow"
	"headrace/internal/sequencer"
	"headrace/watch"
)

// The pause between two tries of a submission ends at once when the follower sees the source come back, and no sooner: that
// the source is there all the time ends nothing.
func TestPauseEndsWhenTheSourceIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := watch.New(follow.State{Subscribed: true})
		backoff := follow.Backoff{Min: time.Hour, Max: time.Hour}
		paused := func() time.Duration {
			start := time.Now()
			if err := sequencer.Pause(t.Context(), source, &backoff); err != nil {
				t.Fatal(err)
			}
			return time.Since(start)
		}
		if d := paused(); d < 30*time.Minute {
			t.Errorf("a source that is there: paused %s, want the whole pause", d)
		}
		go func() {
			time.Sleep(time.Second)
			source.Set(follow.State{})
			time.Sleep(time.Minute)
			source.Set(follow.State{Subscribed: true})
		}()
		if d := paused(); d != 61*time.Second {
			t.Errorf("a source that comes back after 61 s: paused %s", d)
		}
	})
}
