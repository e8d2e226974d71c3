package block

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// DataBlob is a data blob that has been read, and not built: its transactions are where they were, in the bytes that
// it came in, and it takes the same memory whether there are two or millions. It says the same of a blob as SignedData
// does, in any encoding that SignedData is read from. Nothing is verified. The bytes must not be written to afterwards.
type DataBlob struct {
	raw       []byte
	chainID   []byte
	meta      Metadata // without the chain id
	signature []byte
	signer    Signer
	txs       int  // how many transactions there are
	txBytes   int  // of their canonical encoding
	canonical bool // raw is what SignedData.Encode would return

	// Where the transactions are: in pieces of raw that are as they are in the canonical encoding. If there are more
	// of them than fit here, which an encoder has no reason for, scattered is true, and they are to be had from
	// gathered as long as this is the number of what is there; else raw is gone through once more.
	pieces    [8][]byte
	n         int
	scattered bool
	gathered  uint64
}

// ReadDataBlob reads a data blob. It accepts what DecodeSignedData does.
func ReadDataBlob(raw []byte) (*DataBlob, error) {
	r := reader{DataBlob: &DataBlob{raw: raw}}
	err := r.read()
	r.end(err == nil)
	if err != nil {
		return nil, fmt.Errorf("read data blob: %w", err)
	}
	r.canonical = r.isCanonical()
	return r.DataBlob, nil
}

// ReadContent reads Data as Data.Encode returns it, which nobody has signed by itself. The bytes are copied.
func ReadContent(content []byte) (*DataBlob, error) {
	raw := appendPrefix(make([]byte, 0, sizePrefixed(signedContent, len(content))), signedContent, len(content))
	return ReadDataBlob(append(raw, content...))
}

// ReadSigned reads the two halves of a block as its proposer sends them: no data, which is nil then, for a block
// without transactions. Nothing is verified. The results keep parts of the bytes, which must not be written to
// afterwards.
func ReadSigned(header, data []byte) (h *SignedHeader, d *DataBlob, err error) {
	if h, err = DecodeSignedHeader(header); err == nil && len(data) > 0 {
		d, err = ReadDataBlob(data)
	}
	return h, d, err
}

func (r *reader) read() error {
	var f field
	for r.at < len(r.raw) {
		if r.scattered {
			if err := r.compact(&f); err != nil {
				return err
			}
			continue
		}
		if r.at < r.data && r.at >= r.inner && r.depth == 0 {
			if n, size := shortTxs(r.raw[r.at:r.data]); n > 0 {
				r.place.txs += n
				r.addPiece(r.at, r.at+size)
				r.at += size
				continue
			}
		}
		from := r.at
		what, err := r.next(&f, r.raw)
		switch {
		case err != nil:
			return err
		case what != txPart:
			if r.strange++; r.strange > mostStrange {
				r.scatter()
			}
		case r.at-from == sizePrefixed(dataTxs, len(f.bytes)):
			r.addPiece(from, r.at)
		default:
			r.scatter()
			r.addTx(&f)
		}
	}
	if err := r.ended(); err != nil {
		return err
	}
	if r.data == 0 {
		return errNoContent
	}
	r.DataBlob.txs = r.place.txs
	r.keep(&r.place)
	return nil
}

// mostStrange is how many fields that are no transactions a blob has at most, if it has been encoded to be read.
const mostStrange = 16

// keep keeps what has been found up to p, the end of raw.
func (d *DataBlob) keep(p *place) {
	for what, at := range p.last[:kept+1] {
		if what == 0 || at == 0 {
			continue
		}
		var f field
		_, _ = f.next(d.raw[at-1:]) // it has been read before, without an error
		switch part(what) {
		case chainIDPart:
			_ = f.raw(&d.chainID)
		case heightPart:
			d.meta.Height = f.value
		case timePart:
			d.meta.Time = f.value
		case lastDataHashPart:
			_ = f.raw(&d.meta.LastDataHash)
		case signaturePart:
			_ = f.raw(&d.signature)
		case addressPart:
			_ = f.raw(&d.signer.Address)
		case pubKeyPart:
			_ = f.raw(&d.signer.PubKey)
		}
	}
}

// compact goes on in a scattered blob.
func (r *reader) compact(f *field) error {
	o, long, err := r.place.compact(f, r.out, r.raw)
	r.txBytes += o
	if r.gathers {
		if r.out = r.out[o:]; len(r.out) < enough {
			r.end(false)
		}
	}
	if long {
		r.addTx(f)
	}
	return err
}

// addTx adds the transaction f to those of a scattered blob.
func (r *reader) addTx(f *field) {
	var b [16]byte
	prefix := appendPrefix(b[:0], dataTxs, len(f.bytes))
	r.txBytes += len(prefix) + len(f.bytes)
	r.gather(prefix)
	r.gather(f.bytes)
}

// addPiece adds transactions that are in raw[i:end] as they are in the canonical encoding.
func (r *reader) addPiece(i, end int) {
	p := r.raw[i:end]
	r.txBytes += len(p)
	switch {
	case r.n > 0 && r.pieceEnd == i:
		last := &r.pieces[r.n-1]
		*last = (*last)[:len(*last)+len(p)]
	case r.n < len(r.pieces):
		r.pieces[r.n] = p
		r.n++
	default:
		r.scatter()
		r.gather(p)
	}
	r.pieceEnd = end
}

