package await

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"headrace/internal/httpc"
)

// Stream says which events of a node are wanted. The zero value: safe blocks, those that come from now on.
type Stream struct {
	Kinds string // "block", "status", or "block,status"; default block
	Head  Label  // blocks up to this head
	From  uint64 // the first block; 0: those that come from now on
	After string // go on after the event with this id, whatever From says
	Body  bool   // whole blocks, in Data
	Ends  bool   // the end of the node ends the stream too, with ErrEnded; else it goes on when a node is there again

	// Lost is told why a connection ended, or could not be made, before the next one is: once until an event comes.
	Lost func(error)
}

func (s *Stream) query() url.Values {
	q := url.Values{"events": {s.Kinds}, "head": {s.Head.String()}}
	if s.Kinds == "" {
		q.Set("events", "block")
	}
	if s.From > 0 {
		q.Set("from", number(s.From))
	}
	if s.Body {
		q.Set("body", "true")
	}
	return q
}

// Events calls take with the node's events until it returns an error, which Events then returns as it is, or the context
// ends. Each block comes once, in order, each the child of the one before, or of To of a reorg. When the connection
// breaks, or brings something else, it goes on after the last event that was taken, by its id: while take runs, nothing
// is read. Of statuses some in between may be left out.
func (c *Client) Events(ctx context.Context, s Stream, take func(Event) error, opts ...Option) error {
	ctx, stop := Race(ctx, SettingsOf(opts).Ends)
	defer stop()
	defer c.Keep()()
	f := &feed{Client: c, query: s.query(), id: s.After, ends: s.Ends, lost: s.Lost}
	switch {
	case s.After != "":
		f.place = placeOf(s.After)
	case s.From > 0:
		f.place = place{Ref{Height: s.From - 1}, true}
	}
	err := f.run(ctx, func(e Event) error {
		before := f.place
		if err := f.place.next(&e); err != nil {
			return err
		}
		if err := take(e); err != nil {
			f.place = before
			return takenError{err}
		}
		return nil
	})
	if taken := (takenError{}); errors.As(err, &taken) {
		return taken.error
	}
	e := &Error{What: "events of " + c.name, Failure: f.failure, Cause: err}
	if f.place.known {
		e.Last = "block " + describeRef(f.place.at)
	}
	return e
}

// takenError ends a stream as whoever takes its events wants.
type takenError struct{ error }

// Value waits until a status of the node satisfies pred, and returns the first such one seen. Values in between may be
// passed over. What says in the error what was waited for.
func (c *Client) Value(ctx context.Context, what string, pred func(State) bool, opts ...Option) (last State, err error) {
	ctx, stop := Race(ctx, SettingsOf(opts).Ends)
	defer stop()
	defer c.Keep()()
	f := &feed{Client: c, query: url.Values{"events": {"status"}}, ends: true}
	err = f.run(ctx, func(e Event) error {
		if e.State == nil {
			return nil
		}
		if last = *e.State; pred(last) {
			return takenError{}
		}
		return nil
	})
	if errors.As(err, new(takenError)) {
		return last, nil
	}
	return last, &Error{What: what, Last: last.text(), Failure: f.failure, Cause: err}
}

// Stopped waits until the node does not run any more: nobody listens at its address, or it has said that it ends and
// something else answers in its place, or another start of it does. A connection that is lost proves nothing. The State
// is the last one that was seen, if any was.
func (c *Client) Stopped(ctx context.Context, opts ...Option) (last State, err error) {
	ctx, stop := Race(ctx, SettingsOf(opts).Ends)
	defer stop()
	defer c.Keep()()
	f := &feed{Client: c, query: url.Values{"events": {"status"}}}
	ended := false
	for pause := c.pause(); ; {
		err := f.stream(ctx, func(e Event) error {
			switch s := e.State; {
			case s == nil:
			case last.Raw != nil && !s.StartedAt.Equal(last.StartedAt): // it has been started again
				return takenError{}
			default:
				last = *s
			}
			return nil
		})
		strange := errors.As(err, new(strangeError)) || isFinal(err)
		switch {
		case refused(err), errors.As(err, new(takenError)), ended && strange:
			return last, nil
		case ctx.Err() != nil:
			return last, &Error{What: "the end of the node", Last: last.text(), Failure: f.failure, Cause: context.Cause(ctx)}
		case errors.Is(err, ErrEnded):
			ended = true
		case isFinal(err):
			return last, &Error{What: "the end of the node", Last: last.text(), Cause: err}
		default:
			f.failure = err
		}
		_ = pause.Sleep(ctx, nil)
	}
}

