package ethereum

import (
	"fmt"

	"github.com/ethereum/go-ethereum/crypto/kzg4844"
)

// MayUseBlobs reports whether proposals of the account may go into blobs.
func (a *Account) MayUseBlobs() bool { return a.opt.Content != CallData }

// PrepareBlobs has computed, when it returns, what all commitments to blobs in this process need: some seconds of a core at
// its first call, and nothing later. Whoever needs a commitment before waits for that. It may be called at any time.
func PrepareBlobs() error {
	if _, err := kzg4844.BlobToCommitment(new(kzg4844.Blob)); err != nil {
		return fmt.Errorf("set up commitments to blobs: %w", err)
	}
	return nil
}
