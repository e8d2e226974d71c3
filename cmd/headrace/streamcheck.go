package main

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"headrace/stream/nats"
)

// statusNotWhole is the exit status of stream check for a stream that could be read, and is not whole.
const statusNotWhole = 3

func newStream() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "stream",
		Short: "Look at a stream in which nodes publish a chain's blocks",
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newStreamCheck())
	return cmd
}

func newStreamCheck() *cobra.Command {
	var stream streamAt
	var at nodeAt
	var from uint64
	var asJSON bool
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "check [flags] URL",
		Short: "Read a stream from its beginning and say whether the chain in it is whole",
		Long: `Read a stream from its beginning to where it stands now, and say whether the chain in it is whole: whether each block is the child of the one before, or
of the one to which a reorg goes back, and each message is as a publisher writes it. With --node it is compared with that node's chain, as far as both have
blocks; the node is asked first. URL is that of the NATS server, or several with commas between, of one cluster.

Each line is a damage: its name, the message where it shows, and what is there. The last line says what was read. The exit status is 0 if the stream is whole,
3 if it is damaged or the node has other blocks, and 1 if it could not be read.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("it takes one argument, the URL of a NATS server: see %s --help", cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			stream.url = args[0]
			if timeout <= 0 {
				return usagef("--timeout must be above zero")
			}
			opt := nats.CheckOptions{From: max(from, 1), Wait: timeout}
			if !asJSON {
				opt.Damage = func(d nats.Damage) { fmt.Fprintln(cmd.OutOrStdout(), d) }
			}
			if cmd.Flags().Changed("node") {
				if opt.Node, err = at.client(); err != nil {
					return at.clean(err)
				}
			}
			js, stop, err := stream.open(cmd.Context())
			if err != nil {
				return err
			}
			defer stop()
			report, err := nats.Check(cmd.Context(), js, stream.chain, opt)
			if err != nil {
				return at.clean(stream.clean(js, stream.several(err)))
			}
			return printCheck(cmd, &report, opt.Node != nil, asJSON)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&at.address, "node", "", "address of the HTTP endpoints of a node whose chain it should be")
	at.tokenFlags(cmd)
	flags.Uint64Var(&from, "from", 1, "the block with which the stream should begin")
	flags.DurationVar(&timeout, "timeout", 5*time.Second, "how long a node, a server or a stream that is not there is waited for")
	flags.BoolVar(&asJSON, "json", false, "print JSON: what was read, how many damages there are, and the first thousand")
	stream.flags(cmd)
	return cmd
}

// printCheck prints what was read, and returns what the exit status says.
func printCheck(cmd *cobra.Command, r *nats.Report, compared, asJSON bool) error {
	out := cmd.OutOrStdout()
	damages := fmt.Sprintf("%d damages", r.Damages)
	if r.Damages == 1 {
		damages = "1 damage"
	}
	if asJSON {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		if err := e.Encode(r); err != nil {
			return err
		}
	} else {
		text := fmt.Sprintf("stream %s: %d messages, %d reorgs, blocks %d to %d", nats.StreamName(r.Chain), r.Messages, r.Reorgs, r.First.Height, r.Last.Height)
		if compared {
			text += fmt.Sprintf(", %d of them compared with the node's", r.Compared)
		}
		verdict := "whole"
		if r.Damages > 0 {
			verdict = damages
		}
		if _, err := fmt.Fprintf(out, "%s: %s\n", text, verdict); err != nil {
			return err
		}
	}
	if r.Damages > 0 {
		return exitError{fmt.Errorf("the stream has %s", damages), statusNotWhole}
	}
	return nil
}
