package celestia

import (
	"context"
	"errors"

	"headrace/da"
	"headrace/follow"
)

// poll tells news over HTTP: the next height is asked for before it is there, and answered when it is.
func (e *endpoint) poll(ctx context.Context, update func(follow.Update[da.Block])) (err error) {
	news := e.health.Listen()
	defer func() { news.Silent(err) }()
	announce := func(h head) {
		news.Heard(h.Height, "polling")
		update(follow.Update[da.Block]{Head: follow.Ref{Height: h.Height, Hash: h.hash}})
	}
	last, err := e.header(ctx, e.http, "header.NetworkHead", noParams, false)
	if err != nil {
		return err
	}
	announce(last)
	backoff := follow.Backoff{}
	for {
		h, err := e.next(ctx, last.Height+1)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err == nil && h.Height == last.Height+1:
			backoff.Reset()
			last = h
			announce(h)
			continue
		case err != nil && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, da.ErrFuture) && !errors.Is(err, da.ErrSyncing):
			return err
		}
		// No block for as long as that is no sign of anything, or the head has gone back: look at it anew.
		if err := backoff.Sleep(ctx, nil); err != nil {
			return err
		}
		if h, err = e.header(ctx, e.http, "header.NetworkHead", noParams, false); err != nil {
			return err
		}
		last = h
		announce(h)
	}
}

// next asks for a header that is answered once it is there. That it does not come in time says nothing of the endpoint:
// its chain may be slow.
func (e *endpoint) next(ctx context.Context, height uint64) (head, error) {
	ctx, cancel := context.WithTimeout(ctx, e.patience())
	defer cancel()
	return e.header(ctx, e.http, "header.GetByHeight", params(height), false)
}
