package geth

import (
	"crypto/ecdsa"
	"fmt"
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/params"
)

// Fork is a set of Ethereum's rules.
type Fork int

const (
	Cancun Fork = iota
	Prague
	Osaka
)

func (f Fork) String() string { return [...]string{"cancun", "prague", "osaka"}[f] }

const (
	// DevChainID is DevGenesis' chain id.
	DevChainID = 1337
	// DevGasLimit is the gas limit of DevGenesis' blocks.
	DevGasLimit = 30_000_000
	// DevAccounts is how many accounts DevGenesis gives money to.
	DevAccounts = 16
)

// DevGenesis is a chain for development that has the rules of fork from its first block, the system contracts those need, and a
// million ether for each DevKey. Its time is 0, so that a consensus is free to begin at any later one. The result is the caller's to change.
func DevGenesis(fork Fork) *core.Genesis {
	config := *params.AllDevChainProtocolChanges
	config.ChainID = big.NewInt(DevChainID)
	schedule := *config.BlobScheduleConfig
	config.BlobScheduleConfig = &schedule
	if fork < Osaka {
		config.OsakaTime, schedule.Osaka = nil, nil
	}
	if fork < Prague {
		config.PragueTime, schedule.Prague = nil, nil
	}
	// go-ethereum's own development genesis has the system contracts; its rules are replaced by ours.
	genesis := core.DeveloperGenesisBlock(DevGasLimit, nil)
	genesis.Config = &config
	million := new(big.Int).Mul(big.NewInt(1_000_000), big.NewInt(params.Ether))
	for i := range DevAccounts {
		genesis.Alloc[crypto.PubkeyToAddress(DevKey(i).PublicKey)] = types.Account{Balance: new(big.Int).Set(million)}
	}
	return genesis
}

// DevKey is the key of DevGenesis' account i in [0, DevAccounts). Anyone can compute it.
func DevKey(i int) *ecdsa.PrivateKey {
	if i < 0 || i >= DevAccounts {
		panic(fmt.Sprintf("geth: no development account %d, want [0, %d)", i, DevAccounts))
	}
	key, err := crypto.ToECDSA(crypto.Keccak256(fmt.Appendf(nil, "headrace development account %d", i)))
	if err != nil {
		panic(err) // fixed input
	}
	return key
}

// DevAddress is the address of DevKey(i).
func DevAddress(i int) common.Address { return crypto.PubkeyToAddress(DevKey(i).PublicKey) }
