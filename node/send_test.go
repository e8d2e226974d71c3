package node_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/ethereum/go-ethereum/core/types"

	"headrace/await"
	"headrace/block"
	"headrace/internal/disk/disktest"
	"headrace/internal/nettest"
	"headrace/node"
)

// txHash is the hash of a transaction of the key-value engine.
func txHash(tx string) string {
	h := sha256.Sum256([]byte(tx))
	return hex.EncodeToString(h[:])
}

// sendTo posts a transaction, and wants a status.
func sendTo(t *testing.T, n *running, query, tx string, want int) (got node.Sent) {
	t.Helper()
	code, body := ask(t, n, http.MethodPost, "/v1/txs?"+query, tx)
	if code != want {
		t.Fatalf("POST /v1/txs?%s: got %d %s, want %d", query, code, body, want)
	}
	decode(t, body, &got)
	return got
}

// wantAt checks that a transaction is where an answer says, by another node's chain, and was sent before.
func wantAt(t *testing.T, sent node.Sent, tx string, by *running) {
	t.Helper()
	at := sent.Tx
	if at == nil || sent.Hash.String() != txHash(tx) || at.Hash != sent.Hash || !sent.Accepted || sent.Result != "reached" || at.Block.Height <= sent.Above.Height {
		t.Fatalf("%s: got %+v with %+v, want it reached above block %d", tx, sent, at, sent.Above.Height)
	}
	by.until(t, "level", func(s node.Status) bool { return s.Heads.Safe.Height >= at.Block.Height })
	b, err := by.Block(at.Block.Height)
	if err != nil || b.Hash != at.Block.Hash.String() || at.Index >= len(b.Txs) || string(b.Txs[at.Index]) != tx || b.TxHashes[at.Index] != at.Hash || !b.Time.Equal(at.Time) {
		t.Errorf("%s: got %+v, and that block has %q (%v)", tx, at, b.Txs, err)
	}
}

// Who sends is answered when it is in a block up to the head asked for; everybody finds it by its hash, on every node.
func TestSendAndWait(t *testing.T) {
	t.Parallel()
	d, _ := daLayer(t, "127.0.0.1:0", "", 30*time.Millisecond)
	c := newChain(t, "send")
	seq, full := start(t, c.sequencer(t, d.URL(), 10*time.Millisecond)), start(t, c.full(t, d.URL()))
	if got := sendTo(t, seq, "", "a=0", http.StatusAccepted); got.Hash.String() != txHash("a=0") || !got.Accepted || got.Result != "" {
		t.Errorf("got %+v, want the hash", got)
	}
	for _, head := range []string{"unsafe", "safe", "finalized"} {
		sent := sendTo(t, seq, "timeout=1m&wait="+head, "a="+head, http.StatusOK)
		wantAt(t, sent, "a="+head, full)
		if sent.Head != head || sent.Tx.Head == "unsafe" && head != "unsafe" {
			t.Errorf("got %+v, want head %s", sent, head)
		}
	}
	sent, err := seq.Send(bounded(t), []byte("b=1"), await.Safe)
	if err != nil {
		t.Fatal(err)
	}
	wantAt(t, sent, "b=1", full)
	for _, n := range []*running{seq, full} {
		var tx node.Tx
		decode(t, wantStatus(t, n, "/v1/txs/0X"+strings.ToUpper(sent.Hash.String()), http.StatusOK), &tx)
		waited := waitFor(t, n, "tx=0x"+sent.Hash.String()+"&head=finalized&timeout=1m", http.StatusOK)
		found, err := await.Tx(bounded(t), n.Node, sent.Hash, await.WithLabel(await.Finalized))
		if err != nil || tx.Block != sent.Tx.Block || tx.Index != sent.Tx.Index || tx.Head == "unsafe" || waited.Tx == nil || waited.Tx.Block != tx.Block || found.Block != tx.Block {
			t.Errorf("got %+v, %+v and %+v, %v, want %+v", tx, waited.Tx, found, err, sent.Tx)
		}
	}
	for query, says := range map[string]string{
		"wait=soon": "safe, unsafe or finalized", "timeout=3s": "timeout goes with wait", "wait=safe&timeout=soon": "neither a duration", "weit=safe": "no parameter weit",
	} {
		if code, body := ask(t, seq, http.MethodPost, "/v1/txs?"+query, "never=sent"); code != http.StatusBadRequest || !strings.Contains(body, says) || !strings.Contains(body, `"request"`) {
			t.Errorf("%s: got %d %s, want %q", query, code, body, says)
		}
	}
	if code, body := ask(t, seq, http.MethodPost, "/v1/txs?wait=safe", "no pair"); code != http.StatusBadRequest || !strings.Contains(body, txHash("no pair")) || !strings.Contains(body, `"invalid"`) {
		t.Errorf("got %d %s, want that it is invalid, and its hash", code, body)
	}
	if _, err := full.Send(bounded(t), []byte("a=1"), await.Safe); err == nil || !strings.Contains(err.Error(), "not the sequencer") {
		t.Errorf("got %v of a full node", err)
	}
	for query, says := range map[string]string{"tx=12": "not a transaction's hash", "tx=" + txHash("x") + "&height=1": "one thing at a time", "tx=" + txHash("x") + "&head=best": "safe, unsafe or finalized"} {
		if body := wantStatus(t, full, "/v1/wait?"+query, http.StatusBadRequest); !strings.Contains(body, says) {
			t.Errorf("%s: got %s, want %q", query, body, says)
		}
	}
	if w := waitFor(t, full, "timeout=10ms&tx="+txHash("nobody"), http.StatusGatewayTimeout); !strings.Contains(w.Error, "transaction 0x"+txHash("nobody")) {
		t.Errorf("got %+v, want a time-out that names the transaction", w)
	}
	never, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := await.Tx(never, full.Node, [32]byte{7}); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "safe head") {
		t.Errorf("got %v, want a time-out that says what was seen last", err)
	}
}

