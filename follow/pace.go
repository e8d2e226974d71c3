package follow

import (
	"slices"
	"time"
)

// pace measures the time between two heights of one source, as they are announced: the one clock of what waits for a
// block. It is the median of the last samples. Heights that come in a burst are one sample with the gap before them,
// since together they took what the source took to make them. A gap with nothing after it is one sample of several.
// The zero pace has measured nothing. It is not safe for concurrent use.
type pace struct {
	top     uint64 // the highest height announced, and when
	at      time.Time
	samples []sample // the newest last
}

// sample is how long some heights took to be announced.
type sample struct {
	took    time.Duration
	heights uint64
}

func (s sample) each() time.Duration { return s.took / time.Duration(s.heights) }

const (
	paceSamples = 9 // so after five blocks of another pace, that is the pace
	paceLeast   = 3 // before so many nothing is known: one may be an outage
	burstRatio  = 4 // a height that comes in a quarter of the time of those before it belongs to a burst
)

// heard notes that a height was announced.
func (p *pace) heard(height uint64, now time.Time) {
	if height <= p.top {
		return
	}
	if p.top > 0 {
		p.add(sample{now.Sub(p.at), height - p.top})
	}
	p.top, p.at = height, now
}

func (p *pace) add(s sample) {
	if n := len(p.samples); n > 0 && s.each() < p.samples[n-1].each()/burstRatio {
		last := &p.samples[n-1]
		last.took, last.heights = last.took+s.took, last.heights+s.heights
		return
	}
	p.samples = append(p.samples[max(len(p.samples)-paceSamples+1, 0):], s)
}

// typical returns the pace; 0 if it is not known yet.
func (p *pace) typical() time.Duration {
	if len(p.samples) < paceLeast {
		return 0
	}
	each := make([]time.Duration, len(p.samples))
	for i, s := range p.samples {
		each[i] = s.each()
	}
	slices.Sort(each)
	return each[(len(each)-1)/2]
}
