package local

import (
	"crypto/ed25519"
	"crypto/sha256"
	"time"

	"headrace/follow"
	"headrace/internal/square"
)

// record is what is kept of each height; the header and its commit are made from it and from the record before.
type record struct {
	time      int64 // ns since 1970
	hash      [32]byte
	signature [64]byte
	empty     bool // the data hash is the empty square's
	dataHash  [32]byte
}

func (r *record) at() time.Time { return time.Unix(0, r.time).UTC() }

func (r *record) head(height uint64) Head {
	return Head{Height: height, Hash: follow.Hash(r.hash), Time: r.at()}
}

// signer is the chain's only validator.
type signer struct {
	chainID    string
	key        ed25519.PrivateKey
	validator  square.Validator
	validators []byte // hash of the set
}

func newSigner(chainID string, key ed25519.PrivateKey) signer {
	pub := key.Public().(ed25519.PublicKey)
	v := square.Validator{Address: square.Address(pub), PubKeyType: "tendermint/PubKeyEd25519", PubKey: pub, VotingPower: 500_000_000}
	set := square.ValidatorSet{Validators: []square.Validator{v}}
	hash := set.Hash()
	return signer{chainID, key, v, hash[:]}
}

// The hash of nothing, where Celestia's headers have the root of an empty list; and the hash of Celestia's consensus parameters.
var (
	nothing   = sha256.Sum256(nil)
	consensus = sha256.Sum256([]byte("headrace consensus parameters"))
)

// header makes the header of a height. parent is nil for the chain's first block.
func (s *signer) header(height uint64, at time.Time, dataHash []byte, parent *record) square.Header {
	h := square.Header{
		VersionBlock: 11, VersionApp: 9,
		ChainID: s.chainID, Height: height, Time: at,
		DataHash:       dataHash,
		LastCommitHash: nothing[:], ValidatorsHash: s.validators, NextValidatorsHash: s.validators,
		ConsensusHash: consensus[:], AppHash: nothing[:], LastResultsHash: nothing[:], EvidenceHash: nothing[:],
		ProposerAddress: s.validator.Address,
	}
	if parent != nil {
		h.LastBlockID = blockID(parent)
		commit := s.commit(height-1, parent)
		last := commit.Hash()
		h.LastCommitHash = last[:]
		app := sha256.Sum256(parent.hash[:]) // some value of its own for each block
		h.AppHash = app[:]
	}
	return h
}

// blockID names a block. There are no parts, so the root of its parts is made up from its hash.
func blockID(r *record) square.BlockID {
	parts := sha256.Sum256(append([]byte("parts"), r.hash[:]...))
	return square.BlockID{Hash: r.hash[:], Total: 1, Parts: parts[:]}
}

func (s *signer) commit(height uint64, r *record) square.Commit {
	sig := square.CommitSig{Flag: 2, Validator: s.validator.Address, Timestamp: r.at(), Signature: r.signature[:]}
	return square.Commit{Height: height, BlockID: blockID(r), Signatures: []square.CommitSig{sig}}
}

// seal makes and signs the record of the next block. The caller holds c.producing.
func (c *Chain) seal(body *content) (uint64, *record, error) {
	_, last := c.history.bounds()
	rec := &record{empty: body == nil, dataHash: square.EmptyDataHash}
	if body != nil {
		rec.dataHash = body.dah.Hash()
	}
	height, at := c.history.first(), c.opts.Genesis
	var parent *record
	if last > 0 {
		p, err := c.history.record(last)
		if err != nil {
			return 0, nil, err
		}
		parent, height, at = p, last+1, time.Now()
		if c.opts.Deterministic {
			step := c.opts.Interval
			if step < 0 {
				step = time.Second
			}
			at = p.at().Add(step)
		}
		if !at.After(p.at()) { // block times grow, also when the clock does not
			at = p.at().Add(time.Nanosecond)
		}
	} else if at.IsZero() {
		at = time.Now()
	}
	rec.time = at.UnixNano()
	h := c.signer.header(height, rec.at(), rec.dataHash[:], parent)
	rec.hash = h.Hash()
	c.signer.sign(height, rec)
	return height, rec, nil
}

// sign signs a record whose hash is set.
func (s *signer) sign(height uint64, r *record) {
	copy(r.signature[:], ed25519.Sign(s.key, square.SignBytes(s.chainID, height, 0, blockID(r), r.at())))
}

// extended makes what goes out of a block and the one before.
func (s *signer) extended(height uint64, rec, parent *record, dah square.DAH) *square.ExtendedHeader {
	return &square.ExtendedHeader{
		Header:       s.header(height, rec.at(), rec.dataHash[:], parent),
		Commit:       s.commit(height, rec),
		ValidatorSet: square.ValidatorSet{Validators: []square.Validator{s.validator}, Proposer: &s.validator},
		DAH:          dah,
	}
}

// Header returns the header of a height with its commit, validators and roots.
func (c *Chain) Header(height uint64) (*square.ExtendedHeader, error) {
	if err := c.within(height); err != nil {
		return nil, err
	}
	rec, err := c.history.record(height)
	if err != nil {
		return nil, err
	}
	var parent *record
	if height > c.history.first() {
		if parent, err = c.history.record(height - 1); err != nil {
			return nil, err
		}
	}
	dah := square.EmptyDAH()
	if !rec.empty {
		if dah, err = c.history.dah(height); err != nil {
			return nil, err
		}
	}
	return c.signer.extended(height, rec, parent, dah), nil
}

// HeightOf returns the height of the block with a hash, or da.ErrNotFound.
func (c *Chain) HeightOf(hash [32]byte) (uint64, error) { return c.history.heightOf(hash) }
