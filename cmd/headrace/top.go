package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"headrace/await"
	"headrace/node"
	"headrace/watch"
)

func newTop() *cobra.Command {
	t := &tail{}
	var count uint64
	cmd := &cobra.Command{
		Use:   "top [flags]",
		Short: "Show a node at work: heads, lag, rate, endpoints, and its last blocks with how long each took",
		Long: `Show a node at work: heads, lag, rate, what it waits for, endpoints, and its last blocks, until a signal comes. Behind each safe block stands how long it
took from the announcement of the height that completed it to the block being stored, where that height came with its news.

It is fed by the node's event stream, and asks for nothing. On a terminal it takes the screen, and gives it back as it was; elsewhere it prints a line for each
block, and one when the node gets ready or is no longer. When the connection breaks, or the node ends, it goes on when the node is back.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			t.Kinds = "block,status"
			return top(cmd.Context(), cmd.OutOrStdout(), t, count)
		},
	}
	t.at.flags(cmd)
	cmd.Flags().Uint64Var(&count, "count", 0, "stop after so many blocks; 0: when a signal comes")
	return cmd
}

// shown is how many blocks are on the screen at most.
const shown = 20

// board is what is on the screen. It is never changed once it is shown.
type board struct {
	status *status
	lost   string // why no events come; "": they do
	blocks []blockLine
}

// blockLine is a safe block, and what its height of the source took; 0: that is not known.
type blockLine struct {
	node.BlockEvent
	at   uint64 // height of the source with which it became safe; 0: not known yet
	took time.Duration
}

func (l *blockLine) text() string {
	took := ""
	if l.took > 0 {
		took = fmt.Sprintf("announced -> applied %s", short(l.took))
	}
	return strings.TrimRight(fmt.Sprintf("block %d  %s  %d txs  at %d  %s", l.Height, l.Hash.String()[:16], l.Txs, l.at, took), " ")
}

// short leaves three digits or so of a duration.
func short(d time.Duration) time.Duration {
	for unit := time.Microsecond; unit < time.Second; unit *= 10 {
		if d < 1000*unit {
			return d.Round(unit)
		}
	}
	return d.Round(time.Second / 10)
}

// top feeds a screen, or prints lines, until ctx ends or enough blocks have come.
func top(ctx context.Context, out io.Writer, t *tail, count uint64) error {
	s := openScreen(out)
	defer s.close()
	latest := watch.New(board{})
	come := uint64(0)
	t.print = func(e await.Event) error {
		before := latest.Load()
		b, err := before.take(e)
		if err != nil {
			return err
		}
		news := b.since(before)
		if s.file == nil {
			err = b.report(out, before, news)
		}
		latest.Set(b)
		if come += uint64(len(news)); err == nil && count > 0 && come >= count {
			return errEnough
		}
		return err
	}
	t.Lost = func(err error) {
		latest.Update(func(b board) board { b.lost = oneLine(err); return b })
		if s.file == nil {
			fmt.Fprintf(out, "lost: %s: trying again\n", oneLine(err))
		}
	}
	draw := func(ctx context.Context) error {
		if s.file == nil { // lines are printed as events come
			_, _ = latest.Wait(ctx, func(board) bool { return false })
			return nil
		}
		return show(ctx, s, latest, board.text)
	}
	return t.follow(ctx, draw, func() { latest.Close(nil) })
}

// take returns the board after an event. Blocks come before the status that speaks of them.
func (b board) take(e await.Event) (board, error) {
	b.lost = ""
	switch e.Kind {
	case "block":
		var l blockLine
		if err := json.Unmarshal(e.Data, &l.BlockEvent); err != nil {
			return b, fmt.Errorf("read block event: %w", err)
		}
		b.blocks = append([]blockLine{l}, b.blocks[:min(len(b.blocks), shown-1)]...)
	case "reorg":
		var r node.ReorgEvent
		if err := json.Unmarshal(e.Data, &r); err != nil {
			return b, fmt.Errorf("read reorg event: %w", err)
		}
		b.blocks = above(b.blocks, r.To.Height)
	case "status":
		var s status
		if err := json.Unmarshal(e.Data, &s); err != nil {
			return b, fmt.Errorf("read status event: %w", err)
		}
		b.blocks = placed(b.blocks, &s)
		b.status = &s
	}
	return b, nil
}

// above leaves the blocks up to a height.
func above(blocks []blockLine, height uint64) []blockLine {
	for len(blocks) > 0 && blocks[0].Height > height {
		blocks = blocks[1:]
	}
	return blocks
}

// placed says of the blocks that have come since the status before with which height they did, and what that took: if it
// is the head, which was announced last.
func placed(blocks []blockLine, s *status) []blockLine {
	out := append([]blockLine(nil), blocks...)
	for i := range out {
		if out[i].at != 0 || out[i].Height > s.Heads.Safe.Height {
			continue
		}
		out[i].at = s.Source.Position.Height
		if s.Source.Position.Height == s.Source.Head.Height && !s.At.IsZero() {
			out[i].took = max(s.At.Sub(s.Source.HeadAt), time.Microsecond)
		}
	}
	return out
}

// since returns the blocks of which it is known how they came, and was not before, the oldest first.
func (b board) since(before board) (news []*blockLine) {
	known := map[string]bool{}
	for i := range before.blocks {
		known[before.blocks[i].Hash.String()] = before.blocks[i].at != 0
	}
	for i := len(b.blocks) - 1; i >= 0; i-- {
		if l := &b.blocks[i]; l.at != 0 && !known[l.Hash.String()] {
			news = append(news, l)
		}
	}
	return news
}

// report prints blocks as lines, and whether the node is ready when that has changed.
func (b board) report(out io.Writer, before board, blocks []*blockLine) error {
	var text strings.Builder
	for _, l := range blocks {
		fmt.Fprintln(&text, l.text())
	}
	if s := b.status; s != nil && (before.status == nil || before.status.Ready != s.Ready || before.lost != "") {
		fmt.Fprintln(&text, s.line())
	}
	_, err := io.WriteString(out, text.String())
	return err
}

// text is the whole screen.
func (b board) text() string {
	var out strings.Builder
	if b.lost != "" {
		fmt.Fprintf(&out, "%-11s %s: trying again\n", "lost", b.lost)
	}
	if b.status == nil {
		if b.lost == "" {
			return "waiting for the node's first event\n"
		}
		return out.String()
	}
	out.WriteString(b.status.head(time.Now()))
	for i := range b.blocks {
		fmt.Fprintf(&out, "%s\n", b.blocks[i].text())
	}
	return out.String()
}

// head is the upper part of the screen.
func (s *status) head(now time.Time) string {
	now = s.asOf(now)
	var l lines
	up := ""
	if !s.StartedAt.IsZero() {
		up = ", up " + s.uptime(now)
	}
	l.add("chain", "%s, %s node %s%s", s.ChainID, s.Mode, s.Version, up)
	l.add("ready", "%s", s.readyText())
	l.some("to do", s.Remedy)
	l.add("heads", "unsafe %d, safe %d, finalized %d%s", s.Heads.Unsafe.Height, s.Heads.Safe.Height, s.Heads.Finalized.Height, s.madeAgo(now))
	pace := ""
	if s.Source.Rate > 0 {
		pace = fmt.Sprintf(", %.2f heights a second", s.Source.Rate)
	}
	if c := s.Source.CatchUp; c != nil {
		pace = fmt.Sprintf(", %.1f%% at %.1f heights a second%s", c.Percent, c.Rate, c.left())
	}
	l.add("source", "at %d of %d, %d behind%s%s", s.Source.Position.Height, s.Source.Head.Height, s.Source.Lag, pace, eachBlock(s.Source.BlockTime))
	for i := range s.Source.Endpoints {
		e := &s.Source.Endpoints[i]
		l.add("endpoint", "%s", e.text(now))
		if !e.Healthy && e.LastError != "" {
			l.add("", "%s", e.trouble(now))
		}
	}
	if q := s.Sequencer; q != nil {
		flight := ""
		if f := q.Flight; f != nil {
			flight = fmt.Sprintf(", blocks %d to %d in flight for %s", f.From, f.To, age(now, f.Since))
		}
		l.add("sequencer", "%d blocks wait, submitted up to %d%s", q.Pending, q.Submitted, flight)
	}
	for _, w := range s.Waiting {
		l.add("waits", "%s at %d: %s", w.Stage, w.Height, w.Cause)
	}
	l.WriteString("\n")
	return l.String()
}

// madeAgo says how old the newest block is.
func (s *status) madeAgo(now time.Time) string {
	if s.Chain.UnsafeMadeAt.IsZero() {
		return ""
	}
	return ", the newest made " + age(now, s.Chain.UnsafeMadeAt) + " ago"
}
