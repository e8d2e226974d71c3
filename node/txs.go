package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"headrace/await"
	"headrace/block"
	"headrace/exec"
	"headrace/internal/store"
)

// Tx is a transaction that is in a block.
type Tx struct {
	Hash      block.Hash      `json:"hash"` // Ethereum's, on an EVM chain; else SHA-256 of its bytes
	Block     block.Ref       `json:"block"`
	Time      time.Time       `json:"time"`                 // of the block, by its header
	Index     int             `json:"index"`                // among the block's transactions, without the engine's own
	Head      string          `json:"head"`                 // the strongest one that the block is up to: unsafe, safe or finalized
	Again     []TxPlace       `json:"again,omitempty"`      // where else it is, of an engine that executes it each time; the first few
	Receipt   json.RawMessage `json:"receipt,omitempty"`    // what became of it, of an engine that keeps that
	NoReceipt string          `json:"no_receipt,omitempty"` // why there is none, of such an engine
}

// TxPlace is where in the chain a transaction is once more.
type TxPlace struct {
	Height uint64 `json:"height"`
	Index  int    `json:"index"`
}

// ErrNoTxs is what an error matches of a node whose index.txs is none.
var ErrNoTxs = await.ErrNoTxs

// mostPlaces is how many places of a transaction are looked at: a stranger can have made any number.
const mostPlaces = 16

// FindTx returns where a transaction is, if it is in a block up to the head: its first place. The receipt is left out.
func (n *Node) FindTx(hash block.Hash, head await.Label) (tx Tx, ok bool, err error) {
	return n.at.Load().findTx(hash, head)
}

// openIndex has the store index what is appended, if it is to.
func (o *opened) openIndex() error {
	if o.opt.Config.Index.indexesTxs() {
		o.store.IndexTxs(o.executed)
	}
	return nil
}

// executed returns the hashes of the transactions of a block that the engine has executed: a zero one of each that it has
// skipped, which is not in the block for whoever looks for it.
func (o *opened) executed(b *block.Block) ([]block.Hash, error) {
	hashes := exec.TxHashes(o.engine, b.Data.Txs)
	skipped, err := exec.Skipped(o.engine, b)
	for i := range min(len(skipped), len(hashes)) {
		if skipped[i] {
			hashes[i] = block.Hash{}
		}
	}
	return hashes, err
}

func (o *opened) findTx(hash block.Hash, head await.Label) (tx Tx, ok bool, err error) {
	if !o.opt.Config.Index.indexesTxs() {
		return tx, false, ErrNoTxs
	}
	for { // until nothing has come between the reads
		st := o.store.State()
		places, err := o.store.Places(hash, mostPlaces)
		if err != nil || len(places) == 0 || places[0].Height > headOf(&st, head).Height {
			return tx, false, err
		}
		rec, err := o.store.Block(places[0].Height)
		if now := o.store.State(); headsOf(&now) != headsOf(&st) {
			continue
		}
		if err != nil {
			return tx, false, err
		}
		tx = Tx{Hash: hash, Block: rec.Block.Ref(), Time: rec.Block.Made().UTC(), Index: int(places[0].Index), Head: strongest(headsOf(&st), places[0].Height)}
		for _, p := range places[1:] {
			tx.Again = append(tx.Again, TxPlace{p.Height, int(p.Index)})
		}
		return tx, true, nil
	}
}

func headsOf(st *store.State) Heads {
	return Heads{Unsafe: st.Unsafe, Safe: st.Safe, Finalized: st.Finalized}
}

func headOf(st *store.State, head await.Label) block.Ref { return headsOf(st).of(head) }

// strongest names the strongest head that a block at this height, of the chain, is up to.
func strongest(h Heads, height uint64) string {
	for _, l := range []await.Label{await.Finalized, await.Safe} {
		if height <= h.of(l).Height {
			return l.String()
		}
	}
	return await.Unsafe.String()
}

// addReceipt adds what the engine says became of a transaction in this very block, if it keeps that.
func (n *Node) addReceipt(ctx context.Context, tx *Tx) {
	o := n.at.Load()
	r, ok := o.engine.(exec.Receipter)
	if !ok {
		return
	}
	select { // what is asked for here costs another process's time
	case n.receipts <- struct{}{}:
		defer func() { <-n.receipts }()
	case <-ctx.Done():
		tx.NoReceipt = context.Cause(ctx).Error()
		return
	}
	rec, err := o.store.Block(tx.Block.Height)
	if err == nil && rec.Block.Hash() != tx.Block.Hash {
		err = errors.New("its block has been reverted since")
	}
	if err == nil {
		tx.Receipt, err = r.Receipt(ctx, rec.Block, tx.Hash)
	}
	if err != nil {
		tx.NoReceipt = err.Error()
	}
}

// maxReceipts bounds the receipts that the engine is asked for at the same time.
const maxReceipts = 16

// parseTxHash reads a transaction's hash, with 0x before it or without.
func parseTxHash(s string) (hash block.Hash, err error) {
	if hash.UnmarshalText([]byte(strings.TrimPrefix(strings.ToLower(s), "0x"))) != nil {
		return hash, fmt.Errorf("%q is not a transaction's hash: 64 hexadecimal digits, with 0x or without", s)
	}
	return hash, nil
}

// unknownTx says that a transaction was not found, or that nobody can tell. from is the height from which on the index
// is whole, or 0 if all blocks that are here are in it.
func (o *opened) unknownTx(hash block.Hash) (code string, from uint64, err error) {
	from, oldest := o.store.TxsFrom(), o.store.State().Oldest
	but := ""
	if _, skips := o.engine.(exec.Skipper); skips {
		but = "; one in which the engine has skipped it does not count"
	}
	if from <= oldest {
		return "not_found", 0, fmt.Errorf("transaction %s is in no block here, yet or any more%s", hash, but)
	}
	return "not_indexed", from, fmt.Errorf("transaction %s is in no block from height %d on: those before, from %d on, were stored without an index%s", hash, from, oldest, but)
}

func (n *Node) getTx(w http.ResponseWriter, r *http.Request) {
	hash, err := parseTxHash(r.PathValue("hash"))
	if err != nil {
		fail(w, http.StatusBadRequest, err)
		return
	}
	o := n.at.Load()
	switch tx, ok, err := o.findTx(hash, await.Unsafe); {
	case errors.Is(err, ErrNoTxs):
		fail(w, http.StatusNotImplemented, err)
	case err != nil:
		fail(w, http.StatusInternalServerError, err)
	case !ok:
		code, from, err := o.unknownTx(hash)
		reply(w, http.StatusNotFound, notFound{err.Error(), code, from})
	default:
		n.addReceipt(r.Context(), &tx)
		w.Header().Set("Cache-Control", "no-store")
		reply(w, http.StatusOK, tx)
	}
}

// notFound is the answer for a transaction that is not there.
type notFound struct {
	Error       string `json:"error"`
	Code        string `json:"code"`                   // not_found, or not_indexed: it may be in a block that was stored without an index
	IndexedFrom uint64 `json:"indexed_from,omitempty"` // with not_indexed, the height from which on blocks are in the index
}
