package evgrpc_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"headrace/exec"
	"headrace/exec/evolve"
	"headrace/exec/evolve/evgrpc"
	"headrace/exec/evolve/evgrpc/evnodev1"
	"headrace/exec/evolve/evolvetest"
	"headrace/exec/exectest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve serves x at target until the test ends or stop is called, and returns where it is.
func serve(t *testing.T, target string, x evolve.Executor, as evolvetest.Form) (at string, stop func()) {
	t.Helper()
	network, address, err := evgrpc.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	lis, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = evolvetest.Serve(ctx, lis, x, as) }()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	if network == "tcp" {
		target = "http://" + lis.Addr().String()
	}
	return target, stop
}

func dial(t *testing.T, target string, opt evgrpc.Options) *evgrpc.Executor {
	t.Helper()
	x, err := evgrpc.Dial(target, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := x.Close(); err != nil {
			t.Error(err)
		}
	})
	return x
}

func executor(t *testing.T, path string, opt evolvetest.Options) *evolvetest.Executor {
	t.Helper()
	x, err := evolvetest.Open(path, opt)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// forms runs a test against executors that are served in each form.
func forms(t *testing.T, test func(t *testing.T, as evolvetest.Form)) {
	for _, as := range evolvetest.Forms {
		t.Run(string(as), func(t *testing.T) { test(t, as) })
	}
}

// The suite in each form, over both kinds of socket, as far as an engine that takes nothing back can pass it.
func TestSuite(t *testing.T) {
	forms(t, func(t *testing.T, as evolvetest.Form) {
		exectest.Test(t, func(t *testing.T) exectest.Subject {
			to := "http://127.0.0.1:0"
			if as == evolvetest.GRPC || as == evolvetest.Connect {
				to = "unix://" + filepath.Join(t.TempDir(), "s")
			}
			path := filepath.Join(t.TempDir(), "state")
			at, stop := serve(t, to, executor(t, path, evolvetest.Options{}), as)
			opt := evolve.Options{ChainID: "exectest", InitialHeight: 1, GenesisTime: time.Unix(1_600_000_000, 0), Dir: "index", FS: vfs.NewMem()}
			e, err := evolve.New(dial(t, at, evgrpc.Options{}), opt)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = e.Close() })
			return exectest.Subject{
				Engine: e, BadTx: []byte("nonsense"), OneWay: true, Redo: 1,
				Crash: func(t *testing.T) exec.Engine { // the executor alone
					stop()
					_, stop = serve(t, at, executor(t, path, evolvetest.Options{Lags: true}), as)
					if _, err := e.Head(t.Context()); !errors.Is(err, evolve.ErrNoAnswer) {
						t.Fatalf("got %v from an executor that was restarted, want %v", err, evolve.ErrNoAnswer)
					}
					return e
				},
			}
		})
	})
}

// An executor that was restarted between two calls fails one, whatever that is: it may have lost its last block.
func TestRestartIsNoticed(t *testing.T) {
	forms(t, func(t *testing.T, as evolvetest.Form) {
		at, stop := serve(t, "http://127.0.0.1:0", executor(t, "", evolvetest.Options{}), as)
		x := dial(t, at, evgrpc.Options{})
		ctx := t.Context()
		if _, err := x.InitChain(ctx, time.Now(), 1, "c"); err != nil {
			t.Fatal(err)
		}
		stop()
		second := executor(t, "", evolvetest.Options{})
		_, stop = serve(t, at, second, as)
		if r, err := x.ExecuteTxs(ctx, nil, 1, time.Now(), nil); !errors.Is(err, evolve.ErrNoAnswer) {
			t.Fatalf("got %x, %v, want %v", r.Root, err, evolve.ErrNoAnswer)
		}
		if len(second.Calls) > 0 {
			t.Errorf("the new executor was called: %q", second.Calls)
		}
		if _, err := x.GetExecutionInfo(ctx); err != nil {
			t.Errorf("got %v, want the call after it to be answered", err)
		}
		stop()
		for range 3 {
			if _, err := x.GetExecutionInfo(ctx); !errors.Is(err, evolve.ErrNoAnswer) {
				t.Errorf("got %v while there is no executor, want %v", err, evolve.ErrNoAnswer)
			}
		}
		serve(t, at, second, as)
		if _, err := x.GetExecutionInfo(ctx); err != nil {
			t.Errorf("got %v, want an executor that is back to be found", err)
		}
	})
}

