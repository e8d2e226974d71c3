package ethereum

import (
	"encoding/json"
	"math/big"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/core/types"

	"headrace/follow"
)

// A block number that no chain has is garbled: as a number of JSON it would be another one.
func TestHeightsAreExact(t *testing.T) {
	for number, good := range map[uint64]bool{0: true, follow.MaxHeight: true, follow.MaxHeight + 1: false, 1<<64 - 1: false} {
		text, err := json.Marshal(&types.Header{Number: new(big.Int).SetUint64(number), Difficulty: new(big.Int)})
		if err != nil {
			t.Fatal(err)
		}
		var h header
		if err := json.Unmarshal(text, &h); (err == nil) != good || !good && !strings.Contains(err.Error(), "has number") {
			t.Errorf("number %d: got %v, want it to be read: %t", number, err, good)
		}
	}
}
