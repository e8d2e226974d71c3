package compact

import (
	"encoding/binary"
	"math/bits"

	"headrace/exec"
)

// Transactions of Ethereum's five types are split into their fields; any other bytes are written whole. How they are
// encoded is Ethereum's consensus and is written out here: a byte for the type, but for the oldest, and a list in RLP
// (yellow paper, appendix B; EIP-2718, EIP-2930, EIP-1559, EIP-4844, EIP-7702). Nothing is decided about what they mean:
// a transaction is split if putting its fields together again gives its bytes.

// A role is what a field of a transaction is.
type role byte

const (
	chainID   role = iota // a number, in the signature of the oldest type
	nonce                 // a number
	price                 // a number, of wei
	gas                   // a number
	to                    // 20 bytes, or none
	value                 // a number
	input                 // bytes
	list                  // a list, whole
	signature             // v, r and s, three numbers
)

// kinds are the types of transactions, by the byte that their kind begins with; forms has the fields.
const (
	kindRaw = iota
	kindLegacy
	kindAccess
	kindDynamic
	kindBlob
	kindSetCode
)

var forms = [...][]role{
	kindLegacy:  {nonce, price, gas, to, value, input, signature},
	kindAccess:  {chainID, nonce, price, gas, to, value, input, list, signature},
	kindDynamic: {chainID, nonce, price, price, gas, to, value, input, list, signature},
	kindBlob:    {chainID, nonce, price, price, gas, to, value, input, list, price, list, signature},
	kindSetCode: {chainID, nonce, price, price, gas, to, value, input, list, list, signature},
}

// Bits of a kind above the type.
const (
	kindMask  = 7
	toNobody  = 1 << 3 // to is empty
	parity    = 1 << 4 // of the signature
	oddV      = 1 << 5 // v is written: it is not what the chain id and a parity make
	newChain  = 1 << 6 // the chain id is written: it is not that of the transaction before
	unbound   = 1 << 7 // of the oldest type: v has no chain id, it is 27 or 28
	maxNumber = 32     // bytes
)

// txWriter splits the transactions of a proposal, one after the other.
type txWriter struct {
	c     *exec.Columns
	chain []byte // the chain id of the last one that had one: a number, big-endian
}

// put writes one transaction.
func (w *txWriter) put(tx []byte) {
	if f, ok := split(tx); ok {
		w.fields(f)
		return
	}
	w.c.Put(txKind, kindRaw)
	w.c.PutBytes(txRaw, tx)
}

// fields is a transaction in pieces. Numbers are big-endian without leading zeros.
type fields struct {
	kind    byte
	form    []role
	of      [12][]byte // by place in form
	v, r, s []byte
}

// split takes a transaction apart; ok is false if it is none of the five types, or would not come back as it is.
func split(tx []byte) (f fields, ok bool) {
	switch {
	case len(tx) == 0:
		return f, false
	case tx[0] >= 0xc0:
		f.kind = kindLegacy
	case tx[0] >= 1 && tx[0] <= 4:
		f.kind, tx = kindLegacy+tx[0], tx[1:]
	default:
		return f, false
	}
	f.form = forms[f.kind]
	body, rest, isList, ok := item(tx)
	if !ok || !isList || len(rest) > 0 {
		return f, false
	}
	for i, role := range f.form {
		if role == signature {
			if f.v, body, ok = number(body); !ok {
				return f, false
			}
			if f.r, body, ok = number(body); !ok {
				return f, false
			}
			if f.s, body, ok = number(body); !ok {
				return f, false
			}
			continue
		}
		var isList bool
		if f.of[i], body, isList, ok = item(body); !ok || isList != (role == list) || !role.holds(f.of[i]) {
			return f, false
		}
	}
	return f, len(body) == 0
}

// holds reports whether content can be that of a field.
func (r role) holds(content []byte) bool {
	switch r {
	case to:
		return len(content) == 0 || len(content) == 20
	case input, list:
		return true
	}
	return isNumber(content)
}

func isNumber(b []byte) bool { return len(b) <= maxNumber && (len(b) == 0 || b[0] != 0) }

func number(b []byte) (n, rest []byte, ok bool) {
	n, rest, isList, ok := item(b)
	return n, rest, ok && !isList && isNumber(n)
}

