package node

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"headrace/follow"
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
	if blockTime < 0 {
		return staleAfter * living
	}
	blockTime = cmp.Or(blockTime, up.unknown)
	bound := staleAfter * blockTime
	if up.slots {
		bound += blockTime / 2
	}
	return max(bound, minStall)
}

// readiness computes from lag and age whether the node is ready, why not, and when the answer may change by the clock
// alone (I5).
func readiness(s *Status, src follow.State, up *upstream, blockTime time.Duration, now time.Time) (ready bool, reason string, next time.Duration) {
	bound, age := up.bound(blockTime), now.Sub(src.AdvancedAt)
	if blockTime < 0 { // nothing but that it answers is a sign of life
		age = now.Sub(src.NewsAt)
	}
	kind, layer, paused := up.unit, up.layer, ""
	if s.Sequencer != nil {
		paused = s.Sequencer.Paused
	}
	blocked := func(or string) string {
		if len(s.Waiting) > 0 {
			w := s.Waiting[0]
			return fmt.Sprintf("%s (%s at %d)", w.Cause, w.Stage, w.Height)
		}
		return or
	}
	switch {
	case s.Disk != "":
		return false, s.Disk, 0
	case src.AdvancedAt.IsZero():
		return false, blocked(fmt.Sprintf("waiting for the first news from the %s at %s", layer, addresses(s.Source.Endpoints))), 0
	case engineAway(s):
		return false, blocked(""), bound - age
	case age >= bound && blockTime < 0:
		return false, blocked(fmt.Sprintf("the %s at %s has not answered for %s, the bound is %s", layer, addresses(s.Source.Endpoints), age.Round(time.Millisecond), bound)), time.Second
	case age >= bound && src.Head.Height < src.Highest:
		return false, blocked(fmt.Sprintf("the head of the %s has gone back from %d to %d", layer, src.Highest, src.Head.Height)), time.Second
	case age >= bound && paused != "":
		return false, blocked(fmt.Sprintf("no new %s block for %s, the bound is %s; and no block is made here: %s", kind, age.Round(time.Millisecond), bound, paused)), time.Second
	case age >= bound:
		return false, blocked(fmt.Sprintf("no new %s block for %s, the bound is %s", kind, age.Round(time.Millisecond), bound)), time.Second
	case up.resets && src.Head.Height < s.Source.Position.Height:
		return false, fmt.Sprintf("the %s ends at height %d, and has been read up to height %d: it has begun anew without what it held; begin with a new home, too", layer, src.Head.Height, s.Source.Position.Height), bound - age
	case s.Source.Lag > staleAfter:
		return false, blocked(fmt.Sprintf("catching up: %d %s blocks behind", s.Source.Lag, kind)), bound - age
	case s.headless:
		return false, s.Unseen, bound - age
	case src.Waiting.Stage != 0 && now.Sub(src.Waiting.Since) >= bound:
		return false, blocked("stalled"), bound - age
	case s.Sequencer != nil && s.Sequencer.Stuck != "":
		return false, s.Sequencer.Stuck, bound - age
	case paused != "":
		return false, paused, bound - age
	}
	next = bound - age
	if src.Waiting.Stage != 0 {
		next = min(next, bound-now.Sub(src.Waiting.Since))
	}
	return true, "", next
}

// engineAway reports whether the engine is not there, or behind what is stored: reads of its state would be wrong.
func engineAway(s *Status) bool {
	return len(s.Waiting) > 0 && (s.Waiting[0].Stage == follow.StageEngine || s.Waiting[0].Stage == follow.StageReplay)
}

// addresses lists those of endpoints.
func addresses(of []Endpoint) string {
	names := make([]string, len(of))
	for i := range of {
		names[i] = of[i].Address
	}
	return strings.Join(names, ", ")
}
