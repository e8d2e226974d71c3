package disk

import (
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
)

// compactions is a scheduler that can be held. It is held until the database is open: when Pebble fails to open after
// its first flush, it does not wait for the compaction that this has set off, which then reads files that are closed,
// and panics. It is held again when a compaction has met damage: Pebble would try the same one again at once, and
// without end.
//
// Pebble's usual scheduler looks ten times a second whether more compactions are allowed now; with a limit of always
// one there is nothing to see, and an idle database sleeps.
type compactions struct {
	pebble.CompactionScheduler
	run atomic.Bool
}

func newCompactions() *compactions {
	return &compactions{CompactionScheduler: pebble.NewConcurrencyLimitSchedulerWithNoPeriodicGrantingForTest()}
}

// begin lets compactions run. One that waits is set off by the end of another, as which a slot that is given back
// counts.
func (c *compactions) begin() {
	c.run.Store(true)
	if ok, slot := c.TrySchedule(); ok {
		slot.Done()
	}
}

// hold lets no further compaction begin.
func (c *compactions) hold() { c.run.Store(false) }

func (c *compactions) Register(each int, db pebble.DBForCompaction) {
	c.CompactionScheduler.Register(each, held{db, c})
}

// held is a database as its scheduler sees it.
type held struct {
	pebble.DBForCompaction
	by *compactions
}

func (h held) GetAllowedWithoutPermission() int {
	if !h.by.run.Load() {
		return 0
	}
	return h.DBForCompaction.GetAllowedWithoutPermission()
}

func (h held) GetWaitingCompaction() (bool, pebble.WaitingCompaction) {
	if !h.by.run.Load() {
		return false, pebble.WaitingCompaction{}
	}
	return h.DBForCompaction.GetWaitingCompaction()
}
