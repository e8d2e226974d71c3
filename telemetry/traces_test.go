package telemetry_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"headrace/block"
	"headrace/devnet"
	"headrace/devnet/geth/gethtest"
	"headrace/follow"
	"headrace/internal/logs/logstest"
	"headrace/node"
	"headrace/telemetry"
	"headrace/watch"
)

// received are the spans that a collector was sent, and the authorization that came with the last of them.
type received struct {
	collector.UnimplementedTraceServiceServer
	watch.Value[[]*tracepb.Span]
	auth watch.Value[string]
}

func (r *received) add(req *collector.ExportTraceServiceRequest, auth string) {
	r.auth.Set(auth)
	for _, resource := range req.ResourceSpans {
		for _, scope := range resource.ScopeSpans {
			r.Update(func(all []*tracepb.Span) []*tracepb.Span { return append(all, scope.Spans...) })
		}
	}
}

// Export implements OTLP over gRPC.
func (r *received) Export(ctx context.Context, req *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	r.add(req, strings.Join(md.Get("authorization"), ""))
	return &collector.ExportTraceServiceResponse{}, nil
}

// ServeHTTP implements OTLP over HTTP.
func (r *received) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	var in collector.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(body, &in)
	}
	if err != nil || req.URL.Path != "/base/v1/traces" {
		http.Error(w, fmt.Sprint(req.URL.Path, err), http.StatusBadRequest)
		return
	}
	r.add(&in, req.Header.Get("Authorization"))
	w.Header().Set("Content-Type", "application/x-protobuf")
}

// collectors serves both protocols until the test ends, and returns where.
func collectors(t *testing.T) (overGRPC, overHTTP *received, grpcURL, httpURL string) {
	t.Helper()
	overGRPC, overHTTP = new(received), new(received)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	collector.RegisterTraceServiceServer(s, overGRPC)
	var serving sync.WaitGroup
	serving.Go(func() { _ = s.Serve(l) })
	h := httptest.NewServer(overHTTP)
	t.Cleanup(func() { s.Stop(); serving.Wait(); h.CloseClientConnections(); h.Close() })
	return overGRPC, overHTTP, "grpc://" + l.Addr().String(), h.URL + "/base/"
}

// traced returns what adds traces to a node's options, and closes them when the test ends. Call it before the node is
// made.
func traced(t *testing.T, url string, ratio float64, log *slog.Logger) func(*node.Options) {
	t.Helper()
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "100") // milliseconds
	tr, err := telemetry.NewTraces(telemetry.TraceOptions{Config: node.TelemetryConfig{OTLP: url, Ratio: ratio}, Chain: "figures", Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tr.Close)
	return func(o *node.Options) { o.Observer = node.Join(o.Observer, tr.Observer()) }
}

// tree is a trace of one node: a root with its children, in order.
type tree struct {
	root     *tracepb.Span
	children []*tracepb.Span
}

func attribute(s *tracepb.Span, key string) int64 {
	for _, a := range s.Attributes {
		if a.Key == key {
			return a.Value.GetIntValue()
		}
	}
	return -1
}

// trees returns the roots of a name, with their children.
func trees(all []*tracepb.Span, name string) (out []tree) {
	for _, s := range all {
		if s.Name != name || len(s.ParentSpanId) > 0 {
			continue
		}
		t := tree{root: s}
		for _, c := range all {
			if bytes.Equal(c.ParentSpanId, s.SpanId) {
				t.children = append(t.children, c)
			}
		}
		slices.SortStableFunc(t.children, func(a, b *tracepb.Span) int {
			return int(a.StartTimeUnixNano) - int(b.StartTimeUnixNano) + int(a.EndTimeUnixNano) - int(b.EndTimeUnixNano)
		})
		out = append(out, t)
	}
	return out
}

// names returns what the children are called.
func (t tree) names() (out []string) {
	for _, c := range t.children {
		out = append(out, c.Name)
	}
	return out
}