// feed reads one stream of events, over as many connections as it takes. It is used by one goroutine.
type feed struct {
	*Client
	query   url.Values
	id      string // of the last event that was taken
	place   place
	ends    bool
	lost    func(error)
	failure error // the last one
}

// run reconnects until ctx ends, the node refuses, or take ends it.
func (f *feed) run(ctx context.Context, take func(Event) error) error {
	pause, told := f.pause(), false
	for {
		err := f.stream(ctx, func(e Event) error {
			err := take(e)
			if err == nil {
				pause.Reset()
				told = false
			}
			return err
		})
		switch {
		case errors.As(err, new(takenError)), isFinal(err), f.ends && errors.Is(err, ErrEnded):
			return err
		case ctx.Err() != nil:
			return context.Cause(ctx)
		}
		f.failure = err
		if f.lost != nil && !told {
			told = true
			f.lost(err)
		}
		_ = pause.Sleep(ctx, nil)
	}
}

// stream takes events until the connection ends, and returns why.
func (f *feed) stream(ctx context.Context, take func(Event) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	pulse := newPulse(f.opt.Quiet, cancel)
	defer pulse.stop()
	resp, err := f.get(ctx, "/v1/events", f.query, f.id)
	switch {
	case err != nil && ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer)) // what cannot be read is not the node's
		return f.otherwise(resp, body)
	}
	events := strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") // or there is one in it
	err = readEvents(httpc.Counted(resp.Body, pulse.came), pulse.line, func(e Event) error {
		events = true
		if ctx.Err() != nil { // what was received before is not taken any more
			return context.Cause(ctx)
		}
		pulse.stop() // while it is taken, the node is not listened to
		defer pulse.line()
		return f.take(e, take)
	})
	switch {
	case errors.As(err, new(takenError)):
		return err
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case !events:
		return f.otherwise(resp, nil)
	}
	return f.access.Error(err)
}

func (f *feed) take(e Event, take func(Event) error) error {
	if e.Kind == "end" {
		var end struct{ Cause string }
		_ = json.Unmarshal(e.Data, &end) // an unreadable cause is none
		return f.ended(end.Cause)
	}
	if err := e.read(); err != nil {
		return err
	}
	if err := take(e); err != nil {
		return err
	}
	if e.ID != "" {
		f.id = e.ID
	}
	return nil
}

// ended is the end of which the node tells, with its own words for why.
func (c *Client) ended(why string) error {
	if _, after, ok := strings.Cut(why, ErrEnded.Error()); ok {
		why, _, _ = strings.Cut(after, "; last seen: ")
	}
	if why = strings.TrimPrefix(why, ": "); why == "" {
		return ErrEnded
	}
	return fmt.Errorf("%w: %s", ErrEnded, c.access.Text(why))
}

// pulse ends a stream that shows no sign of life: the connection may have died without a word. How long a line is the
// chain decides, and how fast it comes the link, so every byte is a sign of life; but a line as a whole has to come at
// httpc.MinRate.
type pulse struct {
	quiet time.Duration
	dog   *time.Timer // a watchdog of the other end

	begun time.Time // when the first bytes of the line came
	bytes int64     // that have come of it
}

func newPulse(quiet time.Duration, end context.CancelCauseFunc) *pulse {
	return &pulse{quiet: quiet, dog: time.AfterFunc(quiet, func() { end(fmt.Errorf("no sign of life for %s, or hardly a byte", quiet)) })}
}

// came notes bytes.
func (p *pulse) came(n int) {
	if p.bytes == 0 {
		p.begun = time.Now()
	}
	p.bytes += int64(n)
	left := p.quiet + time.Duration(p.bytes)*time.Second/httpc.MinRate - time.Since(p.begun)
	p.dog.Reset(min(p.quiet, max(left, 0)))
}

// line is for the end of one.
func (p *pulse) line() {
	p.bytes = 0
	p.dog.Reset(p.quiet)
}

func (p *pulse) stop() { p.dog.Stop() }

// maxEvent bounds a line, in bytes: a block with its transactions is one.
const maxEvent = 64 << 20

// readEvents reads server-sent events until the stream ends, or take does. line is called after each line.
func readEvents(r io.Reader, line func(), take func(Event) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxEvent)
	var e Event
	for lines.Scan() {
		line()
		name, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "event":
			e.Kind = value
		case "id":
			e.ID = value
		case "data":
			if len(e.Data)+len(value) > maxEvent {
				return fmt.Errorf("read events: one of them has more than %d bytes", maxEvent)
			}
			e.Data = append(e.Data, value...)
		case "": // a comment, or the end of an event
			if lines.Text() == "" && e.Kind != "" {
				if err := take(e); err != nil {
					return err
				}
				e = Event{}
			}
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read events: %w", err)
	}
	return errors.New("the stream ended")
}
