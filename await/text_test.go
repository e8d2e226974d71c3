package await_test

import (
	"context"
	"errors"
	"testing"

	"headrace/await"
	"headrace/watch"
)

// TestMessagesStay: /v1/wait and the command line pass these texts on, so they stay, 0x included.
func TestMessagesStay(t *testing.T) {
	const zeros = "00000000000000000000000000000000000000000000000000000000000000"
	p := await.Progress{Safe: await.Ref{Height: 7, Hash: hash(0xab)}, Unsafe: await.Ref{Height: 9, Hash: hash(2)}, Proposal: proposal(5, 1), Scanned: await.Ref{Height: 15}}
	const want = "safe head 7 0x" + zeros + "ab, unsafe head 9 0x" + zeros + "02, " +
		"proposal 5 of L1 block 15 0x0105000000000000000000000000000000000000000000000000000000000000, source applied through 15"
	if got := p.String(); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := await.ProposalAt(gone, watch.New(p), hash(0xcd))
	var e *await.Error
	if !errors.As(err, &e) || e.What != "the proposal of L1 transaction or block 0x"+zeros+"cd" || e.Last != want {
		t.Errorf("got %#v", err)
	}
}
