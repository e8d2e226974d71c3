package engineapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/forkid"
	"github.com/ethereum/go-ethereum/core/vm"
	"github.com/ethereum/go-ethereum/params"
	"github.com/ethereum/go-ethereum/params/forks"
)

// checkGenesis refuses an execution genesis that this package cannot drive.
func checkGenesis(g *core.Genesis) error {
	if g == nil || g.Config == nil || g.Config.ChainID == nil {
		return fmt.Errorf("%w: no execution genesis given", ErrConfig)
	}
	first := g.Config.Rules(new(big.Int), true, g.Timestamp)
	switch {
	case g.Config.ChainID.Sign() <= 0:
		return fmt.Errorf("%w: execution genesis has chain id %v, want 1 at least", ErrConfig, g.Config.ChainID)
	case g.Number != 0:
		return fmt.Errorf("%w: execution genesis has number %d, want 0", ErrConfig, g.Number)
	case g.Config.TerminalTotalDifficulty == nil || g.Config.TerminalTotalDifficulty.Sign() != 0:
		return fmt.Errorf("%w: execution genesis: want terminalTotalDifficulty 0", ErrConfig)
	case g.Config.LatestFork(g.Timestamp) < forks.Cancun:
		return fmt.Errorf("%w: execution genesis begins with fork %s, want cancun or later", ErrConfig, g.Config.LatestFork(g.Timestamp))
	case !first.IsHomestead || !first.IsIstanbul || !first.IsBerlin || !first.IsShanghai || !first.IsCancun:
		return fmt.Errorf("%w: execution genesis: want every fork before cancun, too, in force from its first block on", ErrConfig)
	}
	config, err := json.Marshal(g.Config)
	if err != nil {
		return fmt.Errorf("%w: execution genesis: %w", ErrConfig, err)
	}
	return checkSchedule(config)
}

// known are the keys, in lower case, of all forks by time that the rule of forced transactions is written for.
const known = " shanghaitime cancuntime praguetime osakatime bpo1time bpo2time bpo3time bpo4time bpo5time "

// checkSchedule refuses a chain configuration, as JSON, with a fork that we do not know. Files are checked as text:
// go-ethereum passes over a fork that it does not know when it reads one.
func checkSchedule(config []byte) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(config, &fields); err != nil {
		return fmt.Errorf("%w: execution genesis: %w", ErrConfig, err)
	}
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		name, isFork := strings.CutSuffix(strings.ToLower(key), "time")
		if isFork && name != "" && string(fields[key]) != "null" && !strings.Contains(known, " "+strings.ToLower(key)+" ") {
			return fmt.Errorf("%w: execution genesis schedules fork %s (%s), which this release does not know: osaka and bpo5 are the last. Take a release that knows it, or the fork out of the genesis",
				ErrConfig, strings.ToUpper(name[:1])+name[1:], key)
		}
	}
	return nil
}

// checkClient compares the client with the genesis given to us: its first block, its chain id, and its fork schedule
// as far as it tells.
func checkClient(ctx context.Context, c *Client, g *core.Genesis, genesis common.Hash, derived bool) error {
	if err := checkMethods(ctx, c, g); err != nil {
		return err
	}
	if err := checkChain(ctx, c, g, genesis); err != nil {
		return err
	}
	return checkForks(ctx, c, g, derived)
}

// checkChain compares the client's first block and its chain id with the genesis given to us.
func checkChain(ctx context.Context, c *Client, g *core.Genesis, genesis common.Hash) error {
	first, err := c.Canonical(ctx, 0)
	if err != nil {
		return err
	}
	if first == nil || first.Reported != genesis {
		got := "none"
		if first != nil {
			got = first.Reported.Hex()
		}
		return fmt.Errorf("%w: the client's genesis block is %s, want %s: was it initialised with another genesis file?", ErrConfig, got, genesis)
	}
	id, err := c.ChainID(ctx)
	if err != nil {
		return err
	}
	if id.Cmp(g.Config.ChainID) != 0 {
		return fmt.Errorf("%w: the client's chain id is %v, want %v", ErrConfig, id, g.Config.ChainID)
	}
	return nil
}

