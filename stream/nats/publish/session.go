package publish

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"headrace/block"
	"headrace/follow"
	"headrace/node"
	"headrace/ref"
	"headrace/stream/nats"
)

// session publishes over one connection until something fails. It is used by one goroutine.
type session struct {
	p      *Publisher
	of     chain
	line   *line
	source follow.Source[node.Delivered]

	acked     uint64    // messages that this session has brought into the stream
	window    int       // messages that may be in flight: it grows while all goes well
	refused   int       // attempts in a row that another publisher, or a change of the stream, has made vain
	anew      time.Time // until then ids are made unlike those of before: the server took one for a duplicate
	duplicate string    // the id that it took for one
	at        *place    // where the stream stands; nil: it is to be looked up
}

// maxWindow and maxFlight bound what is in flight: messages, and bytes of them.
const (
	maxWindow = 512
	maxFlight = 4 << 20
)

// errChanged: the chain, or the stream, is not what it was a moment ago. Both are looked at again, at once.
var errChanged = errors.New("the chain or the stream has changed meanwhile")

func (s *session) run(ctx context.Context) (err error) {
	s.source = s.of.Blocks(s.p.opt.Head)
	for ctx.Err() == nil {
		if !s.line.conn.IsConnected() {
			return errDown
		}
		st, changed := s.of.Status().Get() // before the stream: what it says of the position is no newer than what is read
		if s.at == nil {
			at, err := s.look(ctx)
			if s.p.opt.looked != nil {
				s.p.opt.looked()
			}
			if errors.Is(err, errChanged) {
				continue
			}
			if err != nil {
				return err
			}
			s.at = &at
			s.stands()
		}
		next, err := s.decide(ctx, &st, s.at)
		if err == nil {
			err = s.publish(ctx, &st, next)
		}
		switch {
		case err == nil:
			s.refused = 0
			s.p.is(node.StreamPublishing, "")
			err = s.idle(ctx, &st, changed)
		case errors.Is(err, errWait):
			text := err.Error()[len(errWait.Error())+2:]
			s.p.said.Tell(s.p.log, slog.LevelInfo, "nothing is published now", text, "cause", text)
			s.p.is(node.StreamWaiting, text)
			err = s.idle(ctx, &st, changed)
		case errors.Is(err, errChanged):
			s.at, err = nil, s.yield(ctx)
		}
		if err != nil {
			return err
		}
	}
	return ctx.Err()
}

