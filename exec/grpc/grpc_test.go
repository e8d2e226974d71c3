package execgrpc_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"headrace/block"
	"headrace/exec"
	"headrace/exec/exectest"
	execgrpc "headrace/exec/grpc"
	"headrace/exec/grpc/execv1"
	"headrace/exec/kv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve serves e on target until the test ends or stop is called, and returns where it listens.
func serve(t *testing.T, target string, e exec.Engine, opt execgrpc.ServerOptions) (addr string, stop func()) {
	t.Helper()
	lis, err := execgrpc.Listen(target)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- execgrpc.Serve(ctx, lis, e, opt) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("serve: got %v, want %v", err, context.Canceled)
		}
	}
	t.Cleanup(stop)
	addr = lis.Addr().String()
	if lis.Addr().Network() == "unix" {
		addr = "unix:" + addr
	}
	return addr, stop
}

func dial(t *testing.T, target string, opt execgrpc.Options) *execgrpc.Engine {
	t.Helper()
	e, err := execgrpc.Dial(target, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

const loopback = "127.0.0.1:0"

// subject is a kv engine behind gRPC. Reopening it means a new engine, a new server and a new connection; a crash is
// one of the disk.
func subject(listen func(t *testing.T) string) func(t *testing.T) exectest.Subject {
	return func(t *testing.T) exectest.Subject {
		mem := vfs.NewCrashableMem()
		rng := rand.New(rand.NewPCG(3, 3))
		var behind *kv.Engine
		var stop func()
		start := func() exec.Engine {
			var err error
			if behind, err = kv.Open("kv", kv.Options{FS: mem, History: 30, PoolBytes: 64 << 10}); err != nil {
				t.Fatal(err)
			}
			var addr string
			addr, stop = serve(t, listen(t), behind, execgrpc.ServerOptions{})
			return dial(t, addr, execgrpc.Options{})
		}
		end := func() {
			stop()
			if err := behind.Close(); err != nil {
				t.Fatal(err)
			}
		}
		s := exectest.Subject{
			Engine: start(),
			BadTx:  []byte("not a pair"),
			Reopen: func(t *testing.T) exec.Engine {
				end()
				return start()
			},
			Crash: func(t *testing.T) exec.Engine {
				crashed := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng})
				end()
				mem = crashed
				return start()
			},
			History:   30,
			Tx:        func(n int) []byte { return fmt.Appendf(nil, "n%d=%d", n, n) },
			InvalidTx: []byte("=no key"),
			SizedTx:   func(n, size int) []byte { return fmt.Appendf(nil, "n%d=%0*d", n, size-len(fmt.Sprintf("n%d=", n)), 0) },
			PoolLimit: 256,
		}
		t.Cleanup(end)
		return s
	}
}

func TestConformanceTCP(t *testing.T) {
	exectest.Test(t, subject(func(*testing.T) string { return loopback }))
}

func TestConformanceUnix(t *testing.T) {
	exectest.Test(t, subject(func(t *testing.T) string { return "unix:" + filepath.Join(t.TempDir(), "engine") }))
}

// fake is an engine whose answers a test decides.
type fake struct {
	execute func(ctx context.Context, b *block.Block) ([]byte, error)
	head    exec.Head
	err     error // of the other methods
	reverts atomic.Int64
}

func (f *fake) Execute(ctx context.Context, b *block.Block) ([]byte, error) { return f.execute(ctx, b) }
func (f *fake) Head(context.Context) (exec.Head, error)                     { return f.head, f.err }
func (f *fake) Revert(context.Context, uint64) error {
	f.reverts.Add(1)
	return f.err
}

// full is a fake with the optional sides.
type full struct {
	fake
	txs       [][]byte
	safe, fin block.Ref
}

func (f *full) SubmitTx(context.Context, []byte) error { return f.err }
func (f *full) Build(context.Context, uint64, uint64, int) ([][]byte, error) {
	return f.txs, f.err
}
func (f *full) Label(_ context.Context, safe, fin block.Ref) error {
	f.safe, f.fin = safe, fin
	return f.err
}

