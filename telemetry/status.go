package telemetry

import (
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"headrace/follow"
	"headrace/node"
)

// figure is a value that is read from the status.
type figure struct {
	name, help string
	kind       prometheus.ValueType
	of         func(*view) float64
}

// view is what figures are read from.
type view struct {
	*node.Status
	m       *Metrics
	seq     node.Sequence // the zero one of a full node
	gossip  node.Peers    // the zero one without gossip
	stream  node.Stream   // the zero one without a stream
	serving node.Serving
	now     time.Time
}

const (
	gauge   = prometheus.GaugeValue
	counter = prometheus.CounterValue
)

// figures are those without labels.
var figures = []figure{
	{"headrace_start_time_seconds", "When the node was made.", gauge, func(v *view) float64 { return unix(v.StartedAt) }},
	{"headrace_ready", "1 while the node serves the chain's head, as /readyz says.", gauge, func(v *view) float64 { return truth(v.Ready) }},
	{"headrace_disk_failed", "1 after a failed write, until the home is open again, and while what is stored is damaged.", gauge, func(v *view) float64 { return truth(v.Disk != "") }},

	{"headrace_source_head_height", "The newest height of the source that was announced.", gauge, func(v *view) float64 { return float64(v.Source.Head.Height) }},
	{"headrace_source_head_timestamp_seconds", "When a new height of the source was announced last.", gauge, func(v *view) float64 { return unix(v.Source.HeadAt) }},
	{"headrace_source_position_height", "The last height of the source that was applied.", gauge, func(v *view) float64 { return float64(v.Source.Position.Height) }},
	{"headrace_source_proven_height", "The last height of the source at or below which the content is shown complete.", gauge, func(v *view) float64 { return float64(v.Source.Proven.Height) }},
	{"headrace_source_lag_heights", "Heights between the source's head and the position.", gauge, func(v *view) float64 { return float64(v.Source.Lag) }},
	{"headrace_source_lag_seconds", "How long the oldest announcement that is not applied has waited.", gauge, (*view).lag},
	{"headrace_source_block_time_seconds", "The time between two heights of the source; 0 while it is not known, and where there is none.", gauge, (*view).blockTime},
	{"headrace_source_live", "1 while the position has reached the head of the present subscription.", gauge, func(v *view) float64 { return truth(v.Source.Live) }},
	{"headrace_source_subscriptions_total", "Subscriptions to the source that were begun.", counter, func(v *view) float64 { return float64(v.Counts.Subscriptions) }},
	{"headrace_source_received_bytes_total", "Bytes of messages from a DA layer's endpoints.", counter, func(v *view) float64 { return float64(v.Source.Calls.Bytes) }},
	{"headrace_source_dropped_events_total", "Events of a DA layer that were forgotten because the node was slow; they are fetched.", counter, func(v *view) float64 { return float64(v.Source.Calls.Dropped) }},

	{"headrace_pending_bytes", "Bytes of halves of blocks that wait for their other half or their parent.", gauge, func(v *view) float64 { return float64(v.Pending.Bytes) }},
	{"headrace_reorgs_total", "Reorgs of the L1 that took proposals back, since the home was made.", counter, (*view).reorgs},
	{"headrace_proposal_id", "The last canonical proposal of the inbox on an L1.", gauge, (*view).proposal},
	{"headrace_void_proposals_total", "Proposals that made no block.", counter, func(v *view) float64 { return float64(v.Counts.Void) }},
	{"headrace_exempt_transactions_total", "Forced transactions missing in proposals because no block could include them.", counter, func(v *view) float64 { return float64(v.Counts.Exempt) }},
	{"headrace_offers_open", "1 while unsafe blocks are taken beside the canonical source.", gauge, func(v *view) float64 { return truth(v.Unsafe != nil && v.Unsafe.Open) }},
	{"headrace_signed_twice_total", "Heights at which the proposer was found to have signed two blocks.", counter, func(v *view) float64 { return float64(v.Counts.SignedTwice) }},

	{"headrace_gossip_peers", "Peers that are connected.", gauge, (*view).peers},
	{"headrace_gossip_head_height", "The highest head of the peers that are there.", gauge, func(v *view) float64 { return float64(v.gossip.Head.Height) }},
	{"headrace_gossip_received_blocks_total", "Blocks from peers, each at its first coming.", counter, func(v *view) float64 { return float64(v.gossip.Counts.Received) }},
	{"headrace_gossip_ignored_blocks_total", "Blocks from peers that were late, known, or not this chain's.", counter, func(v *view) float64 { return float64(v.gossip.Counts.Ignored) }},
	{"headrace_gossip_forged_messages_total", "Messages of peers that are no block of the proposer's.", counter, func(v *view) float64 { return float64(v.gossip.Counts.Forged) }},
	{"headrace_gossip_published_blocks_total", "Blocks of this node that went to peers.", counter, func(v *view) float64 { return float64(v.gossip.Counts.Published) }},
	{"headrace_gossip_faults_total", "Faults of peers.", counter, func(v *view) float64 { return float64(v.gossip.Counts.Faults) }},
	{"headrace_gossip_left_peers_total", "Peers that were left because of their faults.", counter, func(v *view) float64 { return float64(v.gossip.Counts.Left) }},
	{"headrace_stream_height", "The block at which the stream stands that this node publishes in.", gauge, func(v *view) float64 { return float64(v.stream.At.Height) }},
	{"headrace_stream_lag_blocks", "Blocks between that and the head up to which blocks are published.", gauge, func(v *view) float64 { return float64(v.stream.Lag) }},
	{"headrace_stream_publishing", "1 while the node's blocks get into their stream, by whomever.", gauge, func(v *view) float64 { return truth(v.stream.State == node.StreamPublishing) }},
	{"headrace_stream_stopped", "1 after another node has published another block as final: publishing has stopped.", gauge, func(v *view) float64 { return truth(v.stream.State == node.StreamStopped) }},
	{"headrace_stream_published_messages_total", "Messages that this node has brought into its stream.", counter, func(v *view) float64 { return float64(v.stream.Counts.Published) }},
	{"headrace_stream_refused_messages_total", "Attempts that were vain because another publisher was faster, or the chain or the stream had changed.", counter, func(v *view) float64 { return float64(v.stream.Counts.Refused) }},
	{"headrace_stream_reorgs_total", "Reorgs that this node has published.", counter, func(v *view) float64 { return float64(v.stream.Counts.Reorgs) }},
	{"headrace_stream_errors_total", "Failures of publishing.", counter, func(v *view) float64 { return float64(v.stream.Counts.Errors) }},

	{"headrace_sequencer_enabled", "1 if the node makes blocks.", gauge, func(v *view) float64 { return truth(v.Sequencer != nil) }},
	{"headrace_sequencer_backlog_blocks", "Blocks made here that are not seen on the layer yet.", gauge, func(v *view) float64 { return float64(v.seq.Pending) }},
	{"headrace_sequencer_submitted_height", "The highest block that a submission has been reported included for.", gauge, func(v *view) float64 { return float64(v.seq.Submitted) }},
	{"headrace_sequencer_failures_total", "Submissions that have failed.", counter, func(v *view) float64 { return float64(v.seq.Failures) }},
	{"headrace_sequencer_paused", "1 while no blocks are made for a reason that the status tells.", gauge, func(v *view) float64 { return truth(v.seq.Paused != "") }},
	{"headrace_sequencer_stopped", "1 while an operator has no blocks made.", gauge, func(v *view) float64 { return truth(!v.seq.Stopped.IsZero()) }},
	{"headrace_sequencer_stuck", "1 while nothing can be posted before somebody acts.", gauge, func(v *view) float64 { return truth(v.seq.Stuck != "") }},
	{"headrace_sequencer_flight_seconds", "How long the submission that is under way has been; 0 if none is.", gauge, (*view).flight},
	{"headrace_forced_queue_items", "Items that wait in the forced queue of the inbox that the node proposes to.", gauge, func(v *view) float64 { return float64(v.forced().Items) }},
	{"headrace_forced_fee_eth", "What the inbox charges for the next item, of 200 bytes, beside the gas of its transaction.", gauge, func(v *view) float64 { return v.forced().FeeETH }},
	{"headrace_pool_full", "1 while the engine's pool has no room for transactions.", gauge, func(v *view) float64 { return truth(!v.seq.Pool.FullSince.IsZero()) }},
	{"headrace_pool_refused_transactions_total", "Transactions for which the engine's pool had no room.", counter, func(v *view) float64 { return float64(v.seq.Pool.Refused) }},
	{"headrace_pool_dropped_transactions_total", "Transactions that waited in the engine's pool, and were larger than a block holds now.", counter, func(v *view) float64 { return float64(v.seq.Pool.Dropped) }},

	{"headrace_proposed_blob_gas_total", "Gas of the blobs of proposals that this node has sent.", counter, func(v *view) float64 { return float64(v.proposed().Blobs.BlobGas) }},
	{"headrace_http_waiters", "Requests of /v1/wait that wait now.", gauge, func(v *view) float64 { return float64(v.serving.Waiters) }},
	{"headrace_http_streams", "Streams of /v1/events that are open now.", gauge, func(v *view) float64 { return float64(v.serving.Streams) }},
}

