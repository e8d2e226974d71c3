package engineapi_test

import (
	"flag"
	"math/big"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"headrace/exec/engineapi"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/consensus/misc/eip1559"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/params"
)

var ruleFlag = flag.Int("rule", 20_000, "how many transactions to judge by each fork's rule, and by go-ethereum's pool")

// verdicts are what the rule can say of a transaction; each must come up in TestRuleIsThePools.
var verdicts = []string{
	"", "it is no transaction", "transaction type not supported", "oversized data", "max initcode size exceeded", "exceeds block gas limit", "nonce has max value", "intrinsic gas too low",
	"max fee per gas higher than 2^256-1", "max priority fee per gas higher than max fee per gas", "transaction gas price below minimum", "fee cap less than base fee", "invalid sender",
	"insufficient gas for floor data gas cost", "transaction gas limit too high",
}

// kind is a verdict without its values.
func kind(why string) string {
	kind, _, _ := strings.Cut(why, ":")
	return kind
}

// Every verdict of the rule is the one that go-ethereum's pool gave when it decided. The transactions stand at the
// rule's limits. The forks that change the number of blobs only have Osaka's rule, and are compared with it.
func TestRuleIsThePools(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	names, configs := forks(t)
	for i, name := range names[:3] {
		same := names[i : i+1]
		if name == "osaka" {
			same = names[i:]
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := &dice{Rand: rand.New(rand.NewPCG(seed, uint64(i)))}
			seen, start := map[string]int{}, time.Now()
			for i := range *ruleFlag {
				if i%20 == 0 {
					d.config = configs[name]
					d.block()
				}
				seen[kind(compare(t, d, configs, same))]++
				if t.Failed() {
					return
				}
			}
			t.Logf("%d transactions by the rules of %v in %v: %v", *ruleFlag, same, time.Since(start).Round(time.Second), seen)
			want := verdicts[:len(verdicts)-2+i] // floors come with Prague, caps with Osaka
			for _, kind := range want {
				if seen[kind] < *ruleFlag/2000 {
					t.Errorf("got %d transactions with the verdict %q, want more", seen[kind], kind)
				}
			}
			if len(seen) != len(want) {
				t.Errorf("got %d kinds of verdicts, want %d: one has no name", len(seen), len(want))
			}
		})
	}
}

// compare reports what the rule says of a transaction, which must be what the pool says by each of the forks.
func compare(t *testing.T, d *dice, configs map[string]*params.ChainConfig, forks []string) string {
	t.Helper()
	raw := d.transaction()
	rule := engineapi.NewRule(d.config, 1, d.gasLimit, d.baseFee)
	tx, from, why := rule.Offer(raw)
	want := decoded(raw)
	if (tx == nil) != (want == nil) || tx != nil && tx.Gas() != want.Gas() {
		t.Errorf("transaction %x: got %v, want %v", raw, tx, want)
		return why
	}
	for _, fork := range forks {
		config := *configs[fork]
		config.ChainID = d.config.ChainID
		sender, err := pooled(&config, 1, d.gasLimit, d.baseFee, want)
		switch {
		case !reflect.DeepEqual(engineapi.NewRule(&config, 1, d.gasLimit, d.baseFee), rule):
			t.Errorf("%s has another rule than %s", fork, forks[0])
		case (why == "") != (err == nil):
			t.Errorf("%s, chain %v, gas limit %d, base fee %v: transaction %x: got %q, want %v", fork, config.ChainID, d.gasLimit, d.baseFee, raw, why, err)
		case why == "" && (from != sender || engineapi.Cost(tx).Cmp(want.Cost()) != 0):
			t.Errorf("transaction %x: got sender %s and cost %v, want %s and %v", raw, from, engineapi.Cost(tx), sender, want.Cost())
		}
	}
	return why
}

