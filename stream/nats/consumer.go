package nats

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"headrace/await"
	"headrace/follow"
	"headrace/ref"
)

// JetStream is a connection to a server's streams.
type JetStream = jetstream.JetStream

// Block is a block as it comes out of a stream, or from the node that stands in for it.
type Block struct {
	ref.Ref
	Parent ref.Hash // the zero Hash: it is the chain's first
	Cursor string   // the id of the same event in GET /v1/events, to go on there with after=
	Body   []byte   // the JSON of GET /v1/blocks/{height}. It is the sink's own
}

// Undo says that blocks which a Sink has are void, or not safe any more.
type Undo struct {
	From   ref.Ref // the last block of the sink
	To     ref.Ref // the last one that still holds. It may be below the sink's first one
	Cursor string  // of To, as of a Block
}

// Sink is where a chain goes that Read reads: the user's own store. What it has stored is the position, and there is no
// other. One call comes at a time. An error of a method ends Read, which returns it as it is.
type Sink interface {
	// Last returns the block that was stored last: where to go on. Before the first one it returns the height before the
	// one to begin with, and a zero hash, which any parent matches. Read asks whenever it looks for its place anew.
	Last(ctx context.Context) (ref.Ref, error)

	// At returns the hash of the stored block at a height up to Last's. It is asked where the stream and the sink may have
	// gone separate ways. It reports false for what the sink never had; a zero hash matches any block there. Forgotten is
	// for a sink that has the block, and not its hash.
	At(ctx context.Context, height uint64) (hash ref.Hash, ok bool, err error)

	// Apply stores a block, whose parent is Last, in one transaction with what is made of it. The transaction should fail
	// if something else is stored last by then: then two processes over one store do no harm. After an error Apply may
	// have stored the block or not: the next Read asks Last.
	Apply(ctx context.Context, b Block) error

	// Undo takes back all blocks above To in one transaction. What follows replaces them, and may repeat some.
	Undo(ctx context.Context, u Undo) error
}

// Forgotten is the hash of no block: see Sink. Where the stream's own history does not say what such a block was, the sink
// goes back below it.
var Forgotten = ref.Hash{0: 0xff, 31: 0xff}

// other reports whether a sink's hash, as At returns it, is that of another block.
func other(sinks ref.Hash, known bool, hash ref.Hash) bool {
	return known && !sinks.IsZero() && sinks != Forgotten && sinks != hash
}

// ReadOptions configure Read. The zero value works.
type ReadOptions struct {
	// Node has the blocks that the stream has no longer. Without one Read ends with ErrGone when it needs such a block.
	Node *await.Client

	// Skipped is told each message that is passed over, with its sequence: it is no publisher's, or parts that come before it
	// were no block.
	Skipped func(sequence uint64, why error)

	// Lost is told why the stream could not be read, before the next try: once until a block comes. That it is not there yet
	// is such a reason.
	Lost func(error)

	Attempt    time.Duration // of one request to the server, of which there are a few before the first message; a question is asked again within it; default 5 s
	Quiet      time.Duration // when nothing has come for so long the server is asked where the stream stands; default 5 s
	MaxBackoff time.Duration // between two tries, which begin 50 ms apart; default 2 s
	Wait       time.Duration // for which Head, Chains and OnlyChain try; 0: until ctx ends
	Buffer     int           // messages that have come and are not taken yet, at most; default 256, and 8 MiB or two messages
}

func (o ReadOptions) orDefaults() ReadOptions {
	o.Attempt = cmp.Or(o.Attempt, 5*time.Second)
	o.Quiet = cmp.Or(o.Quiet, 5*time.Second)
	o.MaxBackoff = cmp.Or(o.MaxBackoff, 2*time.Second)
	o.Buffer = cmp.Or(o.Buffer, 256)
	return o
}

// What the error of Read matches (errors.Is) when trying again would not help.
var (
	ErrGone    = errors.New("the stream does not have it any more")
	ErrForeign = errors.New("it is of another chain")
	ErrRefused = errors.New("the NATS server refuses") // who asks it, or what is asked
	ErrDenied  = fmt.Errorf("%w what a reader asks", ErrRefused)
)

