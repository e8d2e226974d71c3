package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"headrace/await"
	"headrace/await/ethereum"
	"headrace/block"
	"headrace/internal/redact"
)

// What wait's exit status says beside success, failure and nonsense.
const (
	statusTimeout = 3
	statusEnded   = 4
)

// exitError is a failure with an exit status of its own.
type exitError struct {
	error
	status int
}

func (e exitError) Unwrap() error { return e.error }

func newWait() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "wait",
		Short: "Wait for a node, or for a block of any Ethereum node, without asking again and again",
		Long: `Wait for a node, or for a block or a transaction of any Ethereum node, without asking again and again.

What satisfied the wait is printed as one line of JSON. The exit status is 0 when it was reached, 3 when the time was up (with the last value and the
last error), and 4 when the node ended meanwhile. A node that cannot be reached, or in whose place something else says that it is not there, is tried
again until the time is up. What the node itself refuses ends the wait at once, and so does a success that no node answers with, or no Ethereum node.

With several --node all are waited for, side by side, and each has its line, with its address; with --any the first one. When one cannot get there any
more, the others are not waited for.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usagef("say what to wait for: see %s --help", cmd.CommandPath())
		},
	}
	for _, w := range nodeWaits {
		cmd.AddCommand(newNodeWait(w))
	}
	cmd.AddCommand(newTxWait(), newBlockWait(), newReceiptWait())
	return cmd
}

// nodeWait is what is waited for at nodes.
type nodeWait struct {
	name, operand, short string
	wait                 func(ctx context.Context, c *await.Client, n uint64, label await.Option) (await.State, error)
}

var nodeWaits = []nodeWait{
	{"height", "HEIGHT", "Wait until a node's head has reached a height", func(ctx context.Context, c *await.Client, n uint64, label await.Option) (await.State, error) {
		return c.Height(ctx, n, label)
	}},
	{"proposal", "ID", "Wait until a node has applied a proposal of the L1's inbox", func(ctx context.Context, c *await.Client, n uint64, _ await.Option) (await.State, error) {
		return c.Proposal(ctx, n)
	}},
	{"position", "HEIGHT", "Wait until a node has applied the DA layer, or the L1, through a height of it", func(ctx context.Context, c *await.Client, n uint64, _ await.Option) (await.State, error) {
		return c.L1Scanned(ctx, n)
	}},
	{"ready", "", "Wait until a node is ready", func(ctx context.Context, c *await.Client, _ uint64, _ await.Option) (await.State, error) {
		return c.Ready(ctx)
	}},
	{"not-ready", "", "Wait until a node says that it is not ready", func(ctx context.Context, c *await.Client, _ uint64, _ await.Option) (await.State, error) {
		return c.NotReady(ctx)
	}},
	{"stopped", "", "Wait until a node does not run any more: nobody listens at its address, or it said that it ends", func(ctx context.Context, c *await.Client, _ uint64, _ await.Option) (await.State, error) {
		_, err := c.Stopped(ctx)
		return await.State{Raw: json.RawMessage(`{"result":"reached","for":"the end of the node"}`)}, err
	}},
}

// newNodeWait returns the command that waits for one thing.
func newNodeWait(w nodeWait) *cobra.Command {
	var at nodesAt
	head := "safe"
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   strings.TrimSpace(w.name+" "+w.operand) + " [flags]",
		Short: w.short,
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := oneArg(cmd, w.operand, args)
			if err != nil {
				return err
			}
			label, err := labelOf(head)
			if err != nil {
				return err
			}
			return waitNodes(cmd, &at, timeout, func(ctx context.Context, c *await.Client) (await.State, error) {
				return w.wait(ctx, c, n, await.WithLabel(label))
			})
		},
	}
	at.flags(cmd)
	timeoutFlag(cmd, &timeout)
	if w.name == "height" {
		cmd.Flags().StringVar(&head, "head", "safe", "which head: safe, unsafe or finalized")
	}
	return cmd
}

// labelOf reads the name of a head.
func labelOf(head string) (await.Label, error) {
	for _, l := range []await.Label{await.Safe, await.Unsafe, await.Finalized} {
		if head == l.String() {
			return l, nil
		}
	}
	return 0, usagef("--head %q is not safe, unsafe or finalized", head)
}

func timeoutFlag(cmd *cobra.Command, timeout *time.Duration) {
	cmd.Flags().DurationVar(timeout, "timeout", time.Minute, "how long to wait; 0: for ever")
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if *timeout < 0 {
			return usagef("--timeout %s is below zero: it is how long to wait; 0: for ever", *timeout)
		}
		return nil
	}
}

// oneArg returns the only argument, which is a number, or 0 where none is wanted.
func oneArg(cmd *cobra.Command, operand string, args []string) (uint64, error) {
	if operand == "" {
		return 0, noArgs(cmd, args)
	}
	if len(args) != 1 {
		return 0, usagef("it takes one argument, the %s: see %s --help", strings.ToLower(operand), cmd.CommandPath())
	}
	n, err := strconv.ParseUint(args[0], 10, 64)
	if err != nil {
		return 0, usagef("%s is not a number", redact.Refused(args[0]))
	}
	return n, nil
}

// bounded is a command's context, with an end if there is a timeout.
func bounded(cmd *cobra.Command, timeout time.Duration) (context.Context, context.CancelFunc) {
	if timeout == 0 {
		return cmd.Context(), func() {}
	}
	return context.WithTimeout(cmd.Context(), timeout)
}

// lateAnswer is how long after its time a node's last word may come, so that there is one.
const lateAnswer = 250 * time.Millisecond

// waitNodes waits at all nodes, or any, and prints what they answer: a line for each that was waited for.
func waitNodes(cmd *cobra.Command, at *nodesAt, timeout time.Duration, wait func(context.Context, *await.Client) (await.State, error)) error {
	var waits []func(context.Context) (json.RawMessage, error)
	nodes := at.each()
	for i := range nodes {
		c, err := nodes[i].client()
		if err != nil {
			return nodes[i].clean(err)
		}
		waits = append(waits, func(ctx context.Context) (json.RawMessage, error) {
			s, err := wait(ctx, c)
			if cmd.Context().Err() != nil {
				lastWord(cmd.Context(), c, err)
			}
			if err = nodes[i].clean(waitError(cmd, timeout, err)); err != nil && len(nodes) > 1 {
				err = toldError{fmt.Sprintf("%s: %s", c, err), err}
			}
			if len(nodes) > 1 && err == nil {
				s.Raw = append(fmt.Appendf(nil, `{"node":%q,`, c.String()), bytes.TrimPrefix(bytes.TrimSpace(s.Raw), []byte("{"))...)
			}
			return s.Raw, err
		})
	}
	limit := timeout
	if limit > 0 {
		limit += lateAnswer
	}
	ctx, cancel := bounded(cmd, limit)
	defer cancel()
	var lines []json.RawMessage
	var err error
	if at.any {
		lines = make([]json.RawMessage, 1)
		_, lines[0], err = await.Any(ctx, waits...)
	} else {
		lines, err = await.All(ctx, waits...)
	}
	for i := 0; err == nil && i < len(lines); i++ {
		err = printLine(cmd.OutOrStdout(), lines[i])
	}
	return err
}

// lastQuestion is how long a node may take to say where it is, when a wait was interrupted before it had said anything.
// Tests set it.
var lastQuestion = time.Second

// lastWord asks a node where it is, for an interrupted wait that has not heard from it. A node that is well answers a wait
// only when that is reached, or after a while.
func lastWord(ctx context.Context, c *await.Client, err error) {
	var e *await.Error
	if !errors.As(err, &e) || e.Last != "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastQuestion)
	defer cancel()
	if s, err := c.Height(ctx, 0); err == nil {
		e.Last = s.String()
	}
}

// toldError is an error with another text.
type toldError struct {
	text string
	err  error
}

func (t toldError) Error() string { return t.text }
func (t toldError) Unwrap() error { return t.err }

// waitError is what a command says of a wait at a node, with its exit status.
func waitError(cmd *cobra.Command, timeout time.Duration, err error) error {
	var e *await.Error
	if !errors.As(err, &e) {
		return err
	}
	text := "the node never answered"
	if e.Last != "" {
		text = "last seen: " + e.Last
	}
	if e.Failure != nil {
		text += "; last error: " + e.Failure.Error()
	}
	switch {
	case errors.Is(err, await.ErrEnded):
		return exitError{toldError{"the node has ended" + strings.TrimPrefix(e.Cause.Error(), await.ErrEnded.Error()) + "; " + text, err}, statusEnded}
	case cmd.Context().Err() != nil:
		return toldError{"interrupted: " + text, err}
	case errors.Is(err, context.DeadlineExceeded):
		return exitError{toldError{fmt.Sprintf("timed out after %s: %s", timeout, text), err}, statusTimeout}
	}
	return e.Cause
}

// printLine prints JSON as one line.
func printLine(out io.Writer, raw []byte) error {
	var line bytes.Buffer
	if err := json.Compact(&line, raw); err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	line.WriteByte('\n')
	_, err := out.Write(line.Bytes())
	return err
}

func newBlockWait() *cobra.Command {
	var rpc, head string
	var depth uint64
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "block NUMBER|HASH --rpc URL [flags]",
		Short: "Wait until any Ethereum node has a block",
		RunE: func(cmd *cobra.Command, args []string) error {
			node, err := ethereumAt(rpc)
			if err != nil {
				return err
			}
			if len(args) != 1 {
				return usagef("it takes one argument, a block's number or hash: see %s --help", cmd.CommandPath())
			}
			wait, err := blockWait(node, args[0], depth, head)
			if err != nil {
				return err
			}
			return waitEthereum(cmd, timeout, "block", wait)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&rpc, "rpc", "", "address of the Ethereum node: over ws or wss it announces its blocks; over http or https it is asked each second; URL,token_file=PATH if it wants a bearer token")
	flags.StringVar(&head, "head", "", "the head that must have reached it: safe, unsafe or finalized; with a number only")
	flags.Uint64Var(&depth, "depth", 0, "blocks that must stand on it; with a number only, and no --head")
	timeoutFlag(cmd, &timeout)
	return cmd
}

// What wait receipt's exit status says beside the others.
const (
	statusReplaced = 5
	statusDropped  = 6
)

func newReceiptWait() *cobra.Command {
	var rpcs []string
	var sent ethereum.Sent
	var sender string
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "receipt HASH --rpc URL [flags]",
		Short: "Wait until a transaction is in a block of any Ethereum chain, and print its receipt",
		Long: `Wait until a transaction is in a block of any Ethereum chain, and print its receipt, whether it succeeded or not.

With --depth a reorg before that puts the wait back to waiting. The exit status is 5 when the transaction was replaced, that is when a canonical block has
another one of its sender and nonce, and 6 when it was dropped, that is when no --rpc has known it for --lost heads: it may still be sent again. For both the
nodes are asked who has sent it, while one knows the transaction, unless --sender and --nonce say so.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			var nodes []*ethereum.Node
			if len(rpcs) == 0 {
				rpcs = []string{""} // which is refused
			}
			for _, rpc := range rpcs {
				node, err := ethereumAt(rpc)
				if err != nil {
					return err
				}
				nodes = append(nodes, node)
			}
			if len(args) != 1 {
				return usagef("it takes one argument, a transaction's hash: see %s --help", cmd.CommandPath())
			}
			var hash block.Hash
			if err := hash.UnmarshalText([]byte(args[0])); err != nil {
				return usagef("%s is not a transaction's hash: 0x and 64 hexadecimal digits", redact.Refused(args[0]))
			}
			sent.Hash = [32]byte(hash)
			if cmd.Flags().Changed("sender") != cmd.Flags().Changed("nonce") {
				return usagef("--sender and --nonce go together")
			}
			if raw, err := hex.DecodeString(strings.TrimPrefix(sender, "0x")); sender != "" && (err != nil || copy(sent.Sender[:], raw) != len(sent.Sender) || len(raw) != len(sent.Sender)) {
				return usagef("--sender %s is not an address: 0x and 40 hexadecimal digits", redact.Refused(sender))
			}
			return waitEthereum(cmd, timeout, "receipt", func(ctx context.Context) (any, error) {
				r, err := ethereum.Included(ctx, nodes, sent)
				return r, fateError(err)
			})
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringArrayVar(&rpcs, "rpc", nil, "address of an Ethereum node, as for wait block; of several, one that has the receipt is enough")
	flags.Lookup("rpc").Value = &addressesFlag{flags.Lookup("rpc").Value}
	flags.Uint64Var(&sent.Confirmations, "depth", 0, "blocks that must stand on the transaction's block, or on that of the one in its place")
	flags.Uint64Var(&sent.Lost, "lost", 0, "heads for which no node knows it, after which it is taken for dropped; 0: it never is")
	flags.StringVar(&sender, "sender", "", "address of who has sent it")
	flags.Uint64Var(&sent.Nonce, "nonce", 0, "its nonce")
	timeoutFlag(cmd, &timeout)
	return cmd
}