// The same bytes sent many times at once are as many transactions, each with its own place.
func TestSendTheSame(t *testing.T) {
	t.Parallel()
	d, _ := daLayer(t, "127.0.0.1:0", "", 30*time.Millisecond)
	c := newChain(t, "same")
	seq, full := start(t, c.sequencer(t, d.URL(), 10*time.Millisecond)), start(t, c.full(t, d.URL()))
	const n = 60
	sent := make([]node.Sent, n)
	var work sync.WaitGroup
	for i := range n {
		if i%5 == 0 { // nobody waits for some
			sendTo(t, seq, "", "n=1", http.StatusAccepted)
		}
		work.Go(func() {
			query := "timeout=1m&wait=" + await.Label(i%3).String()
			code, body := ask(t, seq, http.MethodPost, "/v1/txs?"+query, "n=1")
			if err := json.Unmarshal([]byte(body), &sent[i]); err != nil || code != http.StatusOK {
				t.Errorf("got %d %s", code, body)
			}
		})
	}
	work.Wait()
	places := map[string]bool{}
	for i := range n {
		wantAt(t, sent[i], "n=1", full)
		place := fmt.Sprint(sent[i].Tx.Block, sent[i].Tx.Index)
		if places[place] {
			t.Errorf("two are told place %s", place)
		}
		places[place] = true
	}
	tx := await1(t, full, txHash("n=1"))
	if len(tx.Again) != 15 {
		t.Errorf("got %d more places, want 15", len(tx.Again))
	}
}

func await1(t *testing.T, n *running, hash string) node.Tx {
	t.Helper()
	var h block.Hash
	if err := h.UnmarshalText([]byte(hash)); err != nil {
		t.Fatal(err)
	}
	tx, err := await.Tx(bounded(t), n.Node, h)
	if err != nil {
		t.Fatal(err)
	}
	return tx
}

