package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"headrace/internal/redact"
	"headrace/node"
)

func newTail() *cobra.Command {
	t := &tail{}
	var head, after string
	var from uint64
	var states, asJSON bool
	cmd := &cobra.Command{
		Use:   "tail [flags]",
		Short: "Print a node's blocks, or its statuses, as they come",
		Long: `Print a node's blocks, or its statuses, as they come, one a line, until a signal comes.

Each block is printed once, in order. When the connection breaks, or the node ends and comes back, it goes on exactly where it was. When blocks that were
printed are reorganised away, a line says to which one the chain went back; what follows replaces those after it.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			u, err := t.at.url()
			if err != nil {
				return err
			}
			query := url.Values{"events": {"block"}}
			if states {
				query.Set("events", "status")
			}
			if head != "" {
				query.Set("head", head)
			}
			if cmd.Flags().Changed("from") {
				query.Set("from", strconv.FormatUint(from, 10))
			}
			t.url, t.id = u.JoinPath("/v1/events"), after
			t.url.RawQuery = query.Encode()
			t.print = textEvent(cmd.OutOrStdout())
			if asJSON {
				t.print = jsonEvent(cmd.OutOrStdout())
			}
			return t.at.clean(t.run(cmd.Context()))
		},
	}
	t.at.flags(cmd)
	flags := cmd.Flags()
	flags.Uint64Var(&from, "from", 0, "the first block to print; without it, those that come from now on")
	flags.StringVar(&after, "after", "", "go on after the event with this id, as --json prints it")
	flags.StringVar(&head, "head", "", `blocks up to which head: safe, unsafe or finalized (default "safe")`)
	flags.BoolVar(&states, "status", false, "print statuses instead of blocks; some in between may be left out")
	flags.BoolVar(&asJSON, "json", false, "print JSON: the event, its id and its data")
	flags.Uint64Var(&t.count, "count", 0, "stop after so many blocks or statuses; 0: when a signal comes")
	return cmd
}

// tail prints the events of one node.
type tail struct {
	url   *url.URL
	at    nodeAt
	id    string // of the last event printed
	count uint64 // still to print; 0: no end
	print func(sse) error
	lost  func(error) // told of a connection that has ended, before the next try; nil: standard error is
}

// sse is one server-sent event.
type sse struct{ kind, id, data string }

var errEnough = errors.New("enough")

// run reconnects until ctx ends, enough is printed, or the node refuses.
func (t *tail) run(ctx context.Context) error {
	pause, said := pauses, false
	for {
		before := t.id
		err := t.stream(ctx, func() { pause.Reset(); said = false })
		switch refused := (refusedError{}); {
		case ctx.Err() != nil || errors.Is(err, errEnough):
			return nil
		case errors.As(err, &refused):
			return err
		case !said || before != t.id: // once for each time that it works, or ends
			said = true
			t.tell(t.at.clean(err))
		}
		_ = pause.Sleep(ctx, nil)
	}
}

func (t *tail) tell(err error) {
	if t.lost != nil {
		t.lost(err)
		return
	}
	fmt.Fprintf(os.Stderr, "headrace tail: %s: trying again\n", oneLine(err))
}

// quiet is how long a node may send nothing: it sends a comment every 15 s. Tests are quicker.
var quiet = 45 * time.Second

// stream prints events until the connection ends, and returns why.
func (t *tail) stream(ctx context.Context, works func()) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watchdog := time.AfterFunc(quiet, func() { cancel(fmt.Errorf("no sign of life for %s", quiet)) }) // of a connection that has died without a word
	defer watchdog.Stop()
	req, err := t.at.request(ctx, t.url)
	if err != nil {
		return refusedError{err}
	}
	if t.id != "" {
		req.Header.Set("Last-Event-ID", t.id)
	}
	resp, err := nodeClient.Do(req)
	if err != nil {
		return fmt.Errorf("ask node: %w", redact.Error(err))
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return refusal(resp)
	}
	works()
	events := strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") // or there is one in it
	err = readEvents(resp.Body, func() { watchdog.Reset(quiet) }, func(e sse) error { events = true; return t.take(e) })
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case !events:
		return otherAnswer(resp)
	}
	return err
}

// take prints one event.
func (t *tail) take(e sse) error {
	if e.kind == "end" {
		var end node.EndEvent
		_ = json.Unmarshal([]byte(e.data), &end) // an unreadable cause is none
		return fmt.Errorf("the node ended the stream: %s", end.Cause)
	}
	switch err := t.print(e); {
	case errors.Is(err, errEnough):
		return err
	case err != nil:
		return refusedError{err} // standard output is closed
	}
	if e.id != "" {
		t.id = e.id
	}
	if e.kind == "reorg" || t.count == 0 {
		return nil
	}
	if t.count--; t.count == 0 {
		return errEnough
	}
	return nil
}

// refusal is an answer that is no stream.
func refusal(resp *http.Response) error {
	var answer struct {
		Error string `json:"error"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxStatus)).Decode(&answer); err == nil && refuses(resp.StatusCode, answer.Error) {
		return refusedError{fmt.Errorf("the node refuses: %s", answer.Error)}
	}
	return otherAnswer(resp)
}

// readEvents reads server-sent events until the stream ends, or take does. alive is called for each line.
func readEvents(r io.Reader, alive func(), take func(sse) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 64<<20) // a block with its transactions is one line
	var e sse
	for lines.Scan() {
		alive()
		name, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "event":
			e.kind = value
		case "id":
			e.id = value
		case "data":
			e.data += value
		case "": // a comment, or the end of an event
			if lines.Text() == "" && e.kind != "" {
				if err := take(e); err != nil {
					return err
				}
				e = sse{}
			}
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read events: %w", err)
	}
	return errors.New("the stream ended")
}

func jsonEvent(out io.Writer) func(sse) error {
	return func(e sse) error {
		line := struct {
			Event string          `json:"event"`
			ID    string          `json:"id,omitempty"`
			Data  json.RawMessage `json:"data"`
		}{e.kind, e.id, json.RawMessage(e.data)}
		return json.NewEncoder(out).Encode(line)
	}
}

func textEvent(out io.Writer) func(sse) error {
	return func(e sse) error {
		var line string
		var err error
		switch e.kind {
		case "block":
			var b node.BlockEvent
			err = json.Unmarshal([]byte(e.data), &b)
			label := "unsafe"
			if b.Safe {
				label = "safe"
			}
			line = fmt.Sprintf("%d  %s  %s  %d txs  %s", b.Height, b.Hash, b.Time.Format(time.RFC3339Nano), b.Txs, label)
		case "reorg":
			var r node.ReorgEvent
			err = json.Unmarshal([]byte(e.data), &r)
			line = fmt.Sprintf("reorg: back from %d to %d  %s", r.From.Height, r.To.Height, r.To.Hash)
		case "status":
			var s status
			err = json.Unmarshal([]byte(e.data), &s)
			line = s.line()
		default:
			return nil // of a newer node
		}
		if err != nil {
			return fmt.Errorf("read %s event: %w", e.kind, err)
		}
		_, err = fmt.Fprintln(out, line)
		return err
	}
}

// line is the status as one line.
func (s *status) line() string {
	line := fmt.Sprintf("unsafe %d  safe %d  finalized %d  position %d  lag %d", s.Heads.Unsafe.Height, s.Heads.Safe.Height, s.Heads.Finalized.Height, s.Source.Position.Height, s.Source.Lag)
	if s.Ready {
		return line + "  ready"
	}
	return line + "  not ready: " + s.Reason
}
