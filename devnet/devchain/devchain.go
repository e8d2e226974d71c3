// Package devchain runs the chains that people develop contracts against, as an L1: Anvil, Ganache and Hardhat. Their
// versions are exact.
//
// npm fetches a kind when it is asked for the first time, into the user's cache directory. The lock files in this package
// say to the hash what it fetches, and no script of a package is run. Open returns when the chain answers, on a port of
// the loopback interface that the system chose. Kill returns when the process is gone. A Chain is safe for use from many
// goroutines.
package devchain

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/rpc"

	"headrace/devnet/program"
)

// Kind is a program.
type Kind string

const (
	Anvil   Kind = "anvil"
	Ganache Kind = "ganache"
	Hardhat Kind = "hardhat"
)

// Kinds are all of them.
var Kinds = []Kind{Anvil, Ganache, Hardhat}

// Key and OtherKey are the private keys of two accounts that have money on each of these chains. Everybody knows them.
const (
	Key      = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
	OtherKey = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"
)

// Options configure a Chain. Dir is required.
type Options struct {
	Dir      string        // of the output, "KIND.log"
	Interval time.Duration // between two blocks, in whole seconds; default: a block with each transaction
}

// Chain is a process with a chain, which is gone with it.
type Chain struct {
	Kind    Kind
	proc    *program.Process
	address string // set before listening is closed

	listening chan struct{}
}

// Open installs a kind, if it is not, and starts a chain. ctx bounds both.
func Open(ctx context.Context, kind Kind, opt Options) (*Chain, error) {
	if opt.Interval%time.Second != 0 || opt.Interval < 0 {
		return nil, fmt.Errorf("%s: an interval of %s is not a number of seconds", kind, opt.Interval)
	}
	node, err := installNode(ctx)
	if err != nil {
		return nil, err
	}
	dir, err := Install(ctx, kind)
	if err != nil {
		return nil, err
	}
	c := &Chain{Kind: kind, listening: make(chan struct{})}
	run := command(kind, node, dir, int(opt.Interval/time.Second))
	run.Log, run.Line = filepath.Join(opt.Dir, string(kind)+".log"), c.look
	if c.proc, err = program.Start(run); err != nil {
		return nil, err
	}
	if err := c.serving(ctx); err != nil {
		c.proc.Kill()
		return nil, fmt.Errorf("start %s: %w\n%s", kind, err, c.proc.Tail())
	}
	return c, nil
}

// command is what starts a kind.
func command(kind Kind, node, dir string, interval int) program.Options {
	modules := filepath.Join(dir, "node_modules")
	js := program.Options{
		Path: nodeIn(node), Dir: dir,
		Env: []string{"HEADRACE_INTERVAL=" + strconv.Itoa(interval), "HARDHAT_DISABLE_TELEMETRY_PROMPT=true", "NO_COLOR=1"},
	}
	switch kind {
	case Ganache:
		js.Args = []string{"serve.js"}
	case Hardhat:
		js.Args = []string{filepath.Join(modules, "hardhat", "dist", "src", "cli.js"), "node", "--hostname", "127.0.0.1", "--port", "0"}
	default:
		args := []string{"--host", "127.0.0.1", "--port", "0"}
		if interval > 0 {
			args = append(args, "--block-time", strconv.Itoa(interval))
		}
		return program.Options{Path: filepath.Join(modules, "@foundry-rs", "anvil-"+runtime.GOOS+"-"+runtime.GOARCH, "bin", "anvil"), Args: args}
	}
	return js
}

var listensOn = regexp.MustCompile(`(?i:listening on|server at) (?:http://)?(127\.0\.0\.1:\d+)`)

// look finds the address in the output.
func (c *Chain) look(line string) {
	if m := listensOn.FindStringSubmatch(line); m != nil && c.address == "" {
		c.address = m[1]
		close(c.listening)
	}
}

// serving waits until the chain answers.
func (c *Chain) serving(ctx context.Context) error {
	select {
	case <-c.listening:
	case <-c.proc.Done():
		return fmt.Errorf("exited: %w", c.proc.Err())
	case <-ctx.Done():
		return ctx.Err()
	}
	var id string
	return c.Call(ctx, &id, "eth_chainId")
}

// HTTP is the URL of the JSON-RPC endpoint.
func (c *Chain) HTTP() string { return "http://" + c.address }

// WS is the URL of the WebSocket endpoint.
func (c *Chain) WS() string { return "ws://" + c.address }

// Call calls a method, such as one of those by which a dev chain is told what to do.
func (c *Chain) Call(ctx context.Context, result any, method string, args ...any) error {
	conn, err := rpc.DialContext(ctx, c.HTTP())
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.CallContext(ctx, result, method, args...); err != nil {
		return fmt.Errorf("%s: %s: %w", c.Kind, method, err)
	}
	return nil
}

// Snapshot notes the state of the chain.
func (c *Chain) Snapshot(ctx context.Context) (id string, err error) {
	return id, c.Call(ctx, &id, "evm_snapshot")
}

// Revert takes the chain back to a snapshot: the blocks since are gone, with none in their place. The snapshot is used up.
func (c *Chain) Revert(ctx context.Context, id string) error {
	var done bool
	if err := c.Call(ctx, &done, "evm_revert", id); err != nil {
		return err
	}
	if !done {
		return errors.New("the chain did not go back")
	}
	return nil
}

// Kill ends the process and waits for it.
func (c *Chain) Kill() { c.proc.Kill() }

// Log returns the last lines of the process' output, for the message of a test that failed.
func (c *Chain) Log() string { return strings.TrimSpace(c.proc.Tail()) }