func (v *view) peers() (n float64) {
	for i := range v.gossip.Peers {
		n += truth(v.gossip.Peers[i].Connected)
	}
	return n
}

func (v *view) lag() float64 {
	since := v.m.announced.Waiting()
	if v.Source.Lag == 0 || since.IsZero() {
		return 0
	}
	return max(v.now.Sub(since), 0).Seconds()
}

func (v *view) blockTime() float64 {
	d, _ := time.ParseDuration(v.Source.BlockTime) // else it is not known, or there is none
	return d.Seconds()
}

func (v *view) reorgs() float64 {
	if v.Proposal == nil {
		return 0
	}
	return float64(v.Proposal.Reorgs)
}

func (v *view) proposal() float64 {
	if v.Proposal == nil {
		return 0
	}
	return float64(v.Proposal.ID)
}

func (v *view) flight() float64 {
	if v.seq.Flight == nil {
		return 0
	}
	return max(v.now.Sub(v.seq.Flight.Since), 0).Seconds()
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// unix is 0 for the zero time.
func unix(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixNano()) / 1e9
}

// labelled is a figure for each value of its labels.
type labelled struct {
	name, help string
	kind       prometheus.ValueType
	labels     []string
	each       func(v *view, tell func(value float64, labels ...string))
}

// endpointsShown bounds the endpoints that have series of their own.
const endpointsShown = 6

