package derive

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha512"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"filippo.io/edwards25519"
	"google.golang.org/protobuf/encoding/protowire"

	"headrace/block"
	"headrace/da"
	"headrace/l1"
)

// TestOldAndNew spoils blocks of a proposer in every way that a proposer, a stranger, or a bad wire could, and
// compares what Verify and Proposal make of them with what they made of them before (old_test.go). HEADRACE_TRIALS is
// how many trials to do, HEADRACE_SEED where to begin: a trial is its seed.
func TestOldAndNew(t *testing.T) {
	trials := uint64(20_000)
	if testing.Short() {
		trials = 3_000
	}
	trials = fromEnv(t, "HEADRACE_TRIALS", trials)
	first := fromEnv(t, "HEADRACE_SEED", 0)
	all := houses(t)
	var next, failed atomic.Uint64
	next.Store(first)
	seen := make([]tally, runtime.GOMAXPROCS(0))
	var wg sync.WaitGroup
	for i := range seen {
		wg.Go(func() {
			for failed.Load() < 5 {
				seed := next.Add(1) - 1
				if seed >= first+trials {
					return
				}
				if err := trial(seed, all, &seen[i]); err != nil {
					failed.Add(1)
					t.Errorf("HEADRACE_SEED=%d HEADRACE_TRIALS=1: %v", seed, err)
				}
			}
		})
	}
	wg.Wait()
	var sum tally
	for i := range seen {
		sum.add(&seen[i])
	}
	t.Logf("from seed %d: %+v", first, sum)
	if trials < 3_000 || t.Failed() {
		return
	}
	for r := none + 1; r < Superseded; r++ { // Verify gives no other
		if sum.Skipped[r] == 0 {
			t.Errorf("nothing was skipped as %v: there was nothing to compare", r)
		}
	}
	if min(sum.Headers, sum.Data, sum.Proposals, sum.Void) == 0 {
		t.Errorf("got %+v: there was nothing to compare", sum)
	}
}

