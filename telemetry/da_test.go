package telemetry_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"

	"headrace/da/celestia"
	"headrace/da/fault"
	"headrace/da/local"
	"headrace/devnet"
	"headrace/node"
	"headrace/telemetry"
)

// measuredDA runs a DA layer with figures until the test ends.
func measuredDA(t *testing.T, interval time.Duration, secret []byte) (*devnet.DA, *fault.Set) {
	t.Helper()
	faults := new(fault.Set)
	m := telemetry.NewDAMetrics(faults)
	d, err := devnet.NewDA(devnet.DAOptions{Listen: "127.0.0.1:0", Chain: local.Options{Interval: interval}, Handler: celestia.HandlerOptions{
		Secret: secret, Faults: faults, Metrics: m, Observer: m.Observer(),
	}})
	if err != nil {
		t.Fatal(err)
	}
	m.Watch(d.Chain(), d.Handler())
	goRun(t, "DA layer", d.Run)
	t.Cleanup(faults.Clear)
	return d, faults
}

// daFamilies is what a running DA layer has.
func daFamilies(t *testing.T) map[string]*dto.MetricFamily {
	t.Helper()
	d, _ := measuredDA(t, time.Hour, nil)
	rpc(t, d.URL(), `{"jsonrpc":"2.0","id":1,"method":"header.LocalHead","params":[]}`)
	_, text := get(t, d.URL()+"/metrics")
	return parsed(t, text)
}

func rpc(t *testing.T, url, body string) (status int, answer string) {
	t.Helper()
	return get(t, url, func(r *http.Request) {
		r.Method, r.Body, r.ContentLength = http.MethodPost, io.NopCloser(strings.NewReader(body)), int64(len(body))
	})
}

// TestDAFigures: what a DA layer says of itself is so, while a sequencer and a full node use it, and while faults last.
func TestDAFigures(t *testing.T) {
	d, faults := measuredDA(t, 50*time.Millisecond, nil)
	sequencer, full := onDA(t, d, 50*time.Millisecond)
	measured(t, sequencer())
	n, _ := measured(t, full())
	if _, err := n.Status().Wait(bounded(t), func(s node.Status) bool { return s.Source.Live && s.Heads.Safe.Height >= 3 }); err != nil {
		t.Fatal(err)
	}
	low := d.Chain().Head().Load()
	blobs, bytes := d.Chain().Included()
	_, text := get(t, d.URL()+"/metrics")
	got, high := parsed(t, text), d.Chain().Head().Load()
	between := func(low, high float64, name string, labels ...string) {
		t.Helper()
		if v := value(t, got, name, labels...); v < low || v > high {
			t.Errorf("%s %v: got %v, want %v to %v", name, labels, v, low, high)
		}
	}
	const any = 1e12
	between(float64(low.Height), float64(high.Height), "headrace_da_head_height")
	between(float64(low.Time.UnixNano())/1e9, float64(high.Time.UnixNano())/1e9, "headrace_da_head_timestamp_seconds")
	between(1, 1, "headrace_da_tail_height")
	between(0.05, 0.05, "headrace_da_block_time_seconds")
	between(float64(blobs), any, "headrace_da_blobs_total")
	between(float64(bytes), any, "headrace_da_blob_bytes_total")
	between(0, any, "headrace_da_pending_submissions")
	between(0, any, "headrace_da_pending_bytes")
	between(2, any, "headrace_da_websockets")    // of the two nodes
	between(4, any, "headrace_da_subscriptions") // of their two namespaces
	between(4, any, "headrace_da_calls_total", "method", "blob.Subscribe", "outcome", "ok")
	between(1, any, "headrace_da_calls_total", "method", "blob.Submit", "outcome", "ok")
	between(1e-9, any, "headrace_da_call_seconds_total", "method", "blob.Submit")
	between(0, 0, "headrace_da_faults", "kind", "duplicate")
	between(0, 0, "headrace_da_refused_requests_total", "why", "fault")
	if blobs == 0 || bytes == 0 {
		t.Errorf("got %d blobs of %d bytes, want those of three blocks", blobs, bytes)
	}

	// A fault is counted while it lasts, and keeps no figure away.
	for _, f := range []fault.Fault{{Kind: fault.Duplicate}, {Kind: fault.Duplicate, Conn: 77}, {Kind: fault.Refuse}} {
		if _, err := faults.Add(f); err != nil {
			t.Fatal(err)
		}
	}
	if status, _ := rpc(t, d.URL(), `{"jsonrpc":"2.0","id":1,"method":"header.LocalHead","params":[]}`); status != http.StatusServiceUnavailable {
		t.Errorf("got %d during a refusal, want 503", status)
	}
	status, text := get(t, d.URL()+"/metrics")
	got = parsed(t, text)
	if status != http.StatusOK {
		t.Errorf("got %d for the figures during a refusal", status)
	}
	between(2, 2, "headrace_da_faults", "kind", "duplicate")
	between(1, 1, "headrace_da_faults", "kind", "refuse")
	between(1, any, "headrace_da_refused_requests_total", "why", "fault")
}