func someBlock(txBytes int) *block.Block {
	b := &block.Block{}
	b.Header.Header = block.Header{Height: 7, Time: 8, ChainID: "c", LastHeaderHash: make([]byte, 32), ProposerAddress: make([]byte, 32)}
	b.Data = block.Data{Metadata: block.Metadata{ChainID: "c", Height: 7, Time: 8, LastDataHash: make([]byte, 32)}, Txs: [][]byte{make([]byte, txBytes), []byte("x")}}
	c := b.Data.Commitment()
	b.Header.Header.DataHash = c[:]
	return b
}

// TestBlockArrivesWhole compares the block that the engine gets with the one that was sent.
func TestBlockArrivesWhole(t *testing.T) {
	sent := someBlock(100)
	key, err := block.GenerateKey(block.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	sent.Header.Header.ProposerAddress = key.Public().Address()
	if sent.Header, err = block.SignHeader(key, sent.Header.Header); err != nil {
		t.Fatal(err)
	}
	var got []byte
	f := &fake{execute: func(_ context.Context, b *block.Block) ([]byte, error) {
		got = b.Encode()
		return []byte("root"), nil
	}}
	addr, _ := serve(t, loopback, f, execgrpc.ServerOptions{})
	root, err := dial(t, addr, execgrpc.Options{}).Execute(t.Context(), sent)
	if err != nil || string(root) != "root" {
		t.Errorf("got root %q, %v", root, err)
	}
	if string(got) != string(sent.Encode()) {
		t.Errorf("got block %x, want %x", got, sent.Encode())
	}
}

// TestErrors sends each kind of error over the wire.
func TestErrors(t *testing.T) {
	f := &full{fake: fake{}}
	f.execute = func(context.Context, *block.Block) ([]byte, error) { return nil, f.err }
	addr, _ := serve(t, loopback, f, execgrpc.ServerOptions{})
	e := dial(t, addr, execgrpc.Options{})
	kinds := []error{exec.ErrParent, exec.ErrInvalid, exec.ErrPruned, exec.ErrFull}
	plain := errors.New("out of fuel")
	for _, want := range append([]error{plain, context.Canceled, context.DeadlineExceeded}, kinds...) {
		f.err = fmt.Errorf("words of the engine: %w", want)
		calls := map[string]func() error{
			"execute": func() error { _, err := e.Execute(t.Context(), someBlock(1)); return err },
			"head":    func() error { _, err := e.Head(t.Context()); return err },
			"revert":  func() error { return e.Revert(t.Context(), 1) },
			"label":   func() error { return e.Label(t.Context(), block.Ref{}, block.Ref{}) },
			"submit":  func() error { return e.SubmitTx(t.Context(), []byte("x")) },
			"build":   func() error { _, err := e.Build(t.Context(), 1, 2, 3); return err },
		}
		for name, call := range calls {
			err := call()
			if err == nil || !strings.Contains(err.Error(), "words of the engine: "+want.Error()) {
				t.Errorf("%s: got %v, want the engine's words", name, err)
			}
			for _, kind := range append(kinds, context.Canceled, context.DeadlineExceeded) {
				// The engine's own context is not ours: its end is no end of our waiting.
				if is, should := errors.Is(err, kind), kind == want && kind != context.Canceled && kind != context.DeadlineExceeded; is != should {
					t.Errorf("%s with %v: is %v: got %v, want %v", name, want, kind, is, should)
				}
			}
		}
	}
}

// foreign is a server that is not ours: it answers with bare codes and other domains.
type foreign struct {
	execv1.UnimplementedEngineServer
	err  error
	head *execv1.HeadResponse
}

func (f *foreign) Execute(context.Context, *execv1.ExecuteRequest) (*execv1.ExecuteResponse, error) {
	return nil, f.err
}
func (f *foreign) Head(context.Context, *execv1.HeadRequest) (*execv1.HeadResponse, error) {
	return f.head, nil
}
func (f *foreign) Build(context.Context, *execv1.BuildRequest) (*execv1.BuildResponse, error) {
	return &execv1.BuildResponse{Txs: [][]byte{make([]byte, 60), make([]byte, 60)}}, nil
}

func serveForeign(t *testing.T, f execv1.EngineServer) string {
	t.Helper()
	lis, err := net.Listen("tcp", loopback)
	if err != nil {
		t.Fatal(err)
	}
	srv := grpc.NewServer()
	execv1.RegisterEngineServer(srv, f)
	done := make(chan error, 1)
	go func() { done <- srv.Serve(lis) }()
	t.Cleanup(func() {
		srv.Stop()
		<-done
	})
	return lis.Addr().String()
}

// TestForeignServer: a code alone is no verdict, a reason is; and answers outside the protocol are errors.
func TestForeignServer(t *testing.T) {
	f := &foreign{head: &execv1.HeadResponse{Hash: []byte("short")}}
	e := dial(t, serveForeign(t, f), execgrpc.Options{})
	for _, code := range []codes.Code{codes.InvalidArgument, codes.FailedPrecondition, codes.OutOfRange, codes.ResourceExhausted} {
		f.err = status.Error(code, "bare")
		_, err := e.Execute(t.Context(), someBlock(1))
		for _, kind := range []error{exec.ErrParent, exec.ErrInvalid, exec.ErrPruned, exec.ErrFull} {
			if err == nil || errors.Is(err, kind) {
				t.Errorf("bare %v: got %v, want an error that is not %v", code, err, kind)
			}
		}
	}
	detailed := func(domain string) error {
		s, err := status.New(codes.Unknown, "detailed").WithDetails(&errdetails.ErrorInfo{Reason: "INVALID", Domain: domain})
		if err != nil {
			t.Fatal(err)
		}
		return s.Err()
	}
	f.err = detailed("headrace.exec.v1")
	if _, err := e.Execute(t.Context(), someBlock(1)); !errors.Is(err, exec.ErrInvalid) {
		t.Errorf("with a reason: got %v, want %v", err, exec.ErrInvalid)
	}
	f.err = detailed("example.com")
	if _, err := e.Execute(t.Context(), someBlock(1)); err == nil || errors.Is(err, exec.ErrInvalid) {
		t.Errorf("with another domain's reason: got %v, want no verdict", err)
	}
	if _, err := e.Head(t.Context()); err == nil || !strings.Contains(err.Error(), "hash of 5 bytes") {
		t.Errorf("a short hash: got %v", err)
	}
	if _, err := e.Build(t.Context(), 1, 1, 100); err == nil || !strings.Contains(err.Error(), "more than 100") {
		t.Errorf("too many bytes built: got %v", err)
	}
	if err := e.Label(t.Context(), block.Ref{}, block.Ref{}); err != nil {
		t.Errorf("label an engine that takes none: got %v", err)
	}
	if err := e.SubmitTx(t.Context(), []byte("x")); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("submit to an engine that does not build: got %v", err)
	}
	// A server without the method, as a proxy in front of none, says nothing of whether a transaction could be
	// included.
	if why, err := e.Exempt(t.Context(), 1, [][]byte{{1}}); err == nil || why != nil || errors.Is(err, exec.ErrPruned) {
		t.Errorf("reasons of an engine that answers nothing: got %q, %v, want an error", why, err)
	}
}