// fateError gives what became of a transaction its exit status.
func fateError(err error) error {
	var e *await.Error
	var replaced *ethereum.ReplacedError
	switch {
	case errors.As(err, &replaced):
		return exitError{replaced, statusReplaced}
	case errors.Is(err, ethereum.ErrDropped) && errors.As(err, &e):
		return exitError{e.Cause, statusDropped}
	}
	return err
}

// ethereumAt returns the Ethereum node that --rpc names.
func ethereumAt(rpc string) (*ethereum.Node, error) {
	at, err := endpointOf("--rpc", rpc)
	if err != nil {
		return nil, usageError{err}
	}
	node, err := ethereum.Open(at, ethereum.Options{})
	if err != nil {
		return nil, fmt.Errorf("--rpc %s: %w", at, err)
	}
	return node, nil
}

// endpointOf reads the one Ethereum node that a flag names, with its token as settings have it.
func endpointOf(flag, text string) (at ethereum.Endpoint, err error) {
	parts := []string{text}
	if i := strings.LastIndex(text, ",token"); i >= 0 { // any other comma may be the address' own
		parts = []string{text[:i], text[i+1:]}
	}
	list, err := addressesOf(flag, parts)
	if err != nil {
		return at, err
	}
	u, err := url.Parse(list[0].URL)
	if err != nil || u.Host == "" || !slices.Contains([]string{"ws", "wss", "http", "https"}, u.Scheme) {
		return at, fmt.Errorf("%s %s is not the URL of an Ethereum node, such as ws://127.0.0.1:8546", flag, redact.Refused(text))
	}
	return list[0], nil
}