var labelledFigures = []labelled{
	{"headrace_info", "Which program the node is of, and what it does: always 1.", gauge, []string{"version", "mode"}, func(v *view, tell func(float64, ...string)) {
		tell(1, v.Version, v.Mode)
	}},
	{"headrace_waiting_seconds", "How long something has stood in the way at a stage of docs/READINESS.md; 0: nothing does.", gauge, []string{"stage"}, (*view).stages},
	{"headrace_head_height", "The rollup's heads.", gauge, []string{"head"}, func(v *view, tell func(float64, ...string)) {
		tell(float64(v.Heads.Unsafe.Height), "unsafe")
		tell(float64(v.Heads.Safe.Height), "safe")
		tell(float64(v.Heads.Finalized.Height), "finalized")
	}},
	{"headrace_head_made_timestamp_seconds", "When the block at a head was made, by its header.", gauge, []string{"head"}, func(v *view, tell func(float64, ...string)) {
		tell(unix(v.Chain.UnsafeMadeAt), "unsafe")
		tell(unix(v.Chain.SafeMadeAt), "safe")
	}},
	{"headrace_head_changed_timestamp_seconds", "Since when a head is where it is, at the most since the start.", gauge, []string{"head"}, func(v *view, tell func(float64, ...string)) {
		tell(unix(v.Chain.UnsafeAt), "unsafe")
		tell(unix(v.Chain.SafeAt), "safe")
	}},
	{"headrace_source_items_total", "Heights of the source that were applied, as they were pushed (inline) or fetched.", counter, []string{"way"}, func(v *view, tell func(float64, ...string)) {
		tell(float64(v.Counts.InlineItems), "inline")
		tell(float64(v.Counts.FetchedItems), "fetched")
	}},
	{"headrace_blocks_total", "Blocks of the rollup, by what became of them here.", counter, []string{"outcome"}, func(v *view, tell func(float64, ...string)) {
		tell(float64(v.Counts.Executed), "executed")
		tell(float64(v.Counts.Promoted), "promoted")
		tell(float64(v.Counts.Replayed), "replayed")
		tell(float64(v.Counts.Produced), "produced")
		tell(float64(v.Counts.Offered), "offered")
		tell(float64(v.Counts.RevertedUnsafe), "reverted")
		tell(float64(v.Counts.Demoted), "demoted")
		tell(float64(v.Counts.Dropped), "dropped")
	}},
	{"headrace_pending_halves", "Halves of blocks that wait for their other half or their parent.", gauge, []string{"half"}, func(v *view, tell func(float64, ...string)) {
		tell(float64(v.Pending.Headers), "header")
		tell(float64(v.Pending.Data), "data")
	}},
	{"headrace_proposed_total", "Proposals that this node has sent, by where their content went.", counter, contentLabel, perContent(func(p *node.Proposals) float64 { return float64(p.Proposals) })},
	{"headrace_proposed_blocks_total", "Blocks of the rollup in them.", counter, contentLabel, perContent(func(p *node.Proposals) float64 { return float64(p.Blocks) })},
	{"headrace_proposed_bytes_total", "Bytes of their payloads.", counter, contentLabel, perContent(func(p *node.Proposals) float64 { return float64(p.Bytes) })},
	{"headrace_proposed_gas_total", "Gas of their transactions, those that were reverted too, without that of blobs.", counter, contentLabel, perContent(func(p *node.Proposals) float64 { return float64(p.Gas) })},
	{"headrace_proposed_cost_eth_total", "What they have cost, in ETH.", counter, contentLabel, perContent(func(p *node.Proposals) float64 { return p.CostETH })},
	{"headrace_skipped_blobs_total", "Blobs in the chain's namespaces that were not the chain's, by reason.", counter, []string{"reason"}, (*view).skipped},
	{"headrace_endpoint_up", "1 while the last thing asked of an endpoint was answered.", gauge, endpointLabels, perEndpoint(func(e *node.Endpoint) float64 { return truth(e.Healthy) })},
	{"headrace_endpoint_live", "1 while an endpoint is subscribed to, and news has come.", gauge, endpointLabels, perEndpoint(func(e *node.Endpoint) float64 { return truth(e.Live) })},
	{"headrace_endpoint_polling", "1 while an endpoint's news comes by polling, for want of a WebSocket.", gauge, endpointLabels, perEndpoint(func(e *node.Endpoint) float64 { return truth(e.Mode == "polling") })},
	{"headrace_endpoint_lag_heights", "Heights that an endpoint is behind the best one.", gauge, endpointLabels, perEndpoint(func(e *node.Endpoint) float64 { return float64(e.Lag) })},
	{"headrace_endpoint_calls_total", "Calls of an endpoint that were answered, or failed.", counter, endpointLabels, perEndpoint(func(e *node.Endpoint) float64 { return float64(e.Calls) })},
	{"headrace_endpoint_errors_total", "Calls that failed in a way that speaks against the endpoint.", counter, endpointLabels, perEndpoint(func(e *node.Endpoint) float64 { return float64(e.Errors) })},
}

