package engineapi

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"headrace/exec"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core"
)

// OwnTxs implements exec.Sealer: each block begins with its seal.
func (e *Engine) OwnTxs() int { return 1 }

// OwnBytes is exec.Sealer's.
func (e *Engine) OwnBytes() int { return sealRoom + exec.TxOverhead }

// ReadSecret reads the file that holds an execution client's Engine API secret: 64 hexadecimal digits, with or
// without 0x.
func ReadSecret(path string) (secret [32]byte, err error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return secret, fmt.Errorf("read secret: %w", err)
	}
	b, err := hex.DecodeString(strings.TrimPrefix(strings.TrimSpace(string(raw)), "0x"))
	if err != nil || len(b) != len(secret) {
		return secret, fmt.Errorf("read secret: %s does not hold 64 hexadecimal digits", path)
	}
	copy(secret[:], b)
	return secret, nil
}

// ReadGenesis reads the genesis file that an execution client was initialised with.
func ReadGenesis(path string) (*core.Genesis, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read genesis: %w", err)
	}
	g := new(core.Genesis)
	var file struct{ Config json.RawMessage }
	if err := errors.Join(json.Unmarshal(raw, g), json.Unmarshal(raw, &file)); err != nil {
		return nil, fmt.Errorf("read genesis: %s is not an Ethereum genesis: %w", path, err)
	}
	if file.Config != nil {
		if err := checkSchedule(file.Config); err != nil {
			return nil, fmt.Errorf("read genesis: %s: %w", path, err)
		}
	}
	return g, nil
}

// ParseAddress reads an account's address, 0x and 40 hexadecimal digits; nothing gives the zero address.
func ParseAddress(s string) (common.Address, error) {
	if s != "" && !common.IsHexAddress(s) {
		return common.Address{}, fmt.Errorf("%q is not an address: 0x and 40 hexadecimal digits", s)
	}
	return common.HexToAddress(s), nil
}
