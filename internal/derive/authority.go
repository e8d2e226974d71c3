package derive

import (
	"bytes"
	"errors"
	"fmt"
	"sync/atomic"

	"headrace/block"
	"headrace/l1"
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

// Data checks that d is of this chain and signed by its proposer. It builds nothing.
func (a *Authority) Data(d *block.DataBlob) error {
	key, r := a.claimsData(d)
	if r != none {
		return refusal("its data", r, d.ChainID())
	}
	return key.VerifyDataBlob(d)
}

// ErrStranger is what a refusal matches of what does not even say that it is of this chain and its proposer.
var ErrStranger = errors.New("of another chain or proposer")

// stranger is an ErrStranger.
type stranger string

func (s stranger) Error() string        { return string(s) }
func (s stranger) Is(target error) bool { return target == ErrStranger }

func refusal[T string | []byte](what string, r Reason, chainID T) error {
	const most = 64 // a stranger's text is not repeated at any length
	if r == OtherChain {
		return stranger(fmt.Sprintf("%s is of chain %q", what, chainID[:min(len(chainID), most)]))
	}
	return stranger(fmt.Sprintf("%s is not signed by the chain's proposer", what))
}

var (
	errOtherData = errors.New("its data is of another block")
	errOtherTxs  = errors.New("its header names other data")
)

// Block returns the block that a header and its data make, if both are the proposer's and belong together. Data is
// nil if it was not sent, which is right for a block without transactions: then it follows from the header and
// parent, the hash of the data before.
func (a *Authority) Block(header *block.SignedHeader, data *block.DataBlob, parent block.Hash) (*block.Block, error) {
	if err := a.Whole(header, data); err != nil {
		return nil, err
	}
	return join(header, data, parent), nil
}

// join builds the block.
func join(header *block.SignedHeader, data *block.DataBlob, parent block.Hash) *block.Block {
	if data == nil {
		return &block.Block{Header: *header, Data: block.EmptyData(&header.Header, parent.Field())}
	}
	return &block.Block{Header: *header, Data: data.Data()}
}

// Whole checks what Block does, and builds nothing. The header, which is short, comes first.
func (a *Authority) Whole(header *block.SignedHeader, data *block.DataBlob) error {
	if err := a.Header(header); err != nil {
		return err
	}
	return a.Belongs(header, data)
}

// Belongs checks that data is the proposer's and what header names, of which Header has said that it is the
// proposer's. What costs little comes first. It builds nothing.
func (a *Authority) Belongs(header *block.SignedHeader, data *block.DataBlob) error {
	if err := a.Names(header, data); err != nil || data == nil {
		return err
	}
	return a.Data(data)
}

// Names checks that header, of which Header has said that it is the proposer's, names data. With the parent's data,
// which Follows looks at, that says all of them: no signature of the data is needed where none was sent. It builds
// nothing.
func (a *Authority) Names(header *block.SignedHeader, data *block.DataBlob) error {
	h, commitment := &header.Header, block.EmptyCommitment
	if data != nil {
		if data.Height() != h.Height || data.Time() != h.Time {
			return errOtherData
		}
		commitment = data.Commitment()
	}
	switch {
	case !bytes.Equal(h.DataHash, commitment[:]):
		return errOtherTxs
	case data != nil && !data.IsOf(a.chainID):
		return refusal("its data", OtherChain, data.ChainID())
	}
	return nil
}

// Later reports whether a payload of a later version, which begins at a height, is the proposer's.
func (a *Authority) Later(l *l1.Later, height uint64) bool {
	signer := block.Signer{Address: a.ProposerAt(height), PubKey: l.PubKey}
	key, r := a.claims(true, height, &signer)
	return r == none && key.Verify(l.Message(a.chainID), l.Signature)
}

// claimsHeader does what costs little of Header: it returns the key that has to have signed s, or why s is not the
// proposer's.
func (a *Authority) claimsHeader(s *block.SignedHeader) (*block.Verifier, Reason) {
	key, r := a.claims(s.Header.ChainID == a.chainID, s.Header.Height, &s.Signer)
	if r == none && !bytes.Equal(s.Header.ProposerAddress, s.Signer.Address) {
		r = Stranger
	}
	return key, r
}

// claimsData does what costs little of Data.
func (a *Authority) claimsData(d *block.DataBlob) (*block.Verifier, Reason) {
	return a.claims(d.IsOf(a.chainID), d.Height(), d.Signer())
}

// claims is what headers and data share of it. ours says that the chain is this one.
func (a *Authority) claims(ours bool, height uint64, signer *block.Signer) (*block.Verifier, Reason) {
	switch {
	case !ours:
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