// An executor that comes back in another form is found in that.
func TestAnotherForm(t *testing.T) {
	at, stop := "http://127.0.0.1:0", func() {}
	var x *evgrpc.Executor
	for _, as := range []evolvetest.Form{evolvetest.Connect, evolvetest.GRPC, evolvetest.Connect2, evolvetest.Connect, evolvetest.Both} {
		stop()
		at, stop = serve(t, at, executor(t, "", evolvetest.Options{}), as)
		if x == nil {
			x = dial(t, at, evgrpc.Options{})
		} else if _, err := x.GetExecutionInfo(t.Context()); !errors.Is(err, evolve.ErrNoAnswer) {
			t.Errorf("%s: got %v from an executor that was restarted, want %v", as, err, evolve.ErrNoAnswer)
		}
		if root, err := x.InitChain(t.Context(), time.Now(), 1, "c"); err != nil || len(root) == 0 {
			t.Errorf("%s: got %x, %v, want an answer", as, root, err)
		}
	}
}

// Calls at the same time are on one connection, also where that takes one after another: a second one would be dialed to
// an executor that may have been restarted in between.
func TestCallsAtOnce(t *testing.T) {
	forms(t, func(t *testing.T, as evolvetest.Form) {
		const n = 16
		x := &slow{Executor: executor(t, "", evolvetest.Options{}), called: make(chan struct{}, n), answer: make(chan struct{})}
		at, _ := serve(t, "http://127.0.0.1:0", x, as)
		client := dial(t, at, evgrpc.Options{})
		var all, begun sync.WaitGroup
		ask := func() {
			if _, err := client.GetTxs(t.Context()); err != nil {
				t.Errorf("got %v, want an answer", err)
			}
		}
		all.Go(ask)
		<-x.called // and has no answer yet
		for range n - 1 {
			begun.Add(1)
			all.Go(func() { begun.Done(); ask() })
		}
		begun.Wait()
		runtime.Gosched()
		close(x.answer)
		all.Wait()
	})
}

// slow is an executor that answers when it may.
type slow struct {
	evolve.Executor
	called, answer chan struct{}
}

func (s *slow) GetTxs(context.Context) ([][]byte, error) {
	s.called <- struct{}{}
	<-s.answer
	return nil, nil
}

