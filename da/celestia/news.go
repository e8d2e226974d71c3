package celestia

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"headrace/da"
	"headrace/follow"
)

// Subscribe tells the present head first and then every height that an endpoint reports, with its complete block if each followed namespace
// has reported it; see follow.Source. All endpoints are listened to at once: the first to announce a height wins, and one that is behind the
// others is not heard (I10). One that fails is tried again; Subscribe ends when all of them have failed.
func (c *Client) Subscribe(ctx context.Context, update func(follow.Update[da.Block])) error {
	ctx, cancel := context.WithCancelCause(ctx)
	n := &news{update: update, up: map[*endpoint]bool{}, failed: map[*endpoint]error{}, all: len(c.endpoints), cancel: cancel}
	var work sync.WaitGroup
	for _, e := range c.endpoints {
		work.Go(func() {
			backoff := follow.Backoff{Max: 2 * time.Second}
			for ctx.Err() == nil {
				err := e.session(ctx, func(u follow.Update[da.Block]) {
					backoff.Reset()
					n.tell(e, u)
				})
				if ctx.Err() != nil {
					return
				}
				c.opt.Logger.Debug("endpoint lost", "source", e.name, "err", err)
				n.lost(e, err)
				_ = backoff.Sleep(ctx, nil)
			}
		})
	}
	<-ctx.Done()
	work.Wait()
	n.mu.Lock() // nobody calls update any more
	defer n.mu.Unlock()
	return context.Cause(ctx)
}

// news makes one sequence of what several endpoints tell.
type news struct {
	update func(follow.Update[da.Block])
	all    int
	cancel context.CancelCauseFunc

	mu     sync.Mutex // guards the rest, and is held during update: one at a time
	best   follow.Ref // told last
	inline bool       // with its block
	leader *endpoint  // who told it
	up     map[*endpoint]bool
	failed map[*endpoint]error // those that have failed since they last told something
}

// tell passes an update on, if it says more than what was told before. The leader may go back, the others may not: they are behind.
func (n *news) tell(e *endpoint, u follow.Update[da.Block]) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.failed, e)
	n.up[e] = true
	switch {
	case n.leader == nil, u.Head.Height > n.best.Height:
		n.leader = e
	case e == n.leader:
		if better := n.ahead(u.Head.Height); u.Head.Height < n.best.Height && better != nil {
			n.leader = better // which has told nothing lower
			return
		}
	case u.Head == n.best && u.Item != nil && !n.inline:
	case u.Head.Height == n.best.Height && u.Head.Hash != n.best.Hash:
		e.note(context.Background(), fmt.Errorf("%w: block %d is %s, elsewhere %s", da.ErrWrongChain, u.Head.Height, u.Head.Hash, n.best.Hash))
		return
	default:
		return
	}
	n.best, n.inline = u.Head, u.Item != nil
	n.update(u)
}

// ahead returns an endpoint that is up and is ahead of a height, if there is one beside the leader.
func (n *news) ahead(height uint64) *endpoint {
	for e := range n.up {
		if e != n.leader && e.status().Head > height {
			return e
		}
	}
	return nil
}

// lost notes that an endpoint tells nothing any more. With the last one the subscription ends.
func (n *news) lost(e *endpoint, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.up, e)
	if n.leader == e {
		n.leader = nil
	}
	n.failed[e] = err
	if len(n.failed) < n.all {
		return
	}
	var errs []error
	for _, err := range n.failed {
		errs = append(errs, err)
	}
	n.cancel(errors.Join(errs...))
}

// How an endpoint without a WebSocket is lived with: it is asked for each next height over HTTP, which it answers as soon as there is one. A
// WebSocket is tried again after a while, longer each time, until one has lasted; and when several in a row have not, the next is not tried at once.
const (
	firstPolling = 10 * time.Second
	maxPolling   = 2 * time.Minute
	lasting      = 30 * time.Second
	shortLives   = 3
)

