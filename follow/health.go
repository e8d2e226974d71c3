package follow

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Health is how one source has done lately. The source, and whoever else asks it for something, note what happens;
// Best goes by it. The zero Health has nothing against the source. It is safe for concurrent use.
type Health struct {
	mu    sync.Mutex   // guards the rest
	st    SourceStatus // but for Healthy; Lag is what Seen said
	sick  bool
	doubt Backoff       // grows with each failure in a row
	after time.Time     // until then others are asked first
	busy  Backoff       // grows each time it asks to be left alone
	rests time.Time     // until then it wants to be
	asked bool          // its head is known by asking, and its lag is that of then
	pace  pace          // measured from what it announces
	fixed time.Duration // its pace, as somebody knows it; 0: it is measured

	begun uint64 // listenings so far
	heeds uint64 // the number of the last one that was heard: an earlier one does not count; 0: each does

	observer *Observer
}

// Listening is one way to a source's news, from when it is subscribed to until it ends. Ways may overlap, as where a
// subscription takes over from polling: then the one that began later counts once it is heard, until it ends, and what
// the earlier one still says, or that it ends, does not. It is safe for concurrent use.
type Listening struct {
	health *Health
	number uint64 // the later it began, the higher
}

// SourceStatus is what is known of a source.
type SourceStatus struct {
	Address string // of its endpoint, without what is secret in it; "" if it has none
	Role    string // what the endpoint is used for

	Healthy bool          // the last thing asked of it was answered, or it has not been asked
	Since   time.Time     // when that was found to have changed; zero if it never did
	Live    bool          // subscribed to, and news has come
	Mode    string        // how its news comes, such as "websocket" or "polling"; "" while it does not
	Head    uint64        // height announced last; 0: none yet
	HeadAt  time.Time     // when it was
	Pace    time.Duration // about the time between two heights; 0: not known yet
	Lag     uint64        // heights behind the source that is furthest, as Several knows it
	Silent  time.Time     // since when it announces nothing, though another of Several has; zero: it keeps up, or is not subscribed to

	Calls     uint64 // that were answered, or failed
	Errors    uint64 // of them, that failed in a way that speaks against the source
	LastError string
	ErrorAt   time.Time // when that was; zero: there was none
}

// Monitored is a source that has a Health of its own: what is noted beside Subscribe and Fetch counts then too.
type Monitored interface{ Health() *Health }

// NewHealth returns the Health of a source with an endpoint: its address, without what is secret in it, what it is
// used for, and who is told of how its news comes and of what it is asked.
func NewHealth(address, role string, observer *Observer) *Health {
	return &Health{st: SourceStatus{Address: address, Role: role}, observer: observer}
}

// Status returns what is known.
func (h *Health) Status() SourceStatus {
	h.mu.Lock()
	defer h.mu.Unlock()
	st := h.st
	st.Healthy = !h.sick
	return st
}

// Listen begins to listen to the source, in one of its ways.
func (h *Health) Listen() *Listening {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.begun++
	return &Listening{health: h, number: h.begun}
}

// Heard notes news of the source's head, and how it came.
func (l *Listening) Heard(height uint64, mode string) {
	h := l.health
	h.mu.Lock()
	defer h.mu.Unlock()
	if l.number < h.heeds {
		return
	}
	h.heeds = l.number
	h.heard(height, mode)
}

// Silent notes that no more news comes this way, and why.
func (l *Listening) Silent(why error) {
	h := l.health
	h.mu.Lock()
	defer h.mu.Unlock()
	if l.number == h.heeds {
		h.heeds = 0 // an earlier one that goes on is heard again
		h.silent(why)
	}
}

// Heard notes news of the source's head, and how it came. Where ways to its news may overlap, each has a Listening.
func (h *Health) Heard(height uint64, mode string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.heard(height, mode)
}

// heard is Heard. The caller holds h.mu.
func (h *Health) heard(height uint64, mode string) {
	now := time.Now()
	h.turn(false, now)
	h.st.Head, h.st.HeadAt, h.st.Live, h.st.Silent = height, now, true, time.Time{}
	h.mode(mode, nil)
	h.asked = false
	if h.pace.heard(height, now); h.fixed == 0 {
		h.st.Pace = h.pace.typical()
	}
}

