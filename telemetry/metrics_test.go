package telemetry_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"

	"headrace/follow"
	"headrace/node"
	"headrace/telemetry"
)

// parsed reads an answer of /metrics.
func parsed(t *testing.T, text string) map[string]*dto.MetricFamily {
	t.Helper()
	p := expfmt.NewTextParser(model.LegacyValidation)
	all, err := p.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatalf("read metrics: %v\n%s", err, text)
	}
	return all
}

// series returns the number of series, as Prometheus counts them.
func series(text string) (n int) {
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "#") {
			n++
		}
	}
	return n
}

// value returns the one value of a family with these labels; of a histogram, how much it has observed.
func value(t *testing.T, of map[string]*dto.MetricFamily, name string, labels ...string) float64 {
	t.Helper()
	for _, m := range of[name].GetMetric() {
		matches := true
		for i := 0; i < len(labels); i += 2 {
			matches = matches && slices.ContainsFunc(m.Label, func(l *dto.LabelPair) bool { return l.GetName() == labels[i] && l.GetValue() == labels[i+1] })
		}
		if matches {
			return m.GetGauge().GetValue() + m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	t.Fatalf("there is no series %s of %v", name, labels)
	return 0
}

var (
	ours    = regexp.MustCompile(`\bheadrace_[a-z0-9_]+`)
	byStage = regexp.MustCompile(`stage=~?"([^"]+)"`)
)

// TestDashboardAndAlerts asks a running node for every name that the Grafana dashboard and the alert rules use, with
// the labels that they choose by; and the alerts cover every stage at which a node can be stuck.
func TestDashboardAndAlerts(t *testing.T) {
	sequencer, _ := onDA(t, daLayer(t, 50*time.Millisecond), 50*time.Millisecond)
	n, _ := measured(t, sequencer())
	if _, err := n.Wait(bounded(t), 3); err != nil {
		t.Fatal(err)
	}
	status, text := get(t, n.URL()+"/metrics")
	if status != http.StatusOK {
		t.Fatalf("got %d %s", status, text)
	}
	have := parsed(t, text)
	uses := func(file string) string {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range ours.FindAllString(string(raw), -1) {
			base := name
			for _, part := range []string{"_bucket", "_sum", "_count"} {
				if f := have[strings.TrimSuffix(name, part)]; f.GetType() == dto.MetricType_HISTOGRAM {
					base = strings.TrimSuffix(name, part)
				}
			}
			if have[base] == nil {
				t.Errorf("%s asks for %s, which the node does not have", file, name)
			}
		}
		return string(raw)
	}
	var board struct {
		Panels []struct{ Targets []struct{ Expr string } }
	}
	if err := json.Unmarshal([]byte(uses("grafana/headrace.json")), &board); err != nil || len(board.Panels) == 0 {
		t.Errorf("the dashboard has %d panels: %v", len(board.Panels), err)
	}
	raw := uses("alerts.yaml")
	var rules struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr string
				Annotations map[string]string
			}
		}
	}
	if err := yaml.Unmarshal([]byte(raw), &rules); err != nil {
		t.Fatal(err)
	}
	alerted := map[string]bool{}
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			if r.Alert == "" || r.Expr == "" || r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
				t.Errorf("%+v lacks its name, its expression or what it says", r)
			}
			for _, m := range byStage.FindAllStringSubmatch(r.Expr, -1) {
				for stage := range strings.SplitSeq(m[1], "|") {
					value(t, have, "headrace_waiting_seconds", "stage", stage)
					alerted[stage] = true
				}
			}
		}
	}
	for _, s := range follow.Stages() {
		if !alerted[s.String()] {
			t.Errorf("no alert is about the stage %s", s)
		}
	}
}

