package devnet

import (
	"context"
	"encoding/hex"
	"fmt"
	"time"
)

// Report is how a devnet has done: what `headrace dev --json` prints.
type Report struct {
	OK            bool         `json:"ok"`     // every node has the same block and state at the height compared
	Blocks        uint64       `json:"blocks"` // that every full node has applied
	Nodes         []NodeReport `json:"nodes"`  // the sequencer first
	LatencyMS     Percentiles  `json:"latency_ms"`
	EarlyMS       Percentiles  `json:"early_ms"`        // how long before the DA layer announced a block it was there, as an unsafe one
	FetchesAtHead uint64       `json:"fetches_at_head"` // requests for content by the full nodes since each has reached the DA layer's head
	Problem       string       `json:"problem,omitempty"`
}

// NodeReport is one node's block at the height compared.
type NodeReport struct {
	Height    uint64 `json:"height"`
	Hash      string `json:"hash"`
	StateRoot string `json:"state_root"`
}

// Settle waits until every node has the highest block that is safe on any of them, and then compares all nodes there. It
// waits for at most five block times of the DA layer or L1 and half a minute. Call it while Run runs.
func (m *members) Settle(ctx context.Context) Report {
	ctx, cancel := context.WithTimeout(ctx, 5*m.pace+30*time.Second)
	defer cancel()
	var target uint64
	for _, each := range m.nodes {
		target = max(target, each.Status().Load().Heads.Safe.Height)
	}
	var r Report
	r.Blocks, r.LatencyMS, r.EarlyMS = m.latency.summary()
	for i, each := range m.nodes {
		if _, err := each.Wait(ctx, target); err != nil && r.Problem == "" {
			r.Problem = fmt.Sprintf("%s has not reached height %d: %v", m.Name(i), target, err)
		}
		if i > 0 {
			r.FetchesAtHead += each.FetchesAtHead()
		}
		r.Nodes = append(r.Nodes, m.at(i, target))
		if got, want := r.Nodes[i], r.Nodes[0]; got != want && r.Problem == "" {
			r.Problem = fmt.Sprintf("%s has block %s with state %s at height %d, %s has block %s with state %s at %d", m.Name(i), got.Hash, got.StateRoot, got.Height, m.Name(0), want.Hash, want.StateRoot, want.Height)
		}
	}
	if target == 0 && r.Problem == "" {
		r.Problem = "no block was made in this time"
	}
	r.OK = r.Problem == ""
	return r
}

// at describes node i's block at height, or the zero report if it has none.
func (m *members) at(i int, height uint64) NodeReport {
	b, err := m.nodes[i].Block(height)
	if err != nil {
		return NodeReport{}
	}
	return NodeReport{Height: b.Height, Hash: b.Hash, StateRoot: hex.EncodeToString(b.StateRoot)}
}