// TestDALateResults: a result that is made when there is room for it is of a call like any other.
func TestDALateResults(t *testing.T) {
	d, _ := measuredDA(t, time.Hour, nil)
	rpc(t, d.URL(), `{"jsonrpc":"2.0","id":1,"method":"blob.GetAll","params":[1,["AAAAAAAAAAAAAAAAAAAAAAAAAAAAbnMtYWxwaGE="]]}`)
	rpc(t, d.URL(), `{"jsonrpc":"2.0","id":1,"method":"blob.GetAll","params":[99,["AAAAAAAAAAAAAAAAAAAAAAAAAAAAbnMtYWxwaGE="]]}`)
	_, text := get(t, d.URL()+"/metrics")
	got := parsed(t, text)
	for _, outcome := range []string{"ok", "error"} {
		if v := value(t, got, "headrace_da_calls_total", "method", "blob.GetAll", "outcome", outcome); v != 1 {
			t.Errorf("%s: got %v calls, want 1", outcome, v)
		}
	}
}

// TestDASeriesAreBounded: whatever clients call, there are 500 series at most, with names as Prometheus wants them, and a
// method that there is has series of its own.
func TestDASeriesAreBounded(t *testing.T) {
	d, _ := measuredDA(t, time.Hour, nil)
	m := telemetry.NewDAMetrics(nil)
	m.Watch(d.Chain(), d.Handler())
	o := m.Observer()
	methods := d.Handler().Methods()
	for _, name := range methods {
		o.Called(name, time.Second, nil)
	}
	for range 200 {
		rpc(t, d.URL(), `{"jsonrpc":"2.0","id":1,"method":"made.Up","params":[]}`)
	}
	text := page(m)
	if got := series(text); got > 500 {
		t.Errorf("got %d series, want 500 at most", got)
	} else {
		t.Logf("%d series at most, of %d methods", got, len(methods))
	}
	got := parsed(t, text)
	for _, name := range methods {
		if value(t, got, "headrace_da_calls_total", "method", name, "outcome", "ok") != 1 {
			t.Errorf("%s has no series of its own", name)
		}
	}
	if _, text := get(t, d.URL()+"/metrics"); strings.Contains(text, "made.Up") {
		t.Error("a method that a client has made up is in the figures")
	}
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Error(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "headrace_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

// TestWhoReadsDAFigures: whoever may read the chain, and nobody else.
func TestWhoReadsDAFigures(t *testing.T) {
	secret := []byte(strings.Repeat("s", 32))
	locked, _ := measuredDA(t, time.Hour, secret)
	open, _ := measuredDA(t, time.Hour, nil)
	token, err := celestia.NewToken(secret, celestia.Read, 0)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		url  string
		edit func(*http.Request)
		want int
	}{
		"a program of this host": {open.URL(), func(*http.Request) {}, 200},
		"another host's name":    {open.URL(), func(r *http.Request) { r.Host = "evil.example" }, 403},
		"a page":                 {open.URL(), func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") }, 403},
		"a write":                {open.URL(), func(r *http.Request) { r.Method = http.MethodPost }, 405},
		"without a token":        {locked.URL(), func(*http.Request) {}, 401},
		"with a wrong token":     {locked.URL(), func(r *http.Request) { r.Header.Set("Authorization", "Bearer none") }, 401},
		"with a token to read":   {locked.URL(), func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }, 200},
	} {
		status, text := get(t, c.url+"/metrics", c.edit)
		if has := strings.Contains(text, "headrace_da_head_height"); status != c.want || has != (c.want == 200) {
			t.Errorf("%s: got %d, figures: %v, want %d", name, status, has, c.want)
		}
	}
}