// item reads the first item of b in RLP. Lengths in another than the shortest form are refused.
func item(b []byte) (content, rest []byte, isList, ok bool) {
	if len(b) == 0 {
		return nil, nil, false, false
	}
	first, at, size := b[0], 1, uint64(0)
	isList = first >= 0xc0
	if isList {
		first -= 0x40
	}
	switch {
	case first < 0x80:
		return b[:1], b[1:], false, true
	case first <= 0xb7:
		size = uint64(first - 0x80)
	default:
		n := int(first - 0xb7)
		if len(b) < 1+n || b[1] == 0 {
			return nil, nil, false, false
		}
		for _, x := range b[1 : 1+n] {
			size = size<<8 | uint64(x)
		}
		if at += n; size < 56 {
			return nil, nil, false, false
		}
	}
	if size > uint64(len(b)-at) {
		return nil, nil, false, false
	}
	content, rest = b[at:at+int(size)], b[at+int(size):]
	return content, rest, isList, isList || size != 1 || content[0] >= 0x80
}

// appendItem writes content in RLP.
func appendItem(b, content []byte, isList bool) []byte {
	if !isList && len(content) == 1 && content[0] < 0x80 {
		return append(b, content[0])
	}
	return append(appendHead(b, len(content), isList), content...)
}

func appendHead(b []byte, size int, isList bool) []byte {
	base := byte(0x80)
	if isList {
		base = 0xc0
	}
	if size < 56 {
		return append(b, base+byte(size))
	}
	n := (bits.Len(uint(size)) + 7) / 8
	b = append(b, base+55+byte(n))
	for n--; n >= 0; n-- {
		b = append(b, byte(size>>(8*n)))
	}
	return b
}

// itemSize and headSize are the lengths of what appendItem and appendHead append.
func itemSize(content []byte, isList bool) int {
	if !isList && len(content) == 1 && content[0] < 0x80 {
		return 1
	}
	return headSize(len(content)) + len(content)
}

func headSize(size int) int {
	if size < 56 {
		return 1
	}
	return 1 + (bits.Len(uint(size))+7)/8
}

// chainOf returns the chain id and the parity that v says. bound is false if it says no chain id: ok is false if it is no
// usual v.
func (f *fields) chainOf() (chain []byte, odd, bound, ok bool) {
	v, small := toUint(f.v)
	switch {
	case f.kind != kindLegacy:
		return f.of[0], v == 1, true, small && v <= 1
	case small && (v == 27 || v == 28):
		return nil, v == 28, false, true
	case small && v >= 35:
		return fromUint((v - 35) / 2), (v-35)%2 == 1, true, true
	}
	return nil, false, false, false
}

func toUint(b []byte) (v uint64, ok bool) {
	for _, x := range b {
		v = v<<8 | uint64(x)
	}
	return v, len(b) <= 8
}

func fromUint(v uint64) []byte {
	b := binary.BigEndian.AppendUint64(nil, v)
	return b[bits.LeadingZeros64(v)/8:]
}

// fields writes a split transaction to its columns.
func (w *txWriter) fields(f fields) {
	c, kind := w.c, f.kind
	chain, odd, bound, usual := f.chainOf()
	if odd && usual {
		kind |= parity
	}
	if !usual {
		kind |= oddV
		c.PutBytes(txNumbers, f.v)
		chain, bound = f.of[0], f.kind != kindLegacy
	}
	switch {
	case !bound && usual:
		kind |= unbound
	case bound && string(chain) != string(w.chain):
		kind |= newChain
		c.PutBytes(txNumbers, chain)
		w.chain = chain
	}
	for i, role := range f.form {
		switch content := f.of[i]; role {
		case nonce:
			c.PutBytes(txNonce, content)
		case price:
			c.PutBytes(txPrice, content)
		case gas:
			c.PutBytes(txGas, content)
		case value:
			c.PutBytes(txValue, content)
		case to:
			if len(content) == 0 {
				kind |= toNobody
			}
			c.Put(txTo, content...)
		case input:
			c.PutUint(txSize, uint64(len(content)))
			c.Put(txInput, content...)
		case list:
			c.PutUint(txListSize, uint64(len(content)))
			c.Put(txList, content...)
		}
	}
	var r, s [maxNumber]byte
	copy(r[maxNumber-len(f.r):], f.r)
	copy(s[maxNumber-len(f.s):], f.s)
	c.Put(txR, r[:]...)
	c.Put(txS, s[:]...)
	c.Put(txKind, kind)
}

