package square

import "math"

const maxValidators = 10_000 // CometBFT's own limit

// UnmarshalJSON reads a header in either of Celestia's two encodings.
func (h *Header) UnmarshalJSON(data []byte) error {
	s := scanner{b: data}
	*h = Header{}
	s.header(h)
	return s.end("header")
}

// UnmarshalJSON reads what MarshalJSON writes.
func (e *ExtendedHeader) UnmarshalJSON(data []byte) error {
	s := scanner{b: data}
	*e = ExtendedHeader{}
	s.object(func(key []byte) {
		switch string(key) {
		case "header":
			s.header(&e.Header)
		case "commit":
			s.commit(&e.Commit)
		case "validator_set":
			s.validatorSet(&e.ValidatorSet)
		case "dah":
			s.dah(&e.DAH)
		}
	})
	return s.end("extended header")
}

// UnmarshalJSON reads what MarshalJSON writes.
func (d *DAH) UnmarshalJSON(data []byte) error {
	s := scanner{b: data}
	*d = DAH{}
	s.dah(d)
	return s.end("data availability header")
}

// ScanHeader reads an extended header without its commit and its validator set, which are most of its bytes and say nothing about data:
// what a follower needs per height. The roots are read only with dah set.
func ScanHeader(data []byte, dah bool) (Header, DAH, error) {
	var h Header
	var d DAH
	s := scanner{b: data}
	s.object(func(key []byte) {
		switch {
		case string(key) == "header":
			s.header(&h)
		case string(key) == "dah" && dah:
			s.dah(&d)
		}
	})
	return h, d, s.end("extended header")
}

func (s *scanner) header(h *Header) {
	arena := make([]byte, 0, 448) // all the hashes of a header: one allocation
	field := func(dst *[]byte) { arena, *dst = s.hex(arena) }
	s.object(func(key []byte) {
		switch string(key) {
		case "version":
			s.object(func(key []byte) {
				switch string(key) {
				case "block":
					h.VersionBlock = s.uint(math.MaxUint64)
				case "app":
					h.VersionApp = s.uint(math.MaxUint64)
				}
			})
		case "chain_id":
			h.ChainID = string(s.text())
		case "height":
			h.Height = s.uint(maxHeight)
		case "time":
			h.Time = s.time()
		case "last_block_id":
			arena = s.blockID(arena, &h.LastBlockID)
		case "last_commit_hash":
			field(&h.LastCommitHash)
		case "data_hash":
			field(&h.DataHash)
		case "validators_hash":
			field(&h.ValidatorsHash)
		case "next_validators_hash":
			field(&h.NextValidatorsHash)
		case "consensus_hash":
			field(&h.ConsensusHash)
		case "app_hash":
			field(&h.AppHash)
		case "last_results_hash":
			field(&h.LastResultsHash)
		case "evidence_hash":
			field(&h.EvidenceHash)
		case "proposer_address":
			field(&h.ProposerAddress)
		}
	})
}

func (s *scanner) blockID(arena []byte, id *BlockID) []byte {
	s.object(func(key []byte) {
		switch string(key) {
		case "hash":
			arena, id.Hash = s.hex(arena)
		case "parts":
			s.object(func(key []byte) {
				switch string(key) {
				case "total":
					id.Total = uint32(s.uint(math.MaxUint32))
				case "hash":
					arena, id.Parts = s.hex(arena)
				}
			})
		}
	})
	return arena
}

func (s *scanner) commit(c *Commit) {
	s.object(func(key []byte) {
		switch string(key) {
		case "height":
			c.Height = s.uint(maxHeight)
		case "round":
			c.Round = uint32(s.uint(math.MaxInt32))
		case "block_id":
			s.blockID(nil, &c.BlockID)
		case "signatures":
			c.Signatures = nil
			s.array(maxValidators, func() {
				var sig CommitSig
				s.commitSig(&sig)
				c.Signatures = append(c.Signatures, sig)
			})
		}
	})
}

func (s *scanner) commitSig(sig *CommitSig) {
	s.object(func(key []byte) {
		switch string(key) {
		case "block_id_flag":
			sig.Flag = uint8(s.uint(math.MaxUint8))
		case "validator_address":
			_, sig.Validator = s.hex(nil)
		case "timestamp":
			sig.Timestamp = s.time()
		case "signature":
			sig.Signature = s.base64()
		}
	})
}

func (s *scanner) validatorSet(v *ValidatorSet) {
	s.object(func(key []byte) {
		switch string(key) {
		case "validators":
			v.Validators = nil
			s.array(maxValidators, func() {
				var val Validator
				s.validator(&val)
				v.Validators = append(v.Validators, val)
			})
		case "proposer":
			if s.null() {
				return
			}
			v.Proposer = new(Validator)
			s.validator(v.Proposer)
		}
	})
}

func (s *scanner) validator(v *Validator) {
	s.object(func(key []byte) {
		switch string(key) {
		case "address":
			_, v.Address = s.hex(nil)
		case "pub_key":
			s.object(func(key []byte) {
				switch string(key) {
				case "type":
					v.PubKeyType = string(s.text())
				case "value":
					v.PubKey = s.base64()
				}
			})
		case "voting_power":
			v.VotingPower = s.int()
		case "proposer_priority":
			v.ProposerPriority = s.int()
		}
	})
}

func (s *scanner) dah(d *DAH) {
	s.object(func(key []byte) {
		switch string(key) {
		case "row_roots":
			d.RowRoots = s.roots(2 * MaxWidth)
		case "column_roots":
			d.ColumnRoots = s.roots(2 * MaxWidth)
		}
	})
}

// roots reads base64 values, of which there may be limit.
func (s *scanner) roots(limit int) [][]byte {
	if s.null() {
		return nil
	}
	roots := make([][]byte, 0, 4)
	s.array(limit, func() { roots = append(roots, s.base64()) })
	return roots
}
