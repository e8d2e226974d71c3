package nats

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"headrace/await"
	"headrace/ref"
	"headrace/stream/nats/internal/leader"
)

// lookup finds messages of a chain's stream as it was at one moment. It asks the stream's leader: what a replica lacks may
// only be late.
type lookup struct {
	js     jetstream.JetStream
	chain  string
	stream jetstream.Stream
	begun  time.Time   // when the stream was made
	end    uint64      // sequence of the last message that it has had
	head   await.Label // up to which it has blocks
	each   time.Duration
	api    string // the prefix of the server's subjects
}

// attempt makes one request to a subject of the server, which has its own time: what is asked while there is no leader is
// never answered. Nor is what the server does not permit.
func attempt[T any](ctx context.Context, nc *natsgo.Conn, each time.Duration, subject string, ask func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, each)
	defer cancel()
	denied := denials(nc, subject)
	v, err := ask(ctx)
	return v, denied(err)
}

// question is attempt for what changes nothing, which is asked again within its time if there is no answer.
func question[T any](ctx context.Context, nc *natsgo.Conn, each time.Duration, subject string, ask func(context.Context) (T, error)) (T, error) {
	return attempt(ctx, nc, each, subject, func(ctx context.Context) (T, error) { return leader.Ask(ctx, each/questions, ask) })
}

// questions is how often one is asked within its time.
const questions = 3

// denials returns what makes an ErrDenied of an error if the server has denied since what is asked at this subject, or ever
// where the answers come: it says so beside what it answers, and answers nothing. What it denies to others who use the
// connection is no concern of this request's, unless it is the same: they all have one user's permissions.
func denials(nc *natsgo.Conn, subject string) func(error) error {
	before := nc.LastError()
	return func(err error) error {
		now := nc.LastError()
		if err == nil || !errors.Is(now, natsgo.ErrPermissionViolation) {
			return err
		}
		asks := now != before && strings.Contains(now.Error(), "Publish to "+strconv.Quote(subject)) // what is asked again is denied again
		if !asks && !hearsNothing(nc, now) {
			return err
		}
		return fmt.Errorf("%w: %w", ErrDenied, now)
	}
}

// hearsNothing reports whether a permission that was denied is to hear answers. The client library subscribes to them, or to
// each of their names, below the connection's prefix and one word of its own.
func hearsNothing(nc *natsgo.Conn, denied error) bool {
	inbox := nc.NewInbox()
	own := strings.LastIndexByte(inbox, '.') + 1
	_, said, _ := strings.Cut(denied.Error(), `Subscription to "`+inbox[:own])
	said, _, _ = strings.Cut(said, `"`)
	word := strings.TrimSuffix(said, ".*")
	return len(word) == len(inbox)-own && !strings.ContainsAny(word, ".*>")
}

// api is the prefix of a server's subjects for streams.
func api(js jetstream.JetStream) string {
	switch o := js.Options(); {
	case o.Domain != "":
		return "$JS." + o.Domain + ".API."
	case o.APIPrefix != "":
		return strings.TrimSuffix(o.APIPrefix, ".") + "."
	}
	return jetstream.DefaultAPIPrefix
}

