// Package telemetry shows a node to the tools that operators have: its figures to Prometheus, and traces of its blocks
// to whoever takes OpenTelemetry's protocol. The figures of a DA layer for development are there, too.
//
// It hangs on the node's observer, and on the status and nothing else: a node knows nothing of it. A figure that the
// status has is read when it is asked for, and costs nothing until then; what happens, the observer counts. Whatever
// strangers do, a node has 500 series at most, and no label has a value that they choose. Counters begin with the
// process. Traces that nobody takes are dropped, and nothing waits for them. All is safe for concurrent use.
package telemetry

import (
	"context"
	"errors"
	"math/big"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"headrace/follow"
	"headrace/node"
)

// Metrics are the figures of one node. Make them with NewMetrics, give the node their Observer, and then Watch it.
type Metrics struct {
	http.Handler // answers with all figures in Prometheus' text format

	registry *prometheus.Registry
	node     atomic.Pointer[node.Node]

	steps      map[node.Step]*step // of all there are: read only
	applied    map[bool]prometheus.Observer
	fetch      prometheus.Histogram
	heights    prometheus.Histogram
	subscribe  prometheus.Histogram
	watchdogs  map[string]prometheus.Counter
	reconnects prometheus.Counter
	reverted   prometheus.Counter
	paid       prometheus.Counter
	calls      *calls
	engine     *calls
	announced  follow.Announced
	modes      modes
}

// step is what is counted of one.
type step struct {
	took     prometheus.Observer
	failures prometheus.Counter
}

var allSteps = []node.Step{
	node.StepDerive, node.StepExecute, node.StepHead, node.StepRevert, node.StepLabel, node.StepExempt, node.StepCommit, node.StepProve, node.StepBuild,
	node.StepPost,
}

// The names of the watchdogs.
const (
	watchNews  = "news"
	watchFetch = "fetch"
)

// scrapes is how many answers are made at a time.
const scrapes = 4

// NewMetrics returns figures that have a registry of their own.
func NewMetrics() *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), steps: map[node.Step]*step{}, applied: map[bool]prometheus.Observer{}, watchdogs: map[string]prometheus.Counter{}}
	histogram := func(name, help string, buckets ...float64) prometheus.Histogram {
		return register(m.registry, prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}))
	}
	counter := func(name, help string) prometheus.Counter {
		return register(m.registry, prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help}))
	}
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		return register(m.registry, prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels))
	}

	took := register(m.registry, prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "headrace_step_seconds", Help: "How long a step of the work on blocks took.", Buckets: []float64{.002, .01, .05, .25, 1, 5, 30},
	}, []string{"step"}))
	failures := counters("headrace_step_failures_total", "Steps of the work on blocks that have failed.", "step")
	for _, s := range allSteps {
		m.steps[s] = &step{took.WithLabelValues(string(s)), failures.WithLabelValues(string(s))}
	}
	applied := register(m.registry, prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "headrace_announced_to_applied_seconds", Help: "From the first announcement of a height of the source to its being applied, as it was pushed (inline) or fetched.",
		Buckets: []float64{.001, .002, .005, .01, .025, .05, .1, .25, 1, 5, 30},
	}, []string{"way"}))
	m.applied[true], m.applied[false] = applied.WithLabelValues("inline"), applied.WithLabelValues("fetched")
	m.fetch = histogram("headrace_fetch_seconds", "How long a fetch of heights took, without the time that it took to apply them.", .005, .02, .05, .1, .25, 1, 5, 30)
	m.heights = histogram("headrace_fetch_heights", "How many heights a fetch was of.", 1, 2, 8, 64, 512, 4096, 65536)
	m.subscribe = histogram("headrace_subscribe_seconds", "From the begin of a subscription to the source to its first announcement.", .005, .02, .05, .1, .25, 1, 5, 30)
	watchdogs := counters("headrace_watchdogs_total", "What a watchdog has ended: a subscription without news, a fetch that did not come on.", "watchdog")
	for _, name := range []string{watchNews, watchFetch} {
		m.watchdogs[name] = watchdogs.WithLabelValues(name)
	}
	m.reconnects = counter("headrace_reconnects_total", "How often an endpoint's news came again after it had been lost.")
	m.reverted = counter("headrace_source_reverted_total", "Heights of the source that were taken back in reorgs.")
	m.paid = counter("headrace_fees_paid_wei_total", "What this node's transactions on an L1 have cost. A DA layer's endpoint pays by itself, and does not say what.")
	m.calls = newCalls(18, counters("headrace_source_calls_total", "Requests to the endpoints of the source, those of a batch one by one.", "method", "outcome"),
		counters("headrace_source_call_seconds_total", "Time that requests to the endpoints of the source took.", "method"))
	m.engine = newCalls(10, counters("headrace_engine_calls_total", "Requests to the execution client.", "method", "outcome"),
		counters("headrace_engine_call_seconds_total", "Time that requests to the execution client took.", "method"))
	m.registry.MustRegister(&statusFigures{m: m})
	m.Handler = served(m.registry)
	return m
}

