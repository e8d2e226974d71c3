package celestia

import (
	"sync"
	"time"
)

// lateness is how long after a height's first event an endpoint has pushed its last one, lately: a node under load pushes
// one namespace seconds after the other. It belongs to the endpoint, and outlives its subscriptions. It is safe for
// concurrent use.
type lateness struct {
	mu   sync.Mutex
	most time.Duration // lately: it fades by an eighth with each height
}

// seen notes how long after its first event a height was complete.
func (l *lateness) seen(after time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.most = max(after, l.most-l.most/8)
}

// hold returns how long a height waits for its other events: for half as long again as one has taken lately, within
// bounds.
func (l *lateness) hold(least, most time.Duration) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return max(least, min(l.most+l.most/2, most))
}
