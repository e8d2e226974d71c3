// Package da names what a data-availability layer gives and takes: namespaces, blobs, one height's blobs as a Block,
// a Submitter, and the errors every layer's client translates its own into. Types and contracts only; the clients are
// in the folders below.
package da

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Namespace is a 29-byte Celestia namespace: a version byte and a 28-byte id. Version 0 needs 18 leading zero bytes
// in the id.
type Namespace [29]byte

func (n Namespace) String() string { return hex.EncodeToString(n[:]) }

// Blob is one blob at its place. Data is not copied: whoever gets a Blob must not write to it.
type Blob struct {
	Namespace    Namespace
	Data         []byte
	ShareVersion uint8  // 0, or 1 with a Signer
	Signer       []byte // 20-byte account address with share version 1, else nil
	Commitment   []byte // share commitment, 32 bytes; nil in a blob to be submitted
	Index        int    // place in the extended square; -1 in a blob to be submitted. (height, namespace, index) identifies a blob, its commitment does not
}

// Block is everything posted to the followed namespaces at one height, complete: the blobs of the first namespace
// followed in index order, then those of the second, and so on. No blobs means that all followed namespaces are empty
// at this height.
type Block struct {
	Height uint64
	Time   time.Time // of the DA block
	Blobs  []Blob

	// Unproven is what the source's level of verification wants shown yet, by a Prover, before the height counts as
	// complete; none if nothing. The blobs can be used meanwhile.
	Unproven []Claim
}

// Claim is what an endpoint announced of one namespace at one height: so many blobs with this content, or none.
type Claim struct {
	Namespace Namespace
	Blobs     int
	Digest    [32]byte // Digest of them; zero without blobs
}

// Digest identifies the content of blobs in their order: SHA-256 over each one's length, as 8 big-endian bytes, and
// its data. It is zero without blobs.
func Digest(blobs []Blob) (d [32]byte) {
	if len(blobs) == 0 {
		return d
	}
	h := sha256.New()
	for i := range blobs {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(blobs[i].Data))))
		h.Write(blobs[i].Data)
	}
	h.Sum(d[:0])
	return d
}

// Prover shows that claims about a height are true.
type Prover interface {
	// Prove returns nil when the header with this hash commits to exactly what claims say, and an error that matches
	// ErrNotProven when it commits to something else: then the height must be read again. Any other error: not known
	// yet; a retry may help. Calls may overlap.
	Prove(ctx context.Context, height uint64, hash [32]byte, claims []Claim) error
}

// Size returns the bytes of the blobs' data, and a little for each blob, as a measure of the memory a Block holds.
func (b *Block) Size() int {
	n := 128
	for i := range b.Blobs {
		n += len(b.Blobs[i].Data) + 192
	}
	return n
}

// Submitter posts blobs. Submit returns once the blobs are included, together and at one height. After an error the
// outcome can be unknown: ErrUnknownOutcome, or a deadline without ErrNotPosted. The blobs may be included yet then, so
// whoever retries must look first or tolerate a repeat. Calls may overlap.
type Submitter interface {
	Submit(ctx context.Context, blobs []Blob) (height uint64, err error)
}

// The kinds of errors a client of a DA layer returns; test with errors.Is. Anything else is transient: a retry may
// help.
var (
	ErrFuture         = errors.New("height is not there yet")                       // the endpoint has not reached it; retry at the head
	ErrSyncing        = errors.New("endpoint is syncing")                           // the endpoint is behind; wait, or use another one
	ErrPruned         = errors.New("height is below what the endpoint keeps")       // only another endpoint can help
	ErrNotFound       = errors.New("not found")                                     // no such blob
	ErrTooBig         = errors.New("blob too big")                                  // split it
	ErrFee            = errors.New("fee too low")                                   // raise it
	ErrSequence       = errors.New("account sequence mismatch")                     // retry
	ErrUnauthorized   = errors.New("token missing, not valid, or not sufficient")   // the operator must act
	ErrWrongChain     = errors.New("endpoint serves another chain")                 // the operator must act
	ErrRateLimited    = errors.New("endpoint asks to slow down")                    // back off
	ErrRejected       = errors.New("submission rejected")                           // certainly not included
	ErrNotPosted      = errors.New("submission did not reach a node")               // certainly not included; retry when one is there
	ErrUnknownOutcome = errors.New("submission sent, but its outcome is not known") // look before you retry
)

// ParseNamespace reads a namespace given as 58 hexadecimal digits.
func ParseNamespace(s string) (Namespace, error) {
	var n Namespace
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(n) {
		return n, fmt.Errorf("namespace %q is not %d hexadecimal digits", s, 2*len(n))
	}
	copy(n[:], b)
	return n, nil
}

// ErrLooksHex: what was given for a namespace looks like its hexadecimal digits, and is not 58 of them.
var ErrLooksHex = errors.New("looks like hexadecimal digits, of which a namespace has 58")

// NamespaceOf reads a namespace as an operator gives it: as 58 hexadecimal digits, with or without 0x before them, or
// by a name. Other digits are refused: taken for a name they would be a namespace that nobody posts to.
func NamespaceOf(s string) (Namespace, error) {
	digits, marked := strings.CutPrefix(strings.Replace(s, "0X", "0x", 1), "0x")
	_, err := hex.DecodeString(digits + strings.Repeat("0", len(digits)%2))
	switch {
	case err == nil && len(digits) == 58:
		return ParseNamespace(digits)
	case marked, len(s) == 58, err == nil && len(digits) >= 40:
		return Namespace{}, fmt.Errorf("namespace %q %w: write all of them, or choose another name", s, ErrLooksHex)
	}
	return NamespaceFromName(s), nil
}

// NamespaceFromName returns the version-0 namespace that Evolve chains use for a name: its id ends in the first 10
// bytes of the name's SHA-256.
func NamespaceFromName(name string) Namespace {
	var n Namespace
	sum := sha256.Sum256([]byte(name))
	copy(n[19:], sum[:10])
	return n
}