// The second call of a connection finds the one of the first, however busy the machine is.
func TestSecondCall(t *testing.T) {
	forms(t, func(t *testing.T, as evolvetest.Form) {
		at, _ := serve(t, "http://127.0.0.1:0", executor(t, "", evolvetest.Options{}), as)
		var all sync.WaitGroup
		for range 64 {
			all.Go(func() {
				for range 8 {
					client, err := evgrpc.Dial(at, evgrpc.Options{})
					if err != nil {
						t.Error(err)
						return
					}
					for range 2 { // two by each, since the first one finds out the way
						if _, err := client.GetExecutionInfo(t.Context()); err != nil {
							t.Errorf("got %v, want an answer", err)
						}
					}
					if err := client.Close(); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
	})
}

// A client that is closed connects no more, whether or not it has before.
func TestClosed(t *testing.T) {
	forms(t, func(t *testing.T, as evolvetest.Form) {
		at, _ := serve(t, "http://127.0.0.1:0", executor(t, "", evolvetest.Options{}), as)
		for _, before := range []bool{false, true} {
			client := dial(t, at, evgrpc.Options{})
			if before {
				if _, err := client.GetExecutionInfo(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if err := client.Close(); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if _, err := client.GetExecutionInfo(t.Context()); !errors.Is(err, evolve.ErrNoAnswer) {
					t.Errorf("connected before: %t: got %v, want %v", before, err, evolve.ErrNoAnswer)
				}
			}
		}
	})
}

// odd is an executor that answers what it should not.
type odd struct {
	evolve.Executor

	mu     sync.Mutex // guards the rest
	txs    [][]byte
	answer []evolve.Filtered
	hang   bool
}

func (o *odd) GetTxs(ctx context.Context) ([][]byte, error) {
	o.mu.Lock()
	txs, hang := o.txs, o.hang
	o.mu.Unlock()
	if hang {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return txs, nil
}

// set changes what it answers.
func (o *odd) set(change func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	change()
}

func (o *odd) ExecuteTxs(context.Context, [][]byte, uint64, time.Time, []byte) (evolve.Result, error) {
	return evolve.Result{Root: make([]byte, 8<<20)}, nil
}

func (o *odd) FilterTxs(context.Context, [][]byte, uint64, uint64, bool) ([]evolve.Filtered, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.answer, nil
}

func TestAnswers(t *testing.T) { forms(t, testAnswers) }

func testAnswers(t *testing.T, as evolvetest.Form) {
	o := &odd{Executor: executor(t, "", evolvetest.Options{}), txs: [][]byte{[]byte("a"), {}, bytes.Repeat([]byte("b"), 5000)}}
	at, _ := serve(t, "http://127.0.0.1:0", o, as)
	x := dial(t, at, evgrpc.Options{MaxMessageBytes: 1 << 20})
	ctx := t.Context()
	if txs, err := x.GetTxs(ctx); err != nil || !slices.EqualFunc(txs, o.txs, bytes.Equal) {
		t.Errorf("got %d transactions, %v, want the executor's, which are compressed", len(txs), err)
	}
	o.set(func() { o.txs = [][]byte{make([]byte, 8<<20)} }) // which compresses well
	if txs, err := x.GetTxs(ctx); err == nil || errors.Is(err, evolve.ErrNoAnswer) || !strings.Contains(err.Error(), "larger than configured max") {
		t.Errorf("got %d transactions, %v, want an answer that is too large to be refused", len(txs), err)
	}
	if r, err := x.ExecuteTxs(ctx, nil, 1, time.Now(), nil); !errors.Is(err, evolve.ErrNoAnswer) {
		t.Errorf("got a root of %d bytes, %v, want no answer: the block is executed", len(r.Root), err)
	}
	o.set(func() { o.answer = []evolve.Filtered{evolve.Taken, evolve.Removed, evolve.Postponed} })
	if got, err := x.FilterTxs(ctx, [][]byte{{1}, {2}, {3}}, 1, 2, true); err != nil || !slices.Equal(got, o.answer) {
		t.Errorf("got %v, %v, want %v", got, err, o.answer)
	}
	o.set(func() { o.answer = []evolve.Filtered{7} })
	if got, err := x.FilterTxs(ctx, [][]byte{{1}}, 0, 0, false); err == nil {
		t.Errorf("got %v, want an unknown status to be refused", got)
	}
	o.set(func() { o.hang = true })
	short, cancel := context.WithTimeout(ctx, 300*time.Millisecond) // the caller's patience
	defer cancel()
	if _, err := x.GetTxs(short); !errors.Is(err, evolve.ErrNoAnswer) {
		t.Errorf("got %v from an executor that hangs, want %v", err, evolve.ErrNoAnswer)
	}
	o.set(func() { o.hang, o.txs = false, nil })
	if _, err := x.GetTxs(ctx); err != nil {
		t.Errorf("got %v after it hung, want an answer", err)
	}
}

// Sizes that are not those of the data are refused.
func TestUnpack(t *testing.T) {
	for _, b := range []*evnodev1.TxBatch{
		{Data: []byte("abc"), TxSizes: []uint32{1, 3}},
		{Data: []byte("abc"), TxSizes: []uint32{1, 1}},
		{Data: []byte("abc"), TxSizes: []uint32{1<<32 - 1, 4}},
		{Data: []byte("abc")},
	} {
		if txs, err := evgrpc.Unpack(b); err == nil {
			t.Errorf("got %q from %v, want an error", txs, b)
		}
	}
	want := [][]byte{[]byte("a"), {}, []byte("bc")}
	if txs, err := evgrpc.Unpack(evgrpc.Pack(want)); err != nil || !slices.EqualFunc(txs, want, bytes.Equal) {
		t.Errorf("got %q, %v, want %q", txs, err, want)
	}
}

// The messages are ev-node's to the byte, put together by hand.
func TestMessages(t *testing.T) {
	batch := "\x0a\x03abc" + "\x12\x02\x01\x02" // data, and the sizes packed
	in := func(field byte, s string) string { return string([]byte{field<<3 | 2, byte(len(s))}) + s }
	txs := [][]byte{[]byte("a"), []byte("bc")}
	at := timestamppb.New(time.Unix(5, 6).UTC())
	for _, m := range []struct {
		message proto.Message
		want    string
	}{
		{&evnodev1.InitChainRequest{GenesisTime: at, InitialHeight: 3, ChainId: "c"}, in(1, "\x08\x05\x10\x06") + "\x10\x03" + in(3, "c")},
		{&evnodev1.InitChainResponse{StateRoot: []byte("r")}, in(1, "r")},
		{&evnodev1.GetTxsRequest{}, ""},
		{&evnodev1.GetTxsResponse{TxBatch: evgrpc.Pack(txs)}, in(2, batch)},
		{&evnodev1.ExecuteTxsRequest{BlockHeight: 7, Timestamp: at, PrevStateRoot: []byte("r"), TxBatch: evgrpc.Pack(txs)}, "\x10\x07" + in(3, "\x08\x05\x10\x06") + in(4, "r") + in(5, batch)},
		{&evnodev1.ExecuteTxsResponse{UpdatedStateRoot: []byte("r"), MaxBytes: 9}, in(1, "r") + "\x10\x09"},
		{&evnodev1.SetFinalRequest{BlockHeight: 7}, "\x08\x07"},
		{&evnodev1.SetFinalResponse{}, ""},
		{&evnodev1.GetExecutionInfoRequest{}, ""},
		{&evnodev1.GetExecutionInfoResponse{MaxGas: 8}, "\x08\x08"},
		{&evnodev1.FilterTxsRequest{MaxBytes: 1, MaxGas: 2, HasForceIncludedTransaction: true, TxBatch: evgrpc.Pack(txs)}, "\x10\x01\x18\x02\x20\x01" + in(5, batch)},
		{&evnodev1.FilterTxsResponse{Statuses: []evnodev1.FilterStatus{0, 1, 2}}, in(1, "\x00\x01\x02")},
	} {
		got, err := proto.MarshalOptions{Deterministic: true}.Marshal(m.message)
		if err != nil || string(got) != m.want {
			t.Errorf("%T: got %q, %v, want %q", m.message, got, err, m.want)
		}
	}
	for _, method := range evnodev1.ExecutorService_ServiceDesc.Methods {
		if !slices.Contains([]string{"InitChain", "GetTxs", "ExecuteTxs", "SetFinal", "GetExecutionInfo", "FilterTxs"}, method.MethodName) {
			t.Errorf("%s is no method of theirs", method.MethodName)
		}
	}
	if got := evnodev1.ExecutorService_ServiceDesc.ServiceName; got != "evnode.v1.ExecutorService" || len(evnodev1.ExecutorService_ServiceDesc.Methods) != 6 {
		t.Errorf("got service %s of %d methods", got, len(evnodev1.ExecutorService_ServiceDesc.Methods))
	}
}

func TestParse(t *testing.T) {
	for target, want := range map[string]string{
		"http://127.0.0.1:50051": "tcp 127.0.0.1:50051", "http://host:1/": "tcp host:1", "http://[::1]:5": "tcp [::1]:5", "unix:///run/x.sock": "unix /run/x.sock",
		"host:1": "", "http://host": "", "https://host:1": "", "unix:x": "", "unix://host/x": "", "": "",
		"http://u:secret@host:1": "", "http://host:1?k=secret": "", "http://host:1#secret": "", "http://host:1/secret": "", "http://secret%zz": "",
	} {
		network, address, err := evgrpc.Parse(target)
		if got := strings.TrimSpace(network + " " + address); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: got %q, %v, want %q", target, got, err, want)
		}
		if want != "" {
			continue
		}
		if _, err := evgrpc.Dial(target, evgrpc.Options{}); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: got %v, want a refusal that does not repeat it", target, err)
		}
	}
}