// check fails the test unless the children are of the root's trace, inside it, and together as long as it is.
func (t tree) check(tt *testing.T) {
	tt.Helper()
	var sum uint64
	at := t.root.StartTimeUnixNano
	for _, c := range t.children {
		if !bytes.Equal(c.TraceId, t.root.TraceId) {
			tt.Errorf("%s is in another trace than its parent %s", c.Name, t.root.Name)
		}
		if c.StartTimeUnixNano != at || c.EndTimeUnixNano < c.StartTimeUnixNano || c.EndTimeUnixNano > t.root.EndTimeUnixNano {
			tt.Errorf("%s %v: %s is from %d to %d; the one before ends at %d, the root at %d", t.root.Name, t.names(), c.Name, c.StartTimeUnixNano, c.EndTimeUnixNano, at, t.root.EndTimeUnixNano)
		}
		at = c.EndTimeUnixNano
		sum += c.EndTimeUnixNano - c.StartTimeUnixNano
	}
	if whole := t.root.EndTimeUnixNano - t.root.StartTimeUnixNano; sum != whole {
		tt.Errorf("%s %v: the parts take %d ns, the whole %d", t.root.Name, t.names(), sum, whole)
	}
}

// inOrder reports whether all of want are among the names, in this order.
func inOrder(names []string, want ...string) bool {
	for _, n := range names {
		if len(want) > 0 && n == want[0] {
			want = want[1:]
		}
	}
	return len(want) == 0
}

// spansOf waits until n blocks have a root of a name, and returns one tree for each height.
func (r *received) spansOf(t *testing.T, name string, n int) map[uint64]tree {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	by := map[uint64]tree{}
	_, err := r.Wait(ctx, func(all []*tracepb.Span) bool {
		clear(by)
		for _, tr := range trees(all, name) {
			by[uint64(attribute(tr.root, "headrace.height"))] = tr
		}
		return len(by) >= n
	})
	if err != nil {
		t.Fatalf("got %d of %d blocks with a root %q: %v", len(by), n, name, err)
	}
	return by
}

// blocksTraced is how many blocks' trees are looked at.
const blocksTraced = 20

// checkNet looks at the spans of blocks as the full node has received them and as the sequencer has made them.
func checkNet(t *testing.T, nodes []*node.Node, full, sequencer *received) {
	t.Helper()
	ways := map[string]int{}
	for height, tr := range full.spansOf(t, "block", blocksTraced) {
		tr.check(t)
		b, err := nodes[1].Block(height)
		if err != nil {
			t.Fatal(err)
		}
		if id := hex.EncodeToString(tr.root.TraceId); !strings.EqualFold(id, b.Hash[:32]) {
			t.Errorf("block %d has trace %s, its hash is %s", height, id, b.Hash)
		}
		switch names := tr.names(); {
		case inOrder(names, "queue", "verify", "derive", "execute", "commit", "publish"):
			ways["inline"]++
		case inOrder(names, "fetch", "verify", "derive", "execute", "commit", "publish"):
			ways["fetched"]++
		default:
			t.Errorf("block %d: got the parts %v", height, names)
		}
	}
	for height, tr := range sequencer.spansOf(t, "sequence", blocksTraced) {
		tr.check(t)
		if names := tr.names(); !inOrder(names, "build", "sign", "execute", "commit", "publish", "wait", "submit") {
			t.Errorf("block %d: it was made in the parts %v", height, names)
		}
	}
	for _, r := range []*received{full, sequencer} {
		set := trees(r.Load(), "subscribe")
		if len(set) == 0 {
			t.Error("there is no trace of a subscription's set-up")
		}
		for _, tr := range set {
			tr.check(t)
			if names := tr.names(); names[len(names)-1] != "announce" || !slices.ContainsFunc(names, func(n string) bool { return strings.Contains(strings.ToLower(n), "subscribe") }) {
				t.Errorf("a subscription was set up in the parts %v", names)
			}
		}
	}
	t.Logf("as they came: %v", ways)
}

// TestTracesOnDA: blocks on a DA layer have whole traces, by both protocols.
func TestTracesOnDA(t *testing.T) {
	overGRPC, overHTTP, grpcURL, httpURL := collectors(t)
	add := []func(*node.Options){traced(t, grpcURL, 1, nil), traced(t, httpURL, 1, nil)}
	n, err := devnet.New(devnet.Options{
		Home: t.TempDir(), Nodes: 1, BlockTime: 50 * time.Millisecond, DABlockTime: 50 * time.Millisecond, TxRate: 50,
		Each: func(i int, o *node.Options) { add[i](o) },
	})
	if err != nil {
		t.Fatal(err)
	}
	stop := goRun(t, "devnet", n.Run)
	defer stop()
	checkNet(t, n.Nodes(), overHTTP, overGRPC)
}