// Read brings a chain's stream to a sink: each block once, in order, each the child of the one before or of To of an Undo.
// It goes on through everything that happens to the server and to the stream: a connection that breaks, a server that is
// away or restored from a copy, a stream that is cut back, purged, or deleted and made anew. A server or a stream that is
// not there yet is waited for. It returns when ctx ends, with its cause; when the sink fails, with its error; with ErrGone or
// ErrForeign; and with nats.ErrConnectionClosed when js is closed for good. Until then it tries again.
//
// It returns ErrRefused when the server does not permit what is asked. A wrong user or password ends it as long as it has
// not read the stream yet: later, when the servers' configuration may be in change, it is tried again.
//
// It holds no position. It asks the sink, finds that block in the stream by the subject of its height, and reads on behind
// it with a consumer of its own, which the server forgets 30 s after Read has gone. A stream that is behind the sink is
// waited for. The sink goes back when the stream says so (a reorg from the sink's last block), when the stream has the
// sink's block followed by its reorg, or when a block is published that belongs to a chain without it: never because
// something is missing.
//
// Messages that no publisher has written are skipped. Blocks are believed as they come: who may publish to the subjects is
// up to the server's permissions. js may be shared; the connection should reconnect for ever (nats.MaxReconnects(-1)).
func Read(ctx context.Context, js jetstream.JetStream, chain string, sink Sink, opt ReadOptions) error {
	r := &reader{js: js, chain: chain, sink: sink, opt: opt.orDefaults()}
	pause := follow.Backoff{Min: 50 * time.Millisecond, Max: r.opt.MaxBackoff}
	for {
		before := r.took
		err := r.session(ctx)
		if r.took > before {
			pause.Reset()
		}
		switch end := (endError{}); {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.As(err, &end):
			return end.error
		case errors.Is(err, ErrRefused) && (!r.read || errors.Is(err, ErrDenied)):
			return err
		case js.Conn().IsClosed():
			return whyLost(js, natsgo.ErrConnectionClosed)
		case errors.Is(err, errAgain):
			if r.took > before {
				continue
			}
		case !r.told && r.opt.Lost != nil:
			r.told = true
			r.opt.Lost(whyLost(js, err))
		}
		_ = pause.Sleep(ctx, nil)
	}
}

// whyLost is why something failed: with what is wrong with the connection, if there is none.
func whyLost(js jetstream.JetStream, err error) error {
	if nc := js.Conn(); !errors.Is(err, ErrRefused) && !nc.IsConnected() && nc.LastError() != nil {
		return fmt.Errorf("%w: %w", err, nc.LastError())
	}
	return err
}

// reader is one Read. It is used by one goroutine.
type reader struct {
	js    jetstream.JetStream
	chain string
	sink  Sink
	opt   ReadOptions

	read    bool   // the stream has been read
	took    uint64 // what the sink has taken, blocks and undos
	told    bool   // Lost has been told, and nothing came since
	vouched bool   // a publisher has gone on with a chain that is not the sink's
	hole    gap    // that was found by reading
	lacks   lack   // that was found by the look before
}

// lack is why a stream is of no use to a sink that stands at a block: ErrGone or ErrForeign.
type lack struct {
	at  ref.Ref
	why error
}

// gap is what a stream does not have, and where it goes on.
type gap struct{ height, next uint64 }

// endError ends Read.
type endError struct{ error }

func (e endError) Unwrap() error { return e.error }

// errAgain: the place must be looked for anew.
var errAgain = errors.New("the place in the stream is looked for anew")

// gapError is a block that comes too early.
type gapError struct{ gap }

func (e gapError) Error() string {
	return fmt.Sprintf("the stream has no block %d before block %d", e.height, e.next)
}

// session finds the sink's place and reads on from there, until something makes it look again.
func (r *reader) session(ctx context.Context) error {
	at, err := r.sink.Last(ctx)
	if err != nil {
		return endError{err}
	}
	s, err := openLookup(ctx, r.js, r.chain, r.opt.Attempt)
	if err != nil {
		return err
	}
	from, err := r.seek(ctx, s, at)
	if missing := (gapError{}); errors.As(err, &missing) {
		return r.elsewhere(ctx, s, at, missing)
	}
	if err != nil {
		return err
	}
	r.lacks = lack{}
	err = r.consume(ctx, s, at, from)
	if early := (gapError{}); errors.As(err, &early) {
		if r.hole.height == early.height { // it was looked for since, and not found
			r.hole, r.vouched = early.gap, true // the stream goes on nevertheless
		} else {
			r.hole = gap{height: early.height}
		}
		return errAgain
	}
	return err
}