// TestFigures: what the page says of a node is what the node says of itself, and what it counts has happened.
func TestFigures(t *testing.T) {
	d := daLayer(t, 50*time.Millisecond)
	sequencer, full := onDA(t, d, 50*time.Millisecond)
	s, _ := measured(t, sequencer())
	if _, err := s.Wait(bounded(t), 3); err != nil {
		t.Fatal(err)
	}
	n, _ := measured(t, full())
	before, err := n.Status().Wait(bounded(t), func(s node.Status) bool {
		return s.Ready && s.Counts.InlineItems > 0 && s.Counts.FetchedItems > 0 && s.Source.Proven.Height > 0 && s.Heads.Safe.Height > 0
	})
	if err != nil {
		t.Fatal(err)
	}
	_, text := get(t, n.URL()+"/metrics")
	got, after := parsed(t, text), n.Status().Load()
	between := func(low, high float64, name string, labels ...string) {
		t.Helper()
		if v := value(t, got, name, labels...); v < low || v > high {
			t.Errorf("%s %v: got %v, the status said %v to %v", name, labels, v, low, high)
		}
	}
	heights := func(low, high uint64, name string, labels ...string) {
		t.Helper()
		between(float64(low), float64(high), name, labels...)
	}
	heights(before.Heads.Safe.Height, after.Heads.Safe.Height, "headrace_head_height", "head", "safe")
	heights(before.Heads.Finalized.Height, after.Heads.Finalized.Height, "headrace_head_height", "head", "finalized")
	heights(before.Source.Position.Height, after.Source.Position.Height, "headrace_source_position_height")
	heights(before.Source.Proven.Height, after.Source.Proven.Height, "headrace_source_proven_height")
	heights(before.Source.Head.Height, after.Source.Head.Height, "headrace_source_head_height")
	heights(before.Counts.InlineItems, after.Counts.InlineItems, "headrace_source_items_total", "way", "inline")
	heights(before.Counts.FetchedItems, after.Counts.FetchedItems, "headrace_source_items_total", "way", "fetched")
	heights(before.Counts.Executed, after.Counts.Executed, "headrace_blocks_total", "outcome", "executed")
	heights(before.Source.Endpoints[0].Calls, after.Source.Endpoints[0].Calls, "headrace_endpoint_calls_total", "role", "da")
	between(1, 1, "headrace_ready")
	between(1, 1, "headrace_endpoint_up", "endpoint", d.URL(), "role", "da")
	between(0, 0, "headrace_endpoint_polling", "role", "da")
	between(0, 0, "headrace_sequencer_enabled")
	at := float64(before.StartedAt.UnixNano()) / 1e9
	between(at-1, at+1, "headrace_start_time_seconds")

	// What the observer counts.
	between(1, float64(after.Counts.InlineItems), "headrace_announced_to_applied_seconds", "way", "inline")
	for _, step := range []string{"derive", "execute", "commit"} {
		between(1, 1e9, "headrace_step_seconds", "step", step)
	}
	between(1, 1e9, "headrace_fetch_seconds")
	between(1, 1, "headrace_subscribe_seconds")
	between(1, 1e9, "headrace_source_calls_total", "method", "blob.Subscribe", "outcome", "ok")

	_, text = get(t, s.URL()+"/metrics")
	got = parsed(t, text)
	between(1, 1, "headrace_sequencer_enabled")
	between(3, 1e9, "headrace_blocks_total", "outcome", "produced")
	between(1, 1e9, "headrace_step_seconds", "step", "post")
	between(1, 1e9, "headrace_step_seconds", "step", "build")
}

// TestWaitersAndStreams: requests that last are counted while they do.
func TestWaitersAndStreams(t *testing.T) {
	_, full := onDA(t, daLayer(t, time.Hour), 0)
	n, _ := measured(t, full())
	ctx, cancel := context.WithCancel(bounded(t))
	defer cancel()
	for path, name := range map[string]string{"/v1/wait?height=1000000&timeout=5m": "headrace_http_waiters", "/v1/events": "headrace_http_streams"} {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, n.URL()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Close = true
		done := make(chan error, 1) // of the request
		go func() {
			resp, err := http.DefaultClient.Do(r)
			if err == nil {
				<-ctx.Done()
				err = resp.Body.Close()
			}
			done <- err
		}()
		for value(t, scrape(t, n), name) != 1 { // by the node's own answer: each look is a request
			if ctx.Err() != nil {
				t.Fatalf("%s stays 0", name)
			}
		}
		t.Cleanup(func() { cancel(); <-done })
	}
	cancel()
	ended := bounded(t)
	for all := scrape(t, n); value(t, all, "headrace_http_waiters")+value(t, all, "headrace_http_streams") != 0; all = scrape(t, n) {
		if ended.Err() != nil {
			t.Fatal("they are counted for ever")
		}
	}
}

