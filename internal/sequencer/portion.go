package sequencer

import "time"

// portion is how much is submitted at once. It goes by what becomes of submissions, not by what is said of them: what
// stands before a node may refuse a large one in any words.
type portion struct {
	most  int // bytes, at most
	limit int // bytes, now

	walled time.Time // when a size was found to be too large; zero: none was
	raised bool      // limit was raised since something was posted
	from   uint64    // the first block of the submissions whose outcome is unknown
	times  int       // how often that was so in a row, of the same blocks
}

// wall is how long a size that was refused is not tried again.
const wall = 10 * time.Minute

// posted notes that a submission was included.
func (p *portion) posted(now time.Time) {
	p.times, p.raised = 0, false
	if p.limit < p.most && now.Sub(p.walled) >= wall {
		p.limit, p.raised = min(2*p.limit, p.most), true
	}
}

// tooBig notes that a submission of so many bytes was refused as too large: half of it is tried, and that is remembered.
func (p *portion) tooBig(size int, now time.Time) {
	p.limit, p.walled, p.times = max(min(p.limit, size)/2, 1), now, 0
}

// whole takes back a limit that comes of unknown outcomes alone, and reports whether there was one.
func (p *portion) whole(now time.Time) bool {
	if p.limit >= p.most || now.Sub(p.walled) < wall {
		return false
	}
	p.limit, p.raised, p.times = p.most, false, 0
	return true
}

// unknown notes that the outcome of a submission is unknown. When that repeats for the same blocks, half of them are
// tried. If one block alone fares no better, it was not the size.
func (p *portion) unknown(from, to uint64, size int, now time.Time) {
	if p.from != from {
		p.from, p.times = from, 0
	}
	switch p.times++; {
	case p.times < 2:
	case to == from:
		p.limit, p.raised = p.most, false
	default:
		p.limit = max(min(p.limit, size)/2, 1)
		if p.raised { // a smaller one was posted
			p.walled = now
		}
	}
}
