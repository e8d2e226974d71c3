package sequencer

import (
	"fmt"
	"math"
	"time"

	"headrace/block"
	"headrace/internal/syncer"
)

// clock gives blocks their times. The machine's own clock may be wrong, by a year or for a moment, and a block of the
// future would make every follower wait. So it is believed only as far as one of two others goes: the source's headers,
// and what has passed, by the monotonic clock, since the parent was made. One of these may stand still; then the other
// goes on. A block is never held back: it has the time that can be shown.
type clock struct {
	wall  func() time.Time
	ahead func() time.Duration // how far a block may be ahead of the source's newest header

	begun  bool      // next was called
	parent block.Ref // of the next block
	since  time.Time // from when on time has passed since it, as far as this process knows
	made   block.Hash
	madeAt time.Time // when made was
}

func newClock(cfg *Config) clock {
	c := clock{wall: cfg.Wall, ahead: cfg.Ahead, since: time.Now()}
	if c.wall == nil {
		c.wall = time.Now
	}
	if c.ahead == nil {
		c.ahead = func() time.Duration { return 30 * time.Second }
	}
	return c
}

// limited is by how much clocks must differ before the status says so.
const limited = time.Second

// next returns the time of the block after p, and, if the own clock was not believed, what the clocks say. source is
// the time of the newest header of the source; zero if none is known.
func (c *clock) next(p syncer.Parent, source time.Time) (at uint64, why string) {
	switch {
	case !c.begun: // the parent was there at the start
	case c.parent == p.Ref:
	case p.Ref.Hash == c.made:
		c.since = c.madeAt
	default:
		c.since = time.Now()
	}
	c.begun, c.parent = true, p.Ref
	own := nanos(c.wall())
	most, by := later(p.Time, time.Since(c.since)), "the last block and what has passed since"
	if bound := later(nanos(source), c.ahead()); !source.IsZero() && bound > most {
		most, by = bound, "the newest header of the source, of "+format(nanos(source))+","
	}
	at = max(min(own, most), later(p.Time, 1))
	switch {
	case own > later(most, limited) && source.IsZero():
		why = fmt.Sprintf("this machine's clock says %s, and is not believed until the source shows a header: until then %s has it at most %s", format(own), by, format(most))
	case own > later(most, limited):
		why = fmt.Sprintf("this machine's clock says %s, and is not believed: %s would have it at most %s; check the clock, and whether the source has new blocks", format(own), by, format(most))
	case later(own, limited) < p.Time:
		why = fmt.Sprintf("this machine's clock says %s, and is behind the last block, of %s: block times stand still until it is past that; check the clock", format(own), format(p.Time))
	}
	return at, why
}

// signed notes that the block with this hash was made at a moment.
func (c *clock) signed(hash block.Hash, at time.Time) { c.made, c.madeAt = hash, at }

// nanos returns a time as a block has it. What it cannot express is the first or the last one that it can.
func nanos(t time.Time) uint64 {
	switch {
	case t.Unix() < 0:
		return 0
	case t.Unix() >= math.MaxInt64/1_000_000_000:
		return math.MaxInt64
	}
	return uint64(t.UnixNano())
}

// later returns the time d after t, or the last one.
func later(t uint64, d time.Duration) uint64 {
	if d := uint64(max(d, 0)); t <= math.MaxUint64-d {
		return t + d
	}
	return math.MaxUint64
}

func format(t uint64) string {
	if t > math.MaxInt64 {
		return fmt.Sprintf("%d ns since 1970", t)
	}
	return time.Unix(0, int64(t)).UTC().Format(time.RFC3339)
}