func scrape(t *testing.T, n *node.Node) map[string]*dto.MetricFamily {
	t.Helper()
	_, text := get(t, n.URL()+"/metrics")
	return parsed(t, text)
}

// page returns what figures say without a server.
func page(m http.Handler) string {
	w := httptest.NewRecorder()
	m.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return w.Body.String()
}

// TestSeriesAreBounded: whatever a node is told to do, there are 500 series at most. Their names are as Prometheus wants
// them.
func TestSeriesAreBounded(t *testing.T) {
	_, full := onDA(t, daLayer(t, time.Hour), 0)
	o := full()
	for i := range 50 {
		o.Config.DA.Address = append(o.Config.DA.Address, node.At(fmt.Sprintf("http://127.0.0.1:%d/secret-%d", 1+i, i))...)
	}
	m := telemetry.NewMetrics()
	o.Observer = m.Observer()
	n, err := node.New(o)
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	m.Watch(n)
	told := o.Observer
	for i := range 1000 {
		for _, err := range []error{nil, context.Canceled, context.DeadlineExceeded, errors.New("else")} {
			told.Source.Called(fmt.Sprintf("method_%d", i), 1, time.Second, err)
			told.EngineCalled(fmt.Sprintf("engine_%d", i), time.Second, err)
		}
		told.Done(node.Step(fmt.Sprintf("step-%d", i)), 1, time.Second, nil)
		told.Source.Mode(fmt.Sprintf("address-%d", i), "websocket", nil)
	}
	text := page(m)
	if got := series(text); got > 500 {
		t.Errorf("got %d series, want 500 at most", got)
	} else {
		t.Logf("%d series at most", got)
	}
	if strings.Contains(text, "secret-") {
		t.Error("an endpoint's path is in the figures")
	}
	var names []string
	for name := range parsed(t, text) {
		if strings.HasPrefix(name, "headrace_") {
			names = append(names, name)
		}
	}
	if len(names) < 50 {
		t.Errorf("got %d names of ours", len(names))
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
	for i := range 1000 { // what is bounded is counted all the same
		told.Source.Called(fmt.Sprintf("method_%d", i), 2, 0, nil)
	}
	if got := value(t, parsed(t, page(m)), "headrace_source_calls_total", "method", "other", "outcome", "ok"); got < 980*3 {
		t.Errorf("got %v calls of other methods", got)
	}
}

// TestObserverCounts: each event is counted where it belongs.
func TestObserverCounts(t *testing.T) {
	m := telemetry.NewMetrics()
	o := m.Observer()
	count := func(want float64, name string, labels ...string) {
		t.Helper()
		if got := value(t, parsed(t, page(m)), name, labels...); got != want {
			t.Errorf("%s %v: got %v, want %v", name, labels, got, want)
		}
	}
	ref := func(h uint64) follow.Ref { return follow.Ref{Height: h} }
	o.Source.Ended(true, fmt.Errorf("%w (30s)", follow.ErrSilent))
	o.Source.Ended(true, errors.New("closed"))
	o.Source.Fetched(1, 2, time.Second, fmt.Errorf("%w (30s)", follow.ErrStalled))
	count(1, "headrace_watchdogs_total", "watchdog", "news")
	count(1, "headrace_watchdogs_total", "watchdog", "fetch")

	for _, mode := range []string{"", "websocket", "", "polling", "websocket"} { // the first is no reconnect, nor is a change of the way
		o.Source.Mode("a", mode, nil)
	}
	o.Source.Mode("b", "websocket", nil)
	count(2, "headrace_reconnects_total") // a: websocket and polling, each after nothing

	o.Source.Paid(big.NewInt(21_000 * 7))
	o.Source.Paid(big.NewInt(1))
	count(147_001, "headrace_fees_paid_wei_total")

	o.Source.News(ref(5), true)
	o.Source.News(ref(5), true)
	o.Source.News(ref(7), false)
	for h := uint64(4); h <= 7; h++ {
		o.Source.Applied(ref(h), h == 5)
	}
	o.Source.Reverted(ref(7))
	o.Source.News(ref(7), true) // of another branch
	o.Source.Applied(ref(7), true)
	o.Source.News(ref(6), true) // behind
	o.Source.Applied(ref(8), true)
	for range 2000 { // and again, for as long as it takes to be applied
		o.Source.News(ref(9), true)
	}
	o.Source.News(ref(10), true)
	o.Source.Applied(ref(9), true)
	o.Source.Applied(ref(10), true)
	count(4, "headrace_announced_to_applied_seconds", "way", "inline")
	count(1, "headrace_announced_to_applied_seconds", "way", "fetched")
	count(1, "headrace_source_reverted_total")

	o.Done(node.StepExecute, 1, time.Second, nil)
	o.Done(node.StepExecute, 1, time.Second, errors.New("no"))
	count(2, "headrace_step_seconds", "step", "execute")
	count(1, "headrace_step_failures_total", "step", "execute")
}

// TestCountingAllocatesNothing: what the observer counts on the way of a block takes no memory.
func TestCountingAllocatesNothing(t *testing.T) {
	o := telemetry.NewMetrics().Observer()
	height := uint64(0)
	item := func() {
		height++
		at := follow.Ref{Height: height}
		o.Source.News(at, true)
		o.Source.Called("blob.GetAll", 1, time.Millisecond, nil)
		o.Source.Fetched(height, height+1, time.Millisecond, nil)
		o.Done(node.StepExecute, height, time.Millisecond, nil)
		o.Source.Applied(at, true)
	}
	if n := testing.AllocsPerRun(1000, item); n != 0 {
		t.Errorf("got %v allocations an item, want none", n)
	}
}

// TestAccess: who may read the status may read the figures, and nobody else.
func TestAccess(t *testing.T) {
	_, full := onDA(t, daLayer(t, time.Hour), 0)
	o := full()
	o.Config.HTTP.Token, o.Config.HTTP.Origins = "0123456789abcdef0123", []string{"https://app.example"}
	n, _ := measured(t, o)
	for name, edit := range map[string]func(*http.Request){
		"a program":                  func(*http.Request) {},
		"another host":               func(r *http.Request) { r.Host = "evil.example" },
		"a page":                     func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") },
		"a page that may":            func(r *http.Request) { r.Header.Set("Origin", "https://app.example") },
		"an image of another's page": func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
		"a wrong token":              func(r *http.Request) { r.Header.Set("Authorization", "Bearer none") },
		"a write":                    func(r *http.Request) { r.Method = http.MethodDelete },
	} {
		want, _ := get(t, n.URL()+"/v1/status", edit)
		if got, _ := get(t, n.URL()+"/metrics", edit); got != want {
			t.Errorf("%s: got %d, the status answers %d", name, got, want)
		}
	}
	if status, _ := get(t, n.URL()+"/metrics", func(r *http.Request) { r.Host = "evil.example" }); status != http.StatusForbidden {
		t.Errorf("got %d for another host, want 403", status)
	}
}

// TestPageNamesAllFigures: docs/METRICS.md has a row for each name, of a node and of a DA layer, and none else.
func TestPageNamesAllFigures(t *testing.T) {
	_, full := onDA(t, daLayer(t, time.Hour), 0)
	m := telemetry.NewMetrics()
	n, err := node.New(full())
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	m.Watch(n)
	o := m.Observer()
	o.Source.Called("blob.GetAll", 1, 0, nil)
	o.EngineCalled("engine_newPayload", 0, nil)
	raw, err := os.ReadFile("../docs/METRICS.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `(headrace_[a-z0-9_]+)`.*\\| (.*) \\|$").FindAllStringSubmatch(string(raw), -1) {
		rows[row[1]] = row[2]
	}
	have := parsed(t, page(m))
	maps.Copy(have, daFamilies(t))
	for _, name := range slices.Sorted(maps.Keys(have)) {
		if help := strings.TrimSuffix(have[name].GetHelp(), "."); strings.HasPrefix(name, "headrace_") && rows[name] != help {
			t.Errorf("docs/METRICS.md says %q of %s, want %q", rows[name], name, help)
		}
	}
	for name := range rows {
		if have[name] == nil {
			t.Errorf("docs/METRICS.md has a row for %s, which there is none of", name)
		}
	}
}