// TestTracesOnL1: so do blocks on an L1.
func TestTracesOnL1(t *testing.T) {
	gethtest.Binary(t)
	overGRPC, overHTTP, grpcURL, httpURL := collectors(t)
	add := []func(*node.Options){traced(t, httpURL, 1, nil), traced(t, grpcURL, 1, nil)}
	n, err := devnet.NewL1(t.Context(), devnet.L1Options{
		Nodes: 1, BlockTime: 100 * time.Millisecond, L1BlockTime: 200 * time.Millisecond, TxRate: 20, KV: true,
		Each: func(i int, o *node.Options) { add[i](o) },
	})
	if err != nil {
		t.Fatal(err)
	}
	stop := goRun(t, "devnet", n.Run)
	defer stop()
	checkNet(t, n.Nodes(), overGRPC, overHTTP)
}

// TestSecretsOfTraces: whatever is wrong with the endpoint, no text has what is secret in its address or headers.
func TestSecretsOfTraces(t *testing.T) {
	const password, key, header = "pass-w0rd-s3cret", "path-k3y-s3cret", "h3ader-s3cret"
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-api-key="+header)
	var text logstest.Text
	log := slog.New(slog.NewTextHandler(&text, nil))
	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, fmt.Sprintf("no: %v %v", r.URL, r.Header), http.StatusForbidden)
	}))
	defer echo.Close()
	defer echo.CloseClientConnections()
	_, host, _ := strings.Cut(echo.URL, "//")
	for _, url := range []string{
		"http://user:" + password + "@127.0.0.1:1/" + key,
		"http://user:" + password + "@" + host + "/" + key,
		"grpc://user:" + password + "@127.0.0.1:1",
	} {
		text.Reset()
		t.Setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "300") // milliseconds
		var o node.Options
		traced(t, url, 1, log)(&o)
		o.Observer.Source.Subscribed(time.Millisecond)
		text.Next(t, "") // that nothing goes there
		for _, secret := range []string{password, key, header} {
			if strings.Contains(text.String(), secret) {
				t.Errorf("%s is in the log: %s", secret, text.String())
			}
		}
	}
	for _, url := range []string{"http://127.0.0.1:1/?key=" + key, "ftp://user:" + password + "@host", "grpc://host/" + key, key + "%zz://"} {
		c := node.Default()
		c.Telemetry.OTLP = url
		err := c.Validate()
		if err == nil || strings.Contains(err.Error(), key) || strings.Contains(err.Error(), password) {
			t.Errorf("got %v for an address that is none", err)
		}
	}
}

// TestHeadersOfTraces: what a collector wants to see of a caller gets there, by both protocols.
func TestHeadersOfTraces(t *testing.T) {
	overGRPC, overHTTP, grpcURL, httpURL := collectors(t)
	for url, r := range map[string]*received{grpcURL: overGRPC, httpURL: overHTTP} {
		for _, c := range []struct{ user, headers, want string }{
			{"", "Authorization=Bearer%20abc", "Bearer abc"},
			{"u:p@", "", "Basic dTpw"},
		} {
			t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", c.headers)
			var o node.Options
			traced(t, strings.Replace(url, "://", "://"+c.user, 1), 1, nil)(&o)
			o.Observer.Source.Subscribed(time.Millisecond)
			if got, err := r.auth.Wait(bounded(t), func(s string) bool { return s == c.want }); err != nil {
				t.Errorf("%s: got %q, want %q", url, got, c.want)
			}
		}
	}
}

