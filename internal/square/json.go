package square

import (
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"time"
)

// Celestia writes the same header in two ways. Results of header methods are CometBFT's JSON: 64-bit integers are strings. The header in
// an event of blob.Subscribe is plain JSON: they are numbers. In both, hashes and addresses are upper-case hexadecimal; keys, signatures
// and roots are base64. The decoders here accept either, with fields in any order.

// MarshalJSON writes the header as CometBFT does.
func (h *Header) MarshalJSON() ([]byte, error) { return h.append(make([]byte, 0, 1280), true), nil }

// AppendPlainJSON appends the header as events of blob.Subscribe carry it: with 64-bit integers as numbers.
func (h *Header) AppendPlainJSON(b []byte) []byte { return h.append(b, false) }

// MarshalJSON writes the extended header as the header methods give it.
func (e *ExtendedHeader) MarshalJSON() ([]byte, error) {
	return e.AppendJSON(make([]byte, 0, 3072+256*len(e.DAH.RowRoots))), nil
}

// AppendJSON appends what MarshalJSON returns.
func (e *ExtendedHeader) AppendJSON(b []byte) []byte {
	b = e.Header.append(append(b, `{"header":`...), true)
	b = e.Commit.append(append(b, `,"commit":`...))
	b = e.ValidatorSet.append(append(b, `,"validator_set":`...))
	b = e.DAH.append(append(b, `,"dah":`...))
	return append(b, '}')
}

// MarshalJSON writes the roots in base64.
func (d *DAH) MarshalJSON() ([]byte, error) { return d.append(nil), nil }

func (h *Header) append(b []byte, quoted bool) []byte {
	b = appendUint(append(b, `{"version":{"block":`...), h.VersionBlock, quoted)
	b = appendUint(append(b, `,"app":`...), h.VersionApp, quoted)
	b = appendString(append(b, `},"chain_id":`...), h.ChainID)
	b = appendUint(append(b, `,"height":`...), h.Height, quoted)
	b = appendTimeJSON(append(b, `,"time":`...), h.Time)
	b = h.LastBlockID.appendJSON(append(b, `,"last_block_id":`...))
	b = appendHex(append(b, `,"last_commit_hash":`...), h.LastCommitHash)
	b = appendHex(append(b, `,"data_hash":`...), h.DataHash)
	b = appendHex(append(b, `,"validators_hash":`...), h.ValidatorsHash)
	b = appendHex(append(b, `,"next_validators_hash":`...), h.NextValidatorsHash)
	b = appendHex(append(b, `,"consensus_hash":`...), h.ConsensusHash)
	b = appendHex(append(b, `,"app_hash":`...), h.AppHash)
	b = appendHex(append(b, `,"last_results_hash":`...), h.LastResultsHash)
	b = appendHex(append(b, `,"evidence_hash":`...), h.EvidenceHash)
	b = appendHex(append(b, `,"proposer_address":`...), h.ProposerAddress)
	return append(b, '}')
}

func (id *BlockID) appendJSON(b []byte) []byte {
	b = appendHex(append(b, `{"hash":`...), id.Hash)
	b = appendUint(append(b, `,"parts":{"total":`...), uint64(id.Total), false)
	b = appendHex(append(b, `,"hash":`...), id.Parts)
	return append(b, '}', '}')
}

func (c *Commit) append(b []byte) []byte {
	b = appendUint(append(b, `{"height":`...), c.Height, true)
	b = appendUint(append(b, `,"round":`...), uint64(c.Round), false)
	b = c.BlockID.appendJSON(append(b, `,"block_id":`...))
	b = append(b, `,"signatures":[`...)
	for i := range c.Signatures {
		if i > 0 {
			b = append(b, ',')
		}
		s := &c.Signatures[i]
		b = appendUint(append(b, `{"block_id_flag":`...), uint64(s.Flag), false)
		b = appendHex(append(b, `,"validator_address":`...), s.Validator)
		b = appendTimeJSON(append(b, `,"timestamp":`...), s.Timestamp)
		b = appendBase64(append(b, `,"signature":`...), s.Signature)
		b = append(b, '}')
	}
	return append(b, ']', '}')
}

func (s *ValidatorSet) append(b []byte) []byte {
	b = append(b, `{"validators":[`...)
	for i := range s.Validators {
		if i > 0 {
			b = append(b, ',')
		}
		b = s.Validators[i].append(b)
	}
	b = append(b, `],"proposer":`...)
	if s.Proposer == nil {
		return append(b, `null}`...)
	}
	return append(s.Proposer.append(b), '}')
}

func (v *Validator) append(b []byte) []byte {
	b = appendHex(append(b, `{"address":`...), v.Address)
	b = appendString(append(b, `,"pub_key":{"type":`...), v.PubKeyType)
	b = appendBase64(append(b, `,"value":`...), v.PubKey)
	b = appendInt(append(b, `},"voting_power":`...), v.VotingPower)
	b = appendInt(append(b, `,"proposer_priority":`...), v.ProposerPriority)
	return append(b, '}')
}

func (d *DAH) append(b []byte) []byte {
	b = appendRoots(append(b, `{"row_roots":`...), d.RowRoots)
	b = appendRoots(append(b, `,"column_roots":`...), d.ColumnRoots)
	return append(b, '}')
}

func appendRoots(b []byte, roots [][]byte) []byte {
	if roots == nil {
		return append(b, `null`...)
	}
	b = append(b, '[')
	for i, r := range roots {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendBase64(b, r)
	}
	return append(b, ']')
}

func appendUint(b []byte, v uint64, quoted bool) []byte {
	if !quoted {
		return strconv.AppendUint(b, v, 10)
	}
	return append(strconv.AppendUint(append(b, '"'), v, 10), '"')
}

func appendInt(b []byte, v int64) []byte {
	return append(strconv.AppendInt(append(b, '"'), v, 10), '"')
}

func appendTimeJSON(b []byte, t time.Time) []byte {
	return append(t.UTC().AppendFormat(append(b, '"'), time.RFC3339Nano), '"')
}

func appendHex(b, v []byte) []byte {
	const digits = "0123456789ABCDEF"
	b = append(b, '"')
	for _, c := range v {
		b = append(b, digits[c>>4], digits[c&15])
	}
	return append(b, '"')
}

func appendBase64(b, v []byte) []byte {
	if v == nil { // an absent validator's signature
		return append(b, `null`...)
	}
	return append(base64.StdEncoding.AppendEncode(append(b, '"'), v), '"')
}

func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c > 0x7e || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			return appendEscaped(b, s)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}

func decodeHex(dst, src []byte) ([]byte, error) {
	n := len(dst)
	dst = append(dst, src...) // room for twice the bytes; hex.Decode may work in place
	m, err := hex.Decode(dst[n:], dst[n:])
	return dst[:n+m], err
}
