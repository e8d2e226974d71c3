package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"headrace/node"
)

func newSequencer() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sequencer",
		Short: "Have a running sequencer stop, start again, or post what is pending now",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usagef("say what it is to do: see %s --help", cmd.CommandPath())
		},
	}
	cmd.AddCommand(
		newOrder("stop", "Have a running sequencer make no more blocks, until it is started again", `

The block under way is the last one. It stays so when the node is restarted. What was made is posted all the same, transactions are taken and wait, and the node
says that it is not ready, and why.`, func(s node.Sequencing) string {
			if s.Making {
				return fmt.Sprintf("no more blocks are made, but the one under way, above block %d, is not done yet", s.Head.Height)
			}
			return fmt.Sprintf("no more blocks are made after block %d%s", s.Head.Height, pending(s))
		}),
		newOrder("start", "Have a sequencer that was stopped make blocks again", "", func(s node.Sequencing) string {
			return fmt.Sprintf("blocks may be made again, after block %d: /readyz says what is still in the way", s.Head.Height)
		}),
		newOrder("propose", "Have a running sequencer post the blocks that are pending now", `

Over an L1 they are proposed without a wait until a proposal is full or l1.max_delay is over. Over either layer the pause after a submission that failed ends. One
submission is under way at a time all the same: to wait until a block is safe, see headrace wait height.`, func(s node.Sequencing) string {
			if s.Head.Height <= s.Safe.Height {
				return fmt.Sprintf("nothing is pending: block %d is safe", s.Safe.Height)
			}
			return fmt.Sprintf("blocks %d to %d are posted as soon as the layer takes them", s.Safe.Height+1, s.Head.Height)
		}),
	)
	return cmd
}

// pending says how many blocks are not safe yet.
func pending(s node.Sequencing) string {
	if s.Head.Height <= s.Safe.Height {
		return ", which is safe"
	}
	return fmt.Sprintf(", and %d that are pending are posted all the same", s.Head.Height-s.Safe.Height)
}

// newOrder is a command by which a sequencer does what its name says. more is what its help has beside the short text.
func newOrder(name, short, more string, says func(node.Sequencing) string) *cobra.Command {
	var at nodeAt
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   name + " [flags]",
		Short: short,
		Long:  short + "." + more + "\n\nA node that has an http.token takes it with the token alone.",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			s, err := order(ctx, at, name)
			if err != nil {
				return at.clean(err)
			}
			fmt.Fprintln(cmd.OutOrStdout(), says(s))
			return nil
		},
	}
	at.flags(cmd)
	cmd.Flags().DurationVar(&timeout, "timeout", 20*time.Second, "how long to wait for the answer")
	return cmd
}

// order has a sequencer do what a name of /v1/sequencer says.
func order(ctx context.Context, at nodeAt, name string) (s node.Sequencing, err error) {
	u, err := at.url()
	if err != nil {
		return s, err
	}
	req, err := at.request(ctx, u.JoinPath("/v1/sequencer", name))
	if err != nil {
		return s, err
	}
	req.Method = http.MethodPost
	err = at.ordered(req, &s, func(status int) bool { return status == http.StatusOK || status == http.StatusAccepted })
	return s, err
}
