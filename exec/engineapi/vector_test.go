package engineapi_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"math/big"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"headrace/exec/engineapi"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/consensus/misc/eip1559"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/params"
	"github.com/ethereum/go-ethereum/rlp"
)

var recordFlag = flag.Bool("record", false, "write testdata/rule.json; what is a verdict there stays one, and nothing else becomes one")

const vectorFile = "testdata/rule.json"

// vectors are verdicts of the rule of forced transactions, recorded when go-ethereum v1.17.4 gave the same. They are
// consensus: a change of one forks a chain.
type vectors struct {
	ChainID      uint64        `json:"chain_id"`
	Transactions []vector      `json:"transactions"`
	BaseFees     []baseFee     `json:"base_fees"`
	Accounts     []accountCase `json:"accounts"`
	Codes        []code        `json:"codes"`
}

// vector is a transaction and what it comes to by each fork's rule. In its text {00*1000} are a thousand zero bytes.
type vector struct {
	Name     string            `json:"name"`
	Tx       string            `json:"tx"`
	GasLimit uint64            `json:"gas_limit"`
	BaseFee  uint64            `json:"base_fee"`
	Gas      *uint64           `json:"gas"`            // of its item's; null: it is no transaction
	From     *common.Address   `json:"from,omitempty"` // if it can be included anywhere
	Verdicts map[string]string `json:"verdicts"`       // by fork, without values; "": it can be included
}

type baseFee struct {
	GasLimit, GasUsed uint64
	Now, Next         *big.Int
}

// accountCase is about a transaction with nonce 5 and a cost of 21000*3 + 4.
type accountCase struct {
	Nonce    uint64
	Balance  *big.Int
	Contract bool
	Verdict  string
}

type code struct {
	Code      string
	Delegates bool
}

var runs = regexp.MustCompile(`\{(..)\*(\d+)\}`)

