package compact

import (
	"fmt"
	"time"

	"headrace/exec"
	"headrace/l1"
)

// Explained is what a payload says by itself, without the block that it builds on.
type Explained struct {
	Length    int      `json:"length"`  // of the payload in bytes, as posted
	Packing   string   `json:"packing"` // stored or zstd
	Size      int      `json:"size"`    // of the body in bytes
	PublicKey []byte   `json:"public_key"`
	Signature []byte   `json:"signature"` // of the last header
	Columns   []Column `json:"columns"`
	Blocks    []Block  `json:"blocks"`
}

// Column is what a column takes.
type Column struct {
	Name  string `json:"name"`
	Bytes int    `json:"bytes"` // of the body
}

// Block is one block of a payload.
type Block struct {
	After   time.Duration `json:"after_ns"`           // the block before; of the chain's first one, since 1970
	Sealed  bool          `json:"sealed"`             // the engine's own first transaction is written by its codec, beside Txs
	AppHash []byte        `json:"app_hash,omitempty"` // if it is written
	Txs     [][]byte      `json:"txs"`
}

// Explain reads of a payload what can be known without its parent, for people. Whether it is a good one is not decided:
// see Decode. Every error is an l1.ErrContent.
func Explain(payload []byte) (e Explained, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("%w: %w", l1.ErrContent, err)
		}
	}()
	p, err := parse(payload)
	if err != nil {
		return e, err
	}
	e.Length, e.Packing, e.Size = p.length, packings[p.packing], p.size
	body, err := unframe(payload)
	if err != nil {
		return e, err
	}
	o, err := open(body)
	if err != nil {
		return e, err
	}
	e.PublicKey, e.Signature = o.PubKey, o.Signature
	if len(o.columns) < int(ownColumns) {
		return e, fmt.Errorf("%d columns, want %d at least", len(o.columns), int(ownColumns))
	}
	for i, col := range o.columns {
		name := fmt.Sprintf("engine's %d", i-int(ownColumns)+1)
		if i < int(ownColumns) {
			name = ownNames[i]
		}
		e.Columns = append(e.Columns, Column{Name: name, Bytes: len(col)})
	}
	c := &exec.Columns{Cols: o.columns}
	txs, memory := txReader{c: c}, len(body)
	for range o.Blocks {
		w, err := readWritten(c, &txs, MaxMemory-memory)
		if err != nil {
			return e, fmt.Errorf("block %d of %d: %w", len(e.Blocks)+1, o.Blocks, err)
		}
		memory += cost(w.txs[1:])
		e.Blocks = append(e.Blocks, Block{After: time.Duration(w.after), Sealed: w.flags&sealed != 0, AppHash: w.appHash, Txs: w.txs[1:]})
	}
	return e, nil
}
