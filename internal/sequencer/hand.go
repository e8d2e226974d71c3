package sequencer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"headrace/watch"
)

// Hand is an operator's hand on a sequencer: it has no more blocks made, has them made again, and has what was made
// posted at once. It outlives the Sequencers that go by it, which run one after the other. A stop is a file in the home,
// which a restart finds. All methods are safe for concurrent use.
type Hand struct {
	path   string // of the file; "": a stop does not outlive the process
	is     *watch.Value[Held]
	making chan struct{} // holds one token while a block is made

	mu sync.Mutex // held while a stop begins or ends
}

// Held is what an operator wants now. The zero Held: nothing else than what a sequencer does by itself.
type Held struct {
	Stopped time.Time // since when no blocks are to be made; zero: they are
	Asked   uint64    // blocks up to here are posted without a wait for more of them
	Asks    uint64    // how often that was asked for
}

// stopNote is what the file of a stop holds. That it is there counts, whatever is in it.
type stopNote struct {
	Since time.Time `json:"since"`
}

// OpenHand returns the hand whose stop is noted at path; "" for one that notes none. It changes nothing.
func OpenHand(path string) (*Hand, error) {
	h := &Hand{path: path, is: new(watch.Value[Held]), making: make(chan struct{}, 1)}
	if path == "" {
		return h, nil
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return h, nil
	}
	var info fs.FileInfo
	if err == nil {
		info, err = os.Stat(path)
	}
	if err != nil {
		return nil, fmt.Errorf("read whether blocks are to be made: %w", err)
	}
	var note stopNote
	if json.Unmarshal(text, &note) != nil || note.Since.IsZero() {
		note.Since = info.ModTime()
	}
	h.is.Set(Held{Stopped: note.Since})
	return h, nil
}

// Held returns what is wanted now, and whoever follows it learns of changes.
func (h *Hand) Held() *watch.Value[Held] { return h.is }

// Stop has no more blocks made, across restarts too, and returns once the block under way is made, or has failed. What was
// made is posted all the same. If there was a stop before, that one goes on. An error that matches ctx's comes with a stop
// that holds: the block under way was not done yet. After any other there is none.
func (h *Hand) Stop(ctx context.Context) error {
	if err := h.begin(); err != nil {
		return err
	}
	select {
	case h.making <- struct{}{}:
		<-h.making
		return nil
	case <-ctx.Done():
		return fmt.Errorf("no more blocks are made, but the one under way is not done yet: %w", context.Cause(ctx))
	}
}

// begin notes a stop, on the disk first.
func (h *Hand) begin() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.is.Load().Stopped.IsZero() {
		return nil
	}
	now := time.Now()
	if err := h.note(now); err != nil {
		return fmt.Errorf("note that no blocks are to be made: %w", err)
	}
	h.is.Update(func(held Held) Held { held.Stopped = now; return held })
	return nil
}

// note writes the file of a stop.
func (h *Hand) note(since time.Time) error {
	if h.path == "" {
		return nil
	}
	text, err := json.Marshal(stopNote{since.UTC()})
	if err != nil {
		return err
	}
	file, err := os.OpenFile(h.path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(append(text, '\n'))
	if err = errors.Join(err, file.Sync(), file.Close()); err == nil {
		err = h.syncDir()
	}
	if err != nil { // a restart would find it
		return errors.Join(err, os.Remove(h.path))
	}
	return nil
}

// syncDir puts on the disk whether the file is there.
func (h *Hand) syncDir() error {
	dir, err := os.Open(filepath.Dir(h.path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Start has blocks made again. After an error they are not.
func (h *Hand) Start() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.path != "" {
		err := os.Remove(h.path)
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		if err == nil {
			if err = h.syncDir(); err != nil { // then it holds after a restart, too, that they are not
				err = errors.Join(err, h.note(h.is.Load().Stopped))
			}
		}
		if err != nil {
			return fmt.Errorf("note that blocks are to be made: %w", err)
		}
	}
	h.is.Update(func(held Held) Held { held.Stopped = time.Time{}; return held })
	return nil
}

// Post has the blocks up to a height posted at once: neither more blocks nor the end of a pause after a failure are waited
// for. One submission is under way at a time all the same.
func (h *Hand) Post(to uint64) {
	h.is.Update(func(held Held) Held {
		held.Asked, held.Asks = max(held.Asked, to), held.Asks+1
		return held
	})
}

// started waits while blocks are not to be made.
func (h *Hand) started(ctx context.Context) error {
	_, err := h.is.Wait(ctx, func(held Held) bool { return held.Stopped.IsZero() })
	return err
}

// make calls a function that makes a block, unless blocks are not to be made, which a stop waits for.
func (h *Hand) make(ctx context.Context, block func() error) (made bool, err error) {
	select {
	case h.making <- struct{}{}:
	case <-ctx.Done():
		return false, ctx.Err()
	}
	defer func() { <-h.making }()
	if !h.is.Load().Stopped.IsZero() {
		return false, nil
	}
	return true, block()
}