// proposed is what proposals came to.
func (v *view) proposed() *node.Posted {
	if v.seq.Posted == nil {
		return new(node.Posted)
	}
	return v.seq.Posted
}

// forced is what waits in the forced queue.
func (v *view) forced() *node.ForcedQueue {
	if v.seq.Forced == nil {
		return new(node.ForcedQueue)
	}
	return v.seq.Forced
}

// contentLabel is where the content of proposals went.
var contentLabel = []string{"content"}

// perContent tells a value of each place; 0 of a node that proposes to no inbox.
func perContent(of func(*node.Proposals) float64) func(*view, func(float64, ...string)) {
	return func(v *view, tell func(float64, ...string)) {
		p := v.proposed()
		tell(of(&p.CallData), "calldata")
		tell(of(&p.Blobs), "blobs")
	}
}

// endpointLabels are the address, without what is secret in it, and what the endpoint is used for.
var endpointLabels = []string{"endpoint", "role"}

// perEndpoint tells a value of each endpoint, as the configuration names them.
func perEndpoint(of func(*node.Endpoint) float64) func(*view, func(float64, ...string)) {
	return func(v *view, tell func(float64, ...string)) {
		all := v.Source.Endpoints
		if v.Unsafe != nil {
			all = append(all[:len(all):len(all)], v.Unsafe.From...)
		}
		for i := range all[:min(len(all), endpointsShown)] {
			tell(of(&all[i]), all[i].Address, all[i].Role)
		}
	}
}

