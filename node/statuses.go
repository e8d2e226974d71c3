package node

import (
	"headrace/await"
	"headrace/watch"
)

// statuses is the status of a node, and the parts of it that many wait for: a change wakes those alone whom it concerns.
type statuses struct {
	*watch.Value[Status]
	tips               *watch.Value[tip]
	heads              map[await.Label]*watch.Level[Status]
	position, proposal *watch.Level[Status]
	ready              *watch.Level[Status] // 1: it is
}

// tip is what a stream of blocks looks at.
type tip struct {
	Heads Heads
	Live  bool
}

func tipOf(s Status) tip { return tip{s.Heads, s.Source.Live} }

func newStatuses(v *watch.Value[Status]) *statuses {
	level := func(of func(s Status) uint64) *watch.Level[Status] { return watch.LevelOf(v, of) }
	s := &statuses{
		Value: v, tips: watch.Part(v, tipOf), heads: map[await.Label]*watch.Level[Status]{},
		position: level(func(s Status) uint64 { return s.Source.Position.Height }),
		proposal: level(func(s Status) uint64 {
			if s.Proposal == nil {
				return 0
			}
			return s.Proposal.ID
		}),
		ready: level(func(s Status) uint64 {
			if s.Ready {
				return 1
			}
			return 0
		}),
	}
	for _, l := range []await.Label{await.Safe, await.Unsafe, await.Finalized} {
		s.heads[l] = level(func(s Status) uint64 { return s.Heads.of(l).Height })
	}
	return s
}
