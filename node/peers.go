package node

import (
	"time"

	"headrace/block"
	"headrace/follow"
)

// CheckHeader says whether the block with this header, as block.SignedHeader encodes it, would be taken now, and returns
// it: the gate is asked first, then the signatures count, and nothing is kept. Its errors are those of Offer, and
// ErrStranger, which is an ErrForged too, for one that does not even say that it is of this chain and its proposer. What
// the header names by its DataHash has to be compared by who has that.
func (n *Node) CheckHeader(header []byte) (*block.SignedHeader, error) {
	offers := n.at.Load().up.offers
	if offers == nil {
		return nil, errNoOffers
	}
	return offers.CheckHeader(header)
}

// peered is a BlockSource that has peers.
type peered interface{ Peers() Peers }

// Peers is what a node knows of those that it gossips with.
type Peers struct {
	ID        string         `json:"id"`               // of this host
	Addresses []string       `json:"addresses"`        // where it is reached, as its peers' settings have it
	Head      block.Ref      `json:"head"`             // the highest head of the peers that are there
	Waiting   follow.Waiting `json:"waiting,omitzero"` // why what peers have is not taken, if it is not
	Peers     []Peer         `json:"peers"`            // that are there, are in the settings, or were left a short while ago
	Counts    PeerCounts     `json:"counts"`
}

// Peer is what is known of one.
type Peer struct {
	ID        string    `json:"id"`
	Address   string    `json:"address,omitempty"`
	Connected bool      `json:"connected"`
	Since     time.Time `json:"since,omitzero"`      // it is connected
	Head      block.Ref `json:"head"`                // the highest block that it has told of
	Score     float64   `json:"score"`               // by gossipsub: below 0 it has faults
	Faults    float64   `json:"faults"`              // by weight; they fade
	Left      time.Time `json:"left_until,omitzero"` // it had too many, and is kept out until then
	Cause     string    `json:"cause,omitempty"`     // of the last fault, or why it is not there
}

// PeerCounts count since the start of the process.
type PeerCounts struct {
	Received  uint64 `json:"received"`  // blocks from peers, each at its first coming
	Ignored   uint64 `json:"ignored"`   // blocks that were late, known, or not this chain's
	Forged    uint64 `json:"forged"`    // messages that are no block of the proposer's
	Taken     uint64 `json:"taken"`     // blocks that were offered to the node, and not refused
	Published uint64 `json:"published"` // blocks of this node
	Asked     uint64 `json:"asked"`     // requests to peers
	Answered  uint64 `json:"answered"`  // requests of peers
	Faults    uint64 `json:"faults"`    // of peers
	Left      uint64 `json:"left"`      // peers that had too many
}

// peers is what the status says of them; nil without gossip.
func (n *Node) peers() *Peers {
	for _, s := range n.sources {
		if p, ok := s.(peered); ok {
			peers := p.Peers()
			return &peers
		}
	}
	return nil
}
