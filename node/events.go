package node

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"headrace/await"
	"headrace/block"
	"headrace/watch"
)

// feed is what a stream of events reads: the latest status as the reason to look, and the stored chain as the truth. A stream has no queue. It reads block after block at
// the pace at which its client takes them, so a slow client costs one block of memory and never slows the node (I6).
type feed struct {
	status *watch.Value[Status]
	oldest func() uint64                      // height of the lowest block that is not pruned
	ref    func(uint64) (block.Ref, error)    // as Store.Ref
	block  func(height uint64) (Block, error) // the error matches ErrNoBlock if there is none
}

func (n *Node) events() *feed {
	return &feed{status: n.status, oldest: func() uint64 { return n.store.State().Oldest }, ref: n.store.Ref, block: n.Block}
}

// BlockEvent is the data of a block event.
type BlockEvent struct {
	Height     uint64     `json:"height"`
	Hash       block.Hash `json:"hash"`
	ParentHash block.Hash `json:"parent_hash"`
	Time       uint64     `json:"time"` // nanoseconds since the Unix epoch
	Txs        int        `json:"txs"`
	StateRoot  string     `json:"state_root"`
	Safe       bool       `json:"safe"`
}

// ReorgEvent is the data of a reorg event: the blocks above To are void. What follows replaces them, and may repeat some.
type ReorgEvent struct {
	From block.Ref `json:"from"` // the last one that the client knows
	To   block.Ref `json:"to"`   // the last one that still holds
}

// EndEvent is the data of an end event, after which the stream is closed: the node has ended, or cannot go on with this stream.
type EndEvent struct {
	Cause string `json:"cause"`
}

// remembered is how many blocks a stream knows to have sent, to find where a branch left. If that is further down, or the client comes back with an id alone, the stream goes
// back to what was final when the id was made: it cannot have been reverted since (I10).
const remembered = 256

// Times of a stream.
const (
	aliveEvery   = 15 * time.Second // a comment that shows both sides that the other is there
	writeTimeout = 30 * time.Second // a client that takes nothing for so long is given up; it can resume
)

// stream is one client's, and used by one goroutine.
type stream struct {
	*feed
	w      http.ResponseWriter
	flush  *http.ResponseController
	label  await.Label
	blocks bool
	states bool
	body   bool

	at    block.Ref   // the last block the client knows
	final uint64      // height at or below at that was final when at was sent
	sure  bool        // at has been seen here
	from  *uint64     // where to begin, as long as that is not known by hash
	known []block.Ref // blocks before and including at, ascending, without gaps
}