func register[C prometheus.Collector](to *prometheus.Registry, c C) C {
	to.MustRegister(c)
	return c
}

// served adds the figures of the process to a registry, and returns what answers with all.
func served(r *prometheus.Registry) http.Handler {
	r.MustRegister(collectors.NewGoCollector(collectors.WithGoCollectorMemStatsMetricsDisabled()), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError, DisableCompression: true, MaxRequestsInFlight: scrapes})
}

// Watch has the figures of a node's status read from it.
func (m *Metrics) Watch(n *node.Node) { m.node.Store(n) }

// Observer returns what counts.
func (m *Metrics) Observer() (o node.Observer) {
	o.Done = func(s node.Step, _ uint64, took time.Duration, err error) {
		if of := m.steps[s]; of != nil {
			of.took.Observe(took.Seconds())
			if err != nil {
				of.failures.Inc()
			}
		}
	}
	o.EngineCalled = func(method string, took time.Duration, err error) { m.engine.note(method, 1, took, err) }
	o.Source = follow.Observer{
		Subscribed: func(took time.Duration) { m.subscribe.Observe(took.Seconds()) },
		News:       func(head follow.Ref, _ bool) { m.announced.Note(head.Height, time.Now()) },
		Ended: func(_ bool, err error) {
			if errors.Is(err, follow.ErrSilent) {
				m.watchdogs[watchNews].Inc()
			}
		},
		Fetched: func(from, to uint64, took time.Duration, err error) {
			m.fetch.Observe(took.Seconds())
			m.heights.Observe(float64(to - from))
			if errors.Is(err, follow.ErrStalled) {
				m.watchdogs[watchFetch].Inc()
			}
		},
		Applied: func(item follow.Ref, inline bool) {
			if at := m.announced.Applied(item.Height); !at.IsZero() {
				m.applied[inline].Observe(time.Since(at).Seconds())
			}
		},
		Reverted: func(item follow.Ref) {
			m.announced.Reverted(item.Height)
			m.reverted.Inc()
		},
		Called: func(method string, n int, took time.Duration, err error) { m.calls.note(method, n, took, err) },
		Mode: func(address, mode string, _ error) {
			if m.modes.again(address, mode) {
				m.reconnects.Inc()
			}
		},
		Paid: func(wei *big.Int) {
			cost, _ := new(big.Float).SetInt(wei).Float64()
			m.paid.Add(cost)
		},
	}
	return o
}

// modes are by which way the news of each endpoint has come.
type modes struct {
	mu    sync.Mutex        // guards the rest
	known map[string]string // by address, as many as are configured
}

// again notes a change, and reports whether news comes again after it was lost.
func (m *modes) again(address, mode string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	was, known := m.known[address]
	if m.known == nil {
		m.known = map[string]string{}
	}
	m.known[address] = mode
	return known && was == "" && mode != ""
}

// calls counts requests. Their methods are named by the node alone; beyond as many as there should be, all are "other".
type calls struct {
	most           int
	total, seconds *prometheus.CounterVec

	mu    sync.RWMutex // guards the rest
	known map[string]*call
}

type call struct {
	seconds prometheus.Counter
	by      [outcomes]prometheus.Counter
}

type outcome int

const (
	ok outcome = iota
	canceled
	timeout
	failed
	outcomes
)

var outcomeNames = [outcomes]string{"ok", "canceled", "timeout", "error"}

func outcomeOf(err error) outcome {
	switch {
	case err == nil:
		return ok
	case errors.Is(err, context.Canceled):
		return canceled
	case errors.Is(err, context.DeadlineExceeded):
		return timeout
	}
	return failed
}

func newCalls(most int, total, seconds *prometheus.CounterVec) *calls {
	c := &calls{most: most, total: total, seconds: seconds, known: map[string]*call{}}
	c.known[""] = c.made("other")
	return c
}

func (c *calls) note(method string, n int, took time.Duration, err error) {
	of := c.of(method)
	of.by[outcomeOf(err)].Add(float64(n))
	of.seconds.Add(max(took, 0).Seconds())
}

func (c *calls) of(method string) *call {
	c.mu.RLock()
	of := c.known[method]
	c.mu.RUnlock()
	if of != nil {
		return of
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.known[method] != nil:
	case len(c.known) > c.most:
		return c.known[""]
	default:
		c.known[method] = c.made(method)
	}
	return c.known[method]
}

func (c *calls) made(method string) *call {
	of := &call{seconds: c.seconds.WithLabelValues(method)}
	for i, name := range outcomeNames {
		of.by[i] = c.total.WithLabelValues(method, name)
	}
	return of
}
