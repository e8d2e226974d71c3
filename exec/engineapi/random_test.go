package engineapi_test

import (
	"math/big"
	"math/rand/v2"
	"slices"

	"headrace/devnet/geth"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/params"
	"github.com/ethereum/go-ethereum/rlp"
	"github.com/holiman/uint256"
)

var signingKey = geth.DevKey(0)

// A dice makes transactions that stand at the limits of the rule: each is valid but for a few things, which are moved
// to a limit or one beside it.
type dice struct {
	*rand.Rand
	config   *params.ChainConfig
	gasLimit uint64
	baseFee  *big.Int
}

// one chance in n.
func (d *dice) one(n int) bool { return d.IntN(n) == 0 }

func pick[T any](d *dice, of ...T) T { return of[d.IntN(len(of))] }

// near is n, or one beside it.
func (d *dice) near(n uint64) uint64 { return n + pick[uint64](d, 0, 1, ^uint64(0)) }

func (d *dice) nearBig(n *big.Int) *big.Int {
	return new(big.Int).Abs(new(big.Int).Add(n, big.NewInt(int64(d.IntN(3)-1))))
}

// huge is at the edge of what a number may be in places.
func (d *dice) huge() *big.Int {
	return d.nearBig(new(big.Int).Lsh(big.NewInt(1), pick[uint](d, 31, 63, 64, 128, 255, 256, 257, 300)))
}

// block throws the block that the transactions are for.
func (d *dice) block() {
	id := pick(d, big.NewInt(1), big.NewInt(geth.DevChainID), new(big.Int).Lsh(big.NewInt(1), 63), new(big.Int).SetUint64(1<<63-1), new(big.Int).Lsh(big.NewInt(1), 70))
	c := *d.config
	c.ChainID, d.config = id, &c
	d.gasLimit = pick[uint64](d, 30_000_000, 60_000_000, d.near(1<<24), 1<<63-1, 21_000, 100_000, d.Uint64N(1<<25))
	d.baseFee = pick(d, new(big.Int), big.NewInt(7), big.NewInt(1_000_000), big.NewInt(params.GWei), big.NewInt(d.Int64N(1<<40)), d.huge())
}

// fields are all that a transaction of any type may have.
type fields struct {
	kind            int
	unbound         bool // a legacy transaction that names no chain
	chainID         *big.Int
	nonce, gas      uint64
	fee, tip, value *big.Int
	to              *common.Address
	data            []byte
	access          types.AccessList
	v, r, s         *big.Int
}

// transaction throws one, encoded.
func (d *dice) transaction() []byte {
	if d.one(100) {
		return d.garbage()
	}
	f := d.valid()
	for range pick(d, 0, 1, 1, 1, 1, 2, 3) {
		d.spoil(f)
	}
	d.sign(f)
	raw := d.encode(f)
	if d.one(50) {
		raw = d.mangle(raw)
	}
	return raw
}

func (d *dice) valid() *fields {
	f := &fields{
		kind: pick(d, 0, 0, 1, 1, 2, 2, 2, 3, 4), unbound: d.one(30), chainID: d.config.ChainID, nonce: d.Uint64N(100), to: &common.Address{byte(d.IntN(5))},
		value: big.NewInt(d.Int64N(1 << 60)), tip: big.NewInt(1_000_000 + d.Int64N(1<<32)),
	}
	if d.one(4) {
		f.to = nil
	}
	f.fee = new(big.Int).Add(d.baseFee, f.tip)
	if f.fee.BitLen() > 256 {
		f.fee = new(big.Int).Set(f.tip) // below the base fee, if not beyond all bounds
	}
	if !d.one(3) {
		f.data = d.bytes(pick(d, 1, 31, 32, 33, 64, d.IntN(300), d.IntN(300)))
	}
	if f.kind > 0 && d.one(2) {
		f.access = d.accessList()
	}
	f.gas = min(d.least(f)+d.Uint64N(20_000), d.gasLimit)
	return f
}

// bytes gives n of them, of which some are zero.
func (d *dice) bytes(n int) []byte {
	b, zeros := make([]byte, n), pick(d, 0, 1, 5, 10)
	for i := range b {
		if d.IntN(10) >= zeros {
			b[i] = byte(1 + d.IntN(255))
		}
	}
	return b
}

func (d *dice) accessList() (list types.AccessList) {
	for range d.IntN(4) {
		list = append(list, types.AccessTuple{Address: common.Address{byte(d.IntN(3))}, StorageKeys: make([]common.Hash, d.IntN(4))})
	}
	return list
}