// Seen notes the head that the source has given when it was asked, while no news of it comes, and how far that was
// behind others then.
func (h *Health) Seen(height, behind uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.st.Live {
		h.st.Head, h.st.HeadAt, h.st.Lag, h.asked = height, time.Now(), behind, true
	}
}

// Standing returns the height that others are measured by: the one it announced last, or 0 if it fails and has
// announced nothing for a minute.
func (h *Health) Standing() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.sick && time.Since(h.st.HeadAt) > time.Minute {
		return 0
	}
	return h.st.Head
}

// behind returns how many heights the source is behind best, the highest that is known of any.
func (h *Health) behind(best uint64) uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.asked {
		return h.st.Lag
	}
	return max(best, h.st.Head) - h.st.Head
}

// Paced fixes the pace, which somebody knows. It is not measured then. A negative one: the source has none, and its
// pace stays unknown.
func (h *Health) Paced(each time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.fixed, h.st.Pace = each, max(each, 0)
}

// shortest is the patience with a source of very short block times: about what a busy machine takes to notice.
const shortest = 500 * time.Millisecond

// Patience returns how long the source's silence is no sign of anything: three of its heights, but not longer than most,
// which is also the answer while its pace is not known.
func (h *Health) Patience(most time.Duration) time.Duration {
	if pace := h.Status().Pace; pace > 0 {
		return min(max(3*pace, shortest), most)
	}
	return most
}

// Silent notes that no more news comes, until Heard, and why.
func (h *Health) Silent(why error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.silent(why)
}

// silent is Silent. The caller holds h.mu.
func (h *Health) silent(why error) {
	h.st.Live, h.st.Silent = false, time.Time{}
	h.mode("", why)
}

// overtaken notes that another source has announced a height.
func (h *Health) overtaken(height uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.st.Live && height > h.st.Head && h.st.Silent.IsZero() {
		h.st.Silent = time.Now()
	}
}

// mode notes how news comes. The caller holds h.mu.
func (h *Health) mode(mode string, err error) {
	if h.st.Mode == mode {
		return
	}
	h.st.Mode = mode
	if h.observer != nil && h.observer.Mode != nil {
		h.observer.Mode(h.st.Address, mode, err)
	}
}

// Called tells the observer of a request, or n in a batch, that was made at start.
func (h *Health) Called(method string, n int, start time.Time, err error) {
	if h.observer != nil && h.observer.Called != nil {
		h.observer.Called(method, n, time.Since(start), err)
	}
}

// Good notes that something was answered.
func (h *Health) Good() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.st.Calls++
	h.turn(false, time.Now())
	h.doubt.Reset()
	h.busy.Reset()
	h.after = time.Time{}
}

// Bad notes that something failed which speaks against the source. For a while, longer with each failure in a row,
// others are asked first.
func (h *Health) Bad(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	h.turn(true, now)
	h.st.Calls++
	h.st.Errors++
	h.st.LastError, h.st.ErrorAt = err.Error(), now
	h.doubt.Min, h.doubt.Max = time.Second, time.Minute
	h.after = now.Add(h.doubt.Next())
}

// turn notes whether the source fails. The caller holds h.mu.
func (h *Health) turn(sick bool, now time.Time) {
	if h.sick != sick {
		h.sick, h.st.Since = sick, now
	}
}

// Rest notes that the source has asked to be left alone: for d at least, and longer if it has asked again and again.
func (h *Health) Rest(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.busy.Min, h.busy.Max = 200*time.Millisecond, 2*time.Second
	h.rests = time.Now().Add(max(d, h.busy.Next()))
}

// Rested waits until the source may be asked again after it has asked to be left alone.
func (h *Health) Rested(ctx context.Context) error {
	h.mu.Lock()
	d := time.Until(h.rests)
	h.mu.Unlock()
	if d <= 0 {
		return nil
	}
	return sleep(ctx, d, nil)
}

// ErrResting: nothing was asked, since the source wants to be left alone. That says nothing new of it.
var ErrResting = errors.New("it has asked to be left alone")

// Resting returns an ErrResting that says until when the source wants to be left alone; nil if it does not.
func (h *Health) Resting() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.rests.After(time.Now()) {
		return nil
	}
	return fmt.Errorf("%w until %s", ErrResting, h.rests.UTC().Format(time.RFC3339))
}

// doubtful reports whether others should be asked first.
func (h *Health) doubtful(now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.after.After(now) || h.rests.After(now)
}
