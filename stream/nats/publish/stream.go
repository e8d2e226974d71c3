package publish

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"headrace/stream/nats"
)

// place is where a stream stands, as its leader says.
type place struct {
	seq   uint64        // the last sequence: what the next message expects
	empty bool          // there is no message that counts
	last  *nats.Message // the last one that counts; its body is not kept
	info  *jetstream.StreamInfo
}

// apiNotFound is the server's error code of a message that is not there.
const apiNotFound = 10037

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
	m, seq, err := s.read(ctx, map[string]any{"last_by_subj": "hr." + s.p.name + ".>"})
	at.seq = max(at.seq, seq)
	for passed := 0; errors.Is(err, nats.ErrNotOurs) && passed < mostForeign; passed++ {
		s.p.said.Warn(s.p.log, "a message of the stream is passed over", err, "sequence", seq)
		if seq--; seq < at.info.State.FirstSeq {
			at.empty = true
			return at, nil
		}
		if m, _, err = s.read(ctx, map[string]any{"seq": seq}); isNotFound(err) {
			err = fmt.Errorf("%w: it was deleted", nats.ErrNotOurs)
		}
	}
	switch {
	case isNotFound(err): // it was purged meanwhile, or holds other subjects alone
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
	ctx, cancel := s.attempt(ctx)
	defer cancel()
	name := nats.StreamName(s.p.name)
	of, err := s.js.Stream(ctx, name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if of, err = s.js.CreateStream(ctx, s.config()); err == nil {
			s.p.log.Info("made a stream", "stream", name)
		}
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
func (s *session) read(ctx context.Context, which map[string]any) (m nats.Message, seq uint64, err error) {
	ctx, cancel := s.attempt(ctx)
	defer cancel()
	req, err := json.Marshal(which)
	if err != nil {
		return m, 0, err
	}
	resp, err := s.conn.RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET."+nats.StreamName(s.p.name), req)
	if err != nil {
		return m, 0, err
	}
	var got struct {
		Error   *jetstream.APIError `json:"error"`
		Message struct {
			Subject string `json:"subject"`
			Seq     uint64 `json:"seq"`
			Header  []byte `json:"hdrs"`
			Data    []byte `json:"data"`
		} `json:"message"`
	}
	if err := json.Unmarshal(resp.Data, &got); err != nil {
		return m, 0, fmt.Errorf("read the server's answer: %w", err)
	}
	if got.Error != nil {
		return m, 0, got.Error
	}
	var header natsgo.Header
	if len(got.Message.Header) > 0 {
		if header, err = natsgo.DecodeHeadersMsg(got.Message.Header); err != nil {
			return m, got.Message.Seq, fmt.Errorf("%w: its headers cannot be read: %w", nats.ErrNotOurs, err)
		}
	}
	m, err = nats.Parse(s.p.name, got.Message.Subject, header, got.Message.Data)
	return m, got.Message.Seq, err
}

func isNotFound(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && api.ErrorCode == apiNotFound
}

// attempt bounds one call. A server that has no leader for a question does not answer at all.
func (s *session) attempt(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, s.p.opt.Attempt, fmt.Errorf("no answer for %s", s.p.opt.Attempt.Round(time.Millisecond)))
}
