package node

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"headrace/block"
	"headrace/watch"
)

// BlockEvent is the data of a block event.
type BlockEvent struct {
	Height         uint64       `json:"height"`
	Hash           block.Hash   `json:"hash"`
	ParentHash     block.Hash   `json:"parent_hash"`
	Time           time.Time    `json:"time"` // as in Block, and likewise the heights below
	Txs            int          `json:"txs"`  // without the engine's own
	StateRoot      string       `json:"state_root"`
	Safe           bool         `json:"safe"`
	HeaderDAHeight uint64       `json:"header_da_height,omitempty"`
	DataDAHeight   uint64       `json:"data_da_height,omitempty"`
	SignedBytes    *SignedBytes `json:"signed,omitempty"` // if it was asked for
}

// LiveEvent is the data of a live event: the last block of what the stream had to catch up with. What follows is sent as
// it comes, for the node itself follows its source live.
type LiveEvent = block.Ref

// ReorgEvent is the data of a reorg event: the blocks above To are void, or, to a reader of safe blocks, not safe any
// more. What follows replaces them, and may repeat some.
type ReorgEvent struct {
	From block.Ref `json:"from"` // the last one that the client knows
	To   block.Ref `json:"to"`   // the last one that still holds
}

// EndEvent is the data of an end event, after which the stream is closed: the node has ended, or cannot go on with
// this stream.
type EndEvent struct {
	Cause string `json:"cause"`
}

// A client that takes nothing of an event for writeTimeout is dropped, and after that one that takes less than minRate
// bytes per second; it can resume.
const (
	writeTimeout = 30 * time.Second
	minRate      = 16 << 10
)

// stream writes what a cursor comes by to one client. It is used by one goroutine, and reads block after block at the
// pace at which its client takes them.
type stream struct {
	cursor
	w     http.ResponseWriter
	flush *http.ResponseController
	shape

	withBlocks, withStates bool
	withLive               bool // it is still to be said
}

