package node_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"headrace/block"
	"headrace/exec"
	"headrace/exec/kv"
	"headrace/follow"
	"headrace/internal/nettest"
	"headrace/node"
)

// TestNewRefuses: whatever New fails with says what to do, in one line, and nothing is lost or left open: afterwards
// the node starts where it was.
func TestNewRefuses(t *testing.T) {
	t.Parallel()
	d, _ := daLayer(t, "127.0.0.1:0", "", 50*time.Millisecond)
	c := newChain(t, "refuses")
	good := c.sequencer(t, d.URL(), 50*time.Millisecond)
	n := start(t, good)
	before := n.until(t, "beyond 5", func(s node.Status) bool { return s.Heads.Safe.Height > 5 })

	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	refuse := func(what, want string, change func(*node.Options)) {
		t.Helper()
		o := good
		change(&o)
		made, err := node.New(o)
		if err == nil {
			_ = made.Close()
			t.Errorf("%s: got a node, want it refused", what)
			return
		}
		if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %q, want one line with %q", what, err, want)
		}
	}
	refuse("home in use", "another process has it open", func(*node.Options) {})
	n.stopped(t)

	other := newChain(t, "refuses") // the same name, another genesis
	refuse("wrong genesis", "store belongs to another chain", func(o *node.Options) { o.Genesis, o.Key = other.genesis, other.key })
	refuse("wrong namespaces", "differ from the genesis", func(o *node.Options) { o.Config.DA.DataNamespace = "elsewhere" })
	refuse("wrong key", "is not the proposer", func(o *node.Options) { o.Key = other.key })
	refuse("no key", "no signing key was given", func(o *node.Options) { o.Key = nil })
	refuse("port in use", "set http.address to another one", func(o *node.Options) { o.Config.HTTP.Address = busy.Addr().String() })
	refuse("no home", file, func(o *node.Options) { o.Home = filepath.Join(file, "home") })
	refuse("no DA address", "da.address is empty", func(o *node.Options) { o.Config.DA.Address = nil })
	refuse("wrong DA address", "is not an http, https, ws or wss URL", func(o *node.Options) { o.Config.DA.Address = node.At("localhost:26658") })
	refuse("wrong HTTP address", "is not host:port", func(o *node.Options) { o.Config.HTTP.Address = "7331" })
	refuse("wrong engine", "engine.kind", func(o *node.Options) { o.Config.Engine.Kind = "vk" })
	refuse("execution genesis with a fork of the future", "schedules fork Bogota (bogotaTime), which this release does not know", func(o *node.Options) {
		e := &o.Config.Engine
		e.Kind, e.URL, e.JWTFile, e.GenesisFile = "engineapi", "http://127.0.0.1:1", file+".jwt", file+".json"
		if err := errors.Join(os.WriteFile(e.JWTFile, bytes.Repeat([]byte("0"), 64), 0o600), os.WriteFile(e.GenesisFile, []byte(`{"config":{"chainId":1,"bogotaTime":0},"difficulty":"0x0","gasLimit":"0x1c9c380","alloc":{}}`), 0o600)); err != nil {
			t.Fatal(err)
		}
	})
	refuse("negative time", "must not be negative", func(o *node.Options) { o.Config.Sequencer.BlockTime = -1 })
	refuse("genesis without namespaces", "set da.header_namespace and da.data_namespace", func(o *node.Options) {
		g := *c.genesis
		g.DA = nil
		o.Genesis = &g
	})
	refuse("genesis without a chain", "genesis", func(o *node.Options) { o.Genesis = &block.Genesis{} })

	again := start(t, good)
	if s := again.Status().Load(); s.Heads.Safe.Height < before.Heads.Safe.Height {
		t.Errorf("got safe head %d after all that, want at least %d", s.Heads.Safe.Height, before.Heads.Safe.Height)
	}
	again.until(t, "going on", func(s node.Status) bool { return s.Heads.Safe.Height > before.Heads.Safe.Height+5 })
}

