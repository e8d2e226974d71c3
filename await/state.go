package await

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// State is what a running node has said of itself, as one consistent snapshot.
type State struct {
	Ready     bool
	Reason    string          // why it is not
	StartedAt time.Time       // when the node was started; zero if that was not said
	Block     *Ref            // at the height that was waited for
	Raw       json.RawMessage // all that was said: of /v1/wait the answer, of a stream the status
	progress  Progress
}

// Progress is what the node has reached. Earlier is empty: the node itself looks there.
func (s State) Progress() Progress { return s.progress }

func (s State) String() string {
	text := s.progress.String()
	if s.progress.Finalized != s.progress.Safe {
		text += ", finalized head " + describeRef(s.progress.Finalized)
	}
	if !s.Ready {
		text += ", not ready"
		if s.Reason != "" {
			text += ": " + s.Reason
		}
	}
	return text
}

// text is the state in an error; "" if nothing has been said.
func (s State) text() string {
	if s.Raw == nil {
		return ""
	}
	return s.String()
}

// readState reads an answer of /v1/wait, or a status.
func readState(raw []byte) (s State, err error) {
	var said struct {
		Ready     bool      `json:"ready"`
		Reason    string    `json:"reason"`
		StartedAt time.Time `json:"started_at"`
		Block     *Ref      `json:"block"`
		Heads     struct {
			Unsafe    Ref `json:"unsafe"`
			Safe      Ref `json:"safe"`
			Finalized Ref `json:"finalized"`
		} `json:"heads"`
		Position *Ref `json:"position"` // of an answer
		Source   struct {
			Position Ref `json:"position"` // of a status
		} `json:"source"`
		Proposal struct {
			ID   uint64 `json:"id"`
			L1   Ref    `json:"l1"`
			Tx   Hash   `json:"tx"`
			L2   Ref    `json:"l2"`
			Void string `json:"void"`
		} `json:"proposal"`
	}
	if err := json.Unmarshal(raw, &said); err != nil {
		return s, err
	}
	if said.Position == nil {
		said.Position = &said.Source.Position
	}
	h := said.Heads
	return State{
		Ready: said.Ready, Reason: said.Reason, StartedAt: said.StartedAt, Block: said.Block, Raw: raw,
		progress: Progress{Unsafe: h.Unsafe, Safe: h.Safe, Finalized: h.Finalized, Scanned: *said.Position, Proposal: Proposed(said.Proposal)},
	}, nil
}

// Block is a block as a node's stream tells of it.
type Block struct {
	Height     uint64    `json:"height"`
	Hash       Hash      `json:"hash"`
	ParentHash Hash      `json:"parent_hash"`
	Time       time.Time `json:"time"`
	Txs        int       `json:"txs"`
	StateRoot  string    `json:"state_root"`
	Safe       bool      `json:"safe"`
}

// Ref names the block.
func (b Block) Ref() Ref { return Ref{Height: b.Height, Hash: b.Hash} }

// Reorg says that the blocks above To are void, or, to a reader of safe blocks, not safe any more. What follows replaces
// them, and may repeat some.
type Reorg struct {
	From Ref `json:"from"` // the last one that was told of
	To   Ref `json:"to"`   // the last one that still holds
}

// Event is one event of a node's stream. At most one of Block, Reorg and State is there, by its Kind.
type Event struct {
	Kind  string          // "block", "reorg", "status", or what a newer node tells of
	ID    string          // to go on after it; "": what came before has it
	Data  json.RawMessage // all that was told
	Block *Block
	Reorg *Reorg
	State *State
}

// read fills in what the data of a known kind says.
func (e *Event) read() (err error) {
	switch e.Kind {
	case "block":
		e.Block, err = readBlock(e.Data)
	case "reorg":
		e.Reorg = new(Reorg)
		err = json.Unmarshal(e.Data, e.Reorg)
	case "status":
		e.State = new(State)
		*e.State, err = readState(e.Data)
	}
	if err != nil {
		return final(fmt.Errorf("read %s event: %w", e.Kind, err))
	}
	return nil
}

// readBlock reads a block as an event has it, in short or whole. A whole one has the transactions, the engine's own too, in
// the place of their number.
func readBlock(raw []byte) (*Block, error) {
	var said struct {
		Block
		Txs    json.RawMessage   `json:"txs"`
		Hashes []json.RawMessage `json:"tx_hashes"` // of those that are not the engine's own
	}
	err := json.Unmarshal(raw, &said)
	switch {
	case err != nil || said.Txs == nil:
	case said.Txs[0] == '[':
		said.Block.Txs = len(said.Hashes)
	default:
		err = json.Unmarshal(said.Txs, &said.Block.Txs)
	}
	return &said.Block, err
}

// place is the last block that a stream has told of.
type place struct {
	at    Ref // a zero hash: not known
	known bool
}

// placeOf is where an event id stands.
func placeOf(id string) (p place) {
	height, rest, _ := strings.Cut(id, "-")
	hash, _, _ := strings.Cut(rest, "-")
	if _, err := fmt.Sscanf(height, "%d", &p.at.Height); err == nil {
		p.known = true
		_ = p.at.Hash.UnmarshalText([]byte(hash)) // one that cannot be read is not known
	}
	return p
}

// next moves on to an event's block, and refuses one that repeats, leaves out or goes back without saying so.
func (p *place) next(e *Event) error {
	switch at := p.at; {
	case e.Reorg != nil:
		if p.known && e.Reorg.To.Height > at.Height {
			return fmt.Errorf("the stream goes back to block %d after block %d", e.Reorg.To.Height, at.Height)
		}
		p.at, p.known = e.Reorg.To, true
	case e.Block != nil:
		b := e.Block
		if p.known && (b.Height != at.Height+1 || !at.Hash.IsZero() && b.ParentHash != at.Hash) {
			return fmt.Errorf("the stream has block %s after block %s", describeRef(b.Ref()), describeRef(at))
		}
		p.at, p.known = b.Ref(), true
	}
	return nil
}
