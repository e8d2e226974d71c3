package telemetry

import (
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"headrace/da/celestia"
	"headrace/da/fault"
	"headrace/da/local"
)

// DAMetrics are the figures of one DA layer for development. Make them with NewDAMetrics, give the handler their Observer,
// and then Watch it.
type DAMetrics struct {
	http.Handler // answers with all figures in Prometheus' text format

	faults  *fault.Set
	server  atomic.Pointer[daServer]
	calls   *calls
	refused map[celestia.Refusal]prometheus.Counter
}

// daServer is what is watched.
type daServer struct {
	chain   *local.Chain
	handler *celestia.Handler
}

// daFigure is a value that is read from a server.
type daFigure struct {
	name, help string
	kind       prometheus.ValueType
	of         func(daServer) float64
}

var daFigures = []daFigure{
	{"headrace_da_head_height", "The newest height of the chain, whatever faults tell of it.", gauge, func(s daServer) float64 { return float64(s.chain.Head().Load().Height) }},
	{"headrace_da_head_timestamp_seconds", "When the newest height was made, by its header.", gauge, func(s daServer) float64 { return unix(s.chain.Head().Load().Time) }},
	{"headrace_da_tail_height", "The lowest height that the chain has.", gauge, func(s daServer) float64 { return float64(s.chain.Tail()) }},
	{"headrace_da_block_time_seconds", "The time between two heights, as it is set.", gauge, func(s daServer) float64 { return s.chain.Interval().Seconds() }},
	{"headrace_da_blobs_total", "Blobs that were included.", counter, func(s daServer) float64 { blobs, _ := s.chain.Included(); return float64(blobs) }},
	{"headrace_da_blob_bytes_total", "Bytes of the blobs that were included.", counter, func(s daServer) float64 { _, bytes := s.chain.Included(); return float64(bytes) }},
	{"headrace_da_pending_submissions", "Submissions that wait for a block.", gauge, func(s daServer) float64 { return float64(s.chain.Pending().Load()) }},
	{"headrace_da_pending_bytes", "Bytes of the blobs that wait for a block.", gauge, func(s daServer) float64 { return float64(s.chain.PendingBytes()) }},
	{"headrace_da_websockets", "WebSockets that are open now.", gauge, func(s daServer) float64 { sockets, _ := s.handler.Serving(); return float64(sockets) }},
	{"headrace_da_subscriptions", "Channels of subscriptions that are open now.", gauge, func(s daServer) float64 { _, streams := s.handler.Serving(); return float64(streams) }},
}

// daMethods is how many methods have series of their own: all that a handler serves have.
const daMethods = 80

// NewDAMetrics returns figures that have a registry of their own, of a server with these faults, which may be nil.
func NewDAMetrics(faults *fault.Set) *DAMetrics {
	m := &DAMetrics{faults: faults, refused: map[celestia.Refusal]prometheus.Counter{}}
	registry := prometheus.NewRegistry()
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		return register(registry, prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels))
	}
	m.calls = newCalls(daMethods, counters("headrace_da_calls_total", "Calls of clients, those of a batch one by one.", "method", "outcome"),
		counters("headrace_da_call_seconds_total", "Time until calls had their results.", "method"))
	refused := counters("headrace_da_refused_requests_total", "Requests that were refused before they were read, by why: a fault, the rate of an address, too many at a time.", "why")
	for _, why := range celestia.Refusals() {
		m.refused[why] = refused.WithLabelValues(string(why))
	}
	registry.MustRegister(m)
	m.Handler = served(registry)
	return m
}

// Observer returns what counts.
func (m *DAMetrics) Observer() celestia.HandlerObserver {
	return celestia.HandlerObserver{
		Called:  func(method string, took time.Duration, err error) { m.calls.note(method, 1, took, err) },
		Refused: func(why celestia.Refusal) { m.refused[why].Inc() },
	}
}

// Watch has the figures of a chain, and of what serves it, read from them.
func (m *DAMetrics) Watch(chain *local.Chain, handler *celestia.Handler) {
	m.server.Store(&daServer{chain, handler})
}

// The descriptions of daFigures, in their order, and of the faults.
var (
	daDescs = func() (all []*prometheus.Desc) {
		for _, f := range daFigures {
			all = append(all, prometheus.NewDesc(f.name, f.help, nil, nil))
		}
		return all
	}()
	daFaults = prometheus.NewDesc("headrace_da_faults", "Faults in force, by kind.", []string{"kind"}, nil)
)

// Describe implements prometheus.Collector.
func (m *DAMetrics) Describe(to chan<- *prometheus.Desc) {
	for _, d := range daDescs {
		to <- d
	}
	to <- daFaults
}

// Collect implements prometheus.Collector.
func (m *DAMetrics) Collect(to chan<- prometheus.Metric) {
	s := m.server.Load()
	if s == nil {
		return
	}
	for i, f := range daFigures {
		to <- prometheus.MustNewConstMetric(daDescs[i], f.kind, f.of(*s))
	}
	inForce := map[fault.Kind]float64{}
	for _, f := range m.faults.List() {
		inForce[f.Kind]++
	}
	for _, k := range fault.Kinds() {
		to <- prometheus.MustNewConstMetric(daFaults, gauge, inForce[k], string(k))
	}
}