// TestNamespacesFromTheConfiguration: a genesis that names no namespaces leaves them to the configuration; one
// namespace alone serves for both.
func TestNamespacesFromTheConfiguration(t *testing.T) {
	t.Parallel()
	d, _ := daLayer(t, "127.0.0.1:0", "", 50*time.Millisecond)
	c := newChain(t, "names")
	c.genesis.DA = nil
	o := c.sequencer(t, d.URL(), 50*time.Millisecond)
	o.Config.DA.HeaderNamespace = "both"
	n := start(t, o)
	if err := n.SubmitTx(t.Context(), []byte("a=1")); err != nil {
		t.Fatal(err)
	}
	waitValue(t, n, "a", "1")
	n.until(t, "confirmed", func(s node.Status) bool { return s.Heads.Safe.Height > s.Counts.Produced/2 && s.Heads.Safe.Height > 3 })
	n.stopped(t)
	o.Config.DA.HeaderNamespace = "another"
	if _, err := node.New(o); err == nil || !strings.Contains(err.Error(), "store belongs to another chain") {
		t.Errorf("got %v for other namespaces on the same home, want them refused", err)
	}
}

// TestEndOfContext is P16: however Run's context ends, that is no error; its status ends, and so does every wait for
// it (I11).
func TestEndOfContext(t *testing.T) {
	t.Parallel()
	mine := errors.New("enough")
	ends := map[string]func() (context.Context, context.CancelFunc){
		"canceled": func() (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			return ctx, cancel
		},
		"deadline": func() (context.Context, context.CancelFunc) {
			return context.WithTimeout(context.Background(), 10*time.Millisecond)
		},
		"cause": func() (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancelCause(context.Background())
			cancel(mine)
			return ctx, func() { cancel(nil) }
		},
	}
	for name, end := range ends {
		n, err := node.New(newChain(t, "end").full(t, "http://"+nettest.FreeAddress(t)))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := end()
		if err := n.Run(ctx); err != nil {
			t.Errorf("%s: got %v, want nil", name, err)
		}
		cancel()
		if _, err := n.Wait(t.Context(), 1); err == nil {
			t.Errorf("%s: a wait for block 1 of a node that has ended: got no error", name)
		}
	}
}

// TestCloseWithoutRun: a node that is never run gives everything back.
func TestCloseWithoutRun(t *testing.T) {
	t.Parallel()
	c := newChain(t, "closed")
	o := c.sequencer(t, "http://"+nettest.FreeAddress(t), time.Second)
	o.Config.HTTP.Address = nettest.FreeAddress(t)
	for range 2 {
		n, err := node.New(o)
		if err != nil {
			t.Fatal(err)
		}
		if err := n.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
}

// TestEngineLosesItsState: an engine that is behind the store is brought up by replay at the start, without the DA
// layer and without a new block.
func TestEngineLosesItsState(t *testing.T) {
	t.Parallel()
	address := nettest.FreeAddress(t)
	_, stopDA := daLayer(t, address, "", 50*time.Millisecond)
	c := newChain(t, "engine")
	seq := start(t, c.sequencer(t, "http://"+address, 50*time.Millisecond))
	o := c.full(t, "http://"+address)
	full := start(t, o)
	if err := seq.SubmitTx(t.Context(), []byte("color=blue")); err != nil {
		t.Fatal(err)
	}
	waitValue(t, full, "color", "blue")
	full.stopped(t)
	seq.stopped(t)
	stopDA()

	if err := os.RemoveAll(filepath.Join(o.Home, "kv")); err != nil {
		t.Fatal(err)
	}
	full = start(t, o)
	s := full.until(t, "replayed", func(s node.Status) bool { return s.Counts.Replayed > 0 && s.Counts.Replayed == s.Heads.Safe.Height })
	if _, body := ask(t, full, "GET", "/v1/kv/color", ""); !strings.Contains(body, `"blue"`) {
		t.Errorf("got %s after %d blocks were replayed, want the value", body, s.Counts.Replayed)
	}
}

// lateEngine does not answer until it is there.
type lateEngine struct {
	*kv.Engine
	here atomic.Bool
	hold chan struct{} // what the first answer waits for, if anything
}

func (e *lateEngine) Head(ctx context.Context) (exec.Head, error) {
	if e.hold != nil {
		select {
		case <-e.hold:
		case <-ctx.Done():
			return exec.Head{}, ctx.Err()
		}
	}
	if !e.here.Load() {
		return exec.Head{}, errors.New("nobody there yet")
	}
	return e.Engine.Head(ctx)
}

// TestEngineComesLater: an engine that is away at the start is not fatal. The node follows, is unready because of it,
// and ready once it comes.
func TestEngineComesLater(t *testing.T) {
	t.Parallel()
	d, _ := daLayer(t, "127.0.0.1:0", "", 50*time.Millisecond)
	state, err := kv.Open(t.TempDir(), kv.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = state.Close() })
	engine := &lateEngine{Engine: state}
	o := newChain(t, "late").full(t, d.URL())
	o.Engine = engine
	n := start(t, o)
	s := n.until(t, "following", func(s node.Status) bool { return s.Source.Live && s.Source.Position.Height > 3 })
	if s.Ready || !strings.Contains(s.Reason, "nobody there yet (engine at ") {
		t.Errorf("got ready %t, reason %q, without an engine", s.Ready, s.Reason)
	}
	engine.here.Store(true)
	if s := n.until(t, "ready", ready); len(s.Waiting) > 0 {
		t.Errorf("got %+v, want nothing waited for", s.Waiting)
	}
	n.stopped(t)
}

