package node

import (
	"fmt"
	"log/slog"
	"strings"
	"time"

	"headrace/follow"
)

// tellEach is how often a catch-up is logged.
const tellEach = 10 * time.Second

// teller logs what changes of readiness, of endpoints and of a catch-up: each edge once, and no retry. It is owned by
// publish.
type teller struct {
	ready bool                 // as was logged last
	again bool                 // it was ready before
	since time.Time            // since when it is not; zero: it is, or was never
	stage follow.Stage         // that was named last
	lost  map[string]time.Time // endpoints, and since when
	catch time.Time            // when the catch-up was logged last; zero: it is over
	began time.Time            // when that began
}

// tell logs what a new status changes. Patience is how long an endpoint may fail, and a new node not be ready.
func (n *Node) tell(s *Status, patience time.Duration) {
	n.tellReady(s, patience)
	n.tellEndpoints(s, patience)
	n.tellCatchUp(s)
}

func (n *Node) tellReady(s *Status, patience time.Duration) {
	t := &n.told
	switch {
	case s.Ready && !t.ready && !t.again:
		n.log.Info("ready", "after", s.At.Sub(s.StartedAt).Round(time.Millisecond))
	case s.Ready && !t.ready:
		n.log.Info("ready again", "after", s.At.Sub(t.since).Round(time.Millisecond))
	case !s.Ready && t.ready, !s.Ready && t.since.IsZero() && s.At.Sub(s.StartedAt) >= patience:
		t.since, t.stage = s.At, s.Stage
		n.log.Warn("not ready", "cause", s.Reason, "stage", s.Stage, "remedy", s.Remedy)
	case !s.Ready && !t.since.IsZero() && s.Stage != t.stage:
		t.stage = s.Stage
		n.said.Tell(n.log, slog.LevelWarn, "not ready, now for this", s.Stage.String(), "cause", s.Reason, "stage", s.Stage, "remedy", s.Remedy)
	}
	if t.ready = s.Ready; s.Ready {
		t.again, t.stage = true, 0
	}
}

func (n *Node) tellEndpoints(s *Status, patience time.Duration) {
	t := &n.told
	for _, e := range s.Source.Endpoints {
		since, lost := t.lost[e.Address+e.Role]
		switch {
		case !lost && !e.Healthy && s.At.Sub(e.Since) >= patience:
			if t.lost == nil {
				t.lost = map[string]time.Time{}
			}
			t.lost[e.Address+e.Role] = e.Since
			n.log.Warn("endpoint lost", "address", e.Address, "role", e.Role, "err", e.LastError)
		case lost && e.Healthy:
			delete(t.lost, e.Address+e.Role)
			n.log.Info("endpoint found", "address", e.Address, "role", e.Role, "after", s.At.Sub(since).Round(time.Millisecond))
		}
	}
}

func (n *Node) tellCatchUp(s *Status) {
	t, c := &n.told, s.Source.CatchUp
	switch {
	case c != nil && t.catch.IsZero() && s.At.Sub(c.Since) >= tellEach, c != nil && !t.catch.IsZero() && s.At.Sub(t.catch) >= tellEach:
		t.catch, t.began = s.At, c.Since
		n.log.Info("catching up", "height", s.Source.Position.Height, "head", s.Source.Head.Height, "percent", fmt.Sprintf("%.1f", c.Percent), "rate", fmt.Sprintf("%.1f/s", c.Rate), "eta", c.ETA)
	case c == nil && !t.catch.IsZero():
		n.log.Info("at the head", "height", s.Source.Position.Height, "after", s.At.Sub(t.began).Round(time.Millisecond))
		t.catch = time.Time{}
	}
}

// modeReplica is Status.Mode of a replica.
const modeReplica = "replica"

// meansOf says what it means that a node of this mode waits at a stage.
func meansOf(mode string, stage follow.Stage) string {
	if mode == modeReplica {
		means, _ := stage.AtReplica()
		return means
	}
	return stage.Means()
}

// remedyOf says what to do about it.
func remedyOf(mode string, stage follow.Stage) string {
	if mode == modeReplica {
		_, remedy := stage.AtReplica()
		return remedy
	}
	return stage.Remedy()
}

// Why says in a few lines for a reader whether the node is ready, and all that waits.
func (s *Status) Why() string {
	var b strings.Builder
	if s.Ready {
		fmt.Fprintf(&b, "ready: safe head %d, %s\n", s.Heads.Safe.Height, s.ChainID)
	} else {
		fmt.Fprintf(&b, "not ready: %s\n  %s: %s\n  what to do: %s\n", s.Reason, s.Stage, meansOf(s.Mode, s.Stage), s.Remedy)
	}
	for _, w := range s.Waiting {
		fmt.Fprintf(&b, "waits: %s at %d, for %s: %s\n", w.Stage, w.Height, s.At.Sub(w.Since).Round(time.Millisecond), w.Cause)
	}
	return b.String()
}
