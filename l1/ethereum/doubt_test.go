package ethereum

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"headrace/l1"
)

// A receipt that is null once is no verdict: the contradiction is looked at again, some seconds later and at the next
// head, or later if there is none. The verdict names the transaction.
func TestDoubt(t *testing.T) {
	const resend = 36 * time.Second
	start := time.Now()
	for _, c := range []struct {
		head byte
		age  time.Duration
		want bool
	}{{1, 0, false}, {1, 2 * time.Second, false}, {2, 2 * time.Second, false}, {1, 11 * time.Second, false}, {2, 3 * time.Second, true}, {1, 12 * time.Second, true}} {
		var d doubt
		if d.holds(common.Hash{1}, start, resend) {
			t.Fatal("one look is a verdict")
		}
		if got := d.holds(common.Hash{c.head}, start.Add(c.age), resend); got != c.want {
			t.Errorf("at head %d, %s later: got %v, want %v", c.head, c.age, got, c.want)
		}
	}
	hash := common.Hash{7}
	err := (&attempt{hashes: []common.Hash{hash}}).taken()
	if !errors.Is(err, errNonceTaken) || !errors.Is(err, l1.ErrUnknownOutcome) || !strings.Contains(err.Error(), hash.Hex()) {
		t.Errorf("got %v, want the hash in it", err)
	}
}
