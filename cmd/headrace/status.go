package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"headrace/internal/redact"
)

func newStatus() *cobra.Command {
	var at nodeAt
	var asJSON, watched bool
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "status [flags]",
		Short: "Say where a node stands, and what it waits for",
		Long: `Say where a node stands, and what it waits for: its heads and how old they are, its endpoints with their health, what is under way, and, if it is not
ready, why and what to do about it.

With --watch it goes on, from the node's event stream, until a signal comes: on a terminal it keeps the screen up to date, elsewhere it prints the status again
when it has changed, once a second at most. When the connection breaks, or the node ends, it says so and goes on when the node is back.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if watched {
				return watchStatus(cmd, at, asJSON)
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			body, err := fetchStatus(ctx, at)
			if err != nil {
				return at.clean(err)
			}
			if asJSON {
				_, err = cmd.OutOrStdout().Write(body)
				return err
			}
			var s status
			if err := json.Unmarshal(body, &s); err != nil {
				return fmt.Errorf("read status: %w: is this a headrace node?", err)
			}
			_, err = io.WriteString(cmd.OutOrStdout(), s.text(time.Now()))
			return err
		},
	}
	flags := cmd.Flags()
	at.flags(cmd)
	flags.BoolVar(&asJSON, "json", false, "print the node's answer as it came; with --watch one line for each status")
	flags.BoolVar(&watched, "watch", false, "go on until a signal comes")
	flags.DurationVar(&timeout, "timeout", 10*time.Second, "how long to wait for the answer; not with --watch")
	return cmd
}

// maxStatus bounds the answer, in bytes.
const maxStatus = 16 << 20

func fetchStatus(ctx context.Context, at nodeAt) ([]byte, error) {
	u, err := at.url()
	if err != nil {
		return nil, err
	}
	req, err := at.request(ctx, u.JoinPath("/v1/status"))
	if err != nil {
		return nil, err
	}
	resp, err := at.do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxStatus))
	if err != nil {
		return nil, fmt.Errorf("read status: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("ask node: %s answered %s: is this a headrace node?", redact.Address(u.String()), resp.Status)
	}
	return body, nil
}

// status is the part of node.Status that is shown. What a node of an earlier version does not tell is left out.
type status struct {
	Version   string    `json:"version"`
	StartedAt time.Time `json:"started_at"`
	At        time.Time `json:"at"`
	ChainID   string    `json:"chain_id"`
	Mode      string    `json:"mode"`
	Ready     bool      `json:"ready"`
	Reason    string    `json:"reason"`
	Remedy    string    `json:"remedy"`
	Disk      string    `json:"disk"`
	Unseen    string    `json:"unseen"`
	StateRoot string    `json:"state_root"`
	Heads     struct {
		Unsafe    ref `json:"unsafe"`
		Safe      ref `json:"safe"`
		Finalized ref `json:"finalized"`
	} `json:"heads"`
	Chain struct {
		UnsafeMadeAt time.Time `json:"unsafe_made_at"`
		UnsafeAt     time.Time `json:"unsafe_at"`
		SafeMadeAt   time.Time `json:"safe_made_at"`
		SafeAt       time.Time `json:"safe_at"`
	} `json:"chain"`
	Source struct {
		Position   ref        `json:"position"`
		Proven     ref        `json:"proven"`
		Head       ref        `json:"head"`
		HeadAt     time.Time  `json:"head_at"`
		Lag        uint64     `json:"lag"`
		BlockTime  string     `json:"block_time"`
		Unverified string     `json:"unverified"`
		Believed   string     `json:"believed"`
		Rate       float64    `json:"rate"`
		CatchUp    *catchUp   `json:"catch_up"`
		Endpoints  []endpoint `json:"endpoints"`
	} `json:"source"`
	Unsafe struct {
		From []endpoint `json:"from"`
	} `json:"unsafe"`
	Peers *struct {
		Addresses []string `json:"addresses"`
		Head      ref      `json:"head"`
		Waiting   waiting  `json:"waiting"`
		Peers     []peer   `json:"peers"`
	} `json:"peers"`
	Stream *struct { // that the node publishes in
		Name   string    `json:"name"`
		Server string    `json:"server"`
		State  string    `json:"state"`
		Cause  string    `json:"cause"`
		Since  time.Time `json:"since"`
		At     ref       `json:"at"`
		Lag    uint64    `json:"lag"`
	} `json:"stream"`
	Proposal *struct { // of a chain on an L1
		ID     uint64 `json:"id"`
		L1     ref    `json:"l1"`
		Reorgs uint64 `json:"reorgs"`
		Void   string `json:"void"`
	} `json:"proposal"`
	Waiting   []waiting `json:"waiting"`
	Sequencer *struct {
		Paused    string    `json:"paused"`
		Preparing string    `json:"preparing"`
		Pending   uint64    `json:"pending"`
		Submitted uint64    `json:"submitted"`
		Failure   string    `json:"failure"`
		Failures  uint64    `json:"failures"`
		Stuck     string    `json:"stuck"`
		Clock     string    `json:"clock"`
		DueAt     time.Time `json:"due_at"`
		Posted    *struct {
			CallData proposed `json:"calldata"`
			Blobs    proposed `json:"blobs"`
		} `json:"posted"`
		Flight *struct {
			From     uint64    `json:"from"`
			To       uint64    `json:"to"`
			Since    time.Time `json:"since"`
			Deadline time.Time `json:"deadline"`
		} `json:"in_flight"`
	} `json:"sequencer"`
}

// proposed is what proposals came to.
type proposed struct {
	Proposals     uint64  `json:"proposals"`
	Blocks        uint64  `json:"blocks"`
	Bytes         uint64  `json:"bytes"`
	BytesPerBlock float64 `json:"bytes_per_block"`
	Gas           uint64  `json:"gas"`
	CostETH       float64 `json:"cost_eth"`
}

// text is for a reader; "" if there are none.
func (p *proposed) text(where string) string {
	if p.Proposals == 0 && p.Gas == 0 {
		return ""
	}
	return fmt.Sprintf("%d proposals in %s of %d blocks, %.1f bytes a block; they took %d gas and %.9f ETH", p.Proposals, where, p.Blocks, p.BytesPerBlock, p.Gas, p.CostETH)
}

// waiting is what a node waits for, or what it has of its peers.
type waiting struct {
	Stage  string    `json:"stage"`
	Height uint64    `json:"height"`
	Cause  string    `json:"cause"`
	Since  time.Time `json:"since"`
	Next   time.Time `json:"next_try"`
}

// text says what is waited for.
func (w *waiting) text(now time.Time) string {
	more := ""
	if !w.Since.IsZero() {
		more = fmt.Sprintf(", for %s", now.Sub(w.Since).Round(time.Millisecond))
	}
	if w.Next.After(now) {
		more += fmt.Sprintf(", next try in %s", w.Next.Sub(now).Round(time.Millisecond))
	}
	return fmt.Sprintf("%s at %d: %s%s", w.Stage, w.Height, w.Cause, more)
}

// peer is one that the node gossips with, or would.
type peer struct {
	ID        string    `json:"id"`
	Address   string    `json:"address"`
	Connected bool      `json:"connected"`
	Left      time.Time `json:"left_until"`
	Cause     string    `json:"cause"`
}

// text says what is wrong with a peer; "" if nothing is.
func (p *peer) text(now time.Time) string {
	state := "is there; its last fault"
	switch {
	case p.Left.After(now):
		state = fmt.Sprintf("is kept out for %s yet", age(p.Left, now))
	case !p.Connected:
		state = "is not there"
	case p.Cause == "":
		return ""
	}
	if p.Cause != "" {
		state += ": " + p.Cause
	}
	return strings.TrimPrefix(p.Address+"/p2p/", "/p2p/") + p.ID + " " + state
}

// catchUp is how a node that is behind comes on.
type catchUp struct {
	From    uint64  `json:"from"`
	Percent float64 `json:"percent"`
	Rate    float64 `json:"rate"`
	ETA     string  `json:"eta"`
}

// left says how long it takes yet, if that is known.
func (c *catchUp) left() string {
	if c.ETA == "" {
		return ""
	}
	return ", " + c.ETA + " to go"
}

// endpoint is one of the source's.
type endpoint struct {
	Address   string    `json:"address"`
	Role      string    `json:"role"`
	Healthy   bool      `json:"healthy"`
	Since     time.Time `json:"since"`
	Live      bool      `json:"live"`
	Mode      string    `json:"mode"`
	Head      uint64    `json:"head"`
	HeadAt    time.Time `json:"head_at"`
	Lag       uint64    `json:"lag"`
	Silent    time.Time `json:"silent_since"`
	Errors    uint64    `json:"errors"`
	LastError string    `json:"last_error"`
	ErrorAt   time.Time `json:"last_error_at"`
}

type ref struct {
	Height uint64 `json:"height"`
	Hash   string `json:"hash"`
}

func (r ref) String() string {
	if strings.Trim(r.Hash, "0") == "" {
		return fmt.Sprintf("%d", r.Height)
	}
	return fmt.Sprintf("%d  %s", r.Height, r.Hash)
}

// age is how long ago something was, for a reader.
func age(now, at time.Time) string {
	d := max(now.Sub(at), 0)
	for _, unit := range []time.Duration{time.Second, time.Minute, time.Hour} {
		if d < 100*unit {
			return shortDuration(d.Round(unit / 1000))
		}
	}
	return shortDuration(d.Round(time.Minute))
}

// lines are a text of names, each with what is to be said of it.
type lines struct{ strings.Builder }

func (l *lines) add(name, format string, args ...any) {
	fmt.Fprintf(l, "%-11s %s\n", name, fmt.Sprintf(format, args...))
}

// some adds a line if there is anything to say.
func (l *lines) some(name, text string) {
	if text != "" {
		l.add(name, "%s", text)
	}
}

// asOf returns the time that ages go by: now, or the node's, if its clock is ahead of ours.
func (s *status) asOf(now time.Time) time.Time {
	if now.Before(s.At) {
		return s.At
	}
	return now
}

// text is the status for a reader, as of now.
func (s *status) text(now time.Time) string {
	now = s.asOf(now)
	var l lines
	l.add("chain", "%s, %s node", s.ChainID, s.Mode)
	if s.Version != "" {
		l.add("version", "%s, up %s", s.Version, s.uptime(now))
	}
	l.add("ready", "%s", s.readyText())
	l.some("to do", s.Remedy)
	if s.Disk != s.Reason {
		l.some("disk", s.Disk)
	}
	if s.Unseen != s.Reason {
		l.some("unseen", s.Unseen)
	}
	s.headLines(&l, now)
	s.proposalLines(&l)
	s.sourceLines(&l, now)
	s.peerLines(&l, now)
	s.streamLine(&l, now)
	s.sequencerLines(&l, now)
	s.waitingLines(&l, now)
	return l.String()
}

func (s *status) uptime(now time.Time) string {
	return shortDuration(max(now.Sub(s.StartedAt), 0).Round(time.Second))
}

func (s *status) readyText() string {
	if s.Ready {
		return "yes"
	}
	return "no: " + s.Reason
}

func (s *status) headLines(l *lines, now time.Time) {
	l.add("unsafe", "%s", s.Heads.Unsafe)
	l.add("safe", "%s", s.Heads.Safe)
	l.add("finalized", "%s", s.Heads.Finalized)
	if c := &s.Chain; !c.UnsafeMadeAt.IsZero() {
		l.add("", "block %d was made %s ago%s", s.Heads.Unsafe.Height, age(now, c.UnsafeMadeAt), s.safeAge(now))
	}
	if s.StateRoot != "" {
		l.add("state root", "%s", s.StateRoot)
	}
}

func (s *status) proposalLines(l *lines) {
	p := s.Proposal
	if p == nil {
		return
	}
	if p.ID > 0 {
		l.add("proposal", "%d, in L1 block %s", p.ID, p.L1)
	} else {
		l.add("proposal", "none yet")
	}
	if p.Reorgs > 0 {
		l.add("", "reorgs of the L1 took proposals back %d times", p.Reorgs)
	}
	if p.Void != "" {
		l.add("", "it is void: %s", p.Void)
	}
}

func (s *status) sourceLines(l *lines, now time.Time) {
	source := "DA"
	switch {
	case s.Mode == "replica":
		source = "source"
	case s.Proposal != nil:
		source = "L1"
	}
	l.add("position", "%s", s.Source.Position)
	l.add("proven", "%s", s.Source.Proven)
	l.add(source+" head", "%s", s.Source.Head)
	if !s.Source.HeadAt.IsZero() {
		l.add("", "%s ago%s, %d behind", now.Sub(s.Source.HeadAt).Round(time.Millisecond), eachBlock(s.Source.BlockTime), s.Source.Lag)
	}
	l.some("", s.Source.Unverified)
	l.some("", s.Source.Believed)
	switch c := s.Source.CatchUp; {
	case c != nil:
		l.add("catching up", "%.1f%% of the way from %d, %.1f heights a second%s", c.Percent, c.From, c.Rate, c.left())
	case s.Source.Rate > 0:
		l.add("rate", "%.2f heights a second", s.Source.Rate)
	}
	for _, e := range slices.Concat(s.Source.Endpoints, s.Unsafe.From) {
		l.add("endpoint", "%s", e.text(now))
		if e.LastError != "" {
			l.add("", "%s", e.trouble(now))
		}
	}
}

// peerLines say how many peers are there, where they reach the node, and what is wrong with which.
func (s *status) peerLines(l *lines, now time.Time) {
	if s.Peers == nil {
		return
	}
	there := 0
	for i := range s.Peers.Peers {
		if s.Peers.Peers[i].Connected {
			there++
		}
	}
	l.add("peers", "%d are there, and have blocks up to %d", there, s.Peers.Head.Height)
	for _, address := range s.Peers.Addresses {
		l.add("", "they reach this node at %s", address)
	}
	for i := range s.Peers.Peers {
		l.some("peer", s.Peers.Peers[i].text(now))
	}
	if s.Peers.Waiting.Cause != "" {
		l.add("waits", "for peers: %s", s.Peers.Waiting.text(now))
	}
}

// streamLine says where the stream stands that the node publishes in, and why it gets no further.
func (s *status) streamLine(l *lines, now time.Time) {
	of := s.Stream
	if of == nil {
		return
	}
	l.add("stream", "%s at %s: %s for %s, at %d, %d behind", of.Name, of.Server, of.State, age(now, of.Since), of.At.Height, of.Lag)
	l.some("", of.Cause)
}

func (s *status) sequencerLines(l *lines, now time.Time) {
	q := s.Sequencer
	if q == nil {
		return
	}
	layer := "the DA layer"
	if s.Proposal != nil {
		layer = "the L1"
	}
	l.add("sequencer", "%d blocks wait for %s, submitted up to %d", q.Pending, layer, q.Submitted)
	l.some("paused", q.Paused)
	l.some("preparing", q.Preparing)
	if f := q.Flight; f != nil {
		until := ""
		if f.Deadline.After(now) {
			until = fmt.Sprintf(", given up in %s", age(f.Deadline, now))
		}
		l.add("in flight", "blocks %d to %d, for %s%s", f.From, f.To, age(now, f.Since), until)
	}
	if q.DueAt.After(now) {
		l.add("waits", "to propose more blocks together, for %s at most", age(q.DueAt, now))
	}
	l.some("stuck", q.Stuck)
	if p := q.Posted; p != nil {
		l.some("posted", p.CallData.text("call data"))
		l.some("posted", p.Blobs.text("blobs"))
	}
	if q.Failures > 0 && q.Failure != "" && !s.waitsFor(q.Failure) {
		l.add("posting", "the last one failed (%d have): %s", q.Failures, q.Failure)
	}
	l.some("clock", q.Clock)
}

func (s *status) waitingLines(l *lines, now time.Time) {
	for i := range s.Waiting {
		l.add("waits", "%s", s.Waiting[i].text(now))
	}
}

// eachBlock says how often a block comes, if that is known.
func eachBlock(blockTime string) string {
	switch blockTime {
	case "":
		return ""
	case "on-demand":
		return ", blocks on demand"
	}
	return ", a block each " + blockTime
}

// safeAge says how old the newest safe block is, if that is another one, and since when it is the safe head.
func (s *status) safeAge(now time.Time) string {
	c := &s.Chain
	switch {
	case c.SafeMadeAt.IsZero():
		return ""
	case s.Heads.Safe.Height == s.Heads.Unsafe.Height:
		return ", and is safe for " + age(now, c.SafeAt)
	}
	return fmt.Sprintf("; the safe one %s ago, and it is safe for %s", age(now, c.SafeMadeAt), age(now, c.SafeAt))
}

// waitsFor reports whether a cause is among what is waited for.
func (s *status) waitsFor(cause string) bool {
	for _, w := range s.Waiting {
		if w.Cause == cause {
			return true
		}
	}
	return false
}

// text says how an endpoint does.
func (e *endpoint) text(now time.Time) string {
	health := "healthy"
	switch {
	case !e.Healthy && !e.Since.IsZero():
		health = "failing for " + age(now, e.Since)
	case !e.Healthy:
		health = "failing"
	case !e.Silent.IsZero():
		health = "silent for " + age(now, e.HeadAt)
	}
	news := "no news"
	switch {
	case e.Live && e.Mode != "":
		news = "news by " + e.Mode
	case e.Role == "beacon":
		return fmt.Sprintf("%s (%s): %s", e.Address, e.Role, health)
	case e.Role == "read" && e.Healthy:
		news = "is read from"
	}
	if e.Head == 0 {
		return fmt.Sprintf("%s (%s): %s, %s", e.Address, e.Role, health, news)
	}
	return fmt.Sprintf("%s (%s): %s, %s, at %d since %s, %d behind", e.Address, e.Role, health, news, e.Head, age(now, e.HeadAt), e.Lag)
}

// trouble is the last error of an endpoint.
func (e *endpoint) trouble(now time.Time) string {
	if e.ErrorAt.IsZero() {
		return "last error: " + e.LastError
	}
	return fmt.Sprintf("last error, %s ago: %s", age(now, e.ErrorAt), e.LastError)
}