// excusing gives the same reasons whatever it is asked about.
type excusing struct {
	*foreign
	why []string
}

func (e *excusing) Excuse(context.Context, *execv1.ExcuseRequest) (*execv1.ExcuseResponse, error) {
	return &execv1.ExcuseResponse{Why: e.why}, nil
}

func TestExemptForEach(t *testing.T) {
	e := dial(t, serveForeign(t, &excusing{new(foreign), []string{"", "used up"}}), execgrpc.Options{})
	if why, err := e.Exempt(t.Context(), 1, [][]byte{{1}, {2}}); err != nil || len(why) != 2 || why[0] != "" || why[1] != "used up" {
		t.Errorf("got %q, %v", why, err)
	}
	if why, err := e.Exempt(t.Context(), 1, [][]byte{{1}}); err == nil {
		t.Errorf("two reasons for one transaction: got %q, want an error", why)
	}
}

func TestOptionalSides(t *testing.T) {
	bare := &fake{}
	addr, _ := serve(t, loopback, bare, execgrpc.ServerOptions{})
	e := dial(t, addr, execgrpc.Options{})
	if err := e.Label(t.Context(), block.Ref{}, block.Ref{}); err != nil {
		t.Errorf("label an engine that takes none: got %v", err)
	}
	if err := e.SubmitTx(t.Context(), []byte("x")); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("submit to an engine that does not build: got %v", err)
	}
	if _, err := e.Build(t.Context(), 1, 1, 1); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("build with an engine that does not: got %v", err)
	}
	if why, err := e.Exempt(t.Context(), 1, [][]byte{{1}, {2}}); err != nil || len(why) != 2 || why[0] != "" || why[1] != "" {
		t.Errorf("reasons of an engine that has none: got %q, %v, want two empty ones", why, err)
	}

	f := &full{txs: [][]byte{[]byte("a"), {}}}
	addr, _ = serve(t, loopback, f, execgrpc.ServerOptions{})
	e = dial(t, addr, execgrpc.Options{})
	safe, fin := block.Ref{Height: 2, Hash: block.Hash{2}}, block.Ref{Height: 1, Hash: block.Hash{1}}
	if err := e.Label(t.Context(), safe, fin); err != nil || f.safe != safe || f.fin != fin {
		t.Errorf("labels: got %v and %v, %v", f.safe, f.fin, err)
	}
	if txs, err := e.Build(t.Context(), 1, 1, 10); err != nil || len(txs) != 2 || string(txs[0]) != "a" {
		t.Errorf("build: got %q, %v", txs, err)
	}
}

