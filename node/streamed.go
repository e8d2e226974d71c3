package node

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"headrace/block"
	"headrace/follow"
	"headrace/internal/edge"
	"headrace/internal/httpc"
)

// streamed is another node of the chain, whose newest blocks are taken from its stream of events as unsafe ones. It is
// asked for what comes after this node's own unsafe head, so that the store has the one position there is: a lost
// connection loses nothing, and where the other node has another branch it goes back to what is final here.
//
// Nothing that it says is believed: an event whose id is not of interest is passed over, and what is in it is looked at
// as anybody's offer is. What it sends that is of no use ends the connection, and the next one comes later each time.
type streamed struct {
	endpoint httpc.Endpoint
	log      *slog.Logger
	said     edge.Log
	client   *http.Client
	access   *httpc.Access
	health   *follow.Health
}

func newStreamed(at httpc.Endpoint, name string, log *slog.Logger) (*streamed, error) {
	access, err := at.Open()
	if err != nil {
		return nil, fmt.Errorf("unsafe.from %s: %w", name, err)
	}
	client := httpc.New(httpc.Options{Access: access, Parallel: 1})
	return &streamed{endpoint: at, log: log, client: client, access: access, health: follow.NewHealth(name, "unsafe", nil)}, nil
}

// Endpoints implements BlockSource.
func (s *streamed) Endpoints() []Endpoint { return []Endpoint{Endpoint(s.health.Status())} }

// What ends a stream.
var (
	errUseless = errors.New("what it sends is of no use here") // it has to wait, longer each time
	errForged  = errors.New("it sends a block that is not the proposer's")
	errWaits   = errors.New("this node takes no block now") // until its status says otherwise
	errOwn     = errors.New("this node could not take it")  // which says nothing of who sent it
)

// What makes a block one to pass over.
var (
	errHas  = errors.New("this node has it")
	errBare = errors.New("the other node has it from the L1, without a signature of its own: it is read there")
	errGap  = errors.New("it does not follow what this node has: that has changed meanwhile, or the other node has another branch")
)

// Run implements BlockSource: it follows the stream, again and again.
func (s *streamed) Run(ctx context.Context, n *Node) error {
	defer s.client.CloseIdleConnections()
	lost := follow.Backoff{Max: maxBackoff}
	useless := follow.Backoff{Min: time.Second, Max: time.Minute}
	for {
		if err := s.wanted(ctx, n); err != nil {
			return err
		}
		applied, err := s.stream(ctx, n)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if applied > 0 {
			lost.Reset()
			useless.Reset()
		}
		if errors.Is(err, errWaits) {
			continue
		}
		err = s.access.Error(err)
		if !errors.Is(err, errOwn) {
			s.health.Bad(err)
		}
		s.health.Silent(err)
		n.Refresh()
		s.said.Warn(s.log, "no unsafe blocks from another node", err)
		backoff := &lost
		if errors.Is(err, errUseless) {
			backoff = &useless
		}
		if err := backoff.Sleep(ctx, nil); err != nil {
			return err
		}
	}
}

// wanted waits until an unsafe block would be taken.
func (s *streamed) wanted(ctx context.Context, n *Node) error {
	_, err := n.status.Wait(ctx, func(st Status) bool {
		return st.Unsafe != nil && st.Unsafe.Open && n.Takes(st.Heads.Unsafe.Height+1) == nil
	})
	return err
}

// The bounds of a stream. silence is twice what a node lets pass without a sign of life, and more; minRate is what has
// to come beyond that.
const (
	silence    = 3 * aliveEvery
	maxEvent   = maxUnsafe // bytes of one
	maxUseless = 4 * maxEvent
	maxForged  = 4096 // blocks that are not the proposer's, before this node has got on
)

