package fault

import (
	"context"
	"math/rand/v2"
	"time"

	"headrace/da"
)

// Chaos mixes faults by chance.
type Chaos struct {
	Seed       uint64
	Menu       []Fault        // to choose from; each kind once, with its defaults, if empty
	Every      time.Duration  // one begins about as often: 5 s
	Last       time.Duration  // one lasts about as long: 2 s
	Namespaces []da.Namespace // half of the faults hit only one of them, if there are any

	// Begin, if not nil, is called with each fault that begins.
	Begin func(Fault)
}

// Run adds faults to s until ctx ends, and then takes those that it added away and returns ctx's error. The same seed gives the same faults at
// the same times.
func (c Chaos) Run(ctx context.Context, s *Set) error {
	rng := rand.New(rand.NewPCG(c.Seed, 0))
	if len(c.Menu) == 0 {
		for _, k := range Kinds() {
			if k != BelowTail { // there is no height that suits everyone
				c.Menu = append(c.Menu, Fault{Kind: k})
			}
		}
	}
	if c.Every <= 0 {
		c.Every = 5 * time.Second
	}
	if c.Last <= 0 {
		c.Last = 2 * time.Second
	}
	var ids []int
	defer func() {
		for _, id := range ids {
			s.Remove(id)
		}
	}()
	for {
		next := time.NewTimer(about(rng, c.Every)) // the pace of the chaos
		select {
		case <-ctx.Done():
			next.Stop()
			return ctx.Err()
		case <-next.C:
		}
		f := c.Menu[rng.IntN(len(c.Menu))]
		f.For = Duration(about(rng, c.Last))
		if len(c.Namespaces) > 0 && f.Namespace == nil && f.Kind.perNamespace() && rng.IntN(2) == 0 {
			f.Namespace = &c.Namespaces[rng.IntN(len(c.Namespaces))]
		}
		id, err := s.Add(f)
		if err != nil {
			return err // a fault in Menu that cannot be
		}
		ids = append(s.inForce(ids), id)
		if c.Begin != nil {
			f.ID = id
			c.Begin(f)
		}
	}
}

// about returns a time between half of d and one and a half.
func about(rng *rand.Rand, d time.Duration) time.Duration {
	return d/2 + time.Duration(rng.Int64N(int64(d)))
}