// consume reads the stream from a sequence on. It returns why that ended, never nil.
func (r *reader) consume(ctx context.Context, s *lookup, at ref.Ref, from uint64) error {
	cons, denied, forget, err := s.consumer(ctx, from)
	if err != nil {
		return err
	}
	defer forget()
	if _, err := s.unchanged(ctx, from-1); err != nil { // since the look: a consumer beyond the end waits in silence
		return err
	}
	most := max(8<<20, int(r.js.Conn().MaxPayload())+MaxHeaders+64<<10) // what is larger than a request could never come
	msgs, err := cons.Messages(jetstream.PullMaxMessagesWithBytesLimit(r.opt.Buffer, most), jetstream.PullExpiry(30*time.Second), jetstream.PullHeartbeat(heartbeat))
	if err != nil {
		return fmt.Errorf("read the stream: %w", err)
	}
	defer r.stopped(ctx, msgs)()

	var parts Joiner
	last := from - 1   // sequence
	waits := uint64(0) // last, when the stream was found to have more
	for {
		msg, err := msgs.Next(jetstream.NextMaxWait(r.opt.Quiet))
		switch {
		case ctx.Err() != nil: // what was received before is not taken any more
			return context.Cause(ctx)
		case errors.Is(err, natsgo.ErrTimeout):
			end, err := s.unchanged(ctx, last)
			switch {
			case err != nil:
				return err
			case end > last && waits == last+1:
				return denied(fmt.Errorf("message %d of stream %s does not come", end, StreamName(r.chain)))
			case end > last:
				waits = last + 1
			}
			continue
		case err != nil:
			return fmt.Errorf("read the stream: %w", denied(err))
		}
		meta, err := msg.Metadata()
		if err != nil {
			return fmt.Errorf("read the stream: %w", err)
		}
		r.read = true
		if meta.Sequence.Stream <= last {
			return fmt.Errorf("the stream went back from message %d to %d", last, meta.Sequence.Stream)
		}
		last = meta.Sequence.Stream
		m, err := Parse(r.chain, msg.Subject(), msg.Headers(), msg.Data())
		if err != nil { // anybody may have written it
			r.skipped(last, err)
			continue
		}
		whole, ok, dropped := parts.Add(m)
		if dropped {
			r.skipped(last, errHalf)
		}
		if ok {
			if at, err = r.take(ctx, at, whole); err != nil {
				return err
			}
		}
	}
}

// stopped has msgs end with ctx, and when the connection is another one: the server may be another one too, or have lost
// the consumer. The function that it returns ends all that.
func (r *reader) stopped(ctx context.Context, msgs jetstream.MessagesContext) func() {
	nc := r.js.Conn()
	changes := nc.StatusChanged(natsgo.CONNECTED, natsgo.RECONNECTING, natsgo.CLOSED)
	var listener sync.WaitGroup
	listener.Go(func() {
		for range changes { // until it is removed
			msgs.Stop()
		}
	})
	forget := context.AfterFunc(ctx, msgs.Stop)
	return func() {
		forget()
		msgs.Stop()
		nc.RemoveStatusListener(changes)
		listener.Wait()
	}
}

// take moves the sink on by a message that came behind its place, and returns where it stands then.
func (r *reader) take(ctx context.Context, at ref.Ref, m Message) (ref.Ref, error) {
	height := m.Block.Height
	switch {
	case m.IsReorg() && m.From != at:
		// Either the stream was cut back, and the sink has more of what is void, or its blocks are others: then what is published
		// next shows whether it is concerned.
		if m.From.Height > at.Height {
			return at, nil
		}
		hash, ok, err := r.sink.At(ctx, m.From.Height)
		switch {
		case err != nil:
			return at, endError{err}
		case !ok || hash != m.From.Hash:
			return at, nil
		}
		return r.undo(ctx, Undo{From: at, To: m.Block, Cursor: m.Cursor()})
	case m.IsReorg():
		if hash, ok, err := r.sink.At(ctx, height); err != nil {
			return at, endError{err}
		} else if other(hash, ok, m.Block.Hash) {
			return at, r.turned()
		}
		return r.undo(ctx, Undo{From: at, To: m.Block, Cursor: m.Cursor()})
	case height == at.Height+1 && (at.Hash.IsZero() || m.Parent == at.Hash):
		return r.apply(ctx, Block{Ref: m.Block, Parent: m.Parent, Cursor: m.Cursor(), Body: m.Body})
	case height > at.Height+1:
		return at, gapError{gap{at.Height + 1, height}}
	case height == at.Height+1:
		return at, r.turned()
	}
	// The stream was behind the sink, and catches up.
	hash, ok, err := r.sink.At(ctx, height)
	switch {
	case err != nil:
		return at, endError{err}
	case other(hash, ok, m.Block.Hash):
		return at, r.turned()
	}
	return at, nil
}

