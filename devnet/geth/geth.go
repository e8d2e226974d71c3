// Package geth runs real go-ethereum processes: as the execution client of a dev L1, and as the engine of a rollup node.
//
// A Node is one process on one data directory. It listens on the loopback interface only, on ports the system chose, which it keeps
// over a restart, so that clients find it again; it has no peers and looks for none. Open returns when both its ports answer for the
// right genesis; Close, Kill and a failed Open return when the process is gone. A Node is safe for use from many goroutines.
//
// The flags are the ones under which the data directory survives Kill: the head comes back some blocks behind, and giving the
// client the blocks after it again works. See Options.
package geth

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/ethclient"
)

// Options configure a Node. Dir is required; everything else has a default.
type Options struct {
	// Dir holds the data directory ("data"), the JWT secret ("jwt.hex") and the process' output ("geth.log").
	Dir string

	// Genesis is the chain. Default: DevGenesis(Prague).
	Genesis *core.Genesis

	// JWT is the Engine API's secret. Default: the one in Dir, or else a new random one.
	JWT [32]byte

	// Binary is the geth to run. Default: Binary(ctx).
	Binary string

	// GasLimit is the gas limit that built blocks move to. Default: the genesis' own, so that it is the same in every block and on every node.
	GasLimit uint64

	// Args are added to the command line, last.
	Args []string
}

// A Node is a geth process and the directory it lives in.
type Node struct {
	opt Options

	mu   sync.Mutex // guards the rest
	proc *process   // of the present or last run
	http string     // host:port of HTTP and WebSocket, "" before the first run
	auth string     // host:port of the Engine API
}

// Open starts a geth on opt.Dir, made and initialised when it is new, and waits until it serves. ctx bounds the start only.
func Open(ctx context.Context, opt Options) (*Node, error) {
	if opt.Dir == "" {
		return nil, errors.New("geth: no directory given")
	}
	if opt.Genesis == nil {
		opt.Genesis = DevGenesis(Prague)
	}
	opt.GasLimit = cmp.Or(opt.GasLimit, opt.Genesis.GasLimit)
	if opt.Binary == "" {
		binary, err := Binary(ctx)
		if err != nil {
			return nil, err
		}
		opt.Binary = binary
	}
	if err := prepare(&opt); err != nil {
		return nil, err
	}
	n := &Node{opt: opt}
	if err := n.Restart(ctx); err != nil {
		return nil, err
	}
	return n, nil
}

// prepare writes the files that the process reads. They are written anew at each Open, so the options rule.
func prepare(opt *Options) error {
	if err := os.MkdirAll(opt.Dir, 0o755); err != nil {
		return err
	}
	jwt := filepath.Join(opt.Dir, "jwt.hex")
	if opt.JWT == ([32]byte{}) {
		if old, err := os.ReadFile(jwt); err == nil {
			if n, err := hex.Decode(opt.JWT[:], bytes.TrimSpace(old)); err != nil || n != len(opt.JWT) {
				return fmt.Errorf("read %s: want 64 hexadecimal digits", jwt)
			}
		} else if _, err := rand.Read(opt.JWT[:]); err != nil {
			return err
		}
	}
	if err := os.WriteFile(jwt, []byte(hex.EncodeToString(opt.JWT[:])), 0o600); err != nil {
		return err
	}
	genesis, err := json.Marshal(opt.Genesis)
	if err != nil {
		return fmt.Errorf("encode genesis: %w", err)
	}
	if err := os.WriteFile(filepath.Join(opt.Dir, "genesis.json"), genesis, 0o644); err != nil {
		return err
	}
	// No flag closes the peer-to-peer port; an empty listen address in the configuration does.
	return os.WriteFile(filepath.Join(opt.Dir, "config.toml"), []byte("[Node.P2P]\nListenAddr = \"\"\n"), 0o644)
}

// args is the command line. Full sync, the hash scheme and archive mode together are what brings the head back after a SIGKILL
// (any two of them leave a directory stuck at block 0), and full sync is what lets blocks come through the Engine API from the first.
func (n *Node) args() []string {
	in := func(name string) string { return filepath.Join(n.opt.Dir, name) }
	httpPort, authPort := port(n.http), port(n.auth)
	args := []string{
		"--config", in("config.toml"), "--datadir", in("data"), "--override.genesis", in("genesis.json"),
		"--networkid", n.opt.Genesis.Config.ChainID.String(),
		"--syncmode", "full", "--state.scheme", "hash", "--gcmode", "archive", "--snapshot=false",
		"--nodiscover", "--maxpeers", "0", "--nat", "none", "--ipcdisable",
		"--http", "--http.addr", "127.0.0.1", "--http.port", httpPort, "--http.api", "eth,net,web3,debug,txpool,admin,testing",
		"--ws", "--ws.addr", "127.0.0.1", "--ws.port", httpPort, "--ws.api", "eth,net,web3,debug,txpool,testing", "--ws.origins", "*",
		"--authrpc.addr", "127.0.0.1", "--authrpc.port", authPort, "--authrpc.jwtsecret", in("jwt.hex"),
		"--miner.gaslimit", strconv.FormatUint(n.opt.GasLimit, 10), "--miner.gasprice", "1", "--miner.recommit", "250ms",
		"--txpool.nolocals", "--rpc.txfeecap", "0", "--history.logs.disable", "--cache", "64",
		"--log.format", "logfmt", "--verbosity", "3",
	}
	return append(args, n.opt.Args...)
}

