package devnet_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"testing"

	"headrace/node"
	"headrace/telemetry"
)

// BenchmarkTelemetry compares the CPU time, user and system, that a catch-up takes a height without anything that
// observes it, with figures that are asked for once, and with figures and traces of one block in a hundred, which go to
// a collector in the same process. Runs alternate, since the machine does other things too; it reports
//
//   - plain-us/height, the median;
//   - metrics-percent, traces-percent: how much more the others take, the median of the pairs.
func BenchmarkTelemetry(b *testing.B) {
	const pairs = 10
	s := serveChain(b, 2000, 2, 0)
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	b.Cleanup(collector.Close)
	var m *telemetry.Metrics
	measure := func(change func(*node.Options), made func(*node.Node)) float64 {
		runtime.GC()
		return float64(s.follow(b, change, made).cpu.Nanoseconds()) / 1e3 / float64(s.head)
	}
	plain := func() float64 { return measure(func(*node.Options) {}, func(*node.Node) {}) }
	figures := func(o *node.Options) {
		m = telemetry.NewMetrics()
		o.Observer = m.Observer()
	}
	asked := func(n *node.Node) {
		m.Watch(n)
		m.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/metrics", nil))
	}
	ways := map[string]func() float64{
		"metrics": func() float64 { return measure(figures, asked) },
		"traces": func() float64 {
			t, err := telemetry.NewTraces(telemetry.TraceOptions{Config: node.TelemetryConfig{OTLP: collector.URL, Ratio: 0.01}})
			if err != nil {
				b.Fatal(err)
			}
			defer t.Close()
			return measure(func(o *node.Options) { figures(o); o.Observer = node.Join(o.Observer, t.Observer()) }, asked)
		},
	}
	for b.Loop() {
		plain() // warm
		var base []float64
		more := map[string][]float64{}
		for i := range pairs {
			for _, name := range []string{"metrics", "traces"} {
				var without, with float64
				if i%2 == 0 {
					without = plain()
				}
				with = ways[name]()
				if i%2 == 1 {
					without = plain()
				}
				base = append(base, without)
				more[name] = append(more[name], 100*(with/without-1))
			}
		}
		b.ReportMetric(median(base), "plain-us/height")
		for name, percent := range more {
			b.ReportMetric(median(percent), fmt.Sprintf("%s-percent", name))
			b.Logf("%s: %.1f", name, percent)
		}
	}
}

func median(of []float64) float64 {
	slices.Sort(of)
	return (of[(len(of)-1)/2] + of[len(of)/2]) / 2
}