// turned notes that a publisher has gone on with another chain than the sink's.
func (r *reader) turned() error {
	r.vouched = true
	return errAgain
}

func (r *reader) apply(ctx context.Context, b Block) (ref.Ref, error) {
	if err := r.sink.Apply(ctx, b); err != nil {
		return ref.Ref{}, endError{err}
	}
	r.taken()
	return b.Ref, nil
}

func (r *reader) undo(ctx context.Context, u Undo) (ref.Ref, error) {
	if err := r.sink.Undo(ctx, u); err != nil {
		return ref.Ref{}, endError{err}
	}
	r.taken()
	at, err := r.sink.Last(ctx)
	if err == nil && at.Height >= u.From.Height {
		err = fmt.Errorf("the sink stands at block %d after it was to go back from %d to %d", at.Height, u.From.Height, u.To.Height)
	}
	if err != nil {
		return at, endError{err}
	}
	return at, nil
}

// errHalf is why parts are passed over.
var errHalf = errors.New("parts before it, or it, are not all of a block")

func (r *reader) skipped(sequence uint64, why error) {
	if r.opt.Skipped != nil {
		r.opt.Skipped(sequence, why)
	}
}

func (r *reader) taken() {
	r.took++
	r.told, r.vouched, r.lacks = false, false, lack{}
}

// lacking ends Read because of what the stream lacks, if two looks one after the other have found that. A look asks more
// than once, and the stream may have been purged, or gone back, between two of the answers.
func (r *reader) lacking(at ref.Ref, why error, text error) error {
	if found := (lack{at, why}); r.lacks != found {
		r.lacks = found
		return errAgain
	}
	return endError{text}
}

// elsewhere goes on by the node, up to where the stream goes on, or says what is missing.
func (r *reader) elsewhere(ctx context.Context, s *lookup, at ref.Ref, missing gapError) error {
	if r.opt.Node == nil {
		return r.lacking(at, ErrGone, fmt.Errorf("block %d: %w, it goes on with block %d: a node that has it must be named", missing.height, ErrGone, missing.next))
	}
	err := r.byNode(ctx, s, at, missing.next)
	r.hole = gap{}
	return err
}

// byNode reads a node's stream until the stream of NATS has the next block.
func (r *reader) byNode(ctx context.Context, s *lookup, at ref.Ref, next uint64) error {
	known, step := at, uint64(1) // of the sink, and of the node's chain as it seems
	for {
		events := await.Stream{Head: s.head, Body: true, Lost: r.opt.Lost}
		if known.Hash.IsZero() {
			events.From = known.Height + 1
		} else {
			events.After = text(known)
		}
		err := r.opt.Node.Events(ctx, events, func(e await.Event) (err error) {
			if known != at && known.Height < at.Height { // it knows the block, and not those above
				if at, err = r.undo(ctx, Undo{From: at, To: known, Cursor: text(known)}); err != nil {
					return err
				}
			}
			switch {
			case e.Reorg != nil && e.Reorg.To.Height < at.Height:
				at, err = r.undo(ctx, Undo{From: at, To: e.Reorg.To, Cursor: e.ID})
			case e.Block != nil:
				at, err = r.apply(ctx, Block{Ref: e.Block.Ref(), Parent: e.Block.ParentHash, Cursor: e.ID, Body: e.Data})
			}
			if err == nil && at.Height+1 >= next {
				err = errAgain
			}
			known = at
			return err
		})
		switch end := (endError{}); {
		case errors.Is(err, errAgain), errors.As(err, &end), ctx.Err() != nil:
			return err
		case !errors.Is(err, await.ErrRefused):
			return endError{err}
		}
		// Final blocks of the node are others, or it does not have them. The sink's chain left it further down.
		refused := err
		if known.Height < step || known.Hash.IsZero() {
			return endError{refused}
		}
		hash, ok, err := r.sink.At(ctx, known.Height-step)
		switch {
		case err != nil:
			return endError{err}
		case !ok || hash.IsZero():
			return endError{refused}
		}
		known, step = ref.Ref{Height: known.Height - step, Hash: hash}, 2*step
	}
}

// Head returns the block at which a chain's stream stands, to begin with what comes from now on. It waits for a server and
// a stream that are not there, until ctx ends. The zero Ref: nothing has been published yet. The cursor is of the block.
func Head(ctx context.Context, js jetstream.JetStream, chain string, opt ReadOptions) (at ref.Ref, cursor string, err error) {
	opt = opt.orDefaults()
	err = wait(ctx, js, opt, func(ctx context.Context) error {
		s, err := openLookup(ctx, js, chain, opt.Attempt)
		if err != nil {
			return err
		}
		last, ok, err := s.last(ctx)
		if ok && err == nil {
			at = last.Stands()
			cursor = text(at) + "-" + strconv.FormatUint(min(last.Final, at.Height), 10)
		}
		return err
	})
	return at, cursor, err
}