// The race: it is in a block, and that is known, before anybody begins to wait for it; in process and over HTTP.
func TestIncludedBeforeTheWait(t *testing.T) {
	t.Parallel()
	d, _ := daLayer(t, "127.0.0.1:0", "", 30*time.Millisecond)
	c := newChain(t, "race")
	var n *running
	next := ""
	o := c.sequencer(t, d.URL(), 10*time.Millisecond).Offered(func() {
		at := await1(t, n, txHash(next)) // it is safe by now
		n.until(t, "far beyond", func(s node.Status) bool { return s.Heads.Unsafe.Height > at.Block.Height+3 })
	})
	n = start(t, o)
	full := start(t, c.full(t, d.URL()))
	for i, head := range []await.Label{await.Unsafe, await.Safe, await.Finalized} {
		next = fmt.Sprintf("process=%d", i)
		sent, err := n.Send(bounded(t), []byte(next), head)
		if err != nil {
			t.Fatalf("in the process, %s: %v", head, err)
		}
		wantAt(t, sent, next, full)
		next = fmt.Sprintf("http=%d", i)
		wantAt(t, sendTo(t, n, "timeout=0&wait="+head.String(), next, http.StatusOK), next, full)
	}
}

// When the time is up, the answer says what is known: it is taken, and in no block, or in one that is not safe yet.
func TestSendTimesOut(t *testing.T) {
	t.Parallel()
	d, _ := daLayer(t, "127.0.0.1:0", "", 30*time.Millisecond)
	c := newChain(t, "late")
	o := c.sequencer(t, d.URL(), time.Hour)
	slow := start(t, o)
	slow.until(t, "at its first block", func(s node.Status) bool { return s.Heads.Unsafe.Height == 1 })
	got := sendTo(t, slow, "wait=unsafe&timeout=10ms", "a=1", http.StatusAccepted)
	if got.Result != "timeout" || !got.Accepted || got.Tx != nil || got.Above.Height != 1 || !strings.Contains(got.Error, "in no block yet") {
		t.Errorf("got %+v, want a time-out", got)
	}
	if subs, _, waits := slow.Remembered(); subs != 1 || waits != 0 {
		t.Errorf("%d are remembered, and %d wait, want the one that is in no block, and nobody", subs, waits)
	}

	d, stopDA := daLayer(t, "127.0.0.1:0", "", 30*time.Millisecond)
	c = newChain(t, "unsafe")
	n := start(t, c.sequencer(t, d.URL(), 10*time.Millisecond))
	n.until(t, "at its first block", func(s node.Status) bool { return s.Heads.Unsafe.Height > 0 })
	stopDA() // nothing becomes safe any more
	var at *node.Tx
	for at == nil { // what is in a block when the time is up is said
		got = sendTo(t, n, "wait=safe&timeout=50ms", "b=1", http.StatusAccepted)
		at = got.Tx
	}
	if got.Result != "timeout" || at.Head != "unsafe" || !strings.Contains(got.Error, fmt.Sprintf("in block %d 0x%s, which is unsafe", at.Block.Height, at.Block.Hash)) {
		t.Errorf("got %+v with %+v, want a time-out in an unsafe block", got, at)
	}
	if b, err := n.Block(at.Block.Height); err != nil || b.Hash != at.Block.Hash.String() || string(b.Txs[at.Index]) != "b=1" {
		t.Errorf("got %+v, and the block has %q (%v)", at, b.Txs, err)
	}
}

// The time that a post may wait bounds how long a sequencer that has not begun holds it, too. It was not offered then.
func TestTimeoutBoundsTheHold(t *testing.T) {
	t.Parallel()
	c := newChain(t, "held")
	n := start(t, c.sequencer(t, "http://"+nettest.FreeAddress(t), time.Hour).HoldTx(time.Hour))
	for _, timeout := range []string{"0", "20ms"} {
		code, body := ask(t, n, http.MethodPost, "/v1/txs?wait=safe&timeout="+timeout, "a=1")
		if code != http.StatusServiceUnavailable || !strings.Contains(body, `"not_begun"`) || !strings.Contains(body, txHash("a=1")) {
			t.Errorf("timeout %s: got %d %s, want that it has not begun", timeout, code, body)
		}
	}
	given, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if sent, err := n.Send(given, []byte("a=1"), await.Safe); sent.Accepted || !errors.Is(err, node.ErrNotBegun) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("in the process: got %+v, %v, want that it has not begun within that time", sent, err)
	}
	if subs, _, waits := n.Remembered(); subs+waits > 0 {
		t.Errorf("%d submissions and %d waits are remembered, want none", subs, waits)
	}
}

