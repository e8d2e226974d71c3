package engineapi_test

import (
	"context"
	"testing"

	"headrace/devnet/geth"

	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
)

// tiny is a forced item of the smallest transactions that are looked at to the end: as many as it has room for, each
// of another sender.
func tiny(t *testing.T, room int) (item [][]byte) {
	t.Helper()
	for size := 0; ; {
		key, err := crypto.GenerateKey()
		if err != nil {
			t.Fatal(err)
		}
		tx := raw(t, by(key, func(tx *types.DynamicFeeTx) { tx.Value = nil }))
		if size += len(tx) + 4; size > room { // in an item each has its length before it
			return item
		}
		item = append(item, tx)
	}
}

// What an item costs the client is bounded by its size: the most expensive one takes a request for each 100 of its
// senders. What is known of a block is not asked for again, by another item or when a block is built on it.
func TestExemptCost(t *testing.T) {
	t.Parallel()
	_, p, e := tapped(t, geth.Options{Genesis: geth.DevGenesis(geth.Prague)})
	parent := produce(t, e, nil)
	item := tiny(t, 32<<10)
	if len(item) < 250 || len(item) > 300 {
		t.Fatalf("an item holds %d transactions: is the bound of Exempt's comment right?", len(item))
	}
	for asked, want := range []map[string]int{{"eth_getBlockByHash": 1, "eth_getProof": 3, "eth_getCode": 0}, {"eth_getBlockByHash": 0, "eth_getProof": 0, "eth_getCode": 0}} {
		p.requests()
		why, err := e.Exempt(t.Context(), parent.Height(), item)
		if err != nil || len(why) != len(item) || why[0] == "" || why[len(item)-1] == "" {
			t.Fatalf("got %q, %v, want all of them exempt: their senders have nothing", why, err)
		}
		for method, n := range want {
			if got := p.asked(method); got != n {
				t.Errorf("question %d: got %d requests %s, want %d", asked+1, got, method, n)
			}
		}
	}
	p.requests()
	again := append(item[:20:20], raw(t, transfer(0, 0)))
	if _, err := e.BuildForced(t.Context(), parent.Height()+1, parent.Header.Header.Time, 1<<20, again); err != nil {
		t.Fatal(err)
	}
	if n := p.asked("eth_getProof"); n != 1 {
		t.Errorf("building asked for accounts in %d requests, want one, for the sender that is new", n)
	}
}

// While the client looks accounts up, the engine builds and executes.
func TestExemptHoldsNothingUp(t *testing.T) {
	t.Parallel()
	_, p, e := tapped(t, geth.Options{Genesis: geth.DevGenesis(geth.Prague)})
	parent := produce(t, e, nil)
	asked, answer := make(chan struct{}), make(chan struct{}) // the tap closes the first, the test the second
	p.set("eth_getProof", rule{once: true, then: func() { close(asked); <-answer }, forward: true, answer: `"error":{"code":-32000,"message":"late"}`})
	result := make(chan error, 1) // the call's
	go func() {
		_, err := e.Exempt(context.WithoutCancel(t.Context()), parent.Height(), [][]byte{raw(t, transfer(2, 0))})
		result <- err
	}()
	<-asked
	next := produce(t, e, parent)
	if h, err := e.Head(t.Context()); err != nil || h.Hash != next.Hash() {
		t.Errorf("got %v, %v, want the block that was made meanwhile", h, err)
	}
	close(answer)
	if err := <-result; err == nil {
		t.Error("got an answer, want the client's error")
	}
	if why, err := e.Exempt(t.Context(), parent.Height(), [][]byte{raw(t, transfer(2, 0))}); err != nil || why[0] != "" {
		t.Errorf("got %q, %v, want it not exempt", why, err)
	}
}
