package node_test

import (
	"log/slog"
	"regexp"
	"testing"
	"testing/synctest"

	"headrace/follow"
	"headrace/node"
)

// When another stage stands in the way than before, the log names it by the same keys as at first: docs/LOG.md.
func TestLogTellsAnotherStage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := new(journal)
		a := newAilingWith(t, false, slog.New(slog.NewTextHandler(log, nil)))
		defer a.work.Wait()
		defer a.stop()
		a.until(a.full, "well", func(s node.Status) bool { return s.Ready && s.Heads.Safe.Height >= 30 })
		a.fulls.with.Store("subscribe", true)
		a.until(a.full, "not ready", func(s node.Status) bool { return !s.Ready && s.Stage == follow.StageSubscribe })
		a.fulls.with.Store("fetch", true)
		a.fulls.with.Delete("subscribe")
		a.until(a.full, "not ready for another reason", func(s node.Status) bool { return !s.Ready && s.Stage == follow.StageFetch })
		want := regexp.MustCompile(`msg="not ready, now for this" cause="[^"]+" stage=fetch remedy="[^"]+"\n`)
		if text := log.String(); !want.MatchString(text) {
			t.Errorf("want %s in\n%s", want, text)
		}
	})
}
