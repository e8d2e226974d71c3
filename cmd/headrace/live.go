package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"headrace/await"
	"headrace/watch"
)

// A screen shows a text that changes: on a terminal in the place of the one before, elsewhere one after the other.
type screen struct {
	out  io.Writer
	file *os.File // the terminal; nil: there is none
}

// openScreen returns the screen of a command. On a terminal it takes what is there away until close.
func openScreen(out io.Writer) *screen {
	s := &screen{out: out}
	if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		s.file = f
		fmt.Fprint(out, "\x1b[?1049h\x1b[?25l") // the alternate screen, without a cursor
	}
	return s
}

// close gives the terminal back as it was.
func (s *screen) close() {
	if s.file != nil {
		fmt.Fprint(s.out, "\x1b[?25h\x1b[?1049l")
	}
}

// draw shows a text. What does not fit on a terminal is cut off.
func (s *screen) draw(text string) error {
	if s.file == nil {
		_, err := io.WriteString(s.out, text)
		return err
	}
	width, height, err := term.GetSize(int(s.file.Fd()))
	if err != nil || width <= 0 || height <= 0 {
		width, height = 80, 24
	}
	var b strings.Builder
	b.WriteString("\x1b[H")
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for i, line := range lines[:min(len(lines), height)] {
		if i > 0 {
			b.WriteString("\r\n")
		}
		b.WriteString(clip(line, width) + "\x1b[K")
	}
	b.WriteString("\x1b[J")
	_, err = io.WriteString(s.out, b.String())
	return err
}

// clip cuts a line at a width. A control character, as a node may repeat one, does nothing to the terminal.
func clip(line string, width int) string {
	out := []rune(strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return '?'
		}
		return r
	}, line))
	return string(out[:min(len(out), width)])
}

// The times between two texts: a terminal is kept up to date, also when nothing comes, since ages go on; elsewhere each
// text is read by somebody.
var (
	redraw  = 200 * time.Millisecond
	tick    = time.Second
	reprint = time.Second
)

// show draws what text makes of the latest value until ctx ends or the value does. The first one that is worth a text is
// the first for which there is one.
func show[T any](ctx context.Context, s *screen, latest *watch.Value[T], text func(T) string) error {
	pace := reprint
	if s.file != nil {
		pace = redraw
	}
	before := ""
	for {
		v, changed := latest.Get()
		if now := text(v); now != "" && (s.file != nil || now != before) {
			if err := s.draw(now); err != nil {
				return err
			}
			before = now
		}
		if latest.Err() != nil {
			return nil // who closed it returns why
		}
		var clock <-chan time.Time
		if s.file != nil {
			clock = time.After(tick) // of the ages that are shown
		}
		select {
		case <-changed:
		case <-clock:
		case <-ctx.Done():
			return nil
		}
		select { // the pace at which somebody can read
		case <-time.After(pace):
		case <-ctx.Done():
			return nil
		}
	}
}

// follow runs a stream of the node's events beside draw, until one of them ends.
func (t *tail) follow(ctx context.Context, draw func(context.Context) error, ended func()) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var drawing sync.WaitGroup
	var failed error
	drawing.Go(func() {
		defer cancel()
		failed = draw(ctx)
	})
	err := t.run(ctx)
	ended()
	drawing.Wait()
	return errors.Join(err, failed)
}

// watchedStatus is the last status, and why there is none any more.
type watchedStatus struct {
	raw  string // "": none has come yet
	lost string // "": the stream goes on
}

// watchStatus shows the status until a signal comes.
func watchStatus(cmd *cobra.Command, at nodeAt, asJSON bool) error {
	latest := watch.New(watchedStatus{})
	t := &tail{at: at, Stream: await.Stream{Kinds: "status"}}
	if asJSON {
		t.print = jsonStatus(cmd.OutOrStdout())
		return t.run(cmd.Context())
	}
	t.print = func(e await.Event) error {
		if e.State != nil {
			latest.Set(watchedStatus{raw: string(e.Data)})
		}
		return nil
	}
	t.Lost = func(err error) {
		latest.Update(func(w watchedStatus) watchedStatus { w.lost = oneLine(err); return w })
	}
	s := openScreen(cmd.OutOrStdout())
	defer s.close()
	return t.follow(cmd.Context(), func(ctx context.Context) error { return show(ctx, s, latest, watchedStatus.text) }, func() { latest.Close(nil) })
}

func jsonStatus(out io.Writer) func(await.Event) error {
	return func(e await.Event) error {
		if e.State == nil {
			return nil
		}
		_, err := fmt.Fprintln(out, string(e.Data))
		return err
	}
}

func (w watchedStatus) text() string {
	var b bytes.Buffer
	if w.lost != "" {
		fmt.Fprintf(&b, "%-11s %s: trying again\n", "lost", w.lost)
	}
	var s status
	if w.raw != "" {
		if err := json.Unmarshal([]byte(w.raw), &s); err != nil {
			return fmt.Sprintf("read status: %v: is this a headrace node?\n\n", err)
		}
		b.WriteString(s.text(time.Now()))
	}
	if b.Len() > 0 {
		b.WriteString("\n")
	}
	return b.String()
}