// checkMethods asks for the methods that the chain's forks need, before the first of them is missing at some height.
func checkMethods(ctx context.Context, c *Client, g *core.Genesis) error {
	var has []string
	if err := c.call(ctx, &has, "engine_exchangeCapabilities", []string{}); err != nil {
		return err
	}
	need := []string{"engine_forkchoiceUpdatedV3"}
	for fork := g.Config.LatestFork(g.Timestamp); fork <= g.Config.LatestFork(^uint64(0)); fork++ {
		version, err := getPayloadVersion(fork)
		if err != nil {
			return err
		}
		need = append(need, "engine_getPayload"+version, newPayloadMethod(fork >= forks.Prague))
	}
	for _, method := range need {
		if !slices.Contains(has, method) {
			return fmt.Errorf("%w: the client does not offer %s: is it recent enough?", ErrConfig, method)
		}
	}
	return nil
}

// rules are one fork's, as eth_config (EIP-7910) tells them.
type rules struct {
	ForkID          hexutil.Bytes             `json:"forkId"`
	Precompiles     map[string]common.Address `json:"precompiles"`
	SystemContracts map[string]common.Address `json:"systemContracts"`
	BlobSchedule    *params.BlobConfig        `json:"blobSchedule"`
}

// checkForks compares the fork schedules: a genesis block's hash does not cover them. A client that does not know
// eth_config is believed. A client for derived blocks may have precompiled contracts of its own.
func checkForks(ctx context.Context, c *Client, g *core.Genesis, derived bool) error {
	head, err := c.Latest(ctx)
	if err != nil {
		return err
	}
	var told struct{ Current, Last *rules }
	err = c.call(ctx, &told, "eth_config")
	if errors.Is(err, errNoMethod) {
		return nil
	}
	if err != nil {
		return err
	}
	if told.Last == nil {
		told.Last = told.Current // the client expects no further fork
	}
	if told.Current == nil {
		return nil
	}
	for _, at := range []struct {
		name string
		told *rules
		time uint64
	}{{"now", told.Current, head.Time}, {"at last", told.Last, ^uint64(0)}} {
		if diff := at.told.differ(g, at.time, derived); diff != "" {
			return fmt.Errorf("%w: by the execution genesis given to this node its rules are those of %s %s, but the client's have other %s: compare the two genesis files",
				ErrConfig, strings.ToLower(g.Config.LatestFork(at.time).String()), at.name, diff)
		}
	}
	return nil
}

// differ names the first thing in which r is not what g says for time; with derived, a client of such blocks.
func (r *rules) differ(g *core.Genesis, time uint64, derived bool) string {
	fork := g.Config.LatestFork(time)
	if start := g.Config.Timestamp(fork); start != nil {
		time = *start
	}
	id := forkid.NewID(g.Config, g.ToBlock(), ^uint64(0), time).Hash
	precompiles := map[string]common.Address{}
	for addr, p := range vm.ActivePrecompiledContracts(g.Config.Rules(g.Config.LondonBlock, true, time)) {
		precompiles[p.Name()] = addr
	}
	blobs, ours := r.BlobSchedule, g.Config.BlobConfig(fork)
	switch {
	case !slices.Equal(r.ForkID, id[:]):
		return fmt.Sprintf("fork times (fork id %s, want %s)", r.ForkID, hexutil.Bytes(id[:]))
	case !sameAddresses(r.SystemContracts, g.Config.ActiveSystemContracts(time)):
		return "system contracts"
	case !derived && !sameAddresses(r.Precompiles, precompiles):
		return "precompiled contracts"
	case blobs != nil && ours != nil && *blobs != *ours:
		return "blob limits"
	}
	return ""
}

// sameAddresses compares without the names, which clients may spell in their own way.
func sameAddresses(a, b map[string]common.Address) bool {
	sorted := func(m map[string]common.Address) []common.Address {
		return slices.SortedFunc(maps.Values(m), common.Address.Cmp)
	}
	return slices.Equal(sorted(a), sorted(b))
}