func blockWait(eth *ethereum.Node, what string, depth uint64, head string) (func(context.Context) (any, error), error) {
	if strings.HasPrefix(what, "0x") {
		var hash block.Hash
		if err := hash.UnmarshalText([]byte(what)); err != nil || depth > 0 || head != "" {
			return nil, usagef("%q: name a block by 0x and 64 hexadecimal digits, or by its number if others must stand on it, or a head reach it", what)
		}
		return func(ctx context.Context) (any, error) { return ethereum.BlockHash(ctx, eth, [32]byte(hash)) }, nil
	}
	n, err := strconv.ParseUint(what, 10, 64)
	if err != nil {
		return nil, usagef("%q is neither a block's number nor its hash", what)
	}
	if head == "" {
		return func(ctx context.Context) (any, error) { return ethereum.Canonical(ctx, eth, n, [32]byte{}, depth) }, nil
	}
	label, err := labelOf(head)
	if err == nil && depth > 0 {
		err = usagef("--head and --depth: one says how certain it must be")
	}
	return func(ctx context.Context) (any, error) { return ethereum.Height(ctx, eth, n, await.WithLabel(label)) }, err
}

// waitEthereum waits, and prints what came under a name.
func waitEthereum(cmd *cobra.Command, timeout time.Duration, name string, wait func(context.Context) (any, error)) error {
	ctx, cancel := bounded(cmd, timeout)
	defer cancel()
	got, err := wait(ctx)
	switch {
	case err == nil:
		return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]any{"result": "reached", name: got})
	case cmd.Context().Err() != nil:
		return fmt.Errorf("interrupted: %w", err)
	case errors.Is(err, context.DeadlineExceeded):
		return exitError{fmt.Errorf("timed out after %s: %w", timeout, err), statusTimeout}
	}
	return err
}