// ServeHTTP streams server-sent events:
//
//	block    each block up to the head, once, in order, each the child of the one before or of the id of a reorg event
//	reorg    the blocks above the one that still holds, which the id names, are void
//	status   the latest Status, after the blocks it speaks of; some in between may be left out; without an id
//	live     all blocks up to the head have been sent, of a node that is live itself: once, if it is asked for; without an id
//	end      why the stream ends; without an id
//
// An id is HEIGHT-HASH-FINAL: a block, and the height that was final when it was sent; the last part may be left out.
// Last-Event-ID, or the parameter after, is the id to go on from. Other parameters: from=HEIGHT,
// events=block,status,live, head=safe|unsafe|finalized, body=true, signed=true.
func (b *blocks) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s := &stream{cursor: cursor{blocks: *b}, w: w, flush: http.NewResponseController(w)}
	switch err := s.open(r); {
	case errors.Is(err, ErrPruned):
		fail(w, http.StatusGone, err)
		return
	case errors.Is(err, errForeign):
		fail(w, http.StatusConflict, err)
		return
	case err != nil:
		fail(w, http.StatusBadRequest, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // a proxy must pass events on as they come
	if s.write([]byte("retry: 1000\n\n")) != nil || s.flush.Flush() != nil {
		return
	}
	ctx := r.Context()
	err := s.follow(ctx)
	if err == context.Cause(ctx) { // the request's context is the node's
		err = fmt.Errorf("%w: %w", watch.ErrClosed, err)
	}
	_ = s.send("end", EndEvent{Cause: err.Error()}) // the client may have gone
	_ = s.flush.Flush()
}

// open reads the request, and says what is wrong with it.
func (s *stream) open(r *http.Request) (err error) {
	q, err := queryOf(r)
	if err != nil {
		return err
	}
	for name := range q {
		switch name {
		case "events":
			for kind := range strings.SplitSeq(q.Get(name), ",") {
				if err := s.choose(kind); err != nil {
					return err
				}
			}
		case "head":
			s.head, err = parseLabel(q.Get(name))
		case "body":
			s.bodies, err = parseFlag(name, q.Get(name))
		case "signed":
			s.signed, err = parseFlag(name, q.Get(name))
		case "from", "after":
		default:
			err = fmt.Errorf("there is no parameter %s: use events, head, body, signed, from or after", name)
		}
		if err != nil {
			return err
		}
	}
	s.withBlocks = s.withBlocks || !q.Has("events")
	id := cmp.Or(r.Header.Get("Last-Event-ID"), q.Get("after")) // of a client that comes back the header is newer than its address
	switch {
	case !s.withBlocks && s.withLive:
		return errors.New("live goes with block: events=block,live")
	case !s.withBlocks:
	case id != "":
		return s.resume(id)
	case q.Has("from"):
		from, err := strconv.ParseUint(q.Get("from"), 10, 64)
		if err != nil {
			return fmt.Errorf("from %q is not a height", q.Get("from"))
		}
		return s.beginAt(from)
	default:
		heads := s.status.tips.Load().Heads
		s.know(heads.of(s.head))
		s.passed = true
		s.settle(heads)
	}
	return nil
}

func (s *stream) choose(kind string) error {
	switch kind {
	case "block":
		s.withBlocks = true
	case "status":
		s.withStates = true
	case "live":
		s.withLive = true
	default:
		return fmt.Errorf("events %q: there are block and status, and live", kind)
	}
	return nil
}

// follow sends what is new until ctx or the node ends, and returns why. Whoever has not asked for the status is woken by
// new heads alone.
func (s *stream) follow(ctx context.Context) error {
	if !s.withStates {
		return each(ctx, s.status.tips, func(t tip, version <-chan struct{}) error {
			return s.tell(ctx, t, version, func() error { return nil })
		})
	}
	return each(ctx, s.status.Value, func(st Status, version <-chan struct{}) error {
		return s.tell(ctx, tipOf(st), version, func() error {
			_, event, err := s.text.of(st, version)
			if err != nil {
				return err
			}
			return s.write(event)
		})
	})
}

// tell sends what is new up to the head and then the status, or, without a version, a comment that shows both sides that
// the other is there.
func (s *stream) tell(ctx context.Context, t tip, version <-chan struct{}, status func() error) (err error) {
	if version == nil {
		err = s.write([]byte(": alive\n\n"))
	} else if err = s.tellBlocks(ctx, t); err == nil {
		err = status()
	}
	if err != nil {
		return err
	}
	return s.flush.Flush()
}

func (s *stream) tellBlocks(ctx context.Context, t tip) (err error) {
	for more := s.withBlocks; more && err == nil && ctx.Err() == nil; {
		more, err = s.step(ctx, t.Heads)
	}
	if err == nil && s.withLive && t.Live && s.at == t.Heads.of(s.head) {
		s.withLive, err = false, s.send("live", LiveEvent(s.at))
	}
	return err
}

// step sends the next event of a block, and reports whether there was one. A block is read and written down when there
// is room for it, and is in memory for as long as the clients that it is sent to take to read it.
func (s *stream) step(ctx context.Context, heads Heads) (more bool, err error) {
	if s.isAt(heads) {
		return false, nil
	}
	event := s.shared.of(heads, s.at.Height+1, s.shape)
	hold := s.answers.Hold(ctx)
	if event != nil && s.pass(event, heads) {
		err = hold.Grow(ctx, int64(cap(event.text))) // as if it were his own: who does not read has no more than that
	} else {
		_, hold, err = s.answers.Build(ctx, 0, func() (text []byte, err error) {
			if event, err = s.next(heads); event == nil || err != nil {
				return nil, err
			}
			return event.text, nil
		})
	}
	defer hold.Give()
	if err != nil || event == nil {
		return false, err
	}
	err = s.write([]byte("id: "+s.id()+"\n"), event.text)
	runtime.KeepAlive(event) // whoever comes meanwhile has the same one
	return true, err
}

// next moves on, and returns the event that says so; nil if there is nothing new.
func (s *stream) next(heads Heads) (*blockEvent, error) {
	if e := s.shared.of(heads, s.at.Height+1, s.shape); e != nil && s.pass(e, heads) {
		return e, nil // somebody has made it while this one waited for room
	}
	from := s.at
	item, moved, err := s.cursor.next(heads)
	switch {
	case err != nil || !moved:
		return nil, err
	case item == nil:
		s.shared.forget() // what was read under these heads may be void too
		text, err := appendEvent(nil, "reorg", ReorgEvent{From: from, To: s.at})
		return &blockEvent{text: text}, err
	}
	e := &blockEvent{ref: item.Ref(), parent: item.Parent, safe: item.Data.Safe, heads: heads}
	if e.text, err = appendEvent(nil, "block", s.of(item)); err == nil {
		s.shared.keep(s.shape, e)
	}
	return e, err
}

// appendEvent writes one event down, without an id: the client keeps the one before, or what is sent ahead of it.
func appendEvent(b []byte, kind string, data any) ([]byte, error) {
	body, err := json.Marshal(data) // has no line breaks
	if err != nil {
		return nil, err
	}
	b = slices.Grow(b, len(body)+len(kind)+32)
	b = fmt.Appendf(b, "event: %s\ndata: ", kind)
	return append(append(b, body...), "\n\n"...), nil
}

// send writes an event without an id.
func (s *stream) send(kind string, data any) error {
	event, err := appendEvent(nil, kind, data)
	if err != nil {
		return err
	}
	return s.write(event)
}

func (s *stream) write(event ...[]byte) (err error) {
	size := 0
	for _, part := range event {
		size += len(part)
	}
	slow := time.Duration(size/minRate) * time.Second
	if err := s.flush.SetWriteDeadline(time.Now().Add(writeTimeout + slow)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	for _, part := range event {
		if err == nil {
			_, err = s.w.Write(part)
		}
	}
	return err
}