func fromEnv(t *testing.T, name string, def uint64) uint64 {
	if os.Getenv(name) == "" {
		return def
	}
	n, err := strconv.ParseUint(os.Getenv(name), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// tally counts what was compared, so that the test shows that it was not nothing.
type tally struct {
	Headers, Data, Proposals, Void, OtherWords uint64
	Skipped                                    Counts
}

func (a *tally) add(b *tally) {
	a.Headers, a.Data, a.Proposals, a.Void, a.OtherWords = a.Headers+b.Headers, a.Data+b.Data, a.Proposals+b.Proposals, a.Void+b.Void, a.OtherWords+b.OtherWords
	a.Skipped = a.Skipped.Plus(b.Skipped)
}

// signer is a key and what signs with it.
type signer struct {
	key  block.PublicKey
	sign func(msg []byte) []byte
}

func (s *signer) signer() block.Signer {
	return block.Signer{Address: s.key.Address(), PubKey: s.key.Encode()}
}

func (s *signer) header(h *block.SignedHeader) {
	h.Signer, h.Signature, h.EnvelopeSignature = s.signer(), s.sign(h.Header.Encode()), nil
	h.EnvelopeSignature = s.sign(h.Encode())
}

func (s *signer) data(d *block.SignedData) {
	d.Signer, d.Signature = s.signer(), s.sign(d.Data.Encode())
}

// keyed returns a key that is the same in every run.
func keyed(t *testing.T, kind block.KeyType, n byte) *signer {
	t.Helper()
	raw := bytes.Repeat([]byte{n}, 32)
	if kind == block.Ed25519 {
		raw = ed25519.NewKeyFromSeed(raw)
	}
	k, err := block.ParsePrivateKey(slices.Concat([]byte{0x08, byte(kind), 0x12, byte(len(raw))}, raw))
	if err != nil {
		t.Fatal(err)
	}
	return &signer{k.Public(), k.Sign}
}

// crooked returns an Ed25519 signer whose key is not as usual: a multiple of the base point, which may be none of it,
// and a point of small order. Whether its signatures hold depends on the message.
func crooked(t *testing.T, multiple byte, small []byte) *signer {
	t.Helper()
	wide := make([]byte, 64)
	wide[0] = multiple
	a, err := new(edwards25519.Scalar).SetUniformBytes(wide)
	if err != nil {
		t.Fatal(err)
	}
	p, err := new(edwards25519.Point).SetBytes(small)
	if err != nil {
		t.Fatal(err)
	}
	raw := small // which may be another encoding than the usual one
	if multiple != 0 {
		raw = new(edwards25519.Point).Add(p, new(edwards25519.Point).ScalarBaseMult(a)).Bytes()
	}
	key, err := block.DecodePublicKey(append([]byte{0x08, 0x01, 0x12, 0x20}, raw...))
	if err != nil {
		t.Fatal(err)
	}
	return &signer{key, func(msg []byte) []byte {
		sum := sha512.Sum512(msg)
		r, _ := new(edwards25519.Scalar).SetUniformBytes(sum[:])
		point := new(edwards25519.Point).ScalarBaseMult(r)
		if sum[1]&1 == 0 {
			point.Add(point, p)
		}
		sum = sha512.Sum512(slices.Concat(point.Bytes(), raw, msg))
		k, _ := new(edwards25519.Scalar).SetUniformBytes(sum[:])
		return slices.Concat(point.Bytes(), new(edwards25519.Scalar).MultiplyAdd(k, a, r).Bytes())
	}}
}

// house is a chain with its proposer, some others, and its blocks: the second and the fifth are empty.
type house struct {
	proposer *signer
	others   []*signer
	headers  []block.SignedHeader
	data     []*block.SignedData // nil of an empty block
	tips     []Tip               // before each block
	old      oldConfig
	verifier *oldVerifier // warm
	cfg      Config       // with a warm Authority
}

var headerSpace, dataSpace = da.NamespaceFromName("hdr"), da.NamespaceFromName("dat")

// houses makes chains of every kind of key: both types twice, one after a later first height, and keys of small and
// mixed order.
func houses(t *testing.T) (out []*house) {
	ed, other, secp, third := keyed(t, block.Ed25519, 1), keyed(t, block.Ed25519, 2), keyed(t, block.Secp256k1, 3), keyed(t, block.Secp256k1, 4)
	order8 := []byte{0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05}
	one := append([]byte{1}, make([]byte, 31)...)
	oneOtherwise := slices.Concat([]byte{0xee}, bytes.Repeat([]byte{0xff}, 30), []byte{0x7f})
	noPoint := append([]byte{2}, make([]byte, 31)...)
	if _, err := new(edwards25519.Point).SetBytes(noPoint); err == nil {
		t.Fatal("2 is the y of a point")
	}
	dead, err := block.DecodePublicKey(append([]byte{0x08, 0x01, 0x12, 0x20}, noPoint...))
	if err != nil {
		t.Fatal(err)
	}
	lifeless := &signer{dead, ed.sign} // no signature is this key's
	for i, p := range []*signer{ed, ed, ed, ed, secp, crooked(t, 0, order8), crooked(t, 0, one), crooked(t, 0, oneOtherwise), crooked(t, 5, order8), lifeless} {
		out = append(out, build(p, uint64(1+10*(i%2)), []*signer{other, secp, third, ed, lifeless}))
	}
	return out
}

func build(p *signer, first uint64, others []*signer) *house {
	h := &house{proposer: p, others: others}
	h.old = oldConfig{ChainID: "chain", Proposer: p.key.Address(), InitialHeight: first, StartTime: 1000, HeaderNamespace: headerSpace, DataNamespace: dataSpace}
	h.verifier = oldNewVerifier(h.old)
	h.cfg = Config{Authority: NewAuthority("chain", p.key.Address()), InitialHeight: first, StartTime: 1000, HeaderNamespace: headerSpace, DataNamespace: dataSpace}
	tip := Tip{Height: first - 1}
	for i := range 6 {
		h.tips = append(h.tips, tip)
		d := block.SignedData{Data: block.Data{Metadata: block.Metadata{ChainID: "chain", Height: tip.Height + 1, Time: 1000 + uint64(i/2), LastDataHash: tip.DataHash.Field()}}}
		for j := range (i * 3) % 4 * (1 - i%3%2) {
			d.Data.Txs = append(d.Data.Txs, fmt.Appendf(nil, "tx %d of %d", j, i))
		}
		c := d.Data.Commitment()
		s := block.SignedHeader{Header: block.Header{
			Height: tip.Height + 1, Time: d.Data.Metadata.Time, LastHeaderHash: tip.HeaderHash.Field(), DataHash: c[:], AppHash: []byte{byte(i)}, ProposerAddress: p.key.Address(), ChainID: "chain",
		}}
		p.header(&s)
		p.data(&d)
		h.headers = append(h.headers, s)
		if len(d.Data.Txs) == 0 {
			h.data = append(h.data, nil)
		} else {
			h.data = append(h.data, &d)
		}
		tip = TipOf(&block.Block{Header: s, Data: d.Data})
	}
	return h
}

// trial spoils one block of one house, and compares.
func trial(seed uint64, houses []*house, seen *tally) error {
	r := &random{rand.New(rand.NewPCG(seed, 1))}
	h := houses[r.IntN(len(houses))]
	i := r.IntN(len(h.headers))
	header, data := r.spoil(h, i)
	if err := r.verify(h, i, header, data, seen); err != nil {
		return err
	}
	return r.propose(h, i, header, data, seen)
}

type random struct{ *rand.Rand }

// one reports true once in n times.
func (r *random) one(n int) bool { return r.IntN(n) == 0 }

func pick[T any](r *random, of ...T) T { return of[r.IntN(len(of))] }

// spoil returns the encodings of block i, with something wrong in them, or nothing.
func (r *random) spoil(h *house, i int) (header, data []byte) {
	s, d := h.headers[i], block.SignedData{Data: block.EmptyData(&h.headers[i].Header, h.tips[i].DataHash.Field())}
	if h.data[i] != nil {
		d = *h.data[i]
	} else if r.one(2) {
		h.proposer.data(&d)
	}
	s.Header.LastHeaderHash, s.Header.DataHash = bytes.Clone(s.Header.LastHeaderHash), bytes.Clone(s.Header.DataHash)
	d.Data.Txs = slices.Clone(d.Data.Txs)
	for range pick(r, 0, 0, 1, 1, 1, 2) {
		r.before(h, i, &s, &d)
		if !r.one(3) { // signed as it is now
			key := h.proposer
			if r.one(5) {
				key = pick(r, h.others...)
				if r.one(2) {
					s.Header.ProposerAddress = key.key.Address()
				}
			}
			key.header(&s)
			if !r.one(4) {
				key.data(&d)
			}
		}
	}
	for range pick(r, 0, 0, 0, 1, 1, 1, 2) {
		r.after(h, &s, &d)
	}
	header, data = s.Encode(), d.Encode()
	if h.data[i] == nil && !r.one(3) {
		data = nil
	}
	switch r.IntN(12) {
	case 0, 1:
		header = r.wire(header)
	case 2, 3:
		data = r.wire(data)
	case 4:
		data = pick(r, nil, []byte{}, header)
	case 5:
		header = pick(r, nil, []byte{}, data)
	case 6:
		s := h.headers[r.IntN(len(h.headers))]
		header = s.Encode()
	case 7:
		if d := h.data[r.IntN(len(h.data))]; d != nil {
			data = d.Encode()
		}
	}
	return header, data
}

// before changes what is signed.
func (r *random) before(h *house, i int, s *block.SignedHeader, d *block.SignedData) {
	hd, m := &s.Header, &d.Data.Metadata
	both := func() bool { return !r.one(3) }
	switch r.IntN(14) {
	case 0:
		hd.ChainID = pick(r, "", "chai", "chain\x00", "Chain", "other")
		if both() {
			m.ChainID = hd.ChainID
		}
	case 1:
		hd.Height = pick(r, 0, hd.Height-1, hd.Height+1, 1<<63, 1)
		if both() {
			m.Height = hd.Height
		}
	case 2:
		hd.Time = pick(r, 0, hd.Time-1, hd.Time+1, 999, 1<<63)
		if both() {
			m.Time = hd.Time
		}
	case 3:
		hd.LastHeaderHash = r.hash(hd.LastHeaderHash)
	case 4:
		hd.DataHash = r.hash(hd.DataHash)
	case 5:
		hd.AppHash = r.hash(hd.AppHash)
	case 6:
		hd.ProposerAddress = pick(r, nil, h.old.Proposer[:31], pick(r, h.others...).key.Address(), append(bytes.Clone(h.old.Proposer), 0))
	case 7:
		hd.ValidatorHash, hd.Version = r.hash(hd.ValidatorHash), block.Version{Block: r.Uint64N(3), App: r.Uint64N(3)}
	case 8:
		m.LastDataHash = r.hash(m.LastDataHash)
	case 9, 10: // the transactions, and mostly the header says so
		switch r.IntN(6) {
		case 5:
			for range r.IntN(30) {
				d.Data.Txs = append(d.Data.Txs, make([]byte, pick(r, 0, 1, 127, 128, 300)))
			}
		case 0:
			d.Data.Txs = nil
		case 1:
			d.Data.Txs = append(d.Data.Txs, []byte("more"))
		case 2:
			d.Data.Txs = append(d.Data.Txs, nil)
		case 3:
			slices.Reverse(d.Data.Txs)
		default:
			d.Data.Txs = [][]byte{make([]byte, r.IntN(300))}
		}
		if both() {
			c := d.Data.Commitment()
			hd.DataHash = c[:]
		}
	case 11:
		m.ChainID, m.Height = pick(r, "chain", "other"), pick(r, m.Height, m.Height+1, 0)
	case 12:
		m.Time++
	default: // of another place in the chain
		j := r.IntN(len(h.headers))
		hd.Height, hd.LastHeaderHash = h.headers[j].Header.Height, h.headers[j].Header.LastHeaderHash
		m.Height, m.LastDataHash = hd.Height, h.tips[j].DataHash.Field()
	}
}

func (r *random) hash(b []byte) []byte {
	switch r.IntN(8) {
	case 0:
		return nil
	case 1:
		return make([]byte, 32)
	case 2:
		return append(bytes.Clone(b), 0)
	case 3:
		return b[:max(len(b), 1)-1]
	case 4:
		return block.EmptyCommitment.Field()
	case 5:
		return make([]byte, 64)
	}
	return r.flip(b)
}

// flip returns b with one bit changed.
func (r *random) flip(b []byte) []byte {
	if len(b) == 0 {
		return []byte{1}
	}
	b = bytes.Clone(b)
	b[r.IntN(len(b))] ^= 1 << r.IntN(8)
	return b
}

// after changes what no signature covers, or all that they cover.
func (r *random) after(h *house, s *block.SignedHeader, d *block.SignedData) {
	switch r.IntN(14) {
	case 0:
		s.Signature = r.signature(s.Signature)
	case 1:
		d.Signature = r.signature(d.Signature)
	case 2:
		s.EnvelopeSignature = r.signature(s.EnvelopeSignature)
	case 3:
		s.EnvelopeSignature = nil
	case 4:
		s.Signature, s.EnvelopeSignature = s.EnvelopeSignature, s.Signature
	case 5: // an envelope that holds around a signature that does not
		s.Signature, s.EnvelopeSignature = r.signature(s.Signature), nil
		s.EnvelopeSignature = h.proposer.sign(s.Encode())
	case 6:
		s.Signer = r.signer(h, s.Signer)
	case 7:
		d.Signer = r.signer(h, d.Signer)
	case 8: // the envelope is signed with another way to write the key
		s.Signer, s.EnvelopeSignature = r.signer(h, s.Signer), nil
		s.EnvelopeSignature = h.proposer.sign(s.Encode())
	case 9:
		d.Signature = s.Signature
	case 10:
		key := pick(r, h.others...)
		s.Signature, s.EnvelopeSignature = key.sign(s.Header.Encode()), nil
		if r.one(2) {
			s.EnvelopeSignature = h.proposer.sign(s.Encode())
		}
	case 11:
		d.Signature = pick(r, h.others...).sign(d.Data.Encode())
	case 12:
		s.EnvelopeSignature = pick(r, h.others...).sign(s.Encode())
	default:
		s.Signer, d.Signer = d.Signer, s.Signer
	}
}

func (r *random) signature(b []byte) []byte {
	switch r.IntN(7) {
	case 0:
		return nil
	case 1:
		return b[:max(len(b), 1)-1]
	case 2:
		return append(bytes.Clone(b), 0)
	case 3:
		return make([]byte, 64)
	case 4: // S plus the order of the base point
		order := []byte{0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 31: 0x10}
		b, carry := bytes.Clone(b), 0
		for i := 0; i < 32 && len(b) == 64; i++ {
			carry += int(b[32+i]) + int(order[i])
			b[32+i], carry = byte(carry), carry>>8
		}
		return b
	}
	return r.flip(b)
}

func (r *random) signer(h *house, s block.Signer) block.Signer {
	other := pick(r, h.others...)
	switch r.IntN(10) {
	case 0:
		return block.Signer{}
	case 1:
		return other.signer()
	case 2:
		s.Address = pick(r, nil, other.key.Address(), s.Address[:max(len(s.Address), 1)-1], append(bytes.Clone(s.Address), 0))
	case 3:
		s.PubKey = other.key.Encode()
	case 4:
		s.PubKey = nil
	case 5:
		s.PubKey = r.flip(s.PubKey)
	case 6:
		s.PubKey = s.PubKey[:r.IntN(len(s.PubKey)+1)]
	default: // the same key, written otherwise
		s.PubKey = r.otherwise(s.PubKey)
	}
	return s
}

// wire spoils an encoding as such.
func (r *random) wire(b []byte) []byte {
	switch r.IntN(8) {
	case 0:
		return b[:r.IntN(len(b)+1)]
	case 1, 2:
		return r.flip(b)
	case 3:
		return slices.Concat(b, b)
	case 4:
		return append(bytes.Clone(b), bytes.Repeat([]byte{0x98, 0x06, 0x01}, pick(r, 1, 2, 30_000))...)
	}
	return r.otherwise(b)
}

// otherwise writes a message otherwise: fields doubled, moved, left out, in two parts, unknown ones added, or numbers
// longer than need be.
func (r *random) otherwise(b []byte) []byte {
	var fields [][]byte
	for rest := b; len(rest) > 0; {
		_, _, n := protowire.ConsumeField(rest)
		if n < 0 {
			return b
		}
		fields, rest = append(fields, rest[:n]), rest[n:]
	}
	if len(fields) == 0 {
		return b
	}
	i, j := r.IntN(len(fields)), r.IntN(len(fields))
	switch r.IntN(9) {
	case 0:
		fields = append(fields, fields[i])
	case 7: // something foreign, or a longer tag, or length, at every field or almost
		for i := range fields {
			switch r.IntN(4) {
			case 0:
				fields[i] = append(bytes.Clone(fields[i]), 0x98, 0x01, byte(r.IntN(128)))
			case 1:
				fields[i] = longer(fields[i])
			case 2:
				fields[i] = longLength(fields[i])
			}
		}
	case 8: // nothing between them, but in many messages
		if num, typ, n := protowire.ConsumeTag(fields[i]); typ == protowire.BytesType {
			v, _ := protowire.ConsumeBytes(fields[i][n:])
			var parts []byte
			for len(v) > 0 {
				_, _, first := protowire.ConsumeField(v)
				if first < 0 {
					return b
				}
				parts = protowire.AppendBytes(protowire.AppendTag(parts, num, typ), v[:first])
				v = v[first:]
			}
			if len(parts) > 0 {
				fields[i] = parts
			}
		}
	case 1:
		fields[i], fields[j] = fields[j], fields[i]
	case 2:
		fields = slices.Delete(fields, i, i+1)
	case 3:
		unknown := protowire.AppendBytes(protowire.AppendTag(nil, 77, protowire.BytesType), make([]byte, r.IntN(40)))
		fields = slices.Insert(fields, i, unknown)
	case 4:
		fields[i] = longer(fields[i])
	case 5: // a message in two parts, which are merged
		num, typ, n := protowire.ConsumeTag(fields[i])
		if v, m := protowire.ConsumeBytes(fields[i][n:]); typ == protowire.BytesType && m > 0 {
			if _, _, first := protowire.ConsumeField(v); first > 0 {
				part := func(p []byte) []byte { return protowire.AppendBytes(protowire.AppendTag(nil, num, typ), p) }
				fields[i] = part(v[:first])
				fields = append(fields, part(v[first:]))
			}
		}
	default: // the same inside
		num, typ, n := protowire.ConsumeTag(fields[i])
		if v, m := protowire.ConsumeBytes(fields[i][n:]); typ == protowire.BytesType && m > 0 {
			fields[i] = protowire.AppendBytes(protowire.AppendTag(nil, num, typ), r.otherwise(v))
		}
	}
	return slices.Concat(fields...)
}

// longer writes the tag of a field with a byte more than it needs.
func longer(f []byte) []byte {
	_, n := protowire.ConsumeVarint(f)
	out := bytes.Clone(f[:n])
	out[n-1] |= 0x80
	return slices.Concat(out, []byte{0}, f[n:])
}

// longLength writes the length of a field with two bytes more than it needs.
func longLength(f []byte) []byte {
	_, typ, n := protowire.ConsumeTag(f)
	v, m := protowire.ConsumeBytes(f[n:])
	if typ != protowire.BytesType || m < 0 {
		return f
	}
	out := protowire.AppendVarint(bytes.Clone(f[:n]), uint64(len(v)))
	out[len(out)-1] |= 0x80
	return slices.Concat(out, []byte{0x80, 0}, v)
}

// verify posts the halves, with others and among them, and compares what is found.
func (r *random) verify(h *house, i int, header, data []byte, seen *tally) error {
	it := &da.Block{Height: 1 + r.Uint64N(100)}
	post := func(ns da.Namespace, b []byte) {
		if r.one(12) {
			ns = pick(r, headerSpace, dataSpace, da.NamespaceFromName("elsewhere"))
		}
		it.Blobs = append(it.Blobs, da.Blob{Namespace: ns, Data: b, Index: pick(r, len(it.Blobs), r.IntN(4))})
	}
	post(headerSpace, header)
	post(dataSpace, data)
	for range r.IntN(2) {
		post(pick(r, headerSpace, dataSpace), pick(r, header, data, r.otherwise(header), r.otherwise(data)))
	}
	if good := h.headers[i]; r.one(4) {
		post(headerSpace, good.Encode())
	}
	known := Known{Height: pick(r, 0, 0, h.tips[i].Height, h.tips[i].Height+1), EnvelopesOnly: r.one(3)}
	verifier, cfg := h.verifier, h.cfg
	if cold, same := r.one(16), r.one(4); cold || same { // where the key has not been seen; and with one namespace for both
		old := h.old
		if same {
			old.HeaderNamespace, cfg.HeaderNamespace = dataSpace, dataSpace
		}
		if verifier = oldNewVerifier(old); cold {
			cfg.Authority = NewAuthority(old.ChainID, old.Proposer)
		} else {
			verifier.proposer.Store(h.verifier.proposer.Load())
		}
	}
	want, got := verifier.Verify(known, it), Verify(&cfg, known, it)
	got.skipped[Forged] += got.skipped[Legacy] // which was no name of its own then
	got.skipped[Legacy] = 0
	if got.skipped != want.skipped || !slices.EqualFunc(got.halves, want.halves, sameHalf) {
		return fmt.Errorf("item %+v, known %+v:\ngot %d halves, skipped %v\nwant %d halves, skipped %v", it, known, len(got.halves), got.skipped.Map(), len(want.halves), want.skipped.Map())
	}
	seen.Skipped = seen.Skipped.Plus(want.skipped)
	for _, half := range want.halves {
		if half.Kind == block.DataHalf {
			seen.Data++
		} else {
			seen.Headers++
		}
	}
	return nil
}

// sameHalf compares all that becomes of a half: what is stored of it, how it is paired, and the block that it makes,
// also when it has been read from the store.
func sameHalf(got *half, want *oldHalf) bool {
	again, err := decodeHalf(got.Half)
	if err != nil {
		return false
	}
	for _, h := range []*half{got, again} {
		if !reflect.DeepEqual(h.Half, want.Half) || !reflect.DeepEqual(h.header, want.header) || h.commitment != want.commitment || (h.data == nil) != (want.data == nil) {
			return false
		}
		if h.data == nil {
			continue
		}
		m := want.data.Metadata
		if !reflect.DeepEqual(h.data.Data(), *want.data) || h.data.Time() != m.Time || !bytes.Equal(h.data.LastDataHash(), m.LastDataHash) {
			return false
		}
	}
	return true
}

// propose puts the halves into a proposal, alone or after good ones, and compares what becomes of it.
func (r *random) propose(h *house, i int, header, data []byte, seen *tally) error {
	p, from := &l1.Proposal{}, i
	if i > 0 && r.one(4) {
		from = i - 1
	}
	for j := from; j < i; j++ {
		p.Blocks = append(p.Blocks, h.encoded(j))
	}
	p.Blocks = append(p.Blocks, l1.Encoded{Header: header, Data: data})
	if i+1 < len(h.headers) && r.one(8) {
		p.Blocks = append(p.Blocks, h.encoded(i+1))
	}
	if r.one(50) {
		p.Blocks = nil
	}
	if r.one(50) {
		p.Void = "it does not decode"
	}
	tip := h.tips[from]
	switch r.IntN(20) {
	case 0:
		tip = h.tips[r.IntN(len(h.tips))]
	case 1:
		tip.Time += 1 + r.Uint64N(3)
	case 2:
		tip.DataHash = block.Hash{}
	}
	p.Parent = l1.Hash(tip.HeaderHash)
	if r.one(20) {
		p.Parent = l1.Hash(pick(r, h.tips...).HeaderHash)
	}
	cfg := h.cfg
	if r.one(32) {
		cfg.Authority = NewAuthority(h.old.ChainID, h.old.Proposer)
	}
	want, wantVoid := oldProposal(&h.old, tip, p)
	got, gotVoid, err := Open(&cfg, p).On(&cfg, tip, nil)
	if err != nil {
		return err
	}
	if (gotVoid == "") != (wantVoid == "") || !reflect.DeepEqual(got, want) {
		return fmt.Errorf("proposal %+v on %+v:\ngot %d blocks, %q\nwant %d blocks, %q", p, tip, len(got), gotVoid, len(want), wantVoid)
	}
	switch {
	case wantVoid == "":
		seen.Proposals++
	case gotVoid != wantVoid:
		seen.OtherWords++
		fallthrough
	default:
		seen.Void++
	}
	return nil
}

func (h *house) encoded(i int) l1.Encoded {
	e := l1.Encoded{Header: h.headers[i].Encode()}
	if h.data[i] != nil {
		e.Data = h.data[i].Encode()
	}
	return e
}