// Chains returns the chains that have a stream on a server, in order. It waits for a server that is not there, until ctx ends
// or opt.Wait is over.
func Chains(ctx context.Context, js jetstream.JetStream, opt ReadOptions) (chains []string, err error) {
	opt = opt.orDefaults()
	err = wait(ctx, js, opt, func(ctx context.Context) error {
		chains, err = chainsNow(ctx, js, opt)
		return err
	})
	return chains, err
}

func chainsNow(ctx context.Context, js jetstream.JetStream, opt ReadOptions) ([]string, error) {
	if err := connected(ctx, js.Conn(), opt.Attempt); err != nil {
		return nil, err
	}
	return question(ctx, js.Conn(), opt.Attempt, api(js)+"STREAM.NAMES", func(ctx context.Context) (chains []string, err error) {
		names := js.StreamNames(ctx, jetstream.WithStreamListSubject("hr.*.reorg"))
		for name := range names.Name() {
			if chain, ours := strings.CutPrefix(name, StreamName("")); ours && IsChain(chain) && !slices.Contains(chains, chain) {
				chains = append(chains, chain)
			}
		}
		if err := names.Err(); err != nil {
			return nil, fmt.Errorf("list streams: %w", err)
		}
		slices.Sort(chains)
		return chains, nil
	})
}

// SeveralError is the error of OnlyChain where there are the streams of several chains.
type SeveralError struct{ Chains []string }

func (e *SeveralError) Error() string {
	return "there are the streams of several chains: " + strings.Join(e.Chains, ", ")
}

// OnlyChain returns the one chain that has a stream on a server. It waits for a server, and for a stream, that is not there
// yet, until ctx ends or opt.Wait is over. It fails with a *SeveralError if there are several.
func OnlyChain(ctx context.Context, js jetstream.JetStream, opt ReadOptions) (chain string, err error) {
	opt = opt.orDefaults()
	err = wait(ctx, js, opt, func(ctx context.Context) error {
		chains, err := chainsNow(ctx, js, opt)
		switch {
		case err != nil:
			return err
		case len(chains) == 0:
			return errors.New("there is no stream of a chain: does a node publish one?")
		case len(chains) > 1:
			return endError{&SeveralError{chains}}
		}
		chain = chains[0]
		return nil
	})
	return chain, err
}

// wait asks until there is an answer, or nothing helps.
func wait(ctx context.Context, js jetstream.JetStream, opt ReadOptions, ask func(context.Context) error) (why error) {
	within, cancel := ctx, context.CancelFunc(func() {})
	if opt.Wait > 0 {
		within, cancel = context.WithTimeoutCause(ctx, opt.Wait, fmt.Errorf("no answer for %s", opt.Wait))
	}
	defer cancel()
	pause := follow.Backoff{Min: 50 * time.Millisecond, Max: opt.MaxBackoff}
	for {
		err := ask(within)
		if why == nil || within.Err() == nil { // else it says only that the time is over
			why = err
		}
		switch end := (endError{}); {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.As(err, &end):
			return end.error
		case errors.Is(err, ErrRefused), js.Conn().IsClosed(), within.Err() != nil:
			return whyLost(js, why)
		case opt.Lost != nil:
			opt.Lost(whyLost(js, err))
			opt.Lost = nil
		}
		if pause.Sleep(within, nil) != nil && ctx.Err() == nil {
			return whyLost(js, why)
		}
	}
}

// IsChain reports whether s is written as Chain does.
func IsChain(s string) bool { return len(s) == 16 && strings.Trim(s, "0123456789abcdef") == "" }

// ParseCursor reads the id of an event: HEIGHT-HASH-FINAL, of which the last part may be missing, as 0.
func ParseCursor(id string) (at ref.Ref, final uint64, err error) {
	parts := strings.Split(id, "-")
	ok := len(parts) == 2 || len(parts) == 3
	if ok {
		at, ok = parseRef(parts[0] + "-" + parts[1])
	}
	if ok && len(parts) == 3 {
		final, ok = parseNumber(parts[2])
	}
	if !ok {
		return ref.Ref{}, 0, fmt.Errorf("event id %.100q is not HEIGHT-HASH-FINAL", id)
	}
	return at, min(final, at.Height), nil
}
