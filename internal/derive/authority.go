package derive

import (
	"bytes"
	"errors"
	"fmt"
	"sync/atomic"

	"headrace/block"
)

// Authority says of a header, of data and of a block whether it is the proposer's, and whole. The answer depends on
// that alone (I3), wherever it came from: a DA layer, a proposal on an L1, or somebody who offers it. It is safe for
// concurrent use. Make one for a chain, with NewAuthority, and share it: it keeps what makes the proposer's
// signatures cheap to check.
type Authority struct {
	chainID  string
	proposer []byte                         // address: SHA-256 of the raw public key
	verifier atomic.Pointer[block.Verifier] // of the key with that address; nil until it has been seen
}

// NewAuthority returns the authority of a chain whose blocks are all signed by the key with the address proposer.
func NewAuthority(chainID string, proposer []byte) *Authority {
	return &Authority{chainID: chainID, proposer: proposer}
}

// ChainID returns the id of the chain.
func (a *Authority) ChainID() string { return a.chainID }

// ProposerAt returns the address of the key that signs the block at height.
func (a *Authority) ProposerAt(height uint64) []byte { return a.proposer }

// Header checks that s is of this chain and signed by its proposer. Both signatures of an envelope count: anyone can
// add a bad one to a plain header.
func (a *Authority) Header(s *block.SignedHeader) error {
	key, r := a.claimsHeader(s)
	if r != none {
		return refusal("it", r, s.Header.ChainID)
	}
	return key.VerifyHeader(s)
}

// Data checks that s is of this chain and signed by its proposer.
func (a *Authority) Data(s *block.SignedData) error {
	m := &s.Data.Metadata
	key, r := a.claims(m.ChainID, m.Height, &s.Signer)
	if r != none {
		return refusal("its data", r, m.ChainID)
	}
	return key.VerifyData(s)
}

func refusal(what string, r Reason, chainID string) error {
	if r == OtherChain {
		return fmt.Errorf("%s is of chain %q", what, chainID)
	}
	return fmt.Errorf("%s is not signed by the chain's proposer", what)
}

var errOtherData = errors.New("its data is of another block")

// Block returns the block that a header and its data make, if both are the proposer's and belong together. Data is
// nil if it was not sent, which is right for a block without transactions: then it follows from the header and
// parent, the hash of the data before.
func (a *Authority) Block(header *block.SignedHeader, data *block.SignedData, parent block.Hash) (*block.Block, error) {
	h := &header.Header
	b := &block.Block{Header: *header, Data: block.EmptyData(h, parent.Field())}
	if data != nil {
		if err := a.Data(data); err != nil {
			return nil, err
		}
		b.Data = data.Data
	}
	m, commitment := &b.Data.Metadata, b.Data.Commitment()
	switch {
	case !bytes.Equal(h.DataHash, commitment[:]):
		return nil, errors.New("its header names other data")
	case m.Height != h.Height || m.Time != h.Time: // both are of this chain
		return nil, errOtherData
	}
	return b, a.Header(header)
}

// claimsHeader does what costs little of Header: it returns the key that has to have signed s, or why s is not the
// proposer's.
func (a *Authority) claimsHeader(s *block.SignedHeader) (*block.Verifier, Reason) {
	key, r := a.claims(s.Header.ChainID, s.Header.Height, &s.Signer)
	if r == none && !bytes.Equal(s.Header.ProposerAddress, s.Signer.Address) {
		r = Stranger
	}
	return key, r
}

// claims is what headers and data share of it.
func (a *Authority) claims(chainID string, height uint64, signer *block.Signer) (*block.Verifier, Reason) {
	switch {
	case chainID != a.chainID:
		return nil, OtherChain
	case !bytes.Equal(signer.Address, a.ProposerAt(height)):
		return nil, Stranger
	}
	key := a.verifier.Load()
	if key == nil { // the first signer whose key has the proposer's address shows the key: an address is a hash, there is one such key
		k, err := signer.Key()
		if err != nil {
			return nil, Stranger
		}
		a.verifier.CompareAndSwap(nil, block.NewVerifier(k))
		key = a.verifier.Load()
	}
	if !key.IsKeyOf(signer) {
		return nil, Stranger
	}
	return key, none
}