// txReader puts the transactions of a proposal together.
type txReader struct {
	c     *exec.Columns
	chain []byte
}

// piece is an item of a transaction's list.
type piece struct {
	content []byte
	isList  bool
}

// take reads one transaction, of so many bytes at most: nothing is made of a longer one. It is not checked that a writer
// would have written it so.
func (r *txReader) take(room int) []byte {
	kind := r.c.TakeByte(txKind)
	if kind == kindRaw {
		tx := r.c.TakeBytes(txRaw)
		r.fits(len(tx), room)
		return tx
	}
	f := fields{kind: kind & kindMask}
	if f.kind == kindRaw || int(f.kind) >= len(forms) {
		r.c.Fail("a transaction of kind %d", kind)
		return nil
	}
	f.form = forms[f.kind]
	if kind&oddV != 0 {
		f.v = r.c.TakeBytes(txNumbers)
	}
	if kind&newChain != 0 {
		r.chain = r.c.TakeBytes(txNumbers)
	}
	if kind&oddV == 0 {
		f.v = r.v(&f, kind)
	}
	var of [14]piece
	pieces := of[:0]
	for _, role := range f.form {
		switch role {
		case chainID:
			pieces = append(pieces, piece{content: r.chain})
		case nonce:
			pieces = append(pieces, piece{content: r.c.TakeBytes(txNonce)})
		case price:
			pieces = append(pieces, piece{content: r.c.TakeBytes(txPrice)})
		case gas:
			pieces = append(pieces, piece{content: r.c.TakeBytes(txGas)})
		case value:
			pieces = append(pieces, piece{content: r.c.TakeBytes(txValue)})
		case to:
			n := uint64(20)
			if kind&toNobody != 0 {
				n = 0
			}
			pieces = append(pieces, piece{content: r.c.Take(txTo, n)})
		case input:
			pieces = append(pieces, piece{content: r.c.Take(txInput, r.c.TakeUint(txSize))})
		case list:
			pieces = append(pieces, piece{r.c.Take(txList, r.c.TakeUint(txListSize)), true})
		case signature:
			pieces = append(pieces, piece{content: f.v}, piece{content: trim(r.c.Take(txR, maxNumber))}, piece{content: trim(r.c.Take(txS, maxNumber))})
		}
	}
	return r.join(f.kind, pieces, room)
}

// join makes a transaction of its pieces, unless it would be too long.
func (r *txReader) join(kind byte, pieces []piece, room int) []byte {
	size := 0
	for _, p := range pieces {
		size += itemSize(p.content, p.isList)
	}
	all := headSize(size) + size
	if kind != kindLegacy {
		all++
	}
	if r.fits(all, room); r.c.Err != nil {
		return nil
	}
	tx := make([]byte, 0, all)
	if kind != kindLegacy {
		tx = append(tx, kind-kindLegacy)
	}
	tx = appendHead(tx, size, true)
	for _, p := range pieces {
		tx = appendItem(tx, p.content, p.isList)
	}
	return tx
}

// fits fails if a transaction takes more than there is room for.
func (r *txReader) fits(size, room int) {
	if size > room {
		r.c.Fail("the transactions are too large")
	}
}

// v is what the chain id and the parity make.
func (r *txReader) v(f *fields, kind byte) []byte {
	odd := uint64(kind & parity / parity)
	switch {
	case f.kind != kindLegacy:
		return fromUint(odd)
	case kind&unbound != 0:
		return fromUint(27 + odd)
	}
	chain, small := toUint(r.chain)
	if !small {
		r.c.Fail("a chain id of %d bytes in a signature's v", len(r.chain))
	}
	return fromUint(35 + 2*chain + odd)
}

func trim(b []byte) []byte {
	for len(b) > 0 && b[0] == 0 {
		b = b[1:]
	}
	return b
}