// TestRatio: about as many blocks are traced as were asked for, and the same ones on each node.
func TestRatio(t *testing.T) {
	overGRPC, overHTTP, grpcURL, httpURL := collectors(t)
	const blocks = 4000
	for url, r := range map[string]*received{grpcURL: overGRPC, httpURL: overHTTP} {
		t.Setenv("OTEL_BSP_MAX_QUEUE_SIZE", "20000")
		var o node.Options
		traced(t, url, 0.1, nil)(&o)
		for h := uint64(1); h <= blocks; h++ {
			receive(&o, h, hashOf(h), nil)
		}
		receive(&o, blocks+1, block.Hash{15: 1}, nil) // whose last bytes are the lowest: sampled
		r.spansOf(t, "block", 300)
		_, err := r.Wait(bounded(t), func(all []*tracepb.Span) bool {
			return slices.ContainsFunc(trees(all, "block"), func(tr tree) bool { return attribute(tr.root, "headrace.height") == blocks+1 })
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	heights := func(r *received) (out []int64) {
		for _, tr := range trees(r.Load(), "block") {
			out = append(out, attribute(tr.root, "headrace.height"))
		}
		slices.Sort(out)
		return out
	}
	a, b := heights(overGRPC), heights(overHTTP)
	if !slices.Equal(a, b) || len(a) < blocks/10-100 || len(a) > blocks/10+100 {
		t.Errorf("of %d blocks %d and %d are traced, want the same, a tenth", blocks, len(a), len(b))
	}
}

func hashOf(h uint64) (hash block.Hash) {
	x := h
	for i := range hash {
		x = x*6364136223846793005 + 1442695040888963407
		hash[i] = byte(x >> 56)
	}
	return hash
}

// receive tells an observer of one block that comes with a height of the source of its own.
func receive(o *node.Options, h uint64, hash block.Hash, err error) {
	at, told := follow.Ref{Height: h, Hash: follow.Hash{1}}, o.Observer
	told.Source.News(at, true)
	told.Source.Applying(at, true)
	told.Done(node.StepDerive, h, 0, nil)
	told.Done(node.StepExecute, h, 0, err)
	if err == nil {
		told.Done(node.StepCommit, h, 0, nil)
		told.Applied(node.Applied{Ref: block.Ref{Height: h, Hash: hash}, Safe: true, Source: block.Ref(at)})
		told.Source.Applied(at, true)
	}
}

// TestTreesOfTrouble: items that are tried again, that hold several blocks, and submissions that fail, have whole
// trees too.
func TestTreesOfTrouble(t *testing.T) {
	r, _, url, _ := collectors(t)
	var o node.Options
	traced(t, url, 1, nil)(&o)
	told := o.Observer
	receive(&o, 1, block.Hash{1}, errors.New("engine away"))
	first := follow.Ref{Height: 1, Hash: follow.Hash{1}}
	told.Source.Applying(first, true)
	told.Done(node.StepHead, 0, 0, nil) // somebody else's, before it is the item's turn
	for _, step := range []node.Step{node.StepDerive, node.StepExecute, node.StepCommit} {
		told.Done(step, 1, 0, nil)
	}
	told.Applied(node.Applied{Ref: block.Ref{Height: 1, Hash: block.Hash{1}}, Safe: true, Source: block.Ref(first)})
	told.Source.Applied(first, true)

	at := follow.Ref{Height: 2, Hash: follow.Hash{2}} // fetched, with two blocks
	told.Source.News(follow.Ref{Height: 3}, false)
	told.Source.Fetching(2, 3)
	told.Source.Applying(at, false)
	told.Done(node.StepDerive, 2, 0, nil)
	for h := uint64(2); h <= 3; h++ {
		told.Done(node.StepExecute, h, 0, nil)
		told.Done(node.StepCommit, 2, 0, nil)
		told.Applied(node.Applied{Ref: block.Ref{Height: h, Hash: block.Hash{byte(h)}}, Safe: true, Source: block.Ref(at)})
	}
	told.Source.Applied(at, false)

	ref := func(h uint64) block.Ref { return block.Ref{Height: h, Hash: block.Hash{byte(h)}} }
	produce := func(h uint64) {
		told.Done(node.StepBuild, h, 0, nil)
		told.Done(node.StepCommit, 2, 0, nil)
		told.Done(node.StepExecute, h, 0, nil)
		told.Done(node.StepCommit, 2, 0, nil)
		told.Applied(node.Applied{Ref: ref(h)})
	}
	safe := func(h uint64) {
		told.Applied(node.Applied{Ref: ref(h), Safe: true, Promoted: true, Source: block.Ref{Height: 9}})
	}
	produce(10)
	produce(11)
	produce(12)
	told.Reverted(12, 12) // and never posted
	told.Done(node.StepPost, 11, 0, errors.New("refused"))
	told.Done(node.StepPost, 10, 0, nil)
	told.Done(node.StepPost, 11, 0, errors.New("refused")) // without block 10
	safe(10)
	safe(11) // although its submission seemed to fail: known at the next one
	safe(12) // of another's making
	told.Done(node.StepPost, 13, 0, nil)
	produce(14)
	told.Done(node.StepPost, 14, 0, nil)
	safe(14)

	blocks, sequence := r.spansOf(t, "block", 3), r.spansOf(t, "sequence", 3)
	if _, ok := sequence[12]; ok {
		t.Error("a block that was reverted is told of as posted")
	}
	for height, want := range map[uint64]string{
		1: "queue retry verify derive execute commit publish",
		2: "fetch verify derive execute commit publish",
		3: "fetch verify derive others execute commit publish",
	} {
		blocks[height].check(t)
		if got := strings.Join(blocks[height].names(), " "); got != want {
			t.Errorf("block %d: got the parts %q, want %q", height, got, want)
		}
	}
	for height, want := range map[uint64]string{
		10: "build sign execute commit publish wait submit wait submit confirm",
		11: "build sign execute commit publish wait submit wait submit confirm",
		14: "build sign execute commit publish wait submit confirm",
	} {
		sequence[height].check(t)
		if got := strings.Join(sequence[height].names(), " "); got != want {
			t.Errorf("block %d was made in the parts %q, want %q", height, got, want)
		}
	}
}

// TestTracesOffCostNothing: without traces, what would make them takes no memory, and what a sampled node marks of
// blocks that are not sampled takes none either.
func TestTracesOffCostNothing(t *testing.T) {
	o := node.Options{Observer: node.Join(telemetry.NewMetrics().Observer())}
	height := uint64(0)
	item := func() {
		height++
		at := follow.Ref{Height: height}
		o.Observer.Source.News(at, true)
		o.Observer.Done(node.StepExecute, height, 0, nil)
		o.Observer.Source.Applied(at, true)
	}
	if n := testing.AllocsPerRun(1000, item); n != 0 {
		t.Errorf("off: got %v allocations an item, want none", n)
	}
	_, _, url, _ := collectors(t)
	traced(t, url, 1e-18, nil)(&o)
	height = 0
	if n := testing.AllocsPerRun(1000, func() { height++; receive(&o, height, block.Hash{8: 255}, nil) }); n != 0 {
		t.Errorf("not sampled: got %v allocations an item, want none", n)
	}
}

// TestJoin: of several observers each is told all that there is to tell.
func TestJoin(t *testing.T) {
	told := map[string]int{}
	var all []node.Observer
	for range 3 {
		var o node.Observer
		fill("", reflect.ValueOf(&o).Elem(), told)
		all = append(all, o)
	}
	call("", reflect.ValueOf(node.Join(all...)), func(name string, f reflect.Value) {
		var args []reflect.Value
		for i := range f.Type().NumIn() {
			args = append(args, reflect.Zero(f.Type().In(i)))
		}
		f.Call(args)
		if told[name] != 3 {
			t.Errorf("%s was told to %d of 3", name, told[name])
		}
	})
	if len(told) < 16 {
		t.Errorf("an observer has %d functions", len(told))
	}
}

// call calls do with each function of an observer.
func call(prefix string, of reflect.Value, do func(string, reflect.Value)) {
	for i := range of.NumField() {
		name := prefix + of.Type().Field(i).Name
		if f := of.Field(i); f.Kind() == reflect.Struct {
			call(name+".", f, do)
		} else {
			do(name, f)
		}
	}
}

// fill makes each function of an observer count its calls.
func fill(prefix string, of reflect.Value, told map[string]int) {
	call(prefix, of, func(name string, f reflect.Value) {
		f.Set(reflect.MakeFunc(f.Type(), func([]reflect.Value) []reflect.Value { told[name]++; return nil }))
	})
}

// TestPprof: profiles are there for whoever has the token, if the setting asks for them, and have no command line.
func TestPprof(t *testing.T) {
	_, full := onDA(t, daLayer(t, time.Hour), 0)
	const token = "0123456789abcdef0123"
	auth := func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
	for _, on := range []bool{false, true} {
		o := full()
		o.Config.HTTP.Pprof, o.Config.HTTP.Token = on, token
		n, _ := measured(t, o)
		want, denied := http.StatusNotFound, http.StatusUnauthorized
		if on {
			want = http.StatusOK
		}
		for _, path := range []string{"/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/profile?seconds=1", "/debug/pprof/goroutine?debug=1"} {
			if got, _ := get(t, n.URL()+path, auth); got != want {
				t.Errorf("pprof %v: %s: got %d, want %d", on, path, got, want)
			}
			if got, _ := get(t, n.URL()+path); got != denied {
				t.Errorf("pprof %v: %s without a token: got %d, want %d", on, path, got, denied)
			}
		}
		if got, text := get(t, n.URL()+"/debug/pprof/cmdline", auth); got != http.StatusNotFound {
			t.Errorf("the command line: got %d %q", got, text)
		}
	}
	o := full()
	o.Config.HTTP.Pprof, o.Config.HTTP.Address = true, "0.0.0.0:0"
	if n, err := node.New(o); err == nil || !strings.Contains(err.Error(), "http.pprof") {
		if n != nil {
			_ = n.Close()
		}
		t.Errorf("got %v for profiles that everybody may read", err)
	}
}
