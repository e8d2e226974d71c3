package fault

import (
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"headrace/watch"
)

// Set is the faults in force at one endpoint. The zero value has none and is ready to use; a nil one has none for ever. It must not be copied.
type Set struct {
	mu      sync.Mutex
	faults  []*entry // by the time they were added
	lastID  int
	rng     *rand.Rand
	changed []func()
	version watch.Value[uint64] // counts the changes
	changes uint64              // likewise, as mu guards it
}

type entry struct {
	Fault
	given Fault // as added, for List
	left  int   // of Times
	timer *time.Timer
}

// Seed sets where chance starts from; 1 is the default.
func (s *Set) Seed(seed uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rng = rand.New(rand.NewPCG(seed, seed))
}

// Add puts a fault in force and returns its id.
func (s *Set) Add(f Fault) (id int, err error) {
	if err := f.Check(); err != nil {
		return 0, err
	}
	s.mu.Lock()
	s.lastID++
	f.ID = s.lastID
	e := &entry{Fault: f.withDefaults(), given: f, left: f.Times}
	s.faults = append(s.faults, e)
	if f.For > 0 {
		id := f.ID
		e.timer = time.AfterFunc(time.Duration(f.For), func() { s.Remove(id) }) // ends what lasts for a time
	}
	s.mu.Unlock()
	s.tell()
	return f.ID, nil
}

// Remove ends a fault. It returns false if it has ended already.
func (s *Set) Remove(id int) bool { return s.remove(func(e *entry) bool { return e.ID == id }) > 0 }

// Clear ends all faults.
func (s *Set) Clear() {
	if s != nil {
		s.remove(func(*entry) bool { return true })
	}
}

func (s *Set) remove(which func(*entry) bool) int {
	s.mu.Lock()
	n := len(s.faults)
	for _, e := range s.faults {
		if which(e) && e.timer != nil {
			e.timer.Stop()
		}
	}
	s.faults = slices.DeleteFunc(s.faults, which)
	n -= len(s.faults)
	s.mu.Unlock()
	if n > 0 {
		s.tell()
	}
	return n
}

// List returns the faults in force by their ids. Of those that end after a number of hits, Times is what is left.
func (s *Set) List() []Fault {
	out := []Fault{}
	if s == nil {
		return out
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.faults {
		f := e.given
		f.Times = e.left
		out = append(out, f)
	}
	return out
}

// inForce returns those of ids that have not ended.
func (s *Set) inForce(ids []int) []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(ids, func(id int) bool {
		return !slices.ContainsFunc(s.faults, func(e *entry) bool { return e.ID == id })
	})
}

// OnChange has f called after each change of the faults in force. f must not add or remove faults, and its calls may overlap.
func (s *Set) OnChange(f func()) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changed = append(s.changed, f)
}

// Changes counts the changes of the faults in force, those that end by themselves included. The list is as new as the
// count that was read before it, or newer.
func (s *Set) Changes() *watch.Value[uint64] {
	if s == nil {
		return new(watch.Value[uint64])
	}
	return &s.version
}

func (s *Set) tell() {
	s.mu.Lock()
	s.changes++
	s.version.Set(s.changes)
	changed := slices.Clone(s.changed)
	s.mu.Unlock()
	for _, f := range changed {
		f()
	}
}

// Hit reports whether a fault of a kind hits t, and which: the oldest one that does. It counts as one of its Times, and rolls the dice of its
// Rate. The fault has its defaults filled in.
func (s *Set) Hit(k Kind, t Target) (Fault, bool) {
	if s == nil {
		return Fault{}, false
	}
	s.mu.Lock()
	ended := false
	f, ok := Fault{}, false
	for i, e := range s.faults {
		if e.Kind != k || !e.covers(t) || !s.chance(e.Rate) {
			continue
		}
		f, ok = e.Fault, true
		if e.left > 0 {
			if e.left--; e.left == 0 {
				s.end(i)
				ended = true
			}
		}
		break
	}
	s.mu.Unlock()
	if ended {
		s.tell()
	}
	return f, ok
}

// At reports whether a fault of a kind is in force at t, and returns the oldest one. Like Is, it is no hit and rolls
// no dice.
func (s *Set) At(k Kind, t Target) (Fault, bool) {
	return s.oldest(func(e *entry) bool { return e.Kind == k && e.covers(t) })
}

// end takes the i-th fault away. The caller holds s.mu.
func (s *Set) end(i int) {
	if t := s.faults[i].timer; t != nil {
		t.Stop()
	}
	s.faults = slices.Delete(s.faults, i, i+1)
}

// Is reports whether a fault of a kind is in force anywhere, and returns the oldest one. It is no hit: for states rather
// than events.
func (s *Set) Is(k Kind) (Fault, bool) {
	return s.oldest(func(e *entry) bool { return e.Kind == k })
}

// oldest returns the first fault in force that the caller wants.
func (s *Set) oldest(wanted func(*entry) bool) (Fault, bool) {
	if s == nil {
		return Fault{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.IndexFunc(s.faults, wanted); i >= 0 {
		return s.faults[i].Fault, true
	}
	return Fault{}, false
}

// chance rolls the dice. The caller holds s.mu.
func (s *Set) chance(rate float64) bool {
	if rate == 0 || rate == 1 {
		return true
	}
	if s.rng == nil {
		s.rng = rand.New(rand.NewPCG(1, 1))
	}
	return s.rng.Float64() < rate
}