// idle waits until there is something to do: another head, another position, a connection that has come back, or time to
// look at the stream, which others may have changed.
func (s *session) idle(ctx context.Context, st *node.Status, changed <-chan struct{}) error {
	probe := time.NewTimer(s.p.opt.Probe)
	defer probe.Stop()
	head, position := s.head(st), st.Source.Position
	for {
		select {
		case <-changed:
			var now node.Status
			if now, changed = s.of.Status().Get(); s.head(&now) != head || now.Source.Position != position {
				return nil
			}
			if err := s.of.Status().Err(); err != nil {
				return err
			}
		case <-s.line.news: // it is another connection, or none
			s.at = nil
			return nil
		case <-probe.C:
			s.at = nil
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// yield makes room for another publisher, the more the longer others are faster.
func (s *session) yield(ctx context.Context) error {
	s.window = 1
	s.refused++
	s.p.note(func(x *node.Stream) { x.Counts.Refused++ })
	if s.refused == 1 {
		return ctx.Err()
	}
	pause := time.NewTimer(rand.N(min(time.Millisecond<<min(s.refused, 8), 250*time.Millisecond))) // a backoff
	defer pause.Stop()
	select {
	case <-pause.C:
	case <-ctx.Done():
	}
	return ctx.Err()
}

// stands notes where the stream stands.
func (s *session) stands() {
	at := s.at
	s.p.note(func(x *node.Stream) {
		x.At, x.Sequence = block.Ref{}, at.seq
		if !at.empty {
			x.At = at.last.Stands()
		}
	})
}

// publish brings the stream up to the head of a status.
func (s *session) publish(ctx context.Context, st *node.Status, next todo) (err error) {
	if next.reorg != nil {
		if err := s.one(ctx, next.reorg); err != nil {
			return err
		}
		s.p.log.Warn("the stream has gone back: its blocks were not this chain's any more", "from", next.reorg.From.Height, "to", next.reorg.Block.Height)
		s.p.note(func(x *node.Stream) { x.Counts.Reorgs++ })
	}
	head := s.head(st).Height
	if next.next > head {
		return nil
	}
	flight := s.flight()
	after, first := next.after, next.first
	err = s.source.Fetch(ctx, next.next, head+1, func(item follow.Item[node.Delivered]) error {
		if !first && item.Parent != after.Hash {
			return errChanged
		}
		m := nats.Message{
			Block: item.Ref(), Parent: item.Parent, Source: st.Source.Position, Origin: item.Data.Origin.Height,
			Root: fmt.Sprintf("%x", []byte(item.Data.StateRoot)), Final: min(st.Heads.Finalized.Height, item.Height),
		}
		if m.Body, err = encode(&item.Data); err != nil {
			return err
		}
		after, first = item.Ref(), false
		parts, err := m.Split(s.limit())
		if err != nil {
			return err
		}
		if len(parts) > 1 {
			if err := flight.land(ctx, 0); err != nil {
				return err
			}
			if err := s.batch(ctx, parts); err != nil {
				return err
			}
			flight = s.flight()
			return nil
		}
		return flight.send(ctx, &m)
	})
	if errors.Is(err, follow.ErrNotYet) {
		err = errChanged
	}
	return errors.Join(err, flight.land(ctx, 0))
}

// limit is how many bytes of a body one message may have.
func (s *session) limit() int {
	most := s.line.conn.MaxPayload()
	if n := s.at.info.Config.MaxMsgSize; n > 0 {
		most = min(most, int64(n))
	}
	return int(most) - nats.MaxHeaders
}

// message is m as it is sent, behind the last sequence seq. A stream that is purged keeps that sequence, so the message also
// names one that has to be there still, before: the server refuses it if that is not so.
func (s *session) message(m *nats.Message, seq uint64, before mark) *natsgo.Msg {
	if s.p.opt.sent != nil {
		s.p.opt.sent(m)
	}
	h := natsgo.Header(m.Header())
	if s.p.opt.noIDs {
		h.Del(nats.HeaderID)
	} else if time.Now().Before(s.anew) {
		h.Set(nats.HeaderID, m.ID()+"@"+strconv.FormatUint(seq, 10))
	}
	if before.subject != "" {
		h.Set(jetstream.ExpectedLastSubjSeqSubjHeader, before.subject)
		h.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(before.seq, 10))
	}
	return &natsgo.Msg{Subject: m.Subject(s.p.name), Header: h, Data: m.Body}
}

// done notes that m, at this sequence, is the stream's last message.
func (s *session) done(m *nats.Message, seq uint64) {
	last := *m
	last.Body = nil
	s.at.last, s.at.seq, s.at.empty = &last, seq, false
	s.at.newest = mark{m.Subject(s.p.name), seq}
	s.acked++
	s.refused = 0
	s.window = min(2*s.window, maxWindow)
	s.p.note(func(x *node.Stream) {
		x.At, x.Sequence, x.Counts.Published = last.Stands(), seq, x.Counts.Published+1
	})
}

// fate is what has become of a message by what the server says; nil: it is the next one of the stream. A refusal and a
// duplicate have the stream read again.
func (s *session) fate(m *nats.Message, id string, ack *jetstream.PubAck, err error, want uint64) error {
	var api *jetstream.APIError
	switch {
	case errors.As(err, &api) && (api.ErrorCode == apiWrongLast || api.ErrorCode == apiWrongLastConstant || api.ErrorCode == apiInFlight):
		return errChanged
	case errors.As(err, &api) && api.ErrorCode == apiBatchDuplicate, err == nil && ack.Duplicate:
		if s.duplicate == id { // twice, and the stream does not have it as the last one: it is one of long ago
			s.anew = time.Now().Add(max(s.at.info.Config.Duplicates, time.Minute))
		}
		s.duplicate = id
		return errChanged
	case err != nil:
		s.at = nil // what became of it the stream says
		if errors.Is(err, jetstream.ErrAsyncPublishTimeout) {
			err = fmt.Errorf("%w for %s", errUnanswered, 2*s.p.opt.Attempt)
		}
		return fmt.Errorf("publish block %d: %w", m.Block.Height, err)
	case ack.Sequence != want:
		return errChanged
	}
	return nil
}

// Codes of the server's errors.
const (
	apiWrongLast         = 10071
	apiWrongLastConstant = 10164
	apiInFlight          = 10158 // another message with this id is on its way into the stream
	apiBatchDuplicate    = 10201
)

// one publishes one message and waits for its end.
func (s *session) one(ctx context.Context, m *nats.Message) error {
	f := s.flight()
	if err := f.send(ctx, m); err != nil {
		return err
	}
	return f.land(ctx, 0)
}

// flight are the messages that were sent, each behind the one before, and not answered yet. After the first one that fails
// none of those behind it can be in the stream.
type flight struct {
	s     *session
	seq   uint64 // that of the last message that was sent
	last  mark   // that message, or the stream's newest one
	bytes int
	out   []sent
}

// flight begins behind the stream's last message.
func (s *session) flight() flight { return flight{s: s, seq: s.at.seq, last: s.at.newest} }

// before is the message that the next one names as there: the one before it. Where the stream is on several servers, they
// refuse what names a message that is on its way itself: there the first of a flight names one, and none behind it.
func (f *flight) before() mark {
	if at := f.s.at; !at.counts() || at.info.Config.Replicas > 1 && len(f.out) > 0 {
		return mark{}
	}
	return f.last
}

type sent struct {
	m      *nats.Message
	seq    uint64 // it gets
	size   int
	at     time.Time
	future jetstream.PubAckFuture
}

// send sends a message as soon as there is room.
func (f *flight) send(ctx context.Context, m *nats.Message) error {
	size := len(m.Body) + nats.MaxHeaders
	for len(f.out) > 0 && (len(f.out) >= f.s.window || f.bytes+size > maxFlight) {
		if err := f.land(ctx, len(f.out)-1); err != nil {
			return err
		}
	}
	future, err := f.s.line.js.PublishMsgAsync(f.s.message(m, f.seq, f.before()), jetstream.WithExpectLastSequence(f.seq), jetstream.WithRetryAttempts(0))
	if err != nil {
		return fmt.Errorf("publish block %d: %w", m.Block.Height, err)
	}
	f.seq++
	f.last = mark{m.Subject(f.s.p.name), f.seq}
	f.bytes += size
	f.out = append(f.out, sent{m, f.seq, size, time.Now(), future})
	return nil
}

// land waits until no more than left messages are not answered. After an error it still waits for all: what is in flight
// must not come behind what is sent after a new look.
func (f *flight) land(ctx context.Context, left int) (err error) {
	for len(f.out) > left {
		o := f.out[0]
		f.out = f.out[1:]
		f.bytes -= o.size
		var ack *jetstream.PubAck
		var failure error
		select {
		case ack = <-o.future.Ok():
		case failure = <-o.future.Err():
		case <-ctx.Done():
			return ctx.Err()
		}
		if err != nil {
			continue
		}
		if err = f.s.fate(o.m, o.future.Msg().Header.Get(nats.HeaderID), ack, failure, o.seq); err != nil {
			left = 0
			continue
		}
		f.s.done(o.m, o.seq)
		if time.Since(o.at) > f.s.p.opt.Attempt/2 { // the server is slow: fewer at a time, or what waits in its queue counts as lost
			f.s.window = max(f.s.window/4, 1)
		}
	}
	return err
}

// batch publishes the parts of a block in one atomic batch. See the server's ADR-50: the first message is answered when
// the batch is begun, the last one when all are in the stream or none is.
func (s *session) batch(ctx context.Context, parts []nats.Message) error {
	if !s.at.info.Config.AllowAtomicPublish {
		return fmt.Errorf("block %d is larger than a message may be, and the stream does not take several at once: set allow_atomic in its configuration", parts[0].Block.Height)
	}
	ctx, cancel := context.WithTimeout(ctx, 5*s.p.opt.Attempt)
	defer cancel()
	id, first, f := nuid.Next(), s.at.seq, s.flight()
	before := f.before()
	for i := range parts {
		m := s.message(&parts[i], first, before)
		before = mark{} // the first one names it
		m.Header.Set("Nats-Batch-Id", id)
		m.Header.Set("Nats-Batch-Sequence", strconv.Itoa(i+1))
		last := i == len(parts)-1
		switch {
		case i == 0:
			m.Header.Set(jetstream.ExpectedLastSeqHeader, strconv.FormatUint(first, 10))
		case last:
			m.Header.Set("Nats-Batch-Commit", "1")
		}
		if i > 0 && !last {
			if err := s.line.conn.PublishMsg(m); err != nil {
				return fmt.Errorf("publish part %d of block %d: %w", i+1, parts[i].Block.Height, err)
			}
			continue
		}
		resp, err := s.line.conn.RequestMsgWithContext(ctx, m)
		ack, err := answer(resp, err)
		want := first + uint64(i) + 1
		if i == 0 && err == nil && ack == nil { // the batch is begun
			continue
		}
		if err == nil && ack == nil {
			err = errors.New("the server's answer says nothing")
		}
		if err := s.fate(&parts[i], m.Header.Get(nats.HeaderID), ack, err, want); err != nil {
			return err
		}
	}
	s.done(&parts[len(parts)-1], first+uint64(len(parts)))
	return nil
}

// answer reads an answer to a message that was published; without error and acknowledgement it is empty.
func answer(resp *natsgo.Msg, err error) (*jetstream.PubAck, error) {
	if err != nil || len(resp.Data) == 0 {
		return nil, err
	}
	var got struct {
		Error *jetstream.APIError `json:"error"`
		jetstream.PubAck
	}
	if err := json.Unmarshal(resp.Data, &got); err != nil {
		return nil, fmt.Errorf("read the server's answer: %w", err)
	}
	if got.Error != nil {
		return nil, got.Error
	}
	return &got.PubAck, nil
}

// reorgBody is that of a reorg's message.
func reorgBody(from, to ref.Ref) ([]byte, error) {
	return json.Marshal(node.ReorgEvent{From: from, To: to})
}