// least is the gas that f needs, by go-ethereum's own account; of one of the two limits, if that is not the upper one.
func (d *dice) least(f *fields) uint64 {
	rules := d.config.Rules(common.Big1, true, 1)
	var authorizations []types.SetCodeAuthorization
	costs, err1 := core.IntrinsicGas(f.data, f.access, authorizations, f.to == nil, rules, params.CostPerStateByte)
	floor, err2 := core.FloorDataGas(rules, f.data, f.access)
	if err1 != nil || err2 != nil {
		panic("no gas for so much data")
	}
	if rules.IsPrague && !d.one(5) {
		return max(costs.RegularGas, floor)
	}
	return pick(d, costs.RegularGas, floor, costs.RegularGas)
}

// spoil moves something to a limit.
func (d *dice) spoil(f *fields) {
	tip := big.NewInt(1_000_000)
	switch d.IntN(16) {
	case 0, 1, 2:
		f.gas = d.near(d.least(f))
	case 3:
		f.gas = d.near(d.gasLimit)
	case 4:
		f.gas = d.near(1 << 24)
	case 5:
		f.tip = d.nearBig(tip)
		f.fee = d.nearBig(new(big.Int).Add(d.baseFee, f.tip))
	case 6:
		f.fee = d.nearBig(f.tip)
	case 7:
		f.fee = d.nearBig(new(big.Int).Add(d.baseFee, tip))
	case 8:
		f.fee = d.nearBig(d.baseFee)
	case 9:
		*pick(d, &f.fee, &f.tip, &f.value, &f.chainID) = d.huge()
		if d.one(2) {
			f.tip = f.fee
		}
	case 10:
		f.nonce = d.near(pick[uint64](d, 0, 1<<32, 1<<64-1, 1<<64-2))
	case 11:
		f.chainID = pick(d, new(big.Int), d.nearBig(d.config.ChainID), big.NewInt(4))
	case 12, 13:
		d.spoilSignature(f)
	case 14:
		if d.one(4) { // these cost time
			d.resize(f)
		}
	case 15:
		f.data = d.bytes(d.IntN(100))
		f.gas = d.near(d.least(f))
	}
}

// resize makes f as large as a transaction, or its init code, may be, or one more or less.
func (d *dice) resize(f *fields) {
	n := d.near(49_152)
	if d.one(2) {
		f.v, f.r, f.s = nil, nil, nil
		d.sign(f)
		f.data = make([]byte, 1<<16)
		n = 1<<16 + d.near(128<<10) - uint64(len(d.encode(f)))
		f.v, f.r, f.s = nil, nil, nil
	} else {
		f.to = nil
	}
	f.data = d.bytes(int(n))
	f.gas = min(d.least(f), max(d.gasLimit, 1<<21))
}

var order = crypto.S256().Params().N

// spoilSignature sets parts of a signature that sign completes.
func (d *dice) spoilSignature(f *fields) {
	id2 := new(big.Int).Lsh(d.config.ChainID, 1)
	edge := func() *big.Int {
		return pick(d, new(big.Int), big.NewInt(1), d.nearBig(order), d.nearBig(new(big.Int).Rsh(order, 1)), d.huge())
	}
	switch d.IntN(4) {
	case 0:
		f.r = edge()
	case 1:
		f.s = edge()
	case 2:
		f.v = pick(d, big.NewInt(int64(d.IntN(40))), new(big.Int).Add(id2, big.NewInt(int64(33+d.IntN(6)))), d.huge(), big.NewInt(int64(225+d.IntN(40))))
	case 3:
		d.sign(f) // the other signature of the same: a high s
		f.s = new(big.Int).Sub(order, f.s)
		if d.one(2) {
			f.v = new(big.Int).Xor(f.v, big.NewInt(1))
			if f.kind == 0 {
				f.v = new(big.Int).Sub(new(big.Int).Add(new(big.Int).Lsh(id2, 1), big.NewInt(71)), f.v)
			}
		}
	}
}

// sign signs f, but for what of its signature is there already.
func (d *dice) sign(f *fields) {
	var signer types.Signer = types.HomesteadSigner{}
	if f.kind > 0 || !f.unbound {
		id := f.chainID
		if id.Sign() <= 0 {
			id = d.config.ChainID
		}
		signer = types.LatestSignerForChainID(id)
	}
	hash := signer.Hash(f.tx(f.chainID))
	sig, err := crypto.Sign(hash[:], signingKey)
	if err != nil {
		panic(err)
	}
	v := big.NewInt(int64(sig[64]))
	if f.kind == 0 {
		v.Add(v, big.NewInt(27))
		if !f.unbound {
			v.Add(v, big.NewInt(8)).Add(v, new(big.Int).Lsh(f.chainID, 1))
		}
	}
	set := func(at **big.Int, to *big.Int) {
		if *at == nil {
			*at = to
		}
	}
	set(&f.r, new(big.Int).SetBytes(sig[:32]))
	set(&f.s, new(big.Int).SetBytes(sig[32:64]))
	set(&f.v, v)
	for _, n := range []*big.Int{f.r, f.s, f.v} {
		n.Abs(n) // an encoding has no others
	}
}