// Who waits for what he has sent is counted as all who wait are, and is refused before anything is sent.
func TestSendersAreCounted(t *testing.T) {
	t.Parallel()
	d, _ := daLayer(t, "127.0.0.1:0", "", 30*time.Millisecond)
	o := newChain(t, "count").sequencer(t, d.URL(), time.Hour)
	o.Config.HTTP.MaxWaiting = 2
	n := start(t, o)
	n.until(t, "at its first block", func(s node.Status) bool { return s.Heads.Unsafe.Height == 1 })
	var work sync.WaitGroup
	for i := range 2 {
		work.Go(func() {
			if code, body := ask(t, n, http.MethodPost, "/v1/txs?wait=safe&timeout=10m", fmt.Sprintf("a=%d", i)); code != http.StatusGone || !strings.Contains(body, `"ended"`) {
				t.Errorf("got %d %s, want the end", code, body)
			}
		})
	}
	for _, _, waits := n.Remembered(); waits < 2; _, _, waits = n.Remembered() {
		time.Sleep(time.Millisecond) // until both requests wait
	}
	if got := n.Serving().Waiters; got != 2 {
		t.Errorf("%d wait, want 2", got)
	}
	code, body := ask(t, n, http.MethodPost, "/v1/txs?wait=safe", "b=1")
	if subs, _, _ := n.Remembered(); code != http.StatusServiceUnavailable || !strings.Contains(body, `"busy"`) || subs != 2 {
		t.Errorf("got %d %s, and %d submissions, want busy and two", code, body, subs)
	}
	wantStatus(t, n, "/v1/wait?height=9", http.StatusServiceUnavailable)
	sendTo(t, n, "", "c=1", http.StatusAccepted)
	n.stopped(t)
	work.Wait()
}

// Who waits holds nothing of the room for bodies: what he has sent is the engine's.
func TestSendersGiveBackTheirBodies(t *testing.T) {
	t.Parallel()
	d, _ := daLayer(t, "127.0.0.1:0", "", 30*time.Millisecond)
	o := newChain(t, "bodies").sequencer(t, d.URL(), time.Hour)
	o.Config.HTTP.BodyBytes = 1 << 20
	n := start(t, o)
	n.until(t, "at its first block", func(s node.Status) bool { return s.Heads.Unsafe.Height == 1 })
	var work sync.WaitGroup
	large := "=" + strings.Repeat("x", 700<<10)
	for i := range 3 {
		work.Go(func() {
			if code, body := ask(t, n, http.MethodPost, "/v1/txs?wait=safe&timeout=10m", fmt.Sprint(i)+large); code != http.StatusGone {
				t.Errorf("got %d %s, want the end", code, body)
			}
		})
		for _, _, waits := n.Remembered(); waits <= i; _, _, waits = n.Remembered() {
			time.Sleep(time.Millisecond) // until it waits
		}
	}
	sendTo(t, n, "", "last"+large, http.StatusAccepted)
	n.stopped(t)
	work.Wait()
}