// port is the port of addr, or 0 (any) when there is none yet.
func port(addr string) string {
	if _, p, err := net.SplitHostPort(addr); err == nil {
		return p
	}
	return "0"
}

// Restart starts the process again, on the same directory and ports, and waits until it serves. It is an error while the process runs.
func (n *Node) Restart(ctx context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.proc != nil && !n.proc.Exited() {
		return errors.New("geth: already running")
	}
	p, err := start(n.opt.Binary, n.args(), filepath.Join(n.opt.Dir, "geth.log"))
	if err != nil {
		return err
	}
	if err := n.serving(ctx, p); err != nil {
		p.Kill()
		return fmt.Errorf("start geth in %s: %w\n%s", n.opt.Dir, err, p.Tail())
	}
	n.proc = p
	return nil
}

// serving waits until p has both its ports open, and checks that it is on our chain.
func (n *Node) serving(ctx context.Context, p *process) error {
	select {
	case <-p.listening:
	case <-p.Done():
		return fmt.Errorf("exited: %w", p.Err())
	case <-ctx.Done():
		return ctx.Err()
	}
	n.http, n.auth = p.http, p.auth
	client, err := ethclient.DialContext(ctx, "http://"+n.http)
	if err != nil {
		return err
	}
	defer client.Close()
	got, err := client.HeaderByNumber(ctx, common.Big0)
	if err != nil {
		return fmt.Errorf("read genesis block: %w", err)
	}
	if want := n.opt.Genesis.ToBlock().Hash(); got.Hash() != want {
		return fmt.Errorf("genesis block is %s, want %s", got.Hash(), want)
	}
	return nil
}

// Run waits until the process ends by itself, which is an error, or until ctx does; then it closes the node and returns nil.
func (n *Node) Run(ctx context.Context) error {
	p := n.process()
	select {
	case <-p.Done():
		return fmt.Errorf("geth in %s exited: %w\n%s", n.opt.Dir, p.Err(), p.Tail())
	case <-ctx.Done():
		return n.Close()
	}
}

// Close asks the process to end and waits for it. Everything it knew is on disk then. An error says that it failed
// meanwhile, and may not have written that. Closing an ended node does nothing.
func (n *Node) Close() error {
	p := n.process()
	if p.Exited() {
		return nil
	}
	// Just after its start geth does not hear, so it is asked again; not often, since at the tenth time it ends at once. The last wait is a
	// watchdog for a process that is stuck.
	for wait := 250 * time.Millisecond; wait < 20*time.Second; wait *= 2 {
		if err := p.Interrupt(); err != nil {
			return err
		}
		select {
		case <-p.Done():
			if errors.As(p.Err(), new(*exec.ExitError)) {
				return fmt.Errorf("geth in %s failed while it ended: %w\n%s", n.opt.Dir, p.Err(), p.Tail())
			}
			return nil
		case <-time.After(wait):
		}
	}
	p.Kill()
	return fmt.Errorf("geth in %s did not end when asked to, and was killed", n.opt.Dir)
}

// Kill ends the process with SIGKILL and waits for it: what it had not written is lost. Killing an ended node does nothing.
func (n *Node) Kill() { n.process().Kill() }

// Pause stops the process with SIGSTOP: its sockets stay open and silent. Resume lets it go on. Both do nothing after its end.
func (n *Node) Pause() error { return n.process().Pause() }

// Resume lets a paused process go on.
func (n *Node) Resume() error { return n.process().Resume() }

// Exited is closed when the present run of the process has ended.
func (n *Node) Exited() <-chan struct{} { return n.process().Done() }

func (n *Node) process() *process {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.proc
}

// HTTP is the URL of the JSON-RPC endpoint.
func (n *Node) HTTP() string { return "http://" + n.addr(false) }

// WS is the URL of the WebSocket endpoint.
func (n *Node) WS() string { return "ws://" + n.addr(false) }

// Engine is the URL of the Engine API, which also serves the eth namespace. Requests need JWT.
func (n *Node) Engine() string { return "http://" + n.addr(true) }

func (n *Node) addr(auth bool) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if auth {
		return n.auth
	}
	return n.http
}

// JWT is the Engine API's secret.
func (n *Node) JWT() [32]byte { return n.opt.JWT }

// Dir is the directory given to Open.
func (n *Node) Dir() string { return n.opt.Dir }

// Genesis is the chain's genesis. It must not be changed.
func (n *Node) Genesis() *core.Genesis { return n.opt.Genesis }

// GenesisBlock is block 0.
func (n *Node) GenesisBlock() *types.Block { return n.opt.Genesis.ToBlock() }

// Log returns the last lines of the process' output, for the message of a test that failed.
func (n *Node) Log() string { return strings.TrimSpace(n.process().Tail()) }