// TestRequestsAreChecked sends what a broken client might: it never reaches the engine.
func TestRequestsAreChecked(t *testing.T) {
	f := &full{}
	f.execute = func(context.Context, *block.Block) ([]byte, error) {
		t.Error("a malformed block was executed")
		return nil, nil
	}
	addr, _ := serve(t, loopback, f, execgrpc.ServerOptions{})
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c := execv1.NewEngineClient(conn)
	good := someBlock(1)
	hash := good.Hash()
	whole := func() *execv1.Block {
		return &execv1.Block{Height: 7, Hash: hash[:], ParentHash: make([]byte, 32), Time: 8, ChainId: "c", SignedHeader: good.Header.Encode()}
	}
	for name, change := range map[string]func(*execv1.Block){
		"hash":          func(b *execv1.Block) { b.Hash = make([]byte, 32) },
		"height":        func(b *execv1.Block) { b.Height++ },
		"time":          func(b *execv1.Block) { b.Time++ },
		"chain":         func(b *execv1.Block) { b.ChainId = "" },
		"parent":        func(b *execv1.Block) { b.ParentHash = nil },
		"no header":     func(b *execv1.Block) { b.SignedHeader = nil },
		"broken header": func(b *execv1.Block) { b.SignedHeader = b.SignedHeader[:9] },
	} {
		m := whole()
		change(m)
		if _, err := c.Execute(t.Context(), &execv1.ExecuteRequest{Block: m}); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%s: got %v, want an invalid argument", name, err)
		}
	}
	if _, err := c.Execute(t.Context(), &execv1.ExecuteRequest{}); status.Code(err) != codes.InvalidArgument {
		t.Errorf("no block: got %v, want an invalid argument", err)
	}
	if _, err := c.Label(t.Context(), &execv1.LabelRequest{Safe: &execv1.Ref{Hash: []byte{1}}}); status.Code(err) != codes.InvalidArgument {
		t.Errorf("a short hash: got %v, want an invalid argument", err)
	}
}