// session tells news of an endpoint, one way or the other, until it cannot.
func (e *endpoint) session(ctx context.Context, update func(follow.Update[da.Block])) error {
	if err := e.rest(ctx); err != nil {
		return err
	}
	if !e.restless() {
		start := time.Now()
		heard := false
		err := e.subscribe(ctx, func(u follow.Update[da.Block]) {
			heard = true
			update(u)
		})
		e.lived(heard, time.Since(start))
		if ctx.Err() != nil || (heard && !e.restless()) || !noSocket(err) && !e.restless() {
			return err
		}
	}
	return e.pollAndRetry(ctx, update)
}

// pollAndRetry polls, and tries a WebSocket beside it from time to time; one that tells something takes over.
func (e *endpoint) pollAndRetry(ctx context.Context, update func(follow.Update[da.Block])) error {
	ctx, cancel := context.WithCancelCause(ctx)
	polling, stop := context.WithCancelCause(ctx)
	var work sync.WaitGroup
	defer work.Wait()
	defer cancel(nil)
	defer stop(nil)
	var mu sync.Mutex // held during update: one at a time
	over := false     // to the WebSocket
	e.polling.Store(true)
	defer e.polling.Store(false)
	work.Go(func() {
		err := e.poll(polling, func(u follow.Update[da.Block]) {
			mu.Lock()
			defer mu.Unlock()
			if !over {
				update(u)
			}
		})
		if polling.Err() == nil {
			cancel(err)
		}
	})
	for {
		wait := e.nextTry()
		timer := time.NewTimer(wait) // a backoff
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		}
		start, heard := time.Now(), false
		err := e.subscribe(ctx, func(u follow.Update[da.Block]) {
			mu.Lock()
			defer mu.Unlock()
			if !over {
				over, heard = true, true
				stop(nil)
				e.polling.Store(false)
			}
			update(u)
		})
		e.lived(heard, time.Since(start))
		if heard || ctx.Err() != nil {
			return err
		}
	}
}

// noSocket reports whether an endpoint may be there though it takes no WebSocket.
func noSocket(err error) bool {
	return errors.Is(err, errNoSocket) || errors.Is(err, da.ErrRateLimited)
}

// lived notes how a WebSocket did.
func (e *endpoint) lived(heard bool, d time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case d >= lasting && heard:
		e.short, e.tryAfter = 0, 0
	default:
		e.short++
	}
}

// restless reports whether several WebSockets in a row have not lasted.
func (e *endpoint) restless() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.short >= shortLives
}

// nextTry returns how long to poll before the next try of a WebSocket.
func (e *endpoint) nextTry() time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	first := e.client.opt.Polling
	e.tryAfter = min(max(2*e.tryAfter, first), max(maxPolling, first))
	e.short = 0
	return e.tryAfter
}

// poll tells news over HTTP: the next height is asked for before it is there, and answered when it is.
func (e *endpoint) poll(ctx context.Context, update func(follow.Update[da.Block])) error {
	defer e.silent()
	tell := func(h head) {
		e.heard(h.Height, "polling")
		update(follow.Update[da.Block]{Head: follow.Ref{Height: h.Height, Hash: h.hash}})
	}
	last, err := e.header(ctx, e.http, "header.NetworkHead", noParams, false)
	if err != nil {
		return err
	}
	tell(last)
	backoff := follow.Backoff{}
	for {
		h, err := e.header(ctx, e.http, "header.GetByHeight", params(last.Height+1), false)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err == nil && h.Height == last.Height+1:
			backoff.Reset()
			last = h
			tell(h)
			continue
		case err != nil && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, da.ErrFuture) && !errors.Is(err, da.ErrSyncing):
			return err
		}
		// No block for as long as a call may take, or the head has gone back: look at it anew.
		if err := backoff.Sleep(ctx, nil); err != nil {
			return err
		}
		if h, err = e.header(ctx, e.http, "header.NetworkHead", noParams, false); err != nil {
			return err
		}
		last = h
		tell(h)
	}
}
