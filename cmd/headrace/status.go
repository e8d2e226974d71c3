package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"headrace/internal/redact"
)

func newStatus() *cobra.Command {
	var at nodeAt
	var asJSON bool
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "status [flags]",
		Short: "Say where a node stands, and what it waits for",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
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
	flags.BoolVar(&asJSON, "json", false, "print the node's answer as it came")
	flags.DurationVar(&timeout, "timeout", 10*time.Second, "how long to wait for the answer")
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
	resp, err := nodeClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask node: %w: is it running? --node names another address", redact.Error(err))
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

// status is the part of node.Status that is shown.
type status struct {
	ChainID   string `json:"chain_id"`
	Mode      string `json:"mode"`
	Ready     bool   `json:"ready"`
	Reason    string `json:"reason"`
	Unseen    string `json:"unseen"`
	StateRoot string `json:"state_root"`
	Heads     struct {
		Unsafe    ref `json:"unsafe"`
		Safe      ref `json:"safe"`
		Finalized ref `json:"finalized"`
	} `json:"heads"`
	Source struct {
		Position   ref       `json:"position"`
		Proven     ref       `json:"proven"`
		Head       ref       `json:"head"`
		HeadAt     time.Time `json:"head_at"`
		Lag        uint64    `json:"lag"`
		BlockTime  string    `json:"block_time"`
		Unverified string    `json:"unverified"`
	} `json:"source"`
	Proposal *struct { // of a chain on an L1
		ID     uint64 `json:"id"`
		L1     ref    `json:"l1"`
		Reorgs uint64 `json:"reorgs"`
	} `json:"proposal"`
	Waiting []struct {
		Stage  string    `json:"stage"`
		Height uint64    `json:"height"`
		Cause  string    `json:"cause"`
		Since  time.Time `json:"since"`
		Next   time.Time `json:"next_try"`
	} `json:"waiting"`
	Sequencer *struct {
		Paused    string `json:"paused"`
		Pending   uint64 `json:"pending"`
		Submitted uint64 `json:"submitted"`
	} `json:"sequencer"`
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

// text is the status for a reader, as of now.
func (s *status) text(now time.Time) string {
	var b bytes.Buffer
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-11s %s\n", name, fmt.Sprintf(format, args...))
	}
	line("chain", "%s, %s node", s.ChainID, s.Mode)
	if s.Ready {
		line("ready", "yes")
	} else {
		line("ready", "no: %s", s.Reason)
	}
	if s.Unseen != "" && s.Unseen != s.Reason {
		line("unseen", "%s", s.Unseen)
	}
	line("unsafe", "%s", s.Heads.Unsafe)
	line("safe", "%s", s.Heads.Safe)
	line("finalized", "%s", s.Heads.Finalized)
	line("state root", "%s", s.StateRoot)
	source, layer := "DA", "the DA layer"
	if p := s.Proposal; p != nil {
		source, layer = "L1", "the L1"
		if p.ID > 0 {
			line("proposal", "%d, in L1 block %s", p.ID, p.L1)
		} else {
			line("proposal", "none yet")
		}
		if p.Reorgs > 0 {
			line("", "reorgs of the L1 took proposals back %d times", p.Reorgs)
		}
	}
	line("position", "%s", s.Source.Position)
	line("proven", "%s", s.Source.Proven)
	line(source+" head", "%s", s.Source.Head)
	if !s.Source.HeadAt.IsZero() {
		line("", "%s ago%s, %d behind", now.Sub(s.Source.HeadAt).Round(time.Millisecond), eachBlock(s.Source.BlockTime), s.Source.Lag)
	}
	if s.Source.Unverified != "" {
		line("", "%s", s.Source.Unverified)
	}
	if q := s.Sequencer; q != nil {
		line("sequencer", "%d blocks wait for %s, submitted up to %d", q.Pending, layer, q.Submitted)
		if q.Paused != "" {
			line("paused", "%s", q.Paused)
		}
	}
	for _, w := range s.Waiting {
		more := ""
		if !w.Since.IsZero() {
			more = fmt.Sprintf(", for %s", now.Sub(w.Since).Round(time.Millisecond))
		}
		if w.Next.After(now) {
			more += fmt.Sprintf(", next try in %s", w.Next.Sub(now).Round(time.Millisecond))
		}
		line("waits", "%s at %d: %s%s", w.Stage, w.Height, w.Cause, more)
	}
	return b.String()
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