// TestDeadline calls an engine that does not answer, and an endpoint that only accepts: both end within the timeout,
// and it is our own.
func TestDeadline(t *testing.T) {
	f := &fake{execute: func(ctx context.Context, _ *block.Block) ([]byte, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	addr, _ := serve(t, loopback, f, execgrpc.ServerOptions{})
	e := dial(t, addr, execgrpc.Options{Timeout: 50 * time.Millisecond})
	if _, err := e.Execute(t.Context(), someBlock(1)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("an engine that hangs: got %v", err)
	}
	hole, err := net.Listen("tcp", loopback)
	if err != nil {
		t.Fatal(err)
	}
	defer hole.Close()
	e = dial(t, hole.Addr().String(), execgrpc.Options{Timeout: 50 * time.Millisecond})
	if _, err := e.Head(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a black hole: got %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := e.Ready(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("ready at a black hole: got %v", err)
	}
	e.Close()
	if err := e.Ready(t.Context()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("ready after close: got %v", err)
	}
	if _, err := e.Head(t.Context()); err == nil || errors.Is(err, context.Canceled) {
		t.Errorf("head after close: got %v", err)
	}
}

// TestCallsDoNotOverlap has a caller give up on an engine that does not: the next call waits until the engine is free.
func TestCallsDoNotOverlap(t *testing.T) {
	entered, release := make(chan struct{}, 1), make(chan struct{})
	var inside atomic.Int64
	f := &fake{execute: func(context.Context, *block.Block) ([]byte, error) {
		if inside.Add(1) > 1 {
			t.Error("two calls are with the engine")
		}
		defer inside.Add(-1)
		entered <- struct{}{}
		<-release
		return nil, nil
	}}
	addr, _ := serve(t, loopback, f, execgrpc.ServerOptions{})
	e := dial(t, addr, execgrpc.Options{})
	ctx, giveUp := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() { _, err := e.Execute(ctx, someBlock(1)); first <- err }()
	<-entered
	giveUp()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Errorf("the first call: got %v", err)
	}
	short, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if err := e.Revert(short, 1); !errors.Is(err, context.DeadlineExceeded) || f.reverts.Load() != 0 {
		t.Errorf("a call while the engine is busy: got %v, %d reverts", err, f.reverts.Load())
	}
	if _, err := e.Head(t.Context()); err != nil {
		t.Errorf("head while the engine is busy: got %v", err)
	}
	next := make(chan error, 1)
	go func() { next <- e.Revert(t.Context(), 1) }()
	close(release)
	if err := <-next; err != nil || f.reverts.Load() != 1 {
		t.Errorf("the next call: got %v, %d reverts", err, f.reverts.Load())
	}
}

func TestMessageLimits(t *testing.T) {
	f := &fake{execute: func(_ context.Context, b *block.Block) ([]byte, error) { return make([]byte, len(b.Data.Txs[0])), nil }}
	addr, _ := serve(t, loopback, f, execgrpc.ServerOptions{})
	if root, err := dial(t, addr, execgrpc.Options{}).Execute(t.Context(), someBlock(20<<20)); err != nil || len(root) != 20<<20 {
		t.Errorf("20 MiB: got %d bytes, %v", len(root), err)
	}
	small, _ := serve(t, loopback, f, execgrpc.ServerOptions{MaxMessageBytes: 1 << 20})
	for name, e := range map[string]*execgrpc.Engine{
		"a client with a limit": dial(t, addr, execgrpc.Options{MaxMessageBytes: 1 << 20}),
		"a server with a limit": dial(t, small, execgrpc.Options{}),
	} {
		if _, err := e.Execute(t.Context(), someBlock(2<<20)); err == nil || errors.Is(err, exec.ErrFull) || errors.Is(err, exec.ErrInvalid) {
			t.Errorf("%s: got %v, want an error that is no verdict", name, err)
		}
		if _, err := e.Execute(t.Context(), someBlock(1000)); err != nil {
			t.Errorf("%s, a small block: got %v", name, err)
		}
	}
}

// TestReconnect restarts the server under a client that stays.
func TestReconnect(t *testing.T) {
	target := "unix:" + filepath.Join(t.TempDir(), "engine")
	f := &fake{head: exec.Head{Height: 1}}
	_, stop := serve(t, target, f, execgrpc.ServerOptions{})
	e := dial(t, target, execgrpc.Options{})
	for range 3 {
		if err := e.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		if h, err := e.Head(t.Context()); err != nil || h.Height != 1 {
			t.Fatalf("got %v, %v", h, err)
		}
		stop()
		if _, err := e.Head(t.Context()); err == nil || errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("without a server: got %v, want an error at once", err)
		}
		_, stop = serve(t, target, f, execgrpc.ServerOptions{})
	}
}

func TestListen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "engine")
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := execgrpc.Listen("unix:" + path); err == nil {
		t.Error("listened where somebody listens")
	}
	stale.SetUnlinkOnClose(false) // as a killed process leaves it
	stale.Close()
	lis, err := execgrpc.Listen("unix://" + path)
	if err != nil {
		t.Fatalf("listen where a killed process did: %v", err)
	}
	lis.Close()
	if _, err := execgrpc.Listen("nowhere"); err == nil {
		t.Error("listened nowhere")
	}
}

