package node

import (
	"time"

	"headrace/follow"
)

// CatchUp is how a node that is behind its source comes on.
type CatchUp struct {
	Since   time.Time `json:"since"`
	From    uint64    `json:"from"`          // the position then
	Percent float64   `json:"percent"`       // of the way from there to the head
	Rate    float64   `json:"rate"`          // heights a second
	ETA     string    `json:"eta,omitempty"` // how long it takes yet; "" while that is not known
}

// sample is where the position was.
type sample struct {
	at     time.Time
	height uint64
}

// A rate is that of the last samples, which are so far apart at least.
const (
	rateSamples = 16
	rateEach    = time.Second
)

// progress measures how fast the position moves on. It is owned by publish.
type progress struct {
	samples []sample
	began   sample // the catch-up; zero: there is none
}

// see notes where the position is.
func (p *progress) see(height uint64, now time.Time) {
	n := len(p.samples)
	if n > 0 && height < p.samples[n-1].height { // it was set back
		p.samples, n = nil, 0
	}
	if n == 0 || now.Sub(p.samples[n-1].at) >= rateEach {
		p.samples = append(p.samples[max(n-rateSamples+1, 0):], sample{now, height})
	}
}

// rate returns the heights a second up to now.
func (p *progress) rate(height uint64, now time.Time) float64 {
	if len(p.samples) == 0 {
		return 0
	}
	first := p.samples[0]
	if took := now.Sub(first.at).Seconds(); took > 0 && height > first.height {
		return float64(height-first.height) / took
	}
	return 0
}

// catchUp returns how the node comes on if it is behind, and notes when that begins and ends.
func (p *progress) catchUp(s *Status, src follow.State, blockTime time.Duration, now time.Time) *CatchUp {
	at := s.Source.Position.Height
	p.see(at, now)
	if s.Source.Lag <= staleAfter {
		p.began = sample{}
		return nil
	}
	if p.began.at.IsZero() || at < p.began.height {
		p.began = sample{now, at}
	}
	c := &CatchUp{Since: p.began.at, From: p.began.height, Rate: p.rate(at, now)}
	c.Percent = 100 * float64(at-c.From) / float64(src.Head.Height-c.From)
	gain := c.Rate // against a head that goes on meanwhile
	if blockTime > 0 {
		gain -= 1 / blockTime.Seconds()
	}
	if gain > 0 {
		eta := time.Duration(float64(s.Source.Lag) / gain * float64(time.Second))
		c.ETA = eta.Round(time.Second).String()
	}
	return c
}