func unpack(t testing.TB, text string) []byte {
	t.Helper()
	text = runs.ReplaceAllStringFunc(text, func(run string) string {
		m := runs.FindStringSubmatch(run)
		n, _ := strconv.Atoi(m[2])
		return strings.Repeat(m[1], n)
	})
	raw, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func pack(raw []byte) string {
	var out strings.Builder
	for len(raw) > 0 {
		n := 1
		for n < len(raw) && raw[n] == raw[0] {
			n++
		}
		if n > 64 {
			fmt.Fprintf(&out, "{%02x*%d}", raw[0], n)
		} else {
			out.WriteString(hex.EncodeToString(raw[:n]))
		}
		raw = raw[n:]
	}
	return out.String()
}

func readVectors(t testing.TB) (v vectors, err error) {
	t.Helper()
	raw, err := os.ReadFile(vectorFile)
	if err != nil {
		return v, err
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	return v, nil
}

// The rule says of each vector what it said when the vector was recorded. Nothing of go-ethereum's pool is asked.
func TestRuleVectors(t *testing.T) {
	t.Parallel()
	if *recordFlag {
		record(t)
	}
	v, err := readVectors(t)
	if err != nil {
		t.Fatal(err)
	}
	names, configs := forks(t)
	seen := map[string]bool{}
	for _, v := range v.Transactions {
		if got := slices.Sorted(maps.Keys(v.Verdicts)); !slices.Equal(got, slices.Sorted(slices.Values(names))) {
			t.Errorf("%s: got verdicts for %v, want for %v", v.Name, got, names)
		}
		for fork, want := range v.Verdicts {
			tx, from, why := engineapi.NewRule(configs[fork], 1, v.GasLimit, new(big.Int).SetUint64(v.BaseFee)).Offer(unpack(t, v.Tx))
			if kind(why) != want {
				t.Errorf("%s by the rule of %s: got %q, want %q", v.Name, fork, why, want)
			}
			if (tx != nil) != (v.Gas != nil) || tx != nil && tx.Gas() != *v.Gas {
				t.Errorf("%s: got transaction %v, want its gas %v", v.Name, tx, v.Gas)
			}
			if why == "" && (v.From == nil || *v.From != from) {
				t.Errorf("%s: got sender %v, want %v", v.Name, from, v.From)
			}
			seen[kind(why)] = true
		}
	}
	for _, verdict := range verdicts {
		if !seen[verdict] {
			t.Errorf("no vector has the verdict %q", verdict)
		}
	}
	for _, f := range v.BaseFees {
		parent := &types.Header{GasLimit: f.GasLimit, GasUsed: f.GasUsed, BaseFee: f.Now}
		if got := engineapi.RuleAfter(configs["osaka"], parent, 1).BaseFee(); got.Cmp(f.Next) != 0 {
			t.Errorf("base fee after %+v: got %v", f, got)
		}
	}
	for _, a := range v.Accounts {
		if got := engineapi.ExemptOf(a.Nonce, a.Balance, a.Contract, accountTx()); kind(got) != a.Verdict {
			t.Errorf("account %+v: got %q", a, got)
		}
	}
	for _, c := range v.Codes {
		if got := engineapi.IsDelegation(unpack(t, c.Code)); got != c.Delegates {
			t.Errorf("code %s: got a delegation %t, want %t", c.Code, got, c.Delegates)
		}
	}
	if len(v.BaseFees) == 0 || len(v.Accounts) == 0 || len(v.Codes) == 0 {
		t.Error("got no vectors of base fees, of accounts or of codes")
	}
}

func accountTx() *types.Transaction {
	return types.NewTx(&types.LegacyTx{Nonce: 5, Gas: 21_000, GasPrice: big.NewInt(3), Value: big.NewInt(4), To: &common.Address{}})
}

// record writes the vectors. Both the rule and go-ethereum's pool must agree on them, and with the vectors that are
// there.
func record(t *testing.T) {
	t.Helper()
	before, err := readVectors(t)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	names, configs := forks(t)
	out := vectors{ChainID: configs["osaka"].ChainID.Uint64()}
	for _, v := range table(configs["osaka"].ChainID) {
		raw := unpack(t, v.Tx)
		v.Verdicts = map[string]string{}
		for _, fork := range names {
			base := new(big.Int).SetUint64(v.BaseFee)
			tx, from, why := engineapi.NewRule(configs[fork], 1, v.GasLimit, base).Offer(raw)
			if _, err := pooled(configs[fork], 1, v.GasLimit, base, decoded(raw)); (why == "") != (err == nil) {
				t.Fatalf("%s by the rule of %s: got %q, want the pool's %v", v.Name, fork, why, err)
			}
			v.Verdicts[fork] = kind(why)
			if tx != nil {
				gas := tx.Gas()
				v.Gas = &gas
			}
			if why == "" {
				v.From = &from
			}
		}
		out.Transactions = append(out.Transactions, v)
	}
	for _, old := range before.Transactions {
		if !slices.ContainsFunc(out.Transactions, func(v vector) bool {
			return v.Tx == old.Tx && v.BaseFee == old.BaseFee && v.GasLimit == old.GasLimit && maps.EqualFunc(v.Verdicts, old.Verdicts, func(a, b string) bool { return (a == "") == (b == "") })
		}) {
			t.Fatalf("%s was recorded, and is gone or judged otherwise", old.Name)
		}
	}
	for _, now := range []int64{0, 1, 7, 8, 15, params.GWei} {
		for _, used := range []uint64{0, 1, 14_999_999, 15_000_000, 15_000_001, 15_000_008, 22_500_000, 30_000_000} {
			parent := &types.Header{Number: common.Big1, GasLimit: 30_000_000, GasUsed: used, BaseFee: big.NewInt(now)}
			out.BaseFees = append(out.BaseFees, baseFee{parent.GasLimit, used, parent.BaseFee, eip1559.CalcBaseFee(configs["osaka"], parent)})
		}
	}
	costs := accountTx().Cost()
	out.Accounts = append(out.Accounts, []accountCase{
		{5, costs, false, ""}, {4, costs, false, "nonce too high"}, {6, costs, false, "nonce too low"}, {5, costs, true, "sender is a contract"},
		{5, new(big.Int).Sub(costs, common.Big1), false, "insufficient funds for gas * price + value"},
	}...)
	good := types.AddressToDelegation(common.Address{1, 2})
	out.Codes = []code{{pack(good), true}, {"", false}, {"00", false}, {pack(good[:22]), false}, {pack(good) + "00", false}, {"ef0101" + pack(good[3:]), false}}
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := errors.Join(enc.Encode(out), os.MkdirAll("testdata", 0o755), os.WriteFile(vectorFile, text.Bytes(), 0o644)); err != nil {
		t.Fatal(err)
	}
}

// table makes transactions at each limit of the rule: the last that is within, and the first beyond.
func table(id *big.Int) (all []vector) {
	const base = params.GWei
	d := &dice{Rand: rand.New(rand.NewPCG(1, 3)), config: &params.ChainConfig{ChainID: id}}
	add := func(name string, raw []byte) {
		all = append(all, vector{Name: name, Tx: pack(raw), GasLimit: 30_000_000, BaseFee: base})
	}
	plain := func(kind int, change func(*fields)) *fields {
		f := &fields{kind: kind, chainID: id, gas: 21_000, fee: big.NewInt(100 * params.GWei), tip: big.NewInt(params.GWei), value: common.Big1, to: &common.Address{0xaa}, nonce: 11}
		if change != nil {
			change(f)
		}
		d.sign(f)
		return f
	}
	canonical := func(kind int, change func(*fields)) []byte {
		f := plain(kind, change)
		raw, err := f.tx(f.chainID).MarshalBinary()
		if err != nil {
			panic(err)
		}
		return raw
	}
	one := func(name string, kind int, change func(*fields)) { add(name, canonical(kind, change)) }

	for kind, name := range []string{"legacy", "access list", "dynamic fee", "blobs", "delegations of others"} {
		one("type: "+name, kind, nil)
	}
	one("type: delegations of others, none given", 4, func(f *fields) { f.nonce = 12 })
	blob := canonical(3, nil)
	for name, bundle := range map[string][]any{
		"blobs in a bundle": {rlp.RawValue(blob[1:]), []any{}, []any{}, []any{}}, "blobs in a bundle of version 1": {rlp.RawValue(blob[1:]), uint(1), []any{}, []any{}, []any{}},
		"blobs in a bundle of version 2": {rlp.RawValue(blob[1:]), uint(2), []any{}, []any{}, []any{}}, "blobs in a bundle that is cut": {rlp.RawValue(blob[1:]), []any{}},
	} {
		raw, err := rlp.EncodeToBytes(bundle)
		if err != nil {
			panic(err)
		}
		add("type: "+name, append([]byte{3}, raw...))
	}
	slices.SortFunc(all, func(a, b vector) int { return strings.Compare(a.Name, b.Name) })
	dynamic := canonical(2, nil)
	for name, raw := range map[string][]byte{
		"nothing": {}, "type 0": append([]byte{0}, dynamic[1:]...), "type 5": append([]byte{5}, dynamic[1:]...), "type 127": append([]byte{0x7f}, dynamic[1:]...),
		"a type alone": {2}, "a string": []byte("\x87garbage"), "a tail": append(slices.Clone(dynamic), 0), "a cut": dynamic[:len(dynamic)-1],
	} {
		add("encoding: "+name, raw)
	}
	slices.SortFunc(all, func(a, b vector) int { return strings.Compare(a.Name, b.Name) })

	for off := range 2 {
		more, less := uint64(off), -uint64(off)
		say := []string{" (at the limit)", " (beyond it)"}[off]
		limit := func(name string, kind int, change func(*fields)) { one(name+say, kind, change) }
		sized := func(kind int) func(f *fields) {
			head := len(canonical(kind, func(f *fields) { f.data, f.gas = bytes.Repeat([]byte{1}, 1<<16), 16_000_000 })) - 1<<16
			return func(f *fields) { f.data, f.gas = bytes.Repeat([]byte{1}, 128<<10-head+off), 16_000_000 }
		}
		for kind, name := range []string{"legacy", "access list", "dynamic fee"} {
			limit("size: "+name, kind, sized(kind))
		}
		limit("init code", 2, func(f *fields) { f.to, f.data, f.gas = nil, make([]byte, 49_152+more), 1_000_000 })
		limit("gas: a transaction's cap", 2, func(f *fields) { f.gas = 1<<24 + more })
		limit("gas: the block's", 2, func(f *fields) { f.gas = 15_000_000 + more })
		all[len(all)-1].GasLimit = 15_000_000
		limit("nonce", 2, func(f *fields) { f.nonce = 1<<64 - 2 + more })
		limit("intrinsic gas: plain", 2, func(f *fields) { f.gas = 21_000 + less })
		limit("intrinsic gas: creation", 2, func(f *fields) { f.to, f.gas = nil, 53_000+less })
		limit("intrinsic gas: creation by 32 bytes", 2, func(f *fields) { f.to, f.data, f.gas = nil, make([]byte, 32), 53_000+32*4+2+less })
		limit("intrinsic gas: creation by 33 bytes", 2, func(f *fields) { f.to, f.data, f.gas = nil, make([]byte, 33), 53_000+33*4+4+less })
		limit("intrinsic gas: ten zero bytes before Prague", 2, func(f *fields) { f.data, f.gas = make([]byte, 10), 21_040+less })
		limit("intrinsic gas: ten other bytes before Prague", 2, func(f *fields) { f.data, f.gas = bytes.Repeat([]byte{1}, 10), 21_160+less })
		list := types.AccessList{{Address: common.Address{1}, StorageKeys: make([]common.Hash, 2)}, {}}
		limit("intrinsic gas: access list", 1, func(f *fields) { f.access, f.gas = list, 21_000+2*2400+2*1900+less })
		limit("intrinsic gas: access list and bytes from Prague on", 2, func(f *fields) {
			f.access, f.data, f.gas = list, make([]byte, 10), 21_040+2*2400+2*1900+less
		})
		limit("floor gas: ten zero bytes", 2, func(f *fields) { f.data, f.gas = make([]byte, 10), 21_100+less })
		limit("floor gas: ten other bytes", 2, func(f *fields) { f.data, f.gas = bytes.Repeat([]byte{1}, 10), 21_400+less })
		amount := func(n int64, sign int64) *big.Int { return big.NewInt(n + sign*int64(off)) }
		limit("fee: 256 bits", 2, func(f *fields) {
			f.fee = new(big.Int).Sub(new(big.Int).Lsh(common.Big1, 256), big.NewInt(int64(1-off)))
		})
		limit("fee: the tip", 2, func(f *fields) { f.tip = new(big.Int).Add(f.fee, amount(0, 1)) })
		limit("fee: base fee and least tip", 2, func(f *fields) { f.fee, f.tip = amount(base+1_000_000, -1), big.NewInt(1_000_000) })
		limit("fee: base fee and least tip, legacy", 0, func(f *fields) { f.fee = amount(base+1_000_000, -1) })
		limit("fee: the least tip", 2, func(f *fields) { f.tip = amount(1_000_000, -1) })
		limit("fee: the base fee and no tip", 2, func(f *fields) { f.fee, f.tip = amount(base, -1), big.NewInt(1_000_000) })
		half := new(big.Int).Rsh(order, 1)
		limit("signature: s", 2, func(f *fields) { f.s = new(big.Int).Add(half, amount(0, 1)) })
		limit("signature: v of a dynamic fee", 2, func(f *fields) { f.v = amount(1, 1) })
		limit("signature: v of a legacy", 0, func(f *fields) { f.v = new(big.Int).Add(new(big.Int).Lsh(id, 1), amount(36, 1)) })
		limit("signature: chain id", 2, func(f *fields) { f.chainID = new(big.Int).Add(id, amount(0, 1)) })
		limit("signature: chain id of a legacy", 0, func(f *fields) { f.chainID = new(big.Int).Add(id, amount(0, 1)) })
	}
	one("signature: for any chain", 0, func(f *fields) { f.unbound = true })
	one("signature: chain id 0", 2, func(f *fields) { f.chainID = new(big.Int) })
	for name, n := range map[string]*big.Int{"0": new(big.Int), "the order": order, "2^256": new(big.Int).Lsh(common.Big1, 256)} {
		for kind := range 3 {
			one(fmt.Sprintf("signature: r is %s, type %d", name, kind), kind, func(f *fields) { f.r = n })
			one(fmt.Sprintf("signature: s is %s, type %d", name, kind), kind, func(f *fields) { f.s = n })
		}
	}
	one("signature: the other one of two", 2, func(f *fields) {
		d.sign(f)
		f.s, f.v = new(big.Int).Sub(order, f.s), new(big.Int).Xor(f.v, common.Big1)
	})
	slices.SortStableFunc(all, func(a, b vector) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// What decides a verdict is written out: no file takes go-ethereum's pool, and the rule takes nothing of go-ethereum
// but encodings, a sender's recovery, and types that hold values.
func TestRuleIsOurs(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		names := map[string]bool{}
		for _, i := range f.Imports {
			path := strings.Trim(i.Path.Value, `"`)
			if strings.Contains(path, "/core/txpool") || strings.Contains(path, "/consensus/") {
				t.Errorf("%s imports %s: the pool's policy may change with any release", file, path)
			}
			if strings.Contains(path, ".") {
				names[path[strings.LastIndex(path, "/")+1:]] = true
			}
		}
		if file != "rule.go" {
			continue
		}
		used := map[string]bool{}
		ast.Inspect(f, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := s.X.(*ast.Ident); ok && names[x.Name] {
					used[x.Name+"."+s.Sel.Name] = true
				}
			}
			return true
		})
		want := []string{
			"common.Address", "common.Hash", "common.HexToHash", "hexutil.Big", "hexutil.Uint64", "params.ChainConfig", "rlp.DecodeBytes", "rlp.List", "rlp.Split", "rlp.SplitList",
			"types.BlobTx", "types.Header", "types.NewLondonSigner", "types.NewTx", "types.Transaction",
		}
		if got := slices.Sorted(maps.Keys(used)); !slices.Equal(got, want) {
			t.Errorf("the rule uses of go-ethereum %v, want %v: is what is new Ethereum's consensus, for ever?", got, want)
		}
	}
}