// TestEngineNotCompared: a node that has not heard yet where its engine stands is not ready, though it is at the head of a
// layer that has no blocks for it, and needs no engine for these.
func TestEngineNotCompared(t *testing.T) {
	t.Parallel()
	d, _ := daLayer(t, "127.0.0.1:0", "", 50*time.Millisecond)
	state, err := kv.Open(t.TempDir(), kv.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = state.Close() })
	engine := &lateEngine{Engine: state, hold: make(chan struct{})}
	engine.here.Store(true)
	o := newChain(t, "unasked").full(t, d.URL())
	o.Engine = engine
	n, err := node.New(o)
	if err != nil {
		t.Fatal(err)
	}
	status, first := n.Status(), make(chan node.Status, 1)
	go func() { // every status counts: the first that is ready must come after the answer
		s, _ := status.Wait(bounded(t), ready)
		first <- s
	}()
	r := &running{n, goRun(t, "node", n.Run)}
	r.until(t, "said to wait for the engine", func(s node.Status) bool {
		return !s.Ready && strings.Contains(s.Reason, "not been compared with what is stored yet (engine at 0)")
	})
	select {
	case s := <-first:
		t.Errorf("ready before the engine was asked: %+v", s)
	default:
	}
	close(engine.hold)
	r.until(t, "ready", ready)
	<-first
	r.stopped(t)
}

// TestEngineRestarted: an engine that goes away while no blocks come makes the node unready, and one that comes back
// without its last blocks is given them again, though none follows.
func TestEngineRestarted(t *testing.T) {
	t.Parallel()
	d, _ := daLayer(t, "127.0.0.1:0", "", 50*time.Millisecond)
	c := newChain(t, "restarted")
	well := func(s node.Status) bool { return s.Ready || s.Stage == follow.StageChain } // but for the chain, which stands
	seq := start(t, c.sequencer(t, d.URL(), 50*time.Millisecond))
	state, err := kv.Open(t.TempDir(), kv.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = state.Close() })
	engine := &lateEngine{Engine: state}
	engine.here.Store(true)
	o := c.full(t, d.URL())
	o.Engine = engine
	n := start(t, o)
	n.until(t, "blocks", func(s node.Status) bool { return s.Heads.Safe.Height >= 5 })
	seq.stopped(t)
	n.until(t, "no more blocks", func(s node.Status) bool { return s.Source.Position.Height > s.Source.Head.Height-3 && well(s) })
	engine.here.Store(false)
	n.until(t, "unready", func(s node.Status) bool { return !s.Ready && strings.Contains(s.Reason, "nobody there yet") })
	if err := state.Revert(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	engine.here.Store(true)
	s := n.until(t, "brought up", func(s node.Status) bool { return s.Counts.Replayed > 0 && well(s) })
	if h, err := state.Head(t.Context()); err != nil || h.Height != s.Heads.Unsafe.Height || h.Hash != s.Heads.Unsafe.Hash {
		t.Errorf("the engine is at %d, %v, want %v", h.Height, err, s.Heads.Unsafe)
	}
	n.stopped(t)
}