// connected waits for a connection, for so long. It returns ErrRefused when the servers do not let this user in, each of them.
func connected(ctx context.Context, nc *natsgo.Conn, each time.Duration) error {
	if nc.IsConnected() {
		return nil
	}
	changes := nc.StatusChanged(natsgo.CONNECTED, natsgo.RECONNECTING, natsgo.CLOSED)
	defer nc.RemoveStatusListener(changes)
	limit := time.NewTimer(each)
	defer limit.Stop()
	for refused := 0; !nc.IsConnected() && !nc.IsClosed(); {
		select {
		case <-changes: // after each try that has come to a server
			if last := nc.LastError(); isRefusal(last) {
				if refused++; refused >= len(nc.Servers()) {
					return fmt.Errorf("%w: %w", ErrRefused, last)
				}
			}
		case <-limit.C:
			return fmt.Errorf("no connection to a NATS server for %s", each)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	if nc.IsClosed() {
		return natsgo.ErrConnectionClosed
	}
	return nil
}

// isRefusal reports whether a server has not let somebody in. The client library has its words, and seldom its own errors.
func isRefusal(err error) bool {
	if err == nil {
		return false
	}
	said := strings.ToLower(err.Error())
	return slices.ContainsFunc([]error{natsgo.ErrAuthorization, natsgo.ErrAuthExpired, natsgo.ErrAuthRevoked}, func(known error) bool {
		return strings.Contains(said, strings.TrimPrefix(known.Error(), "nats: "))
	})
}

// openLookup looks whether a chain's stream is there, and of what kind.
func openLookup(ctx context.Context, js jetstream.JetStream, chain string, each time.Duration) (*lookup, error) {
	if err := connected(ctx, js.Conn(), each); err != nil {
		return nil, err
	}
	at := api(js)
	stream, err := question(ctx, js.Conn(), each, at+"STREAM.INFO."+StreamName(chain), func(ctx context.Context) (jetstream.Stream, error) {
		return js.Stream(ctx, StreamName(chain))
	})
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, fmt.Errorf("there is no stream %s: does a node publish it?", StreamName(chain))
	}
	if err != nil {
		return nil, fmt.Errorf("look for stream %s: %w", StreamName(chain), err)
	}
	info := stream.CachedInfo()
	s := &lookup{js: js, chain: chain, stream: stream, begun: info.Created, end: info.State.LastSeq, each: each, api: at}
	meta := info.Config.Metadata
	if format, ok := meta[MetaFormat]; ok && format != Format {
		return nil, endError{fmt.Errorf("stream %s has format %.20q, and this program reads format %s", StreamName(chain), format, Format)}
	}
	if genesis, ok := meta[MetaGenesis]; ok && !(len(genesis) == 64 && genesis[:16] == chain) {
		return nil, endError{fmt.Errorf("stream %s: %w: its genesis is %.64q", StreamName(chain), ErrForeign, genesis)}
	}
	if meta[MetaHead] == await.Finalized.String() {
		s.head = await.Finalized
	}
	return s, nil
}

// unchanged returns the sequence of the stream's last message, and an error if the stream is another one, or had more before.
func (s *lookup) unchanged(ctx context.Context, had uint64) (end uint64, err error) {
	info, err := attempt(ctx, s.js.Conn(), s.each, s.api+"STREAM.INFO."+StreamName(s.chain), func(ctx context.Context) (*jetstream.StreamInfo, error) {
		return s.stream.Info(ctx)
	})
	switch {
	case err != nil:
		return 0, fmt.Errorf("look at stream %s: %w", StreamName(s.chain), err)
	case !info.Created.Equal(s.begun):
		return 0, fmt.Errorf("stream %s was made anew", StreamName(s.chain))
	case info.State.LastSeq < had:
		return 0, fmt.Errorf("stream %s went back from message %d to %d", StreamName(s.chain), had, info.State.LastSeq)
	}
	return info.State.LastSeq, nil
}

// The consumer's times. It is asked for a sign of life so often that one which is gone without a word is replaced in time.
const (
	heartbeat = 2 * time.Second
	inactive  = 30 * time.Second
)

// consumer makes a consumer that reads from a sequence on. denied is denials of its requests. forget deletes it: if
// that fails the server does so by itself later.
func (s *lookup) consumer(ctx context.Context, from uint64) (cons jetstream.Consumer, denied func(error) error, forget func(), err error) {
	name, nc := nuid.Next(), s.js.Conn() // as the client library would name it: what is denied is known by it
	of := StreamName(s.chain) + "." + name
	cons, err = attempt(ctx, nc, s.each, s.api+"CONSUMER.CREATE."+of, func(ctx context.Context) (jetstream.Consumer, error) {
		return s.stream.CreateConsumer(ctx, jetstream.ConsumerConfig{
			Name: name, DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: from, AckPolicy: jetstream.AckNonePolicy,
			InactiveThreshold: inactive, MemoryStorage: true, Replicas: 1,
		})
	})
	if err != nil {
		return nil, nil, nil, fmt.Errorf("make a consumer: %w", err)
	}
	return cons, denials(nc, s.api+"CONSUMER.MSG.NEXT."+of), func() {
		if !nc.IsConnected() {
			return
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = s.stream.DeleteConsumer(ctx, name)
	}, nil
}

// found is a block or a reorg in the stream, without its body if it has parts.
type found struct {
	Message
	first, last uint64 // sequences
}

// message asks for one message. It reports false if there is none; ours reports that a publisher has written it.
func (s *lookup) message(ctx context.Context, request map[string]any) (f found, ours, ok bool, err error) {
	got, err := question(ctx, s.js.Conn(), s.each, leader.Subject(s.api, StreamName(s.chain)), func(ctx context.Context) (leader.Message, error) {
		return leader.Get(ctx, s.js.Conn(), s.api, StreamName(s.chain), request)
	})
	switch {
	case errors.Is(err, leader.ErrNotFound):
		return f, false, false, nil
	case err != nil && !errors.Is(err, leader.ErrHeader): // without headers it is not ours
		return f, false, false, fmt.Errorf("look into stream %s: %w", StreamName(s.chain), err)
	}
	m, bad := Parse(s.chain, got.Subject, got.Header, got.Data)
	return found{m, got.Seq, got.Seq}, bad == nil, true, nil
}

// foreign is how many messages that no publisher has written may be at the stream's end.
const foreign = 256

// last returns the last message that a publisher has written. It reports false if there is none.
func (s *lookup) last(ctx context.Context) (f found, ok bool, err error) {
	f, ours, ok, err := s.message(ctx, map[string]any{"last_by_subj": "hr." + s.chain + ".>"})
	for tries := 0; err == nil && ok && !ours; tries++ {
		if tries == foreign {
			return f, false, fmt.Errorf("the last %d messages of stream %s are no publisher's", foreign, StreamName(s.chain))
		}
		before := f.first
		for ours, ok = false, false; err == nil && !ok && before > 1; { // what is deleted is passed over
			before--
			f, ours, ok, err = s.message(ctx, map[string]any{"seq": before})
		}
	}
	return f, ok && ours, err
}

// block returns the last block that was published at a height. It reports false if there is none that is whole.
func (s *lookup) block(ctx context.Context, height uint64) (f found, ok bool, err error) {
	f, ours, ok, err := s.message(ctx, map[string]any{"last_by_subj": BlockSubject(s.chain, height)})
	switch {
	case err != nil || !ok:
		return f, false, err
	case ours && f.Whole():
		return f, true, nil
	}
	return s.published(ctx, height, func(Message) bool { return true })
}

// published returns the last of the whole blocks at a height that match, of all that were published there.
func (s *lookup) published(ctx context.Context, height uint64, match func(Message) bool) (last found, ok bool, err error) {
	var parts Joiner
	first := uint64(0)
	for from := uint64(1); ; {
		f, ours, more, err := s.message(ctx, map[string]any{"seq": from, "next_by_subj": BlockSubject(s.chain, height)})
		if err != nil || !more {
			return last, ok, err
		}
		from = f.last + 1
		if !ours {
			continue
		}
		if f.Part <= 1 {
			first = f.first
		}
		if whole, done, _ := parts.Add(f.Message); done && match(whole) {
			last, ok = found{whole, first, f.last}, true
		}
	}
}

// lowest returns the first whole block of the stream.
func (s *lookup) lowest(ctx context.Context) (height uint64, ok bool, err error) {
	for from := uint64(1); ; {
		f, ours, ok, err := s.message(ctx, map[string]any{"seq": from, "next_by_subj": BlockSubject(s.chain, 0)[:len(BlockSubject(s.chain, 0))-1] + "*"})
		if err != nil || !ok {
			return 0, false, err
		}
		if ours && f.Part <= 1 {
			return f.Block.Height, true, nil
		}
		from = f.last + 1
	}
}

// seek returns the sequence from which on to read for a sink that stands at a block. A gapError: what it needs is not there.
func (r *reader) seek(ctx context.Context, s *lookup, at ref.Ref) (from uint64, err error) {
	last, ok, err := s.last(ctx)
	if err != nil {
		return 0, err
	}
	next := max(last.last, s.end) + 1
	stands := last.Stands()
	switch {
	case !ok: // there is nothing in it yet, or not any more
		return next, nil
	case stands == at, stands.Height == at.Height && at.Hash.IsZero():
		r.vouched = false
		return next, nil
	case stands.Height <= at.Height:
		return r.fork(ctx, s, at, last, next)
	}
	b, ok, err := s.block(ctx, at.Height+1)
	switch {
	case err != nil:
		return 0, err
	case !ok:
		return 0, r.missing(ctx, s, at.Height+1, stands.Height)
	case !at.Hash.IsZero() && b.Parent != at.Hash:
		return r.fork(ctx, s, at, last, next)
	case r.hole.height == at.Height+1 && r.hole.next > 0:
		return 0, gapError{r.hole}
	}
	return b.first, nil
}

// missing is the error for a block that a stream, which stands above it, does not have.
func (r *reader) missing(ctx context.Context, s *lookup, height, stands uint64) error {
	lowest, ok, err := s.lowest(ctx)
	if err != nil {
		return err
	}
	if ok && lowest > height {
		return gapError{gap{height, lowest}}
	}
	for next := height + 1; next <= stands && next < height+foreign; next++ {
		if _, ok, err := s.block(ctx, next); err != nil || ok {
			if err == nil {
				err = gapError{gap{height, next}}
			}
			return err
		}
	}
	return gapError{gap{height, max(height+1, stands)}}
}

// fork is seek where the stream stands below the sink, or has another block than the sink's, or one that is no child of it.
//
// If the stream has the sink's block, what follows it there says what became of it: also while nothing is published behind a
// reorg. If it does not, either the stream was cut back, or it was made anew after that block had been reverted, or it was
// cut back to before a reorg that the sink has seen. As long as no publisher goes on from there, and the block there is not
// final, the sink keeps what it has.
func (r *reader) fork(ctx context.Context, s *lookup, at ref.Ref, last found, next uint64) (uint64, error) {
	if !r.vouched {
		ours, ok, err := s.published(ctx, at.Height, func(m Message) bool { return m.Block == at })
		if err != nil {
			return 0, err
		}
		if ok {
			return ours.last + 1, nil
		}
		if last.Final < at.Height {
			return next, nil
		}
	}
	common, ok, err := r.common(ctx, s, at, min(at.Height, last.Stands().Height))
	switch {
	case err != nil:
		return 0, err
	case !ok:
		lowest, ok, err := s.lowest(ctx)
		switch {
		case err != nil:
			return 0, err
		case !ok || lowest <= 1:
			return 0, r.lacking(at, ErrForeign, fmt.Errorf("stream %s: %w: no block of the sink's is in it, up to block %d", StreamName(s.chain), ErrForeign, at.Height))
		}
		return 0, gapError{gap{min(lowest, at.Height+1) - 1, lowest}}
	case common.Block == at: // what follows it in the stream is no child of it
		return 0, gapError{gap{at.Height + 1, at.Height + 2}}
	}
	if _, err := r.undo(ctx, Undo{From: at, To: common.Block, Cursor: common.Cursor()}); err != nil {
		return 0, err
	}
	return 0, errAgain
}

// common returns the highest block up to a height that both the stream and the sink have. Below it all are alike.
func (r *reader) common(ctx context.Context, s *lookup, at ref.Ref, height uint64) (f found, ok bool, err error) {
	older := ancestors{lookup: s, lowest: at, hashes: map[uint64]ref.Hash{}}
	alike := func(height uint64) (found, bool, error) {
		f, ok, err := s.block(ctx, height)
		if err != nil || !ok {
			return f, false, err
		}
		hash, known, err := r.sink.At(ctx, height)
		if err != nil {
			return f, false, endError{err}
		}
		if known && hash == Forgotten {
			if hash, ok, err = older.at(ctx, height); err != nil || !ok {
				return f, false, err
			}
		}
		return f, !known || hash.IsZero() || hash == f.Block.Hash, nil
	}
	low, high := height, height+1 // alike at low, once it is found, and not at high
	for step := uint64(1); ; step *= 2 {
		if f, ok, err = alike(low); err != nil {
			return f, false, err
		}
		if ok {
			break
		}
		high = low
		if low <= step {
			if low <= 1 {
				return f, false, nil
			}
			low = 1
			continue
		}
		low -= step
	}
	for low+1 < high {
		mid := low + (high-low)/2
		there, ok, err := alike(mid)
		switch {
		case err != nil:
			return f, false, err
		case ok:
			f, low = there, mid
		default:
			high = mid
		}
	}
	return f, true, nil
}

// ancestors are the blocks below one, as far as the stream still has them, on whatever branch they are.
type ancestors struct {
	*lookup
	lowest ref.Ref
	hashes map[uint64]ref.Hash
	ended  bool
}

// farthest bounds how far the ancestors of a block are looked for.
const farthest = 4096

// at returns the hash of the ancestor at a height. It reports false if the way there is not in the stream.
func (a *ancestors) at(ctx context.Context, height uint64) (hash ref.Hash, ok bool, err error) {
	for !a.ended && a.lowest.Height > height {
		f, ok, err := a.published(ctx, a.lowest.Height, func(m Message) bool { return m.Block == a.lowest })
		switch {
		case err != nil:
			return hash, false, err
		case !ok || f.Parent.IsZero() || len(a.hashes) == farthest:
			a.ended = true
			return hash, false, nil
		}
		a.lowest = ref.Ref{Height: a.lowest.Height - 1, Hash: f.Parent}
		a.hashes[a.lowest.Height] = f.Parent
	}
	hash, ok = a.hashes[height]
	return hash, ok, nil
}