// address is that of the blocks after this node's own head.
func (s *streamed) address(n *Node) string {
	heads := n.status.Load().Heads
	after := fmt.Sprintf("after=%d-%s-%d", heads.Unsafe.Height, heads.Unsafe.Hash, heads.Finalized.Height)
	if heads.Unsafe.Hash.IsZero() {
		after = fmt.Sprintf("from=%d", n.opt.Genesis.InitialHeight)
	}
	return strings.TrimRight(s.endpoint.URL, "/") + "/v1/events?events=block&head=unsafe&signed=true&" + after
}

// stream follows until something ends that. It returns how many blocks became unsafe ones here.
func (s *streamed) stream(parent context.Context, n *Node) (applied int, err error) {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	dog := time.AfterFunc(silence, func() { cancel(fmt.Errorf("nothing came from it for %s", silence)) }) // a watchdog
	defer dog.Stop()
	defer func() {
		if cause := context.Cause(ctx); cause != nil && parent.Err() == nil {
			err = cause
		}
	}()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.address(n), nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Accept", "text/event-stream")
	resp, err := s.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 512))
		return 0, fmt.Errorf("it answers %s: %s", resp.Status, strings.TrimSpace(string(text)))
	}
	if kind := resp.Header.Get("Content-Type"); !strings.HasPrefix(kind, "text/event-stream") {
		return 0, fmt.Errorf("%w: it answers with %.60q, which is no stream of events", errUseless, kind)
	}
	s.health.Good()
	n.Refresh()
	e := events{r: bufio.NewReaderSize(resp.Body, 64<<10), alive: func(more int) { dog.Reset(silence + time.Duration(more/minRate)*time.Second) }}
	stood, since, forged := n.standing(), 0, 0
	for {
		size, err := e.next(n.passes)
		if err != nil {
			return applied, err
		}
		if now := n.standing(); now != stood {
			stood, since, forged = now, 0, 0
		}
		if since += size; since > maxUseless {
			return applied, fmt.Errorf("%w: %d bytes came, and this node has not got on meanwhile", errUseless, since)
		}
		if e.kind != "block" {
			if e.kind == "end" {
				return applied, fmt.Errorf("it has ended the stream: %.200q", e.data)
			}
			continue
		}
		dog.Stop() // what follows is this node's own time
		took, err := s.take(ctx, n, &e)
		dog.Reset(silence)
		if took {
			applied++
		}
		if errors.Is(err, errForged) && forged < maxForged { // what comes next may be genuine
			if forged++; forged == 1 {
				s.health.Bad(s.access.Error(err))
				n.Refresh()
			}
			continue
		}
		if err != nil {
			return applied, err
		}
	}
}

// standing is what shows that a node gets on, whoever helps it.
func (n *Node) standing() [2]block.Ref {
	heads := n.status.Load().Heads
	return [2]block.Ref{heads.Unsafe, heads.Safe}
}

// passes says why an event of this block needs not be read; nil if it does.
func (n *Node) passes(ref block.Ref) error {
	switch {
	case n.Has(ref):
		return errHas
	case ref.Height > n.at.Load().store.State().Unsafe.Height+1:
		return errGap
	}
	return n.Takes(ref.Height)
}

// take offers the block of an event.
func (s *streamed) take(ctx context.Context, n *Node, e *events) (applied bool, err error) {
	if e.ref.Height == 0 {
		return false, fmt.Errorf("%w: an event of a block has no id that names it", errUseless)
	}
	live := s.health.Status().Live
	if s.health.Heard(e.ref.Height, "stream"); !live {
		n.Refresh()
	}
	if e.passed != nil {
		return false, ended(e.ref, e.passed)
	}
	var of struct {
		Signed struct {
			Signature    SignatureKind
			Header, Data inPlace
		}
	}
	if err := json.Unmarshal(e.data, &of); err != nil {
		return false, fmt.Errorf("%w: an event cannot be read: %w", errUseless, err)
	}
	if of.Signed.Signature == Unsigned {
		return false, fmt.Errorf("block %d: %w", e.ref.Height, errBare)
	}
	verdict, err := n.TakeSigned(ctx, SignedBlock{Header: of.Signed.Header, Data: of.Signed.Data, Bare: true})
	switch verdict {
	case BlockApplied, BlockKnown:
		return verdict == BlockApplied, err
	case BlockWaits:
		if err == nil {
			return false, ended(e.ref, errGap)
		}
		return false, fmt.Errorf("%w: block %d: %w", errOwn, e.ref.Height, err)
	case BlockForged:
		return false, fmt.Errorf("%w: %w: block %d: %w", errUseless, errForged, e.ref.Height, err)
	case BlockRefused:
		return false, fmt.Errorf("%w: block %d: %w", errUseless, e.ref.Height, err)
	}
	if errors.Is(err, ErrFar) && n.Takes(e.ref.Height) == nil { // it is not at that height: waiting for that to be taken is no pause
		return false, fmt.Errorf("%w: the block of an event is not the one that its id names: %w", errUseless, err)
	}
	return false, ended(e.ref, err)
}