// A type that Ethereum did not have when the rule was written is none, by our own word: a library that can read it
// changes nothing.
func TestLaterTypes(t *testing.T) {
	t.Parallel()
	_, configs := forks(t)
	d := &dice{Rand: rand.New(rand.NewPCG(1, 4)), config: configs["osaka"], gasLimit: 30_000_000, baseFee: big.NewInt(7)}
	f := d.valid()
	f.kind = 2
	d.sign(f)
	raw := d.encode(f)
	for raw[0] = range 0x80 {
		if raw[0] > 0 && raw[0] < 5 {
			continue
		}
		if tx, _, why := engineapi.NewRule(d.config, 1, d.gasLimit, d.baseFee).Offer(raw); tx != nil || why != "it is no transaction: its type is unknown" {
			t.Errorf("type %d: got %v, %q", raw[0], tx, why)
		}
	}
}

// The forks begin with the second that a genesis names.
func TestRuleBegins(t *testing.T) {
	t.Parallel()
	_, configs := forks(t)
	c := *configs["osaka"]
	prague, osaka := uint64(100), uint64(200)
	c.PragueTime, c.OsakaTime = &prague, &osaka
	d := &dice{Rand: rand.New(rand.NewPCG(1, 1)), config: &c, gasLimit: 30_000_000, baseFee: big.NewInt(7)}
	floored, capped := d.valid(), d.valid()
	for _, f := range []*fields{floored, capped} {
		*f = fields{kind: 2, chainID: c.ChainID, to: &common.Address{}, fee: big.NewInt(1 << 40), tip: big.NewInt(1 << 40), value: new(big.Int)}
	}
	floored.data, floored.gas, capped.gas = make([]byte, 100), 21_400, 1<<24+1
	for at, want := range map[uint64][2]bool{99: {true, true}, 100: {false, true}, 101: {false, true}, 199: {false, true}, 200: {false, false}, 201: {false, false}} {
		for i, f := range []*fields{floored, capped} {
			d.sign(f)
			raw := d.encode(f)
			_, _, why := engineapi.NewRule(&c, at, d.gasLimit, d.baseFee).Offer(raw)
			_, err := pooled(&c, at, d.gasLimit, d.baseFee, decoded(raw))
			if (why == "") != want[i] || (err == nil) != want[i] {
				t.Errorf("transaction %d at %d: got %q, and the pool's %v, want it taken: %t", i, at, why, err, want[i])
			}
		}
	}
}

// The next base fee is EIP-1559's.
func TestNextBaseFee(t *testing.T) {
	t.Parallel()
	_, configs := forks(t)
	d := &dice{Rand: rand.New(rand.NewPCG(1, 2)), config: configs["osaka"]}
	for range 200_000 {
		d.block()
		parent := &types.Header{Number: big.NewInt(1), GasLimit: max(d.gasLimit, 5000), BaseFee: d.baseFee}
		half := parent.GasLimit / 2
		parent.GasUsed = min(parent.GasLimit, pick(d, 0, d.near(half), d.near(half), parent.GasLimit, d.Uint64N(parent.GasLimit)))
		if got, want := engineapi.RuleAfter(d.config, parent, 1).BaseFee(), eip1559.CalcBaseFee(d.config, parent); got.Cmp(want) != 0 {
			t.Fatalf("after a block that used %d of %d gas at %v: got base fee %v, want %v", parent.GasUsed, parent.GasLimit, parent.BaseFee, got, want)
		}
	}
}

// Code that delegates to an address is EIP-7702's.
func TestDelegation(t *testing.T) {
	t.Parallel()
	good := types.AddressToDelegation(common.Address{1, 2})
	codes := [][]byte{nil, {0}, good, good[:22], append(good[:23:23], 0), {0xef, 0x01, 0x00}}
	for i := range good {
		other := append([]byte(nil), good...)
		other[i] ^= 1
		codes = append(codes, other)
	}
	for _, code := range codes {
		if _, want := types.ParseDelegation(code); engineapi.IsDelegation(code) != want {
			t.Errorf("code %x: got a delegation %t, want %t", code, !want, want)
		}
	}
}
