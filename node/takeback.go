package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"headrace/follow"
	"headrace/internal/syncer"
)

// Recoverer is a BlockSource that can be asked for the blocks from a height on, once: a sequencer asks it for what its
// key has signed, before it signs.
type Recoverer interface {
	// Recover gives to take the blocks that there are from a height on, and returns nil when there are no more. An error
	// says that it is not known whether there are.
	Recover(ctx context.Context, from uint64, take func(SignedBlock) error) error
}

// defaultRecover is how long a sequencer that has lost what it signed waits for others to say what that was.
const defaultRecover = 30 * time.Second

// takeBack asks all sources of unsafe blocks for those above the safe head, and makes unsafe blocks of them, as a full
// node does: while it lasts the gate is open. It returns when each has answered, or after a while. The key's own
// signature is all that is believed.
func (o *opened) takeBack(ctx context.Context, say func(string)) error {
	var from []Recoverer
	for _, s := range o.opt.sources {
		if r, ok := s.(Recoverer); ok {
			from = append(from, r)
		}
	}
	offers := o.up.offers
	if len(from) == 0 || offers == nil {
		return nil
	}
	offers.SetGate(ctx, true)
	defer offers.SetGate(ctx, false)
	most := cmp.Or(o.opt.Config.Sequencer.Recover, defaultRecover)
	before := o.store.State()
	say(fmt.Sprintf("asking other nodes what this key has signed above block %d, for %s at most (sequencer.recover), before a block is signed", before.Safe.Height, most))
	asked, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	failed := make([]error, len(from))
	var all sync.WaitGroup
	for i, r := range from {
		all.Go(func() { failed[i] = o.recoverFrom(asked, r, offers) })
	}
	all.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	answered := len(from)
	for _, err := range failed {
		if err != nil {
			answered--
			o.log.Warn("another node has not said what this key has signed", "err", err)
		}
	}
	o.log.Info("took back what this key has signed, as far as others have it", "from", before.Unsafe.Height, "to", o.store.State().Unsafe.Height, "asked", len(from), "answered", answered)
	return nil
}

// recoverFrom asks one source until it has answered, or the time is over.
func (o *opened) recoverFrom(ctx context.Context, from Recoverer, offers *syncer.Offers) error {
	var backoff follow.Backoff
	for {
		err := from.Recover(ctx, o.store.State().Safe.Height+1, func(b SignedBlock) error {
			switch _, err := offers.Take(ctx, b.Header, b.Data, b.Bare); {
			case errors.Is(err, ErrStale), errors.Is(err, ErrOther), errors.Is(err, ErrUnfit): // signed, and of no use
				return nil
			default:
				return err
			}
		})
		if err == nil {
			return nil
		}
		if backoff.Sleep(ctx, nil) != nil {
			return err
		}
	}
}

// Recover implements Recoverer.
func (s *streamed) Recover(ctx context.Context, from uint64, take func(SignedBlock) error) error {
	for {
		page, err := s.page(ctx, from)
		if err != nil {
			return s.access.Error(err)
		}
		for _, b := range page.Blocks {
			if err := take(SignedBlock{Header: b.Signed.Header, Data: b.Signed.Data, Bare: true}); err != nil {
				return err
			}
		}
		if len(page.Blocks) == 0 || page.Next <= from || page.Next > page.Head.Height {
			return nil
		}
		from = page.Next
	}
}

func (s *streamed) page(ctx context.Context, from uint64) (p mirroredPage, err error) {
	ctx, cancel := context.WithTimeout(ctx, silence)
	defer cancel()
	url := fmt.Sprintf("%s/v1/blocks?from=%d&head=unsafe&signed=true", strings.TrimRight(s.endpoint.URL, "/"), from)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return p, err
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return p, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 512))
		return p, fmt.Errorf("it answers %s: %.200q", resp.Status, text)
	}
	return readPage(resp.Body)
}