func (v *view) stages(tell func(float64, ...string)) {
	waits := map[follow.Stage]float64{}
	for _, w := range v.Waiting {
		waits[w.Stage] = max(waits[w.Stage], v.now.Sub(w.Since).Seconds())
	}
	for _, s := range follow.Stages() {
		tell(waits[s], s.String())
	}
}

func (v *view) skipped(tell func(float64, ...string)) {
	counts, ok := v.Skipped.(interface{ Each(func(string, uint64)) })
	if !ok {
		return
	}
	counts.Each(func(reason string, n uint64) { tell(float64(n), reason) })
}

// statusFigures collects what is read from the status.
type statusFigures struct{ m *Metrics }

// The descriptions of figures and of labelledFigures, in their order.
var figureDescs, labelledDescs = func() (plain, with []*prometheus.Desc) {
	for _, f := range figures {
		plain = append(plain, prometheus.NewDesc(f.name, f.help, nil, nil))
	}
	for _, f := range labelledFigures {
		with = append(with, prometheus.NewDesc(f.name, f.help, f.labels, nil))
	}
	return plain, with
}()

// Describe implements prometheus.Collector.
func (c *statusFigures) Describe(to chan<- *prometheus.Desc) {
	for _, d := range figureDescs {
		to <- d
	}
	for _, d := range labelledDescs {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (c *statusFigures) Collect(to chan<- prometheus.Metric) {
	n := c.m.node.Load()
	if n == nil {
		return
	}
	s := n.Status().Load()
	v := &view{Status: &s, m: c.m, serving: n.Serving(), now: time.Now()}
	if s.Peers != nil {
		v.gossip = *s.Peers
	}
	if s.Stream != nil {
		v.stream = *s.Stream
	}
	if s.Sequencer != nil {
		v.seq = *s.Sequencer
	}
	for i, f := range figures {
		to <- prometheus.MustNewConstMetric(figureDescs[i], f.kind, f.of(v))
	}
	for i, f := range labelledFigures {
		f.each(v, func(value float64, labels ...string) {
			for i := range labels {
				labels[i] = strings.ToValidUTF8(labels[i], "?")
			}
			to <- prometheus.MustNewConstMetric(labelledDescs[i], f.kind, value, labels...)
		})
	}
}