// tx makes a transaction of f. Types with bounded numbers get what is left of them.
func (f *fields) tx(id *big.Int) *types.Transaction {
	small := func(n *big.Int) *uint256.Int {
		if n == nil {
			return new(uint256.Int)
		}
		u, _ := uint256.FromBig(n)
		return u
	}
	var to common.Address
	if f.to != nil {
		to = *f.to
	}
	switch f.kind {
	case types.LegacyTxType:
		return types.NewTx(&types.LegacyTx{Nonce: f.nonce, GasPrice: f.fee, Gas: f.gas, To: f.to, Value: f.value, Data: f.data, V: f.v, R: f.r, S: f.s})
	case types.AccessListTxType:
		return types.NewTx(&types.AccessListTx{ChainID: id, Nonce: f.nonce, GasPrice: f.fee, Gas: f.gas, To: f.to, Value: f.value, Data: f.data, AccessList: f.access, V: f.v, R: f.r, S: f.s})
	case types.DynamicFeeTxType:
		return types.NewTx(&types.DynamicFeeTx{ChainID: id, Nonce: f.nonce, GasFeeCap: f.fee, GasTipCap: f.tip, Gas: f.gas, To: f.to, Value: f.value, Data: f.data, AccessList: f.access,
			V: f.v, R: f.r, S: f.s})
	case types.BlobTxType:
		return types.NewTx(&types.BlobTx{ChainID: small(id), Nonce: f.nonce, GasFeeCap: small(f.fee), GasTipCap: small(f.tip), Gas: f.gas, To: to, Value: small(f.value), Data: f.data,
			AccessList: f.access, BlobFeeCap: uint256.NewInt(f.nonce % 3), BlobHashes: f.blobs(), V: small(f.v), R: small(f.r), S: small(f.s)})
	default:
		return types.NewTx(&types.SetCodeTx{ChainID: small(id), Nonce: f.nonce, GasFeeCap: small(f.fee), GasTipCap: small(f.tip), Gas: f.gas, To: to, Value: small(f.value), Data: f.data,
			AccessList: f.access, AuthList: f.authorizations(), V: small(f.v), R: small(f.r), S: small(f.s)})
	}
}

// blobs are none to nine hashes, of a good version or not, as the nonce will have it.
func (f *fields) blobs() []common.Hash {
	hashes := make([]common.Hash, f.nonce%10)
	for i := range hashes {
		hashes[i] = common.Hash{byte(f.nonce / 10 % 2), byte(i)}
	}
	return hashes
}

func (f *fields) authorizations() []types.SetCodeAuthorization {
	return slices.Repeat([]types.SetCodeAuthorization{{Nonce: f.nonce}}, []int{0, 1, 2, 300}[f.nonce%4])
}

// encode encodes f; a blob transaction with what comes with it outside of blocks, at times.
func (d *dice) encode(f *fields) []byte {
	tx := f.tx(f.chainID)
	raw, err := tx.MarshalBinary()
	if err != nil {
		panic(err)
	}
	if f.kind != types.BlobTxType || d.one(3) {
		return raw
	}
	commitments := make([][48]byte, d.IntN(3))
	bundle := []any{rlp.RawValue(raw[1:]), []any{}, commitments, commitments}
	if d.one(2) {
		bundle = []any{rlp.RawValue(raw[1:]), pick[any](d, uint(0), uint(1), uint(1), uint(2), uint(300), []byte{0}), []any{}, commitments, commitments}
	}
	if d.one(10) {
		bundle = bundle[:1+d.IntN(len(bundle)-1)]
	}
	out, err := rlp.EncodeToBytes(bundle)
	if err != nil {
		panic(err)
	}
	return append([]byte{types.BlobTxType}, out...)
}

// mangle breaks an encoding somewhere.
func (d *dice) mangle(raw []byte) []byte {
	at := d.IntN(len(raw))
	switch d.IntN(6) {
	case 0:
		return raw[:at]
	case 1:
		return append(raw, 0)
	case 2:
		raw[at] ^= 1 << d.IntN(8)
	case 3:
		raw[0] = byte(d.IntN(256))
	case 4:
		return slices.Insert(raw, 0, byte(d.IntN(8)))
	case 5:
		return slices.Insert(raw, at, raw[at])
	}
	return raw
}

// garbage was no transaction ever.
func (d *dice) garbage() []byte {
	b := make([]byte, pick(d, 0, 1, 2, 3, 50, 500))
	for i := range b {
		b[i] = byte(d.IntN(256))
	}
	if len(b) > 0 && d.one(2) {
		b[0] = pick[byte](d, 0, 1, 2, 3, 4, 5, 6, 0x7e, 0x7f, 0x80, 0xc0, 0xc1, 0xf8)
	}
	if len(b) > 1 && d.one(2) {
		b[1] = pick[byte](d, 0x80, 0xc0, 0xc1, 0xc2, 0xf8)
	}
	return b
}