// When the node stops, or its home fails, who waits is told so, with what is known, and does not hold it up.
func TestSendEndsWithTheNode(t *testing.T) {
	t.Parallel()
	d, _ := daLayer(t, "127.0.0.1:0", "", 50*time.Millisecond)
	broken := &disktest.FaultFS{FS: vfs.NewMem(), At: -1}
	o := node.OnDisks(newChain(t, "end").sequencer(t, d.URL(), time.Hour), broken, vfs.NewMem())
	n := start(t, o)
	n.until(t, "ready", func(s node.Status) bool { return s.Ready && s.Heads.Safe.Height == 1 })
	type outcome struct {
		sent node.Sent
		err  error
		code int
		body string
	}
	wait := func() chan outcome {
		both := make(chan outcome, 2)
		go func() {
			sent, err := n.Send(context.WithoutCancel(t.Context()), []byte("a=1"), await.Safe)
			both <- outcome{sent: sent, err: err}
		}()
		go func() {
			code, body := ask(t, n, http.MethodPost, "/v1/txs?wait=safe&timeout=10m", "b=1")
			both <- outcome{code: code, body: body}
		}()
		for _, _, waits := n.Remembered(); waits < 2; _, _, waits = n.Remembered() {
			time.Sleep(time.Millisecond) // until both wait
		}
		return both
	}
	check := func(what string, both chan outcome, says string) {
		t.Helper()
		for range 2 {
			switch got := <-both; {
			case got.code == 0 && (!errors.Is(got.err, await.ErrEnded) || !strings.Contains(got.err.Error(), says) || !got.sent.Accepted || got.sent.Result != "ended" || !strings.Contains(got.err.Error(), "in no block yet")):
				t.Errorf("%s: got %+v, %v, want the end", what, got.sent, got.err)
			case got.code != 0 && (got.code != http.StatusGone || !strings.Contains(got.body, `"ended"`) || !strings.Contains(got.body, `"accepted": true`) || !strings.Contains(got.body, txHash("b=1"))):
				t.Errorf("%s: got %d %s, want the end", what, got.code, got.body)
			}
		}
	}
	both := wait()
	broken.FailIn(0)
	check("the disk fails", both, "disk failed")
	broken.Mend()
	n.until(t, "at work again, with its first block since then", func(s node.Status) bool { return s.Disk == "" && s.Ready && s.Heads.Safe.Height == 2 })
	both = wait()
	n.stopped(t)
	check("the node stops", both, "producer has ended")
}

// A node that keeps no index says so, and its own senders are answered all the same; one that has begun later says from
// where on.
func TestNoIndexOfTransactions(t *testing.T) {
	t.Parallel()
	d, _ := daLayer(t, "127.0.0.1:0", "", 30*time.Millisecond)
	c := newChain(t, "index")
	o := c.sequencer(t, d.URL(), 10*time.Millisecond)
	o.Config.Index.Txs = "none"
	seq, full := start(t, o), start(t, c.full(t, d.URL()))
	sent := sendTo(t, seq, "wait=safe&timeout=1m", "a=1", http.StatusOK)
	wantAt(t, sent, "a=1", full)
	if body := wantStatus(t, seq, "/v1/txs/"+sent.Hash.String(), http.StatusNotImplemented); !strings.Contains(body, "index.txs") {
		t.Errorf("got %s, want the setting", body)
	}
	if body := wantStatus(t, seq, "/v1/wait?tx="+sent.Hash.String(), http.StatusBadRequest); !strings.Contains(body, "index.txs") {
		t.Errorf("got %s, want the setting", body)
	}
	if _, err := await.Tx(bounded(t), seq.Node, sent.Hash); !errors.Is(err, await.ErrNoTxs) {
		t.Errorf("got %v, want %v", err, await.ErrNoTxs)
	}
	seq.stopped(t)

	o.Config.Index.Txs = ""
	seq = start(t, o)
	var miss struct {
		Error, Code string
		IndexedFrom uint64 `json:"indexed_from"`
	}
	decode(t, wantStatus(t, seq, "/v1/txs/"+sent.Hash.String(), http.StatusNotFound), &miss)
	if miss.Code != "not_indexed" || miss.IndexedFrom <= sent.Tx.Block.Height || !strings.Contains(miss.Error, fmt.Sprintf("from height %d on", miss.IndexedFrom)) {
		t.Errorf("got %+v, want that block %d is in no index", miss, sent.Tx.Block.Height)
	}
	if w := waitFor(t, seq, "timeout=1ms&tx="+sent.Hash.String(), http.StatusGatewayTimeout); !strings.Contains(w.For, "without an index") {
		t.Errorf("got %+v, want that it may be in a block without an index", w)
	}
	again := sendTo(t, seq, "wait=unsafe&timeout=1m", "a=2", http.StatusOK)
	if tx := await1(t, seq, again.Hash.String()); tx.Block != again.Tx.Block {
		t.Errorf("got %+v, want %+v", tx, again.Tx)
	}
	decode(t, wantStatus(t, full, "/v1/txs/"+txHash("nobody"), http.StatusNotFound), &miss)
	if miss.Code != "not_found" {
		t.Errorf("got %+v of a whole index, want not_found", miss)
	}
}

