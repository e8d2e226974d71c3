package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"headrace/await/ethereum"
	"headrace/block"
	"headrace/follow"
	"headrace/internal/redact"
	"headrace/node"
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
		Long: `Wait for a node, or for a block of any Ethereum node, without asking again and again.

What satisfied the wait is printed as one line of JSON. The exit status is 0 when it was reached, 3 when the time was up (with the last value and the
last error), and 4 when the node ended meanwhile. A node that cannot be reached, or in whose place something else says that it is not there, is tried
again until the time is up. A success that no node answers with, or no Ethereum node, ends the wait at once.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usagef("say what to wait for: see %s --help", cmd.CommandPath())
		},
	}
	cmd.AddCommand(
		newNodeWait("height", "HEIGHT", "Wait until a node's head has reached a height"),
		newNodeWait("proposal", "ID", "Wait until a node has applied a proposal of the L1's inbox"),
		newNodeWait("position", "HEIGHT", "Wait until a node has applied the DA layer, or the L1, through a height of it"),
		newNodeWait("ready", "", "Wait until a node is ready"),
		newBlockWait(),
	)
	return cmd
}

// newNodeWait returns the command that waits by the node's endpoint of the same parameter.
func newNodeWait(name, operand, short string) *cobra.Command {
	var at nodeAt
	var head string
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   strings.TrimSpace(name+" "+operand) + " [flags]",
		Short: short,
		RunE: func(cmd *cobra.Command, args []string) error {
			query := url.Values{}
			value, err := oneArg(cmd, operand, args)
			if err != nil {
				return err
			}
			query.Set(name, value)
			if head != "" {
				query.Set("head", head)
			}
			u, err := at.url()
			if err != nil {
				return err
			}
			return at.clean(waitNode(cmd.Context(), cmd.OutOrStdout(), u, at, query, timeout))
		},
	}
	at.flags(cmd)
	timeoutFlag(cmd, &timeout)
	if name == "height" {
		cmd.Flags().StringVar(&head, "head", "", `which head: safe, unsafe or finalized (default "safe")`)
	}
	return cmd
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

// oneArg returns the only argument, which is a number, or "true" where none is wanted.
func oneArg(cmd *cobra.Command, operand string, args []string) (string, error) {
	switch {
	case operand == "" && len(args) == 0:
		return "true", nil
	case operand == "":
		return "", noArgs(cmd, args)
	case len(args) != 1:
		return "", usagef("it takes one argument, the %s: see %s --help", strings.ToLower(operand), cmd.CommandPath())
	}
	if _, err := strconv.ParseUint(args[0], 10, 64); err != nil {
		return "", usagef("%s is not a number", redact.Refused(args[0]))
	}
	return args[0], nil
}

// pauses space the attempts to reach a node.
var pauses = follow.Backoff{Min: 50 * time.Millisecond, Max: 2 * time.Second}

// onePoll bounds one request of a long wait, so that a connection that has died without a word does not take all its
// time. Tests are quicker.
var onePoll = 30 * time.Second

// lateAnswer is how long after its time the node's answer to a wait that timed out may come.
const lateAnswer = 250 * time.Millisecond

// nodeWait is one wait at a node.
type nodeWait struct {
	url   *url.URL
	at    nodeAt
	query url.Values
	last  node.Waited // the last answer
	err   error       // the last failure
}

func waitNode(ctx context.Context, out io.Writer, u *url.URL, at nodeAt, query url.Values, timeout time.Duration) error {
	w := &nodeWait{url: u.JoinPath("/v1/wait"), at: at, query: query}
	began := time.Now()
	pause := pauses
	for {
		left := onePoll
		if timeout > 0 {
			left = min(left, timeout-time.Since(began))
		}
		switch {
		case ctx.Err() != nil:
			return fmt.Errorf("interrupted: %w", w.describe())
		case left <= 0:
			return exitError{fmt.Errorf("timed out after %s: %w", timeout, w.describe()), statusTimeout}
		}
		answer, code, err := w.ask(ctx, left)
		switch {
		case err != nil:
			w.err = err
		case code == http.StatusOK:
			return printLine(out, answer)
		case code == http.StatusGatewayTimeout:
			pause.Reset()
			continue
		case code == http.StatusGone:
			return exitError{fmt.Errorf("the node has ended: %w", w.describe()), statusEnded}
		}
		if permanent := (refusedError{}); errors.As(err, &permanent) {
			return err
		}
		if timeout > 0 {
			limited, cancel := context.WithTimeout(ctx, timeout-time.Since(began))
			_ = pause.Sleep(limited, nil) // the loop looks at the time
			cancel()
		} else {
			_ = pause.Sleep(ctx, nil)
		}
	}
}

// refusedError is an answer that asking again will not change.
type refusedError struct{ error }

// ask sends one request that waits for so long.
func (w *nodeWait) ask(ctx context.Context, wait time.Duration) (answer []byte, code int, err error) {
	ctx, cancel := context.WithTimeout(ctx, wait+lateAnswer)
	defer cancel()
	w.query.Set("timeout", wait.String())
	w.url.RawQuery = w.query.Encode()
	req, err := w.at.request(ctx, w.url)
	if err != nil {
		return nil, 0, refusedError{err}
	}
	resp, err := nodeClient.Do(req)
	if err != nil {
		return nil, 0, fmt.Errorf("ask node: %w", redact.Error(err))
	}
	defer resp.Body.Close()
	if answer, err = io.ReadAll(io.LimitReader(resp.Body, maxStatus)); err != nil {
		return nil, 0, fmt.Errorf("read answer: %w", err)
	}
	var waited node.Waited
	err = json.Unmarshal(answer, &waited)
	switch {
	case err == nil && waited.Result != "":
		w.last = waited
		return answer, resp.StatusCode, nil
	case err == nil && refuses(resp.StatusCode, waited.Error):
		return nil, 0, refusedError{fmt.Errorf("the node refuses: %s", waited.Error)}
	}
	return nil, 0, otherAnswer(resp)
}

// otherAnswer is why an answer is not a node's. It is final only if it proves that another program is asked, by its
// success. Whatever else it says may come from what stands before the node: an ingress says 404 before the node is up,
// a gateway 429 when it is busy, and a token may be renewed.
func otherAnswer(resp *http.Response) error {
	err := fmt.Errorf("%s answered %s: is this a headrace node?", resp.Request.URL.Host, resp.Status)
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		return refusedError{err}
	}
	return err
}

// refuses reports whether an answer with this status is the node's last word, if it says why as a node does: what is
// asked for makes no sense, is not there any more, or is not for us.
func refuses(status int, why string) bool {
	return why != "" && (status == http.StatusBadRequest || status == http.StatusForbidden || status == http.StatusGone)
}

// describe is the last value and the last failure.
func (w *nodeWait) describe() error {
	text := "the node never answered"
	if w.last.Result != "" {
		text = "last seen: " + node.Status{Heads: w.last.Heads, Source: node.Source{Position: w.last.Position}, Proposal: w.last.Proposal}.Progress().String()
		if h := w.last.Heads; h.Unsafe != h.Safe || h.Finalized != h.Safe {
			text += fmt.Sprintf(", unsafe head %d, finalized head %d", h.Unsafe.Height, h.Finalized.Height)
		}
		if !w.last.Ready {
			text += ", not ready: " + w.last.Reason
		}
	}
	if w.err != nil {
		return fmt.Errorf("%s; last error: %w", text, w.err)
	}
	return errors.New(text)
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
	var rpc string
	var depth uint64
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "block NUMBER|HASH --rpc URL [flags]",
		Short: "Wait until any Ethereum node has a block",
		RunE: func(cmd *cobra.Command, args []string) error {
			at, err := endpointOf("--rpc", rpc)
			if err != nil {
				return usageError{err}
			}
			if len(args) != 1 {
				return usagef("it takes one argument, a block's number or hash: see %s --help", cmd.CommandPath())
			}
			node, err := ethereum.Open(at, ethereum.Options{})
			if err != nil {
				return fmt.Errorf("--rpc %s: %w", at, err)
			}
			wait, err := blockWait(node, args[0], depth)
			if err != nil {
				return err
			}
			ctx := cmd.Context()
			if timeout > 0 {
				limited, cancel := context.WithTimeout(ctx, timeout)
				defer cancel()
				ctx = limited
			}
			return waitBlock(ctx, cmd, wait, timeout)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&rpc, "rpc", "", "address of the Ethereum node: over ws or wss it announces its blocks; over http or https it is asked each second; URL,token_file=PATH if it wants a bearer token")
	flags.Uint64Var(&depth, "depth", 0, "blocks that must stand on it; with a number only")
	timeoutFlag(cmd, &timeout)
	return cmd
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

type headerWait func(context.Context) (*ethereum.Header, error)

func blockWait(eth *ethereum.Node, what string, depth uint64) (headerWait, error) {
	if strings.HasPrefix(what, "0x") {
		var hash block.Hash
		if err := hash.UnmarshalText([]byte(what)); err != nil || depth > 0 {
			return nil, usagef("%q: name a block by 0x and 64 hexadecimal digits, or by its number if others must stand on it", what)
		}
		return func(ctx context.Context) (*ethereum.Header, error) {
			return ethereum.BlockHash(ctx, eth, [32]byte(hash))
		}, nil
	}
	n, err := strconv.ParseUint(what, 10, 64)
	if err != nil {
		return nil, usagef("%q is neither a block's number nor its hash", what)
	}
	return func(ctx context.Context) (*ethereum.Header, error) {
		return ethereum.Canonical(ctx, eth, n, [32]byte{}, depth)
	}, nil
}

func waitBlock(ctx context.Context, cmd *cobra.Command, wait headerWait, timeout time.Duration) error {
	header, err := wait(ctx)
	switch {
	case err == nil:
		return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]any{"result": "reached", "block": header})
	case cmd.Context().Err() != nil:
		return fmt.Errorf("interrupted: %w", err)
	case errors.Is(err, context.DeadlineExceeded):
		return exitError{fmt.Errorf("timed out after %s: %w", timeout, err), statusTimeout}
	}
	return err
}