// shortTxs returns how many transactions the encoding b of Data begins with whose tag and length have one byte each, as
// is canonical for one of less than 128 bytes, and how many bytes they take.
func shortTxs(b []byte) (n, size int) {
	for end := 0; ; n++ {
		for end+8 <= len(b) && binary.LittleEndian.Uint64(b[end:]) == fourEmpty {
			n, end = n+4, end+8
		}
		size = end
		if end+2 > len(b) || b[end] != txTag || b[end+1] >= 0x80 {
			return n, size
		}
		if end += 2 + int(b[end+1]); end > len(b) {
			return n, size
		}
	}
}

// IsOf reports whether d says that it is of the chain with this id.
func (d *DataBlob) IsOf(chainID string) bool { return string(d.chainID) == chainID }

// ChainID returns the id of the chain that d says it is of: a part of its bytes.
func (d *DataBlob) ChainID() []byte { return d.chainID }

// Metadata returns the metadata. The chain id is copied, and may be as long as the blob.
func (d *DataBlob) Metadata() Metadata {
	m := d.meta
	m.ChainID = string(d.chainID)
	return m
}

// Height returns the height of the block that d says it is of.
func (d *DataBlob) Height() uint64 { return d.meta.Height }

// Time returns the time of the block that d says it is of, in nanoseconds since the Unix epoch.
func (d *DataBlob) Time() uint64 { return d.meta.Time }

// LastDataHash returns what d says that the hash of the data before it is.
func (d *DataBlob) LastDataHash() []byte { return d.meta.LastDataHash }

// Signer returns who d says has signed it.
func (d *DataBlob) Signer() *Signer { return &d.signer }

// Txs returns how many transactions there are.
func (d *DataBlob) Txs() int { return d.txs }

// metaSize returns the size of the encoding of the metadata.
func (d *DataBlob) metaSize() int { return d.meta.size() + sizeBytes(metadataChainID, len(d.chainID)) }

// contentSize returns the size of the canonical encoding of the Data.
func (d *DataBlob) contentSize() int { return sizePrefixed(dataMetadata, d.metaSize()) + d.txBytes }

func (d *DataBlob) size() int {
	return sizePrefixed(signedContent, d.contentSize()) + sizeSignature(d.signature, &d.signer)
}

// writeMeta gives to w, part by part, what the canonical encoding of the Data begins with: the field of the metadata.
func (d *DataBlob) writeMeta(w func([]byte)) {
	b := appendPrefix(make([]byte, 0, 32), dataMetadata, d.metaSize())
	if len(d.chainID) > 0 {
		b = appendPrefix(b, metadataChainID, len(d.chainID))
	}
	w(b)
	w(d.chainID)
	b = appendUint(b[:0], metadataHeight, d.meta.Height)
	b = appendUint(b, metadataTime, d.meta.Time)
	if len(d.meta.LastDataHash) > 0 {
		b = appendPrefix(b, metadataLastDataHash, len(d.meta.LastDataHash))
	}
	w(b)
	w(d.meta.LastDataHash)
}

// writeTxs gives to w, part by part, the canonical encoding of the transactions.
func (d *DataBlob) writeTxs(w func([]byte)) {
	if !d.scattered {
		for _, p := range d.pieces[:d.n] {
			w(p)
		}
		return
	}
	gathered.Lock()
	if gathered.of == d.gathered && d.gathered != 0 {
		w(gathered.buf[:gathered.n])
		gathered.Unlock()
		return
	}
	gathered.Unlock()
	compactTo(w, d.raw) // it has been read before, without an error
}

// compactTo gives to w, part by part, the canonical encoding of the transactions of the data blob raw.
func compactTo(w func([]byte), raw []byte) {
	var f field
	buf := make([]byte, 4<<10)
	for p := (place{}); p.at < len(raw); {
		o, long, err := p.compact(&f, buf, raw)
		if err != nil {
			return // there was none when it was read
		}
		w(buf[:o])
		if long {
			w(appendPrefix(buf[:0], dataTxs, len(f.bytes)))
			w(f.bytes)
		}
	}
}

// writeContent gives to w, part by part, the canonical encoding of the Data, which its signature is made over.
func (d *DataBlob) writeContent(w func([]byte)) {
	if d.canonical {
		w(d.content())
		return
	}
	d.writeMeta(w)
	d.writeTxs(w)
}

// writeTail gives to w, part by part, what follows the content in the canonical encoding.
func (d *DataBlob) writeTail(w func([]byte)) {
	b := make([]byte, 0, 32)
	if len(d.signature) > 0 {
		b = appendPrefix(b, signedSignature, len(d.signature))
	}
	w(b)
	w(d.signature)
	b = appendPrefix(b[:0], signedSigner, d.signer.size())
	if len(d.signer.Address) > 0 {
		b = appendPrefix(b, signerAddress, len(d.signer.Address))
	}
	w(b)
	w(d.signer.Address)
	b = b[:0]
	if len(d.signer.PubKey) > 0 {
		b = appendPrefix(b, signerPubKey, len(d.signer.PubKey))
	}
	w(b)
	w(d.signer.PubKey)
}