// On an EVM chain the hash is Ethereum's, and who waits gets the receipt of that very block. The engine's own transaction
// is nobody's: an empty block has none.
func TestSendOnAnEVM(t *testing.T) {
	t.Parallel()
	d, _ := daLayer(t, "127.0.0.1:0", "", 200*time.Millisecond)
	o, _ := onGeth(t, newChain(t, "evm").sequencer(t, d.URL(), 300*time.Millisecond))
	seq := start(t, o)
	seq.until(t, "ready", ready)
	tx := pay(t, 0, 0, big.NewInt(1))
	var decoded types.Transaction
	if err := decoded.UnmarshalBinary(tx); err != nil {
		t.Fatal(err)
	}
	sent := sendTo(t, seq, "wait=safe&timeout=1m", string(tx), http.StatusOK)
	var receipt types.Receipt
	if err := json.Unmarshal(sent.Tx.Receipt, &receipt); err != nil {
		t.Fatalf("receipt of %+v: %v", sent.Tx, err)
	}
	if sent.Hash != block.Hash(decoded.Hash()) || receipt.TxHash != decoded.Hash() || receipt.Status != types.ReceiptStatusSuccessful || int(receipt.TransactionIndex) != sent.Tx.Index {
		t.Errorf("got %+v and receipt %+v, want those of %s", sent, receipt, decoded.Hash())
	}
	b, err := seq.Block(sent.Tx.Block.Height)
	if err != nil || len(b.Txs) != 2 || len(b.TxHashes) != 1 || b.TxHashes[0] != sent.Hash {
		t.Errorf("got block %+v, %v, want the seal, the transaction and its hash", b.TxHashes, err)
	}
	found := await1(t, seq, sent.Hash.String())
	if body := wantStatus(t, seq, "/v1/txs/0x"+sent.Hash.String(), http.StatusOK); found.Block != sent.Tx.Block || !strings.Contains(body, `"blockHash": "`+receipt.BlockHash.Hex()) {
		t.Errorf("got %+v and %s, want block %d and its receipt", found, body, sent.Tx.Block.Height)
	}
	if again := sendTo(t, seq, "", string(tx), http.StatusBadRequest); again.Hash != sent.Hash {
		t.Errorf("got %+v of a transaction whose nonce is used, want its hash", again)
	}
	l := listen(t, seq.URL(), "head=unsafe&from="+fmt.Sprint(sent.Tx.Block.Height), "")
	defer l.close()
	if first, second := l.next().block(t), l.next().block(t); first.Txs != 1 || second.Txs != 0 {
		t.Errorf("got blocks of %d and %d transactions, want one and none", first.Txs, second.Txs)
	}
	whole := listen(t, seq.URL(), "head=unsafe&body=true&from="+fmt.Sprint(sent.Tx.Block.Height), "")
	defer whole.close()
	var event node.Block
	decode(t, whole.next().data, &event)
	if len(event.Txs) != 2 || len(event.TxHashes) != 1 || event.TxHashes[0] != sent.Hash {
		t.Errorf("got an event with %d transactions and hashes %v, want the seal, the transaction and its hash", len(event.Txs), event.TxHashes)
	}
}