// TestServeEnds ends a server in the middle of a call: the call may finish within the grace, and not after.
func TestServeEnds(t *testing.T) {
	entered, release := make(chan struct{}, 1), make(chan struct{})
	f := &fake{execute: func(ctx context.Context, _ *block.Block) ([]byte, error) {
		entered <- struct{}{}
		select {
		case <-release:
			return []byte("done"), nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}}
	for _, tt := range []struct {
		grace  time.Duration
		finish bool
	}{{time.Minute, true}, {time.Millisecond, false}} {
		lis, err := execgrpc.Listen(loopback)
		if err != nil {
			t.Fatal(err)
		}
		ctx, end := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- execgrpc.Serve(ctx, lis, f, execgrpc.ServerOptions{Grace: tt.grace}) }()
		e := dial(t, lis.Addr().String(), execgrpc.Options{Timeout: time.Hour})
		called := make(chan error, 1)
		go func() { _, err := e.Execute(t.Context(), someBlock(1)); called <- err }()
		<-entered
		end()
		if tt.finish {
			release <- struct{}{}
		}
		if err := <-called; (err == nil) != tt.finish {
			t.Errorf("grace %v: the call: got %v", tt.grace, err)
		}
		if err := <-served; !errors.Is(err, context.Canceled) {
			t.Errorf("grace %v: serve: got %v", tt.grace, err)
		}
	}
	lis, err := execgrpc.Listen(loopback)
	if err != nil {
		t.Fatal(err)
	}
	lis.Close()
	if err := execgrpc.Serve(t.Context(), lis, f, execgrpc.ServerOptions{}); err == nil || errors.Is(err, context.Canceled) {
		t.Errorf("serve on a closed listener: got %v", err)
	}
}

func TestTLS(t *testing.T) {
	certs := httptest.NewTLSServer(nil) // lends a certificate for 127.0.0.1
	defer certs.Close()
	addr, _ := serve(t, loopback, &fake{head: exec.Head{Height: 3}}, execgrpc.ServerOptions{TLS: &tls.Config{Certificates: certs.TLS.Certificates}})
	pool := x509.NewCertPool()
	pool.AddCert(certs.Certificate())
	if h, err := dial(t, addr, execgrpc.Options{TLS: &tls.Config{RootCAs: pool}}).Head(t.Context()); err != nil || h.Height != 3 {
		t.Errorf("got %v, %v", h, err)
	}
	if _, err := dial(t, addr, execgrpc.Options{TLS: &tls.Config{}}).Head(t.Context()); err == nil {
		t.Error("a certificate of nobody we know was taken")
	}
}
