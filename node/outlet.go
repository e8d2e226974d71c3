package node

import (
	"context"
	"time"

	"headrace/await"
	"headrace/block"
)

// Outlet takes a node's blocks elsewhere, as the publisher of a stream does. It reads Node.Blocks, at its own pace: it
// holds nothing up, and what becomes of it is no business of the chain.
type Outlet interface {
	// Run takes a node's blocks until ctx ends. An error ends the node.
	Run(ctx context.Context, from *Node) error
	// Streaming says where it stands, for the status. It is called whenever that is made: when the chain goes on, and
	// after Node.Refresh.
	Streaming() Stream
}

// Stream is what a node knows of the stream that its blocks are published in.
type Stream struct {
	Name     string       `json:"name"`     // of the stream
	Server   string       `json:"server"`   // where it is, without what is secret in the address
	Head     string       `json:"head"`     // up to which head blocks are published: safe or finalized
	State    StreamState  `json:"state"`    // what the publisher does
	Cause    string       `json:"cause"`    // why nothing is published; empty while all is well
	Since    time.Time    `json:"since"`    // when the state has changed last
	At       block.Ref    `json:"at"`       // the block at which the stream stands, as far as this node knows; zeros: it is empty, or was not reached yet
	Sequence uint64       `json:"sequence"` // of the stream's last message
	Lag      uint64       `json:"lag"`      // blocks between that and the head
	Counts   StreamCounts `json:"counts"`
}

// StreamState is what a publisher does.
type StreamState string

// The states of a publisher.
const (
	StreamConnecting StreamState = "connecting" // no server has been reached since the start
	StreamPublishing StreamState = "publishing" // all is well
	StreamWaiting    StreamState = "waiting"    // for this node or another one to get on: this one has nothing that could follow
	StreamFailing    StreamState = "failing"    // the server is away, or refuses; it is tried again
	StreamStopped    StreamState = "stopped"    // another node has published another block as final: somebody has to find out which one is right
)

// StreamCounts count since the start of the process.
type StreamCounts struct {
	Published uint64 `json:"published"` // messages that this node has brought into the stream
	Reorgs    uint64 `json:"reorgs"`    // of them, that took blocks back
	Refused   uint64 `json:"refused"`   // attempts that were vain because another publisher was faster, or the chain or the stream had changed
	Errors    uint64 `json:"errors"`    // failures that made it try again
}

// Oldest returns the height of the lowest block that the node keeps, or will have.
func (n *Node) Oldest() uint64 { return n.at.Load().store.State().Oldest }

// Served returns the block as /v1/blocks serves it, with the hashes of its transactions.
func (d *Delivered) Served() Block { return d.hashed() }

// runOutlets are what runs for the outlets.
func (n *Node) runOutlets() (parts []func(context.Context) error) {
	for _, o := range n.opt.Outlets {
		parts = append(parts, func(ctx context.Context) error { return o.Run(ctx, n) })
	}
	return parts
}

// stream is what the status says of the first outlet; nil without one.
func (n *Node) stream(s *Status) *Stream {
	if len(n.opt.Outlets) == 0 {
		return nil
	}
	of := n.opt.Outlets[0].Streaming()
	head := s.Heads.Safe.Height
	if of.Head == await.Finalized.String() {
		head = s.Heads.Finalized.Height
	}
	if head > of.At.Height && s.Heads.Safe.Hash != (block.Hash{}) {
		of.Lag = head - of.At.Height
	}
	return &of
}
