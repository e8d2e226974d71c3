package block

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"
)

// Genesis is what all nodes of a chain agree on beforehand: the file that ev-node calls genesis.json, and at most one
// of two more objects that name the chain's canonical source, "da" or "l1". Without either it is a chain on a DA
// layer whose namespaces come from each node's configuration.
//
// DAEpochForcedInclusion, the DA heights of an epoch of forced inclusion, is kept for ev-node, which refuses 0. It has
// no effect, and never will have any in a genesis that names no namespace of forced transactions.
type Genesis struct {
	ChainID                string     `json:"chain_id"`
	StartTime              time.Time  `json:"start_time"`
	InitialHeight          uint64     `json:"initial_height"`
	ProposerAddress        []byte     `json:"proposer_address"` // SHA-256 of the raw public key; base64 in the file
	DAStartHeight          uint64     `json:"da_start_height"`  // no block was posted below this DA height
	DAEpochForcedInclusion uint64     `json:"da_epoch_forced_inclusion"`
	DA                     *GenesisDA `json:"da,omitempty"`
	L1                     *GenesisL1 `json:"l1,omitempty"`
}

// EvolveEpoch is DAEpochForcedInclusion in an ev-node's genesis unless somebody chooses another.
const EvolveEpoch = 50

// GenesisDA names the namespaces of a chain on a DA layer: each by a name, or as 58 hexadecimal digits.
type GenesisDA struct {
	HeaderNamespace string `json:"header_namespace"`
	DataNamespace   string `json:"data_namespace"`
}

// GenesisL1 names the inbox contract of a chain on an Ethereum L1.
type GenesisL1 struct {
	ChainID    uint64 `json:"chain_id"`
	Inbox      string `json:"inbox"`       // the contract's address, 0x and 40 hexadecimal digits
	StartBlock uint64 `json:"start_block"` // no proposal is below this L1 block
}

// LoadGenesis reads, parses and validates the genesis file at path. Its errors are one line and name the file.
func LoadGenesis(path string) (*Genesis, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read genesis: %w", err) // err names the file
	}
	g, err := ParseGenesis(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return g, nil
}

// ParseGenesis parses and validates a genesis. Keys that are not known are errors: a misspelt one would otherwise be
// a fork.
func ParseGenesis(b []byte) (*Genesis, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	g := new(Genesis)
	if err := d.Decode(g); err != nil {
		return nil, fmt.Errorf("parse genesis: %w", oneLine(err))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("parse genesis: something follows the JSON object")
	}
	if err := g.Validate(); err != nil {
		return nil, err
	}
	return g, nil
}

// oneLine says where in the file a JSON error is.
func oneLine(err error) error {
	if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
		return fmt.Errorf("byte %d: %w", syntax.Offset, err)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the JSON object is not complete")
	}
	return err
}

// Validate checks each value.
func (g *Genesis) Validate() error {
	bad := func(key, format string, args ...any) error {
		return fmt.Errorf("genesis: %s %s", key, fmt.Sprintf(format, args...))
	}
	start := g.StartTime.UnixNano()
	switch {
	case g.ChainID == "":
		return bad("chain_id", "is missing")
	case len(g.ChainID) > maxChainID:
		return bad("chain_id", "has %d bytes; %d are the most", len(g.ChainID), maxChainID)
	case !utf8.ValidString(g.ChainID):
		return bad("chain_id", "%q is not UTF-8", g.ChainID) // JSON would make another one of it
	case g.InitialHeight == 0:
		return bad("initial_height", "is 0 or missing; the first block's height is usually 1")
	case g.InitialHeight > MaxHeight || g.DAStartHeight > MaxHeight:
		return bad("initial_height or da_start_height", "is above %d, which is no height", uint64(MaxHeight))
	case g.StartTime.IsZero():
		return bad("start_time", "is missing")
	case start < 0 || !time.Unix(0, start).Equal(g.StartTime):
		return bad("start_time", "%s is out of range", g.StartTime.Format(time.RFC3339))
	case len(g.ProposerAddress) != sha256.Size:
		return bad("proposer_address", "has %d bytes; it is the SHA-256 of the proposer's public key, 32 bytes in base64", len(g.ProposerAddress))
	case g.DA != nil && g.L1 != nil:
		return bad("da and l1", "are both there; a chain has one canonical source")
	case g.DA != nil && (g.DA.HeaderNamespace == "" || g.DA.DataNamespace == ""):
		return bad("da", "needs header_namespace and data_namespace, each a name or 58 hexadecimal digits")
	case g.DA != nil && (notHex(g.DA.HeaderNamespace) || notHex(g.DA.DataNamespace)):
		return bad("da", "names namespace %q or %q with 58 characters that are not all hexadecimal digits: choose a name of another length", g.DA.HeaderNamespace, g.DA.DataNamespace)
	case g.L1 != nil && g.L1.ChainID == 0:
		return bad("l1.chain_id", "is 0 or missing")
	case g.L1 != nil && !isAddress(g.L1.Inbox):
		return bad("l1.inbox", "%q is not 0x and 40 hexadecimal digits", g.L1.Inbox)
	}
	return nil
}

// notHex reports whether a namespace has the length of one in hexadecimal digits, and is none.
func notHex(namespace string) bool {
	_, err := hex.DecodeString(namespace)
	return len(namespace) == 58 && err != nil
}

const maxChainID = 256 // bytes; of every header and metadata

func isAddress(s string) bool {
	digits, ok := strings.CutPrefix(s, "0x")
	b, err := hex.DecodeString(digits)
	return ok && err == nil && len(b) == 20
}

// Encode returns the genesis as indented JSON, the form of the file.
func (g *Genesis) Encode() []byte {
	b, err := json.MarshalIndent(g, "", "  ")
	if err != nil {
		panic(fmt.Sprintf("encode genesis: %v", err)) // only a year beyond 9999 does that, which Validate refuses
	}
	return append(b, '\n')
}

// Hash returns the chain's identity: the SHA-256 of the genesis in one canonical form, whatever white space, order of
// keys, time zone or letter case of hexadecimal digits the file has.
func (g *Genesis) Hash() Hash {
	c := *g
	c.StartTime = c.StartTime.UTC()
	if c.L1 != nil {
		l1 := *c.L1
		l1.Inbox = strings.ToLower(l1.Inbox)
		c.L1 = &l1
	}
	return sha256.Sum256(c.Encode())
}