// isCanonical reports whether raw is the canonical encoding. It has the size of that, and the same beginning and end:
// then what is between them has as many bytes as the transactions take at least, and so it is them, as they are
// canonical, and nothing else.
func (d *DataBlob) isCanonical() bool {
	same, rest := len(d.raw) == d.size(), d.raw
	match := func(p []byte) {
		if same {
			rest, same = bytes.CutPrefix(rest, p)
		}
	}
	match(appendPrefix(nil, signedContent, d.contentSize()))
	d.writeMeta(match)
	if !same {
		return false
	}
	rest = rest[d.txBytes:]
	d.writeTail(match)
	return same
}

// content returns the encoding of the Data of a canonical blob.
func (d *DataBlob) content() []byte {
	n := d.contentSize()
	end := sizePrefixed(signedContent, n)
	return d.raw[end-n : end : end]
}

// Canonical returns d in the canonical encoding: itself, or a copy that keeps nothing of the bytes that d came in.
func (d *DataBlob) Canonical() *DataBlob {
	if d.canonical {
		return d
	}
	c := &DataBlob{raw: make([]byte, 0, d.size()), txs: d.txs, canonical: true}
	w := func(p []byte) { c.raw = append(c.raw, p...) }
	w(appendPrefix(nil, signedContent, d.contentSize()))
	d.writeContent(w)
	tail := len(c.raw)
	d.writeTail(w)
	// What it points to is in its own bytes, beside the transactions. They have just been written: there is no error.
	var f field
	p, txs := place{}, tail-d.txBytes
	for p.at < len(c.raw) {
		if _, _ = p.next(&f, c.raw); p.at == txs {
			p.at = tail
		}
	}
	c.keep(&p)
	if txs < tail {
		c.pieces[0], c.n = c.raw[txs:tail], 1
	}
	c.txBytes = d.txBytes
	return c
}

// Encode returns the canonical encoding, as SignedData.Encode would. It may be the bytes that d came in.
func (d *DataBlob) Encode() []byte { return d.Canonical().raw }

// Content returns the encoding of the Data, as Data.Encode would. It may be a part of the bytes that d came in.
func (d *DataBlob) Content() []byte { return d.Canonical().content() }

// Hash returns what Data.Hash would.
func (d *DataBlob) Hash() Hash { return d.hash(d.writeContent) }

// Commitment returns what Data.Commitment would.
func (d *DataBlob) Commitment() Hash { return d.hash(d.writeTxs) }

func (d *DataBlob) hash(write func(w func([]byte))) (sum Hash) {
	h := sha256.New()
	h.Write([]byte{0})
	write(func(p []byte) { h.Write(p) })
	h.Sum(sum[:0])
	return sum
}

// Data builds the Data. It costs a slice for each transaction: do it with what is the proposer's.
func (d *DataBlob) Data() Data {
	out := Data{Metadata: d.Metadata(), Txs: slices.Grow([][]byte(nil), d.txs)}
	content := d.Content()
	for rest := content[len(content)-d.txBytes:]; len(rest) > 0; {
		tx, n := protowire.ConsumeBytes(rest[1:])
		out.Txs = append(out.Txs, tx[:len(tx):len(tx)])
		rest = rest[1+n:]
	}
	return out
}

// Check is what is left to be done to know whether a blob is authentic.
type Check struct {
	// ID names what is checked: blobs that differ in their encoding alone have the same, which is found without
	// looking at the signature's curve.
	ID Hash

	key  *Verifier
	sum  []byte // of what the signature is over
	blob *DataBlob
}

// CheckData does what a check of d's signature with the verifier's key costs in proportion to its size, and returns
// what is left: nil if it cannot be authentic. That d names the verifier's key, IsKeyOf says.
func (v *Verifier) CheckData(d *DataBlob) *Check {
	h := v.begin(d.signature)
	if h == nil {
		return nil
	}
	d.writeContent(func(p []byte) { h.Write(p) })
	c := &Check{key: v, sum: h.Sum(nil), blob: d}
	id := sha256.New()
	for _, p := range [][]byte{c.sum, d.signature, d.signer.PubKey} {
		_, _ = id.Write(binary.BigEndian.AppendUint64(nil, uint64(len(p))))
		_, _ = id.Write(p)
	}
	id.Sum(c.ID[:0])
	return c
}

// Authentic reports whether the signature verifies.
func (c *Check) Authentic() bool { return c.key.finish(c.sum, c.blob.signature) }

// VerifyDataBlob checks that d is signed with the verifier's key.
func (v *Verifier) VerifyDataBlob(d *DataBlob) error {
	if !v.IsKeyOf(&d.signer) {
		return fmt.Errorf("verify data %d: %w", d.Height(), ErrSigner)
	}
	if c := v.CheckData(d); c == nil || !c.Authentic() {
		return fmt.Errorf("verify data %d: %w", d.Height(), ErrSignature)
	}
	return nil
}
