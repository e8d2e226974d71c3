package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"github.com/spf13/cobra"

	"headrace/await"
)

func newTail() *cobra.Command {
	t := &tail{}
	var head, after string
	var from uint64
	var states, asJSON bool
	cmd := &cobra.Command{
		Use:   "tail [flags] [-- COMMAND ARGS...]",
		Short: "Print a node's blocks, or its statuses, as they come, or run a command for each",
		Long: `Print a node's blocks, or its statuses, as they come, one a line, until a signal comes.

Each block is printed once, in order. When the connection breaks, or the node ends and comes back, it goes on exactly where it was. When blocks that were
printed are reorganised away, a line says to which one the chain went back; what follows replaces those after it.

With a COMMAND nothing is printed: the command is run for each event, one after the other, with the event as --json prints it on its standard input. It has
taken the event when it ends with status 0. When it does not, tail ends with the command's status and says from where to go on, so that no event is lost. A
signal to tail lets the command end first, and says the same. For one command that reads all events use a pipe: headrace tail --json | COMMAND.

With --stream the blocks come from the stream in which nodes publish them on a NATS server. The output is the same, and an id of either is one of the other.
A server or a stream that is not there yet is waited for; a user whom the server refuses is not.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if at := cmd.ArgsLenAtDash(); at != 0 {
				return noArgs(cmd, args)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, command []string) error {
			if cmd.ArgsLenAtDash() == 0 && len(command) == 0 {
				return usagef("there is no command after --: see %s --help", cmd.CommandPath())
			}
			label, err := labelOf(head)
			if err != nil {
				return err
			}
			t.Stream = await.Stream{Head: label, After: after}
			if states {
				t.Kinds = "status"
			}
			t.stderr, t.ofStream = cmd.ErrOrStderr(), cmd.Flags().Changed("stream")
			if t.ofStream && (states || cmd.Flags().Changed("head")) {
				return usagef("--status and --head are of a node: a stream has blocks alone, up to the head that it is published with")
			}
			if states && (cmd.Flags().Changed("from") || cmd.Flags().Changed("after") || cmd.Flags().Changed("head")) {
				return usagef("--from, --after and --head are of blocks: a status is what is so now, so leave them or --status out")
			}
			if name := t.stream.given(cmd); name != "" && !t.ofStream {
				return usagef("--%s is of a stream, which --stream names: nats://127.0.0.1:4222 is one", name)
			}
			if cmd.Flags().Changed("from") {
				t.From = max(from, 1)
			}
			t.print = textEvent(cmd.OutOrStdout())
			if asJSON {
				t.print = jsonEvent(cmd.OutOrStdout())
			}
			if len(command) > 0 {
				return t.runEach(cmd, command)
			}
			return t.run(cmd.Context())
		},
	}
	t.at.flags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&t.stream.url, "stream", "", "URL of a NATS server, or several of one cluster with commas between: read the stream there in the place of a node; with --node too, blocks that it has no more come from that")
	flags.Uint64Var(&from, "from", 0, "the first block to print; without it, those that come from now on")
	flags.StringVar(&after, "after", "", "go on after the event with this id, as --json prints it")
	flags.StringVar(&head, "head", "safe", "blocks up to which head: safe, unsafe or finalized")
	flags.BoolVar(&states, "status", false, "print statuses instead of blocks; some in between may be left out")
	flags.BoolVar(&asJSON, "json", false, "print JSON: the event, its id and its data")
	flags.Uint64Var(&t.count, "count", 0, "stop after so many blocks or statuses; 0: when a signal comes")
	t.stream.flags(cmd)
	return cmd
}

// tail prints the events of one node.
type tail struct {
	await.Stream
	at     nodeAt
	stream streamAt // in the place of a node, if ofStream
	count  uint64   // still to print; 0: no end
	print  func(await.Event) error
	stderr io.Writer // default: that of the process

	ofStream bool // what is read is the stream
}

var errEnough = errors.New("enough")

// run goes on until ctx ends, enough is printed, or the node refuses.
func (t *tail) run(ctx context.Context) error {
	if t.stderr == nil {
		t.stderr = os.Stderr
	}
	if t.ofStream {
		return t.runStream(ctx)
	}
	c, err := t.at.client()
	if err != nil {
		return t.at.clean(err)
	}
	if t.Lost == nil {
		t.Lost = func(err error) {
			fmt.Fprintf(t.stderr, "headrace tail: %s: trying again\n", oneLine(t.at.clean(err)))
		}
	}
	err = c.Events(ctx, t.Stream, t.take)
	if ctx.Err() != nil || errors.Is(err, errEnough) {
		return nil
	}
	if e := (*await.Error)(nil); errors.As(err, &e) {
		err = e.Cause
	}
	return t.at.clean(err)
}

// take prints one event.
func (t *tail) take(e await.Event) error {
	if err := t.print(e); err != nil {
		return err // standard output is closed
	}
	if e.Kind == "reorg" || t.count == 0 {
		return nil
	}
	if t.count--; t.count == 0 {
		return errEnough
	}
	return nil
}

// runEach runs a command for each event.
func (t *tail) runEach(cmd *cobra.Command, command []string) error {
	goOn := "" // after the last event that was taken
	if t.After != "" {
		goOn = "--after " + t.After
	} else if t.From > 0 {
		goOn = fmt.Sprintf("--from %d", t.From)
	}
	t.print = func(e await.Event) error {
		var event bytes.Buffer
		if err := jsonEvent(&event)(e); err != nil {
			return err
		}
		if goOn == "" && e.Block != nil {
			goOn = fmt.Sprintf("--from %d", e.Block.Height)
		}
		run := exec.Command(command[0], command[1:]...) // not of the context: an event is taken as a whole
		run.Stdin, run.Stdout, run.Stderr = &event, cmd.OutOrStdout(), cmd.ErrOrStderr()
		if err := run.Run(); err != nil {
			return commandError(command[0], e, goOn, err)
		}
		if e.ID != "" {
			goOn = "--after " + e.ID
		}
		return nil
	}
	err := t.run(cmd.Context())
	if err == nil && goOn != "" && cmd.Context().Err() != nil {
		fmt.Fprintf(cmd.ErrOrStderr(), "%s: stopped: go on with %s\n", cmd.CommandPath(), goOn)
	}
	return err
}

// commandError is how a command failed, with its status, and from where to go on.
func commandError(name string, e await.Event, goOn string, err error) error {
	what := e.Kind + " event"
	if e.Block != nil {
		what = fmt.Sprintf("block %d", e.Block.Height)
	}
	err = fmt.Errorf("%s for %s: %w", name, what, err)
	if goOn != "" {
		err = fmt.Errorf("%w: go on with %s", err, goOn)
	}
	status := statusFailure
	if failed := (*exec.ExitError)(nil); errors.As(err, &failed) && failed.ExitCode() > 0 { // else it was ended by a signal
		status = failed.ExitCode()
	}
	return exitError{err, status}
}

func jsonEvent(out io.Writer) func(await.Event) error {
	return func(e await.Event) error {
		line := struct {
			Event string          `json:"event"`
			ID    string          `json:"id,omitempty"`
			Data  json.RawMessage `json:"data"`
		}{e.Kind, e.ID, e.Data}
		return json.NewEncoder(out).Encode(line)
	}
}

func textEvent(out io.Writer) func(await.Event) error {
	return func(e await.Event) error {
		var line string
		var err error
		switch e.Kind {
		case "block":
			b := e.Block
			label := "unsafe"
			if b.Safe {
				label = "safe"
			}
			line = fmt.Sprintf("%d  %s  %s  %d txs  %s", b.Height, b.Hash, b.Time.Format(time.RFC3339Nano), b.Txs, label)
		case "reorg":
			r := e.Reorg
			line = fmt.Sprintf("reorg: back from %d to %d  %s", r.From.Height, r.To.Height, r.To.Hash)
		case "status":
			var s status
			err = json.Unmarshal(e.Data, &s)
			line = s.line()
		default:
			return nil // of a newer node
		}
		if err != nil {
			return fmt.Errorf("read %s event: %w", e.Kind, err)
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
