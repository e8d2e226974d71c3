package block

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"
)

// Genesis fixes a chain: who proposes, where its blocks are posted, and where it starts. It is Evolve's genesis file plus the one canonical source.
type Genesis struct {
	ChainID         string     `json:"chain_id"`
	StartTime       time.Time  `json:"start_time"`
	InitialHeight   uint64     `json:"initial_height"`
	ProposerAddress []byte     `json:"proposer_address"`
	DAStartHeight   uint64     `json:"da_start_height"`
	DAEpoch         uint64     `json:"da_epoch_forced_inclusion,omitempty"` // Evolve's; kept, not used
	DA              *GenesisDA `json:"da,omitempty"`
	L1              *GenesisL1 `json:"l1,omitempty"`
}

// GenesisDA names the namespaces of a chain whose canonical source is a DA layer: each a name, or 58 hexadecimal digits.
type GenesisDA struct {
	HeaderNamespace string `json:"header_namespace"`
	DataNamespace   string `json:"data_namespace"`
}

// GenesisL1 names the inbox contract of a chain whose canonical source is an Ethereum L1.
type GenesisL1 struct {
	ChainID    uint64 `json:"chain_id"`
	Inbox      string `json:"inbox"`       // address, 0x and 40 hexadecimal digits
	StartBlock uint64 `json:"start_block"` // the L1 block that the inbox was made in
}

// LoadGenesis reads and validates a genesis file.
func LoadGenesis(path string) (*Genesis, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read genesis: %w", err)
	}
	g, err := ParseGenesis(raw)
	if err != nil {
		return nil, fmt.Errorf("genesis %s: %w", path, err)
	}
	return g, nil
}

// ParseGenesis reads and validates a genesis. Keys it does not know are errors: a setting that is silently left out would make another chain.
func ParseGenesis(raw []byte) (*Genesis, error) {
	g := new(Genesis)
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(g); err != nil {
		return nil, fmt.Errorf("not a genesis: %w", err)
	}
	if dec.More() {
		return nil, errors.New("not a genesis: something follows the JSON object")
	}
	return g, g.Validate()
}

// Validate reports the first thing wrong.
func (g *Genesis) Validate() error {
	switch {
	case g == nil:
		return errors.New("there is none")
	case g.ChainID == "":
		return errors.New("chain_id is missing")
	case g.StartTime.IsZero() || g.StartTime.UnixNano() < 0:
		return errors.New("start_time is missing, or before 1970")
	case g.InitialHeight == 0:
		return errors.New("initial_height must be 1 or more")
	case len(g.ProposerAddress) != sha256.Size:
		return fmt.Errorf("proposer_address must be %d bytes in base64, the SHA-256 of the proposer's public key; it has %d", sha256.Size, len(g.ProposerAddress))
	case g.DA != nil && g.L1 != nil:
		return errors.New("both da and l1 are set: a chain has exactly one canonical source")
	case g.DA != nil && (g.DA.HeaderNamespace == "" || g.DA.DataNamespace == ""):
		return errors.New("da.header_namespace and da.data_namespace must both be set")
	case g.L1 != nil && (g.L1.ChainID == 0 || g.L1.Inbox == ""):
		return errors.New("l1.chain_id and l1.inbox must both be set")
	}
	return nil
}

// Encode returns the genesis as indented JSON, as it is written to a file.
func (g *Genesis) Encode() []byte {
	b, err := json.MarshalIndent(g, "", "  ")
	if err != nil {
		panic(fmt.Sprintf("encode genesis: %v", err)) // a year beyond 9999: Validate's callers cannot get here
	}
	return append(b, '\n')
}

// Hash identifies the chain. It does not depend on how the file is laid out.
func (g *Genesis) Hash() Hash { return sha256.Sum256(g.Encode()) }