// ServeHTTP streams server-sent events:
//
//	block    each block up to the head, once, in order, each the child of the one before or of the id of a reorg event
//	reorg    the blocks above the one that still holds, which the id names, are void
//	status   the latest Status, after the blocks it speaks of; some in between may be left out; without an id
//	end      why the stream ends; without an id
//
// An id is HEIGHT-HASH-FINAL: a block, and the height that was final when it was sent; the last part may be left out. Last-Event-ID, or the parameter after, is the id to go on from. Other parameters: from=HEIGHT, events=block,status, head=safe|unsafe|finalized, body=true.
func (f *feed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s := &stream{feed: f, w: w, flush: http.NewResponseController(w)}
	if code, err := s.open(r); err != nil {
		fail(w, code, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // a proxy must pass events on as they come
	if s.write("retry: 1000\n\n") != nil || s.flush.Flush() != nil {
		return
	}
	if err := s.run(r.Context()); err != nil {
		_ = s.send("end", "", EndEvent{Cause: err.Error()}) // the client may have gone
		_ = s.flush.Flush()
	}
}

// open reads the request. An error comes with its HTTP status.
func (s *stream) open(r *http.Request) (code int, err error) {
	q := r.URL.Query()
	for name := range q {
		switch name {
		case "events":
			for kind := range strings.SplitSeq(q.Get(name), ",") {
				s.blocks, s.states = s.blocks || kind == "block", s.states || kind == "status"
				if kind != "block" && kind != "status" {
					return http.StatusBadRequest, fmt.Errorf("events %q: there are block and status", kind)
				}
			}
		case "head":
			s.label, err = parseLabel(q.Get(name))
		case "body":
			s.body, err = strconv.ParseBool(q.Get(name))
		case "from", "after":
		default:
			err = fmt.Errorf("there is no parameter %s: use events, head, body, from or after", name)
		}
		if err != nil {
			return http.StatusBadRequest, err
		}
	}
	s.blocks = s.blocks || !q.Has("events")
	id := r.Header.Get("Last-Event-ID") // of a client that comes back: newer than what its address says
	if id == "" {
		id = q.Get("after")
	}
	switch {
	case !s.blocks:
	case id != "":
		return s.resume(id)
	case q.Has("from"):
		from, err := strconv.ParseUint(q.Get("from"), 10, 64)
		if err != nil {
			return http.StatusBadRequest, fmt.Errorf("from %q is not a height", q.Get("from"))
		}
		from = max(from, 1)
		s.from = &from
		return s.notPruned(from)
	default:
		heads := s.status.Load().Heads
		s.at, s.final = heads.of(s.label), min(heads.of(s.label).Height, heads.Finalized.Height)
		s.know()
	}
	return 0, nil
}

// resume goes on after the block with this id.
func (s *stream) resume(id string) (code int, err error) {
	if s.at, s.final, err = parseEventID(id, s.status.Load().Heads.Finalized.Height); err != nil {
		return http.StatusBadRequest, err
	}
	if code, err := s.notPruned(s.at.Height + 1); err != nil {
		return code, err
	}
	if now, err := s.refAt(s.at.Height); err == nil && now.Hash != s.at.Hash && s.at.Height <= s.final {
		return http.StatusConflict, errForeign(s.at, now)
	}
	return 0, nil
}

// errForeign is a block that was final, or is below the final one, and is not ours: the client's chain is another one (I10).
func errForeign(theirs, ours block.Ref) error {
	return fmt.Errorf("block %d is %s here, and final: %s is of another chain, or of a branch that was reverted long ago", theirs.Height, ours.Hash, theirs.Hash)
}

// parseEventID reads an id. An id without its last part gets final there.
func parseEventID(id string, final uint64) (at block.Ref, was uint64, err error) {
	parts := strings.Split(id, "-")
	if len(parts) == 2 {
		parts = append(parts, strconv.FormatUint(final, 10))
	}
	if len(parts) == 3 {
		var err1, err2 error
		at.Height, err1 = strconv.ParseUint(parts[0], 10, 64)
		was, err2 = strconv.ParseUint(parts[2], 10, 64)
		err = errors.Join(err1, err2, at.Hash.UnmarshalText([]byte(parts[1])))
	}
	if len(parts) != 3 || err != nil {
		return block.Ref{}, 0, fmt.Errorf("event id %q is not HEIGHT-HASH-FINAL, as events have it", id)
	}
	return at, min(was, at.Height), nil
}

func eventID(at block.Ref, final uint64) string {
	return fmt.Sprintf("%d-%s-%d", at.Height, at.Hash, final)
}

func (s *stream) notPruned(first uint64) (code int, err error) {
	if oldest := s.oldest(); first < oldest {
		return http.StatusGone, fmt.Errorf("block %d is pruned: the oldest one here is %d", first, oldest)
	}
	return 0, nil
}

// refAt is ref that also knows the block before the oldest.
func (s *stream) refAt(height uint64) (block.Ref, error) {
	r, err := s.ref(height)
	if errors.Is(err, ErrNoBlock) && height+1 == s.oldest() {
		b, err := s.block(height + 1)
		if err != nil {
			return block.Ref{}, err
		}
		return block.Ref{Height: height, Hash: parentOf(b)}, nil
	}
	return r, err
}

func parentOf(b Block) (h block.Hash) {
	copy(h[:], b.ParentHash)
	return h
}

// know notes that at is a block of this chain.
func (s *stream) know() {
	s.sure = true
	if len(s.known) >= 2*remembered {
		s.known = append(s.known[:0], s.known[len(s.known)-remembered:]...)
	}
	s.known = append(s.known, s.at)
}

// run sends until the client, the node or the stream ends, and returns why.
func (s *stream) run(ctx context.Context) error {
	alive := time.NewTicker(aliveEvery) // shows a client that has gone without a word
	defer alive.Stop()
	for {
		ended := s.status.Err()       // first: then the status is the last one
		st, changed := s.status.Get() // before the look: what comes after it wakes us
		if err := s.catchUp(ctx, st); err != nil {
			return err
		}
		if s.states {
			if err := s.send("status", "", st); err != nil {
				return err
			}
		}
		if err := s.flush.Flush(); err != nil {
			return err
		}
		if ended != nil {
			return ended
		}
		if err := s.sleep(ctx, changed, alive.C); err != nil {
			return err
		}
	}
}

// sleep returns when the status has changed.
func (s *stream) sleep(ctx context.Context, changed <-chan struct{}, alive <-chan time.Time) error {
	for {
		select {
		case <-changed:
			return nil
		case <-alive:
			if err := s.write(": alive\n\n"); err != nil {
				return err
			}
			if err := s.flush.Flush(); err != nil {
				return err
			}
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", watch.ErrClosed, context.Cause(ctx))
		}
	}
}

// catchUp sends what is new up to the status' head. Each block is checked to be the child of the one before; what has been reverted meanwhile shows by that.
func (s *stream) catchUp(ctx context.Context, st Status) error {
	head := st.Heads.of(s.label)
	for s.blocks && ctx.Err() == nil {
		if s.from != nil {
			if known, err := s.begin(head); err != nil || !known {
				return err
			}
		}
		now, err := s.refAt(s.at.Height)
		switch {
		case errors.Is(err, ErrNoBlock) && s.at.Height+1 < s.oldest():
			return fmt.Errorf("block %d is pruned: the client was too slow", s.at.Height+1)
		case errors.Is(err, ErrNoBlock) && !s.sure:
			return nil // this node is behind what the client knows, which is no reorg (I10)
		case err != nil && !errors.Is(err, ErrNoBlock):
			return err
		case err != nil || now.Hash != s.at.Hash:
			if err := s.goBack(); err != nil {
				return err
			}
			continue
		case !s.sure:
			s.know()
		}
		s.final = max(s.final, min(st.Heads.Finalized.Height, s.at.Height)) // at is canonical
		if head.Height <= s.at.Height {
			return nil
		}
		b, err := s.block(s.at.Height + 1)
		switch {
		case errors.Is(err, ErrNoBlock):
			return nil // reverted since the status was published: there is news
		case err != nil:
			return err
		case s.at.Hash != block.Hash{} && parentOf(b) != s.at.Hash:
			return nil // the same, and blocks have come in its place
		}
		if err := s.sendBlock(b, st.Heads.Finalized.Height); err != nil {
			return err
		}
	}
	return nil
}

// begin finds the block before the height to begin at, once it is there.
func (s *stream) begin(head block.Ref) (known bool, err error) {
	if head.Height+1 < *s.from {
		return false, nil
	}
	before, err := s.refAt(*s.from - 1)
	if errors.Is(err, ErrNoBlock) {
		return false, nil
	}
	if err == nil {
		s.at, s.from = before, nil
		s.know()
	}
	return err == nil, err
}

// goBack sends a reorg event to the last block known to the client that is still part of the chain.
func (s *stream) goBack() error {
	kept := len(s.known) - 1
	for ; kept >= 0; kept-- {
		if now, err := s.refAt(s.known[kept].Height); err == nil && now == s.known[kept] {
			break
		}
	}
	var to block.Ref
	var err error
	if kept >= 0 {
		to, s.known = s.known[kept], s.known[:kept]
	} else if to, err = s.refAt(s.final); err != nil {
		return fmt.Errorf("block %d is not of this chain any more, and where its branch left is pruned: %w", s.at.Height, err)
	} else if s.known = nil; to.Height >= s.at.Height {
		return errForeign(s.at, to)
	}
	err = s.send("reorg", eventID(to, s.final), ReorgEvent{From: s.at, To: to})
	s.at = to
	s.know()
	return err
}

func (s *stream) sendBlock(b Block, final uint64) error {
	var at block.Ref
	if err := at.Hash.UnmarshalText([]byte(b.Hash)); err != nil {
		return err
	}
	at.Height = b.Height
	var data any = b
	if !s.body {
		data = BlockEvent{
			Height: b.Height, Hash: at.Hash, ParentHash: parentOf(b), Time: b.Time, Txs: len(b.Txs), StateRoot: hex.EncodeToString(b.StateRoot), Safe: b.Safe,
		}
	}
	s.at, s.final = at, max(s.final, min(final, at.Height))
	err := s.send("block", eventID(s.at, s.final), data)
	s.know()
	return err
}

// send writes one event. Without an id, the client keeps the one before.
func (s *stream) send(kind, id string, data any) error {
	var b bytes.Buffer
	if id != "" {
		fmt.Fprintf(&b, "id: %s\n", id)
	}
	fmt.Fprintf(&b, "event: %s\ndata: ", kind)
	if err := json.NewEncoder(&b).Encode(data); err != nil { // ends in a line break, and has no other
		return err
	}
	b.WriteByte('\n')
	return s.write(b.String())
}

func (s *stream) write(text string) error {
	if err := s.flush.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	_, err := s.w.Write([]byte(text))
	return err
}
