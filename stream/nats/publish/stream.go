package publish

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"headrace/stream/nats"
	"headrace/stream/nats/internal/leader"
)

// place is where a stream stands, as its leader says.
type place struct {
	seq   uint64        // the last sequence: what the next message expects
	empty bool          // there is no message that counts
	last  *nats.Message // the last one that counts; its body is not kept
	info  *jetstream.StreamInfo

	newest mark // the last message, whoever has written it
}

// mark names a message of the stream that is the last one with its subject. The zero value names none.
type mark struct {
	subject string
	seq     uint64
}

// longestMark is how many bytes the subject of a mark may have: more than those of publishers have.
const longestMark = 128

// counts reports whether the server compares the sequence of a mark with the last one of the mark's subject, as those do from
// 2.12 on, whose API has level 2 (the server's ADR-44). One before 2.11 takes the message's own subject, and would refuse
// every message.
func (p *place) counts() bool {
	level, _ := strconv.Atoi(p.info.Config.Metadata["_nats.level"])
	return level >= 2
}

// mostForeign is how many messages at the end of a stream are passed over because no publisher has written them.
const mostForeign = 64

// look reads where the stream stands, and makes the stream if there is none. Both questions are answered by the stream's
// leader: a replica may be behind, and what it says would be taken for a stream that was cut back.
func (s *session) look(ctx context.Context) (at place, err error) {
	if at.info, err = s.stream(ctx); err != nil {
		return at, err
	}
	at.seq = at.info.State.LastSeq
	if at.info.State.Msgs == 0 {
		at.empty = true
		return at, nil
	}
	m, there, err := s.read(ctx, map[string]any{"last_by_subj": "hr." + s.p.name + ".>"})
	at.newest = there
	seq := there.seq
	at.seq = max(at.seq, seq)
	for passed := 0; errors.Is(err, nats.ErrNotOurs) && passed < mostForeign; passed++ {
		s.p.said.Warn(s.p.log, "a message of the stream is passed over", err, "sequence", seq)
		if seq--; seq < at.info.State.FirstSeq {
			at.empty = true
			return at, nil
		}
		if m, _, err = s.read(ctx, map[string]any{"seq": seq}); errors.Is(err, leader.ErrNotFound) {
			err = fmt.Errorf("%w: it was deleted", nats.ErrNotOurs)
		}
	}
	switch {
	case errors.Is(err, leader.ErrNotFound): // it was purged meanwhile, or holds other subjects alone
		at.empty = true
		return at, nil
	case err != nil:
		return at, fmt.Errorf("read the last message of the stream: %w", err)
	}
	at.seq = max(at.seq, seq) // somebody has published meanwhile
	m.Body = nil
	at.last = &m
	return at, nil
}

// stream returns what the stream is, which is checked, and makes it if there is none.
func (s *session) stream(ctx context.Context) (*jetstream.StreamInfo, error) {
	name := nats.StreamName(s.p.name)
	of, err := question(ctx, s, func(ctx context.Context) (jetstream.Stream, error) { return s.line.js.Stream(ctx, name) })
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		of, err = attempt(ctx, s, func(ctx context.Context) (jetstream.Stream, error) { return s.line.js.CreateStream(ctx, s.config()) })
		if err == nil {
			s.p.log.Info("made a stream", "stream", name)
		}
	}
	if errors.Is(err, natsgo.ErrNoResponders) {
		err = fmt.Errorf("%w: JetStream is off there, or has not started yet", err)
	}
	if err != nil {
		return nil, fmt.Errorf("ask for stream %s: %w", name, err)
	}
	info := of.CachedInfo()
	return info, s.check(&info.Config)
}

// config is that of a stream that is made here.
func (s *session) config() jetstream.StreamConfig {
	p := s.p
	return jetstream.StreamConfig{
		Name: nats.StreamName(p.name), Subjects: nats.Subjects(p.name), Description: "blocks of a chain, by headrace",
		Storage: jetstream.FileStorage, Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardOld, Replicas: p.opt.Replicas,
		AllowDirect: true, AllowAtomicPublish: true,
		Metadata: nats.Metadata(p.opt.Genesis.Hash(), p.opt.Genesis.ChainID, p.opt.Head.String()),
	}
}

// errRefused: the stream is not one that this publisher may write.
var errRefused = errors.New("this stream is not written")

// check refuses a stream that is another chain's, or has blocks up to another head.
func (s *session) check(c *jetstream.StreamConfig) error {
	want := s.config()
	for _, key := range []string{nats.MetaFormat, nats.MetaGenesis, nats.MetaHead} {
		if got := c.Metadata[key]; got != want.Metadata[key] {
			return fmt.Errorf("%w: its metadata has %s=%q, and here it is %q: change the setting, or delete the stream, which is filled again then", errRefused, key, got, want.Metadata[key])
		}
	}
	for _, subject := range want.Subjects {
		if !slices.Contains(c.Subjects, subject) {
			return fmt.Errorf("%w: it does not have the subject %s", errRefused, subject)
		}
	}
	return nil
}

// read asks the stream's leader for a message.
func (s *session) read(ctx context.Context, which map[string]any) (m nats.Message, there mark, err error) {
	got, err := question(ctx, s, func(ctx context.Context) (leader.Message, error) {
		return leader.Get(ctx, s.line.conn, jetstream.DefaultAPIPrefix, nats.StreamName(s.p.name), which)
	})
	if len(got.Subject) <= longestMark {
		there.subject = got.Subject
	}
	there.seq = got.Seq
	switch {
	case errors.Is(err, leader.ErrHeader):
		return m, there, fmt.Errorf("%w: %w", nats.ErrNotOurs, err)
	case err != nil:
		return m, mark{}, err
	}
	m, err = nats.Parse(s.p.name, got.Subject, got.Header, got.Data)
	return m, there, err
}

// errUnanswered: a question was not answered in time.
var errUnanswered = errors.New("no answer")

// attempt makes one request, which has its own time.
func attempt[T any](ctx context.Context, s *session, ask func(context.Context) (T, error)) (T, error) {
	d := questions * s.p.opt.Attempt
	ctx, cancel := context.WithTimeoutCause(ctx, d, fmt.Errorf("%w for %s", errUnanswered, d))
	defer cancel()
	answer, err := ask(ctx)
	if cause := context.Cause(ctx); errors.Is(err, context.DeadlineExceeded) && errors.Is(cause, errUnanswered) {
		err = cause
	}
	return answer, err
}

// question is attempt for what changes nothing, which is asked again within its time: a server that has no leader for it
// does not answer at all.
func question[T any](ctx context.Context, s *session, ask func(context.Context) (T, error)) (T, error) {
	return attempt(ctx, s, func(ctx context.Context) (T, error) { return leader.Ask(ctx, s.p.opt.Attempt, ask) })
}

// questions is how often one is asked before the connection is looked at again.
const questions = 3