// ended says how a stream ends at a block that was passed over; nil if it goes on.
func ended(at block.Ref, why error) error {
	switch {
	case errors.Is(why, errHas), errors.Is(why, ErrStale): // this node was faster
		return nil
	case errors.Is(why, errGap):
		return fmt.Errorf("block %d: %w", at.Height, why)
	case errors.Is(why, ErrGate), errors.Is(why, ErrFar):
		return fmt.Errorf("%w: %w", errWaits, why)
	}
	return fmt.Errorf("%w: block %d: %w", errOwn, at.Height, why)
}

// events reads server-sent events, one at a time, each within a bound.
type events struct {
	r      *bufio.Reader
	states bool           // statuses are read too
	alive  func(more int) // bytes of an event, or, with 0, its end

	kind   string
	ref    block.Ref // of its id
	data   []byte    // valid until the next one
	passed error     // why there are none
}

// next reads an event or a comment, and returns how many bytes it had. The data of a block of which passes says why it
// needs not be read are passed over.
func (e *events) next(passes func(block.Ref) error) (size int, err error) {
	e.kind, e.ref, e.passed = "", block.Ref{}, nil
	if e.data = e.data[:0]; cap(e.data) > 1<<20 { // one was large: that is no reason to keep so much
		e.data = nil
	}
	for {
		part, whole, err := e.read(&size)
		if err != nil {
			return size, err
		}
		name, value, _ := bytes.Cut(part, []byte(":"))
		keep := false
		switch string(name) {
		case "id":
			e.ref = refOf(string(bytes.TrimSpace(value)))
		case "event":
			e.kind = string(bytes.TrimSpace(value))
		case "data":
			if e.kind == "block" {
				e.passed = passes(e.ref)
			}
			if keep = e.passed == nil && (e.kind == "block" || e.kind == "end" || e.kind == "status" && e.states); keep {
				e.data = append(e.data, value...)
			}
		}
		if whole && len(bytes.TrimSpace(part)) == 0 {
			e.alive(0)
			return size, nil
		}
		for !whole {
			if part, whole, err = e.read(&size); err != nil {
				return size, err
			}
			if keep {
				e.data = append(e.data, part...)
			}
		}
	}
}

// read reads a line, or a part of one. size is that of its event.
func (e *events) read(size *int) (part []byte, whole bool, err error) {
	part, err = e.r.ReadSlice('\n')
	*size += len(part)
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		err = nil
	case err != nil:
		return nil, false, err
	default:
		whole = true
	}
	if *size > maxEvent {
		return nil, false, fmt.Errorf("%w: an event of more than %d bytes", errUseless, maxEvent)
	}
	e.alive(*size)
	return part, whole, nil
}

// refOf returns the block that an id of an event names; the zero Ref if it names none.
func refOf(id string) (ref block.Ref) {
	parts := strings.Split(id, "-")
	if len(parts) < 2 {
		return block.Ref{}
	}
	height, err := strconv.ParseUint(parts[0], 10, 64)
	if err != nil || ref.Hash.UnmarshalText([]byte(parts[1])) != nil {
		return block.Ref{}
	}
	ref.Height = height
	return ref
}
