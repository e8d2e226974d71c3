package block_test

import (
	"bytes"
	"crypto/sha512"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"headrace/block"
)

// blobBytes is the size of the largest data blobs that a DA layer takes.
const blobBytes = 7_900_000

// shape is a data blob of a proposer, as it is posted.
type shape struct {
	name  string
	raw   []byte
	sigAt int // where its signature is
}

func field(num protowire.Number, b []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), b)
}

// shapes returns data blobs of about size bytes, signed by k: of two transactions and of as many as there can be, in
// the canonical encoding, and in others that say the same.
func shapes(t testing.TB, k *block.PrivateKey, size int) (out []shape) {
	t.Helper()
	var signatures [][]byte
	signed := func(txs ...[]byte) *block.SignedData {
		s, err := block.SignData(k, block.Data{Metadata: block.Metadata{ChainID: "chain", Height: 7, Time: 9, LastDataHash: make([]byte, 32)}, Txs: txs})
		if err != nil {
			t.Fatal(err)
		}
		signatures = append(signatures, s.Signature)
		return &s
	}
	room := size - 300
	two := signed(make([]byte, room/2), make([]byte, room/2)).Encode()
	many := signed(make([][]byte, room/2)...).Encode()
	longer := signed(slices.Repeat([][]byte{make([]byte, 128)}, room/131)...).Encode()
	out = []shape{{name: "two", raw: two}, {name: "many", raw: many}, {name: "many of 128 bytes", raw: longer}}
	out = append(out, shape{name: "two, something foreign", raw: append(bytes.Clone(two), field(99, []byte("x"))...)})
	out = append(out, shape{name: "many, something foreign", raw: append(bytes.Clone(many), field(99, []byte("x"))...)})

	// of writes so many transactions otherwise: the metadata, and each transaction as it is said
	of := func(name string, each []byte, n int) shape {
		b := signed(make([][]byte, n)...).Encode()
		content, _ := protowire.ConsumeBytes(b[1:])
		meta := content[:len(content)-2*n]
		return shape{name: name, raw: slices.Concat(field(1, slices.Concat(meta, bytes.Repeat(each, n))), b[1+protowire.SizeBytes(len(content)):])}
	}
	out = append(out, of("something foreign between any two", []byte{0x12, 0, 0x18, 0}, room/4))
	out = append(out, of("tags of two bytes", []byte{0x92, 0, 0}, room/3))
	out = append(out, of("lengths of three bytes", []byte{0x12, 0x80, 0x80, 0}, room/4))
	out = append(out, of("metadata before each", []byte{0x0a, 0, 0x12, 0}, room/4))
	beside := false                                                    // whether it is at the level of the contents
	mixed := func(name string, size int, say, foreign func() []byte) { // as many as there can be, in no order that could be foreseen
		r := rand.New(rand.NewPCG(1, 2))
		var txs [][]byte
		var said []byte
		for len(said) < room {
			if r.IntN(2) == 0 {
				said = append(said, foreign()...)
				continue
			}
			each := say()
			said, txs = append(said, each...), append(txs, each[len(each)-size:])
		}
		b := signed(txs...).Encode()
		content, n := protowire.ConsumeBytes(b[1:])
		meta, _ := protowire.ConsumeBytes(content[1:])
		meta = content[:1+protowire.SizeBytes(len(meta))]
		in := [][]byte{field(1, slices.Concat(meta, said))}
		if beside {
			in = [][]byte{said, field(1, meta)}
		}
		out = append(out, shape{name: name, raw: slices.Concat(slices.Concat(in...), b[1+n:])})
	}
	r := rand.New(rand.NewPCG(3, 4))
	one := func(of ...string) func() []byte { return func() []byte { return []byte(of[r.IntN(len(of))]) } }
	mixed("fields of two bytes, mixed", 0, one("\x12\x00"), one("\x18\x00", "\x1a\x00", "\x20\x07", "\x0a\x00"))
	mixed("fields of three bytes, mixed", 1, one("\x12\x01x"), one("\x1a\x01x", "\x22\x01y"))
	mixed("fields of two and three bytes, mixed", 1, one("\x12\x01x"), one("\x1a\x00", "\x18\x01"))
	mixed("tags of one byte and two, mixed", 0, one("\x12\x00", "\x92\x00\x00"), one("\x18\x00", "\x98\x01\x00"))
	mixed("lengths of one byte, two and three, mixed", 0, one("\x12\x00", "\x12\x80\x00", "\x12\x80\x80\x00"), one("\x1a\x00", "\x1a\x80\x00"))
	mixed("every encoding, mixed", 1, one("\x12\x01a", "\x92\x00\x01b", "\x12\x81\x00c", "\x92\x80\x00\x81\x80\x00d"),
		one("\x18\x00", "\x98\x01\x00", "\x0a\x00", "\x1d1234", "\x1b\x1c", "\x92\x01\x01f", "\x18\xff\x7f", "\x19\x00\x00\x00\x00\x00\x00\x00\x00", "\x0a\x02\x10\x07"))
	mixed("transactions of every size, mixed", 20, one("\x12\x1412345678901234567890", "\x12\x94\x0012345678901234567890"), one("\x18\x00", "\x1a\x01x"))
	mixed("numbers of fixed size, mixed", 0, one("\x12\x00"), one("\x1d1234", "\x19\xff\xff\xff\xff\xff\xff\xff\xff", "\x18\x00"))
	says := []string{"\x0a\x00", "\x0a\x02\x10\x07", "\x0a\x02\x28\x00", "\x0a\x07\x0a\x05chain", "\x0a\x04\x18\x09\x10\x07", "\x0a\x05\x28\xff\x7f\x18\x09"}
	mixed("groups and transactions, mixed", 0, one("\x12\x00"), one("\x1b\x1c", "\x1b\x18\x00\x1c", "\x23\x0a\x01x\x24", "\x1b\x1b\x1c\x1c"))
	txs := slices.Repeat([]string{"\x12\x00"}, 20)
	mixed("groups and transactions, one with a long length now and then", 0, one(append(txs, "\x12\x80\x80\x00")...), one("\x1b\x1c", "\x1b\x1b\x1c\x1c", "\x1b\x18\x00\x1c"))
	mixed("metadata at random", 0, one("\x12\x00"), one(says...))
	beside = true
	mixed("contents and what is beside them, mixed", 0, one("\x0a\x02\x12\x00", "\x0a\x04\x18\x00\x12\x00"), one("\x0a\x00", "\x12\x01s", "\x1a\x03\x0a\x01a", "\x0a\x02\x0a\x00", "\x20\x00", "\x2b\x2c"))
	mixed("contents of one transaction, mixed", 1, one("\x0a\x03\x12\x01x"), one("\x1a\x00", "\x20\x01"))
	mixed("contents of one empty transaction, mixed", 0, one("\x0a\x02\x12\x00"), one("\x12\x00"))
	few := func(content string) func() []byte { // and up to five fields more
		another := one("\x1b\x9b\x01\x9c\x01\x1c", "\x98\x80\x00\x00", "\x98\x80\x00\x00", "\x0a\x04\x0a\x02\xc3\xa9")
		return func() []byte {
			content := []byte(content)
			for range r.IntN(6) {
				content = append(content, another()...)
			}
			return field(1, content)
		}
	}
	mixed("contents of few fields, some with long tags", 0, few("\x12\x00"), few(""))
	out = append(out, of("a group for each", []byte("\x1b\x1c\x12\x00"), room/4))
	out = append(out, of("tags and lengths of ten bytes", slices.Concat([]byte{0x92}, bytes.Repeat([]byte{0x80}, 8), []byte{0, 0x80}, bytes.Repeat([]byte{0x80}, 8), []byte{0}), room/20))
	in := func(name string, num protowire.Number, b []byte) { // a field with millions of fields in it, before those that count
		out = append(out, shape{name: name, raw: append(field(num, b), two[:]...)})
	}
	two = signed([]byte("tx"), nil).Encode()
	in("metadata of many fields", 1, field(1, bytes.Repeat([]byte("\x28\x00"), room/2)))
	var anything []byte
	for len(anything) < room {
		anything = append(anything, one("\x10\x01", "\x18\xff\x7f", "\x0a\x02ab", "\x22\x01h", "\x28\x00", "\x32\x01x", "\x90\x00\x02", "\x2b\x2c")()...)
	}
	in("metadata of random fields", 1, field(1, anything))
	anyOf := func(of ...string) (out []byte) {
		for len(out) < room {
			out = append(out, one(of...)()...)
		}
		return out
	}
	in("metadata of every encoding", 1, field(1, anyOf("\x10\x01", "\x10\x81\x80\x00", "\x18\xff\xff\xff\xff\xff\xff\x7f", "\x8a\x00\x02ab", "\x0a\x02\xc3\xa9", "\x22\x81\x00h", "\x2b\x2c", "\x2d1234", "\x98\x80\x00\x02", "\x22\x08abcdefgh", "\x0a\x09123456789")))
	in("chain ids, mixed", 1, field(1, anyOf("\x0a\x00", "\x0a\x01x", "\x0a\x02\xc3\xa9", "\x0a\x07abcdefg", "\x0a\x82\x00ab")))
	in("fields of data that are no transactions", 1, anyOf(append(says, "\x18\x00", "\x1a\x01x", "\x1b\x1c")...))
	in("a group of random fields", 1, slices.Concat([]byte{0x1b}, anyOf("\x10\x01", "\x18\xff\x7f", "\x0a\x02ab", "\x98\x01\x00", "\x23\x24", "\x2b\x08\x00\x2c"), []byte{0x1c}))
	in("groups of random fields", 1, anyOf("\x1b\x1c", "\x1b\x18\x00\x1c", "\x23\x0a\x01x\x24", "\x1b\x1b\x1c\x1c", "\x9b\x01\x9c\x01"))
	in("groups of tags of one byte and two", 1, anyOf("\x1b\x1c", "\x1b\x9b\x01\x9c\x01\x1c", "\x9b\x01\x9b\x01\x9c\x01\x9c\x01", "\x1b\x23\x24\x1c"))
	in("a group with groups of random fields", 1, slices.Concat([]byte{0x1b}, anyOf("\x1b\x1c", "\x1b\x18\x00\x1c", "\x23\x0a\x01x\x24", "\x1b\x1b\x1c\x1c", "\x08\x00", "\x15abcd"), []byte{0x1c}))
	in("groups of random fields, as deep as can be", 1, slices.Concat([]byte(strings.Repeat("\x1b", 9960)), anyOf("\x1b\x1c", "\x1b\x18\x00\x1c", "\x23\x0a\x01x\x24", "\x1b\x1b\x1c\x1c", "\x9b\x01\x9c\x01"), []byte(strings.Repeat("\x1c", 9960))))
	in("groups in each other, as deep as can be", 1, slices.Concat([]byte(strings.Repeat("\x1b", 9960)), anyOf("\x1b\x1b\x1c\x1c", "\x1b\x1c", "\x1b\x1b\x1b\x1c\x1c\x1c"), []byte(strings.Repeat("\x1c", 9960))))
	in("groups with fields of four bytes", 1, anyOf("\x1b\x1c", "\x1b\x18\x80\x80\x00\x1c", "\x23\x0a\x01x\x24"))
	short := []string{"\x1b\x1c", "\x1b\x1b\x1c\x1c", "\x1b\x18\x00\x1c", "\x23\x24"}
	short = slices.Concat(short, short, short, short, short)
	for name, long := range map[string]string{
		"number": "\x18\x80\x80\x80\x00", "length": "\x1a\x80\x80\x00", "tag": "\x98\x80\x00\x00", "number of nine bytes": "\x18\x80\x80\x80\x80\x80\x80\x80\x80\x00",
	} {
		in("short groups, and a long "+name+" now and then", 1, anyOf(append(short, "\x1b"+long+"\x1c")...))
	}
	lasting := slices.Concat([]byte("\x18\x80\x80\x80\x80\x80\x80\x80\x80\x00\x8a\x80\x80\x00\x88\x01"), bytes.Repeat([]byte("\xab\x80\x00\xac\x80\x00\x28\x00"), 17))
	out = append(out, shape{name: "contents and metadata of more than 127 bytes, with groups", raw: append(bytes.Repeat(field(1, lasting), room/157), two...)})
	in("groups in metadata with a long tag", 1, anyOf("\x8a\x80\x00\x04\xab\x00\xac\x00"))
	out = append(out, shape{name: "groups with long tags and contents with longer ones", raw: append(anyOf("\x43\xc4\x80\x00", "\x8a\x80\x80\x80\x00\x80\x80\x80\x00"), two...)})
	for name, one := range map[string]string{
		"of a group of two tags, one of two bytes": "\x0a\x03\x3b\xbc\x00", "of four groups in each other": "\x0a\x08\x3b\x3b\x3b\x3b\x3c\x3c\x3c\x3c",
		"of a group with a short number": "\x0a\x04\x3b\x38\x00\x3c", "of a number and groups in each other": "\x0a\x0f\x3b\x3b\x3b\x3b\x3b\x3b\xbc\x00\x3c\x3c\x3c\x3c\x3c\x10\x01\x0a\x00",
	} {
		in("metadata "+name, 1, bytes.Repeat([]byte(one), room/len(one)))
	}
	in("groups in each other", 1, anyOf(deep(3), deep(40), deep(300), deep(10_001)))
	in("groups in each other, mixed", 1, walk(r, room))
	in("groups in each other beside metadata", 1, field(1, walk(r, room)))
	in("a signer of random fields", 3, anyOf("\x0a\x01x", "\x12\x00", "\x18\x00", "\x8a\x00\x00", "\x20\xff\x7f"))
	out = append(out, shape{name: "random fields beside the content", raw: append(anyOf("\x12\x00", "\x12\x01s", "\x1a\x00", "\x1a\x03\x0a\x01a", "\x20\x00", "\x98\x01\x00", "\x0a\x00", "\x0a\x02\x0a\x00", "\x2b\x2c"), two...)})
	in("metadata of random groups", 1, field(1, anyOf("\x2b\x2c", "\x2b\x18\x00\x2c", "\x33\x0a\x01x\x34", "\x2b\x2b\x2c\x2c", "\x10\x01")))
	in("a height for each", 1, field(1, bytes.Repeat([]byte("\x10\x01"), room/2)))
	in("a group of many fields", 1, slices.Concat([]byte{0x1b}, bytes.Repeat([]byte("\x18\x00"), room/2), []byte{0x1c}))
	in("a group of many groups", 1, slices.Concat([]byte{0x1b}, bytes.Repeat([]byte("\x1b\x1c"), room/2), []byte{0x1c}))
	in("a signer of many fields", 3, bytes.Repeat([]byte("\x1a\x00"), room/2))
	in("an address for each", 3, bytes.Repeat([]byte("\x0a\x01x"), room/3))
	out = append(out, shape{name: "a signature for each", raw: append(bytes.Repeat([]byte("\x12\x01x"), room/3), two...)})
	out = append(out, shape{name: "an address in a signer for each", raw: append(bytes.Repeat([]byte("\x1a\x03\x0a\x01x"), room/5), two...)})
	contents := of("a content for each", nil, room/4)
	contents.raw = append(contents.raw, bytes.Repeat([]byte{0x0a, 2, 0x12, 0}, room/4)...)
	out = append(out, contents)
	small := signed([]byte("tx"))
	swapped := func(name string, at, first, second int) { // two fields of the canonical encoding in the wrong order
		b := small.Encode()
		out = append(out, shape{name: name, raw: slices.Concat(b[:at], b[at+first:at+first+second], b[at:at+first], b[at+first+second:])})
	}
	inner := bytes.Index(small.Encode(), []byte("chain")) - 2 // where the metadata begins: id, then height
	swapped("metadata backwards", inner, 7, 2)
	signer := bytes.Index(small.Encode(), small.Signer.Address) - 2
	swapped("signer backwards", signer, 2+len(small.Signer.Address), 2+len(small.Signer.PubKey))
	out = append(out, shape{name: "foreign things alone", raw: append(small.Encode(), bytes.Repeat([]byte{0x98, 1, 0}, room/3)...)})
	out = append(out, shape{name: "a signer for each", raw: append(bytes.Repeat([]byte{0x1a, 0}, room/2), small.Encode()...)})
	small.Signer.PubKey = append(bytes.Clone(small.Signer.PubKey), bytes.Repeat([]byte{0x18, 0}, room/2)...)
	out = append(out, shape{name: "a long key", raw: small.Encode()})
	for i := range out {
		for _, sig := range signatures {
			out[i].sigAt = max(out[i].sigAt, bytes.Index(out[i].raw, sig))
		}
	}
	return out
}

// deep returns so many groups, each in the one before.
func deep(n int) string { return strings.Repeat("\x1b", n) + strings.Repeat("\x1c", n) }

// walk returns about size bytes of groups in each other, in no order that could be foreseen.
func walk(r *rand.Rand, size int) (out []byte) {
	var open []byte
	for len(out)+len(open) < size || len(open) > 0 {
		if n := len(open); n > 0 && (len(out)+n >= size || r.IntN(2) == 0 || n > 1000) {
			out, open = append(out, open[n-1]), open[:n-1]
			continue
		}
		num := byte(5 + r.IntN(10)) // nobody has such a field
		out, open = append(out, num<<3|3), append(open, num<<3|4)
	}
	return out
}

// TestGroupsInEachOther: groups can be in each other as deep as protowire follows them, at each level, and each ends
// where it has to.
func TestGroupsInEachOther(t *testing.T) {
	const most = protowire.DefaultRecursionLimit + 1
	long, longEnd := "\xfb\xff\xff\xff\x3f", "\xfc\xff\xff\xff\x3f" // the largest number
	twoBytes := func(n int) string { return strings.Repeat("\x9b\x01", n) + strings.Repeat("\x9c\x01", n) }
	rest := strings.Repeat("\x28\x00", 300)
	for name, groups := range map[string]string{
		"most": deep(most), "too many": deep(most + 1), "far too many": deep(3 * most), "most of two bytes": twoBytes(most), "too many of two bytes": twoBytes(most + 1),
		"most, with fields":               strings.Repeat("\x2b", most) + "\x08\x00\x2d1234" + rest + strings.Repeat("\x2c", most),
		"most, and one more among fields": strings.Repeat("\x2b", most) + rest + "\x2b\x2c" + rest + strings.Repeat("\x2c", most),
		"one does not end":                deep(200) + "\x2b" + deep(200), "one ends twice": deep(200) + "\x2c" + deep(200), "another ends": deep(200) + "\x2b" + rest + "\x34" + deep(200),
		"ends that are longer": strings.Repeat("\x2b", 300) + strings.Repeat("\xac\x80\x00", 300), "ends that are shorter": strings.Repeat("\xab\x80\x80\x80\x00", 300) + strings.Repeat("\x2c", 300),
		"the largest number": strings.Repeat(long, 150) + rest + strings.Repeat(longEnd, 150), "another large number": strings.Repeat(long, 150) + "\xfc\xff\xff\xff\x2f" + strings.Repeat(longEnd, 149),
		"the largest numbers, which differ in their last bits": strings.Repeat("\xab\x80\x80\x80\x10", 150) + rest + strings.Repeat("\xac\x80\x80\x80\x20", 150), "the largest numbers": strings.Repeat("\xab\x80\x80\x80\x30", 150) + rest + strings.Repeat("\xac\x80\x80\x80\x30", 150),
		"a number as large as what stands for another": "\xab\x80\x80\x80\x01" + rest + "\x2c", "numbers with the same beginning": "\xab\x01" + rest + "\xac\x02",
		"a number that is too large": "\xfb\xff\xff\xff\x7f" + rest + "\xfc\xff\xff\xff\x7f", "a number that none has": strings.Repeat("\x2b", 200) + "\x03" + rest + "\x04" + strings.Repeat("\x2c", 200), "a type that none has": "\x2b" + rest + "\x2e\x00\x2c",
		"a field that is not whole": "\x2b" + rest + "\x2a\x05abc\x2c",
		"numbers that differ in their third byte, behind a text that looks as if it went on": rest + "\x2a\x01\x80\xab\x80\x01\x2a\x01\x80\xac\x80\x02" + rest,
		"a large number, behind such a text":                                                 rest + "\x2a\x01\x80\xab\x80\x01\x2a\x01\x80\xac\x80\x01" + rest,
	} {
		groups = strings.NewReplacer("\x1b", "\x2b", "\x1c", "\x2c").Replace(groups) // which is foreign everywhere
		sameBlob(t, name+", beside the content", []byte(groups+"\x0a\x02\x12\x00"+rest))
		sameBlob(t, name+", in a content", field(1, []byte("\x12\x01a"+groups+"\x12\x01b"+rest)))
		sameBlob(t, name+", at the end of a content", slices.Concat(field(1, []byte("\x12\x01a"+rest+groups)), field(1, []byte("\x12\x01b"+rest+"\x2c"))))
		sameBlob(t, name+", in metadata", field(1, slices.Concat(field(1, []byte("\x10\x07"+groups+rest+"\x18\x01")), []byte("\x12\x01b"+rest))))
		sameBlob(t, name+", in a signer", slices.Concat(field(3, []byte("\x0a\x01a"+groups)), field(1, []byte("\x12\x01b"+rest))))
	}
	three := func(n int, tag string) string { return strings.Repeat(tag+"\x80\x00", n) } // which are longer than they have to be
	for name, groups := range map[string]string{
		"another ends among tags": strings.Repeat("\x2b", 300) + "\x34" + strings.Repeat("\x2c", 299), "another ends among tags of two bytes": strings.Repeat("\xab\x01", 300) + "\xb4\x01" + strings.Repeat("\xac\x01", 299),
		"another ends among tags of three bytes": three(300, "\xab") + three(1, "\xb4") + three(299, "\xac"), "most of three bytes": three(most, "\xab") + three(most, "\xac"), "too many of three bytes": three(most+1, "\xab") + three(most+1, "\xac"),
		"most, with nothing in it": strings.Repeat("\x2b", most-1) + rest + "\x2b\x2c" + rest + strings.Repeat("\x2c", most-1), "too many, with nothing in it": strings.Repeat("\x2b", most) + rest + "\x2b\x2c" + rest + strings.Repeat("\x2c", most),
	} {
		sameBlob(t, name+", beside the content", []byte(groups+"\x0a\x02\x12\x00"+rest))
		sameBlob(t, name+", in metadata", field(1, slices.Concat(field(1, []byte("\x10\x07"+groups+rest+"\x18\x01")), []byte("\x12\x01b"+rest))))
	}
	for n := range 260 { // wherever the end is in what is passed at once
		for _, tags := range []int{2, 300 + n, 2100 + n, 6100 + n} {
			content := field(1, []byte(strings.Repeat("\x28\x00", 300+n)+strings.Repeat("\x2b", tags)))
			ends := strings.Repeat("\x2c", tags) + rest
			sameBlob(t, fmt.Sprintf("%d groups end beside their content, after %d fields", tags, n), slices.Concat(content, []byte(ends)))
			sameBlob(t, fmt.Sprintf("%d groups end beside their content, after %d fields, and others", tags, n), slices.Concat(content, []byte(rest[:128]+ends)))
		}
	}
	for n := range 260 { // and the ends of few are at once with much that was passed
		inside := strings.Repeat("\x2b", 6100+n) + strings.Repeat("\x2c", 6060+n)
		sameBlob(t, fmt.Sprintf("groups end beside their content, after %d tags", n), slices.Concat(field(1, []byte(rest+inside)), []byte(strings.Repeat("\x2c", 40)+rest)))
	}
	for name, tags := range map[string][2]string{ // that begin in what others end beside
		"two": {"\x2b\x2b", "\x2c\x2c"}, "two of two bytes": {"\xab\x01\xab\x01", "\xac\x01\xac\x01"}, "two of three bytes": {three(2, "\xab"), three(2, "\xac")},
		"many": {strings.Repeat("\x2b", 400), strings.Repeat("\x2c", 400)}, "many of three bytes": {three(400, "\xab"), three(400, "\xac")},
	} {
		for _, before := range []string{"", strings.Repeat("\x28\x80\x80\x00", 100)} { // short fields, or none
			sameBlob(t, name+", beside its content", slices.Concat(field(1, []byte("\x12\x01a"+rest+tags[0]+before)), []byte(before+tags[1]+rest)))
			sameBlob(t, name+", beside its metadata", field(1, slices.Concat(field(1, []byte("\x10\x07"+rest+tags[0]+before)), []byte(before+tags[1]+"\x12\x01b"+rest))))
		}
	}
	for what, after := range map[string]string{"near the end": "", "far from it": rest} { // where it would be another's
		sameBlob(t, "ends beside its content, "+what, slices.Concat(field(1, []byte("\x12\x01a"+rest+"\x2b")), []byte("\x2c"+after)))
		sameBlob(t, "ends beside its metadata, "+what, field(1, slices.Concat(field(1, []byte("\x10\x07"+rest+"\x2b")), []byte("\x2c\x12\x01b"+after))))
		sameBlob(t, "ends beside its signer, "+what, slices.Concat(field(1, []byte("\x12\x01a")), field(3, []byte(rest+"\x2b")), []byte("\x2c"+after)))
	}
}

// TestDataBlobIsWhatItDecodesTo: a blob that is read says what the decoded one does, whatever its encoding.
func TestDataBlobIsWhatItDecodesTo(t *testing.T) {
	for _, kind := range []block.KeyType{block.Ed25519, block.Secp256k1} {
		k, err := block.GenerateKey(kind)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range shapes(t, k, 5000) {
			sameBlob(t, fmt.Sprintf("%v, %s", kind, s.name), s.raw)
			want, err := block.DecodeSignedData(s.raw)
			if err != nil || want.Verify() != nil {
				t.Fatalf("%v, %s: it is to be genuine: %v", kind, s.name, err)
			}
		}
	}
}

// another is a data blob whose transactions are scattered.
var another = field(1, bytes.Repeat([]byte("\x92\x00\x03any"), 100))

// sameBlob compares what ReadDataBlob says of raw with what DecodeSignedData does.
func sameBlob(t testing.TB, name string, raw []byte) {
	t.Helper()
	want, wantErr := block.DecodeSignedData(raw)
	got, err := block.ReadDataBlob(raw)
	if (err == nil) != (wantErr == nil) {
		t.Fatalf("%s: got %v, want %v", name, err, wantErr)
	}
	if err != nil {
		return
	}
	if got.Metadata().ChainID != want.Data.Metadata.ChainID || !got.IsOf(want.Data.Metadata.ChainID) || got.Txs() != len(want.Data.Txs) {
		t.Fatalf("%s: got %+v with %d transactions, want %+v with %d", name, got.Metadata(), got.Txs(), want.Data.Metadata, len(want.Data.Txs))
	}
	if !reflect.DeepEqual(*got.Signer(), want.Signer) {
		t.Fatalf("%s: got signer %+v, want %+v", name, got.Signer(), want.Signer)
	}
	if got.Hash() != want.Data.Hash() || got.Commitment() != want.Data.Commitment() {
		t.Fatalf("%s: got hashes %v and %v, want %v and %v", name, got.Hash(), got.Commitment(), want.Data.Hash(), want.Data.Commitment())
	}
	if _, err := block.ReadDataBlob(another); err != nil || got.Hash() != want.Data.Hash() || got.Commitment() != want.Data.Commitment() {
		t.Fatalf("%s: got hashes %v and %v after another blob was read (%v), want %v and %v", name, got.Hash(), got.Commitment(), err, want.Data.Hash(), want.Data.Commitment())
	}
	if k, err := want.Signer.Key(); err == nil {
		v := block.NewVerifier(k)
		c := v.CheckData(got)
		if authentic := c != nil && c.Authentic(); authentic != (want.Verify() == nil) || authentic != (v.VerifyDataBlob(got) == nil) {
			t.Fatalf("%s: got authentic: %v, want %v", name, authentic, want.Verify())
		}
	}
	encoded := want.Encode()
	canonical := got.Canonical()
	if bytes.Equal(encoded, raw) != (canonical == got) {
		t.Fatalf("%s: got another one in the canonical encoding: %v", name, canonical != got)
	}
	if !bytes.Equal(got.Encode(), encoded) || !bytes.Equal(got.Content(), want.Data.Encode()) {
		t.Fatalf("%s: got encoding %.200x, want %.200x", name, got.Encode(), encoded)
	}
	for _, d := range []*block.DataBlob{got, canonical} {
		data := d.Data()
		if !reflect.DeepEqual(data, want.Data) || d.Hash() != want.Data.Hash() || d.Commitment() != want.Data.Commitment() || !reflect.DeepEqual(d.Signer(), got.Signer()) {
			t.Fatalf("%s: got %+v with %d transactions, want %+v with %d, or others", name, data.Metadata, len(data.Txs), want.Data.Metadata, len(want.Data.Txs))
		}
	}
	again, err := block.ReadDataBlob(canonical.Encode())
	if err != nil || !reflect.DeepEqual(again, canonical) {
		t.Fatalf("%s: got %.200x (%v) again, want %.200x", name, again.Encode(), err, canonical.Encode())
	}
}

// The canonical form keeps nothing of the bytes that it was made from: a stranger may have padded them.
func TestCanonicalKeepsNothing(t *testing.T) {
	k, err := block.GenerateKey(block.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range shapes(t, k, 2000) {
		want, err := block.DecodeSignedData(bytes.Clone(s.raw))
		if err != nil {
			t.Fatal(err)
		}
		got, err := block.ReadDataBlob(s.raw)
		if err != nil {
			t.Fatal(err)
		}
		c := got.Canonical()
		if c == got {
			continue
		}
		clear(s.raw)
		if data := c.Data(); !reflect.DeepEqual(data, want.Data) || !bytes.Equal(c.Encode(), want.Encode()) || block.NewVerifier(k.Public()).VerifyDataBlob(c) != nil {
			t.Errorf("%s: got %+v when its bytes were gone, want %+v", s.name, data.Metadata, want.Data.Metadata)
		}
	}
}

// full does all that is done with a data blob before a block is built of it.
func full(t testing.TB, v *block.Verifier, raw []byte, genuine bool) {
	d, err := block.ReadDataBlob(raw)
	if err != nil {
		t.Fatal(err)
	}
	if !v.IsKeyOf(d.Signer()) {
		t.Fatal("it is not of the key")
	}
	if c := v.CheckData(d); (c != nil && c.Authentic()) != genuine {
		t.Fatalf("got authentic: %v, want %v", !genuine, genuine)
	}
	if genuine {
		d = d.Canonical()
		d.Hash()
		d.Commitment()
	}
}

// forge spoils the signature: whatever is done before it is looked at is done for anybody.
func (s *shape) forge() []byte {
	raw := bytes.Clone(s.raw)
	raw[s.sigAt] ^= 1
	return raw
}

// TestDataBlobMemory: before it is known to be genuine a blob takes next to nothing beside its own bytes, in whatever
// encoding; and then one copy, if it is not canonical (I6).
func TestDataBlobMemory(t *testing.T) {
	k, err := block.GenerateKey(block.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	v := block.NewVerifier(k.Public())
	v.Verify(nil, k.Sign(nil)) // makes the tables
	for _, s := range shapes(t, k, blobBytes) {
		forged := s.forge()
		if got := allocated(func() { full(t, v, forged, false) }); got > 64<<10 {
			t.Errorf("%s: got %d bytes allocated for a forgery, want at most 64 KiB", s.name, got)
		}
		if got := allocated(func() { full(t, v, s.raw, true) }); got > uint64(len(s.raw)*3/2+(4<<10)) {
			t.Errorf("%s: got %d bytes allocated, want at most one and a half times its %d", s.name, got, len(s.raw))
		}
	}
}

// BenchmarkDataBlob measures all that is done with a data blob before a block is built of it, as a multiple of one
// SHA-512 over its bytes and a check of a signature, in the same run.
func BenchmarkDataBlob(b *testing.B) {
	k, err := block.GenerateKey(block.Ed25519)
	if err != nil {
		b.Fatal(err)
	}
	v := block.NewVerifier(k.Public())
	sig := k.Sign(nil)
	v.Verify(nil, sig) // makes the tables
	for _, s := range shapes(b, k, blobBytes) {
		for _, genuine := range []bool{true, false} {
			raw, name := s.raw, s.name
			if !genuine {
				raw, name = s.forge(), s.name+", forged"
			}
			b.Run(name, func(b *testing.B) {
				b.ReportAllocs()
				runtime.LockOSThread()
				defer runtime.UnlockOSThread()
				unit, all := time.Hour, time.Hour // the fastest, which say what the work is on a machine that is busy
				for b.Loop() {
					start := processor()
					full(b, v, raw, genuine)
					done := processor()
					sha512.Sum512(raw)
					v.Verify(nil, sig)
					all, unit = min(all, done-start), min(unit, processor()-done)
				}
				b.ReportMetric(float64(all)/float64(unit), "times")
				b.ReportMetric(float64(all.Microseconds())/1000, "ms-at-best")
			})
		}
	}
}

func FuzzReadDataBlob(f *testing.F) {
	headers, data := blobs(f)
	for _, b := range append(headers, data...) {
		f.Add(b)
	}
	k, err := block.GenerateKey(block.Ed25519)
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range shapes(f, k, 400) {
		f.Add(s.raw)
	}
	f.Fuzz(func(t *testing.T, b []byte) { sameBlob(t, "fuzzed", b) })
}

// TestCheckIDs: what is checked is the same whatever its encoding, and another if anything of it is.
func TestCheckIDs(t *testing.T) {
	k, err := block.GenerateKey(block.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	v := block.NewVerifier(k.Public())
	id := func(raw []byte) block.Hash {
		t.Helper()
		d, err := block.ReadDataBlob(raw)
		if err != nil {
			t.Fatal(err)
		}
		c := v.CheckData(d)
		if c == nil {
			t.Fatal("got nothing to check")
		}
		return c.ID
	}
	good, err := block.SignData(k, block.Data{Metadata: block.Metadata{ChainID: "chain", Height: 7}, Txs: [][]byte{{1}, {2}}})
	if err != nil {
		t.Fatal(err)
	}
	want := id(good.Encode())
	if got := id(append(good.Encode(), field(99, []byte("x"))...)); got != want {
		t.Error("the same in another encoding has another id")
	}
	seen := map[block.Hash]string{want: "the good one"}
	for name, change := range map[string]func(s *block.SignedData){
		"metadata":               func(s *block.SignedData) { s.Data.Metadata.Time++ },
		"transactions":           func(s *block.SignedData) { s.Data.Txs = [][]byte{{1, 2}} },
		"signature":              func(s *block.SignedData) { s.Signature = bytes.Clone(s.Signature); s.Signature[0] ^= 1 },
		"signature's other half": func(s *block.SignedData) { s.Signature = bytes.Clone(s.Signature); s.Signature[40] ^= 1 },
		"the key's encoding":     func(s *block.SignedData) { s.Signer.PubKey = append(bytes.Clone(s.Signer.PubKey), 0x18, 0) },
	} {
		s := good
		change(&s)
		got := id(s.Encode())
		if other, ok := seen[got]; ok {
			t.Errorf("another %s has the id of %s", name, other)
		}
		seen[got] = name
	}
	none := good
	for _, sig := range [][]byte{nil, good.Signature[:63], append(bytes.Clone(good.Signature), 0), bytes.Repeat([]byte{0xff}, 64)} {
		none.Signature = sig
		if d, err := block.ReadDataBlob(none.Encode()); err != nil || v.CheckData(d) != nil {
			t.Errorf("signature %x: got something to check, %v", sig, err)
		}
	}
}

// TestDataBlobOfAnyFields compares as TestDataBlobIsWhatItDecodesTo does, for fields of every kind in any order, whole
// and broken ones.
func TestDataBlobOfAnyFields(t *testing.T) {
	trials := 30_000
	if n, err := strconv.Atoi(os.Getenv("HEADRACE_TRIALS")); err == nil {
		trials = n
	}
	ofData := []string{
		"\x12\x00", "\x12\x01x", "\x12\x06abcdef", "\x12\x07abcdefg", "\x12\x0eabcdefghijklmn", "\x12\x00\x12\x00\x12\x00\x12\x00", "\x12\x82\x01" + strings.Repeat("y", 130),
		"\x92\x00\x00", "\x92\x80\x00\x02no", "\x12\x80\x00", "\x12\x83\x80\x80\x00abc", "\x12\x81\x80\x80\x80\x80\x80\x80\x80\x80\x00z", "\x92\x80\x80\x80\x80\x80\x80\x80\x80\x00\x01z",
		"\x0a\x00", "\x0a\x02\x10\x07", "\x0a\x03\x0a\x01c", "\x8a\x00\x00", "\x8a\x00\x02\x18\x09", "\x0a\x84\x00\x22\x02hh",
		"\x18\x00", "\x18\xff\x7f", "\x1a\x00", "\x1a\x03abc", "\x1a\x8a\x00aaaaaaaaaa", "\x98\x01\x00", "\x9a\x01\x02zz", "\x1d1234", "\x1912345678", "\x1b\x1c", "\x1b\x1b\x18\x00\x1c\x1c", "\x9b\x01\x9c\x01", "\xf8\xff\xff\xff\x0f\x01", "\xfa\xff\xff\xff\x0f\x01x", "\x98\x81\x80\x80\x80\x00\x02",
	}
	for _, n := range []int{8, 15, 31, 32, 33, 48, 49, 126, 127} { // of more bytes than are copied at once
		text := strings.Repeat("0123456789abcdef", 8)[:n]
		ofData = append(ofData, string(rune(0x12))+string(rune(n))+text, "\x92\x00"+string(rune(n))+text, string([]byte{0x12, 0x80 | byte(n), 0})+text)
	}
	ofData = append(ofData, "\x9a\x01\x81\x00z", "\x92\x00\x81\x00z")
	broken := []string{"\x12\x01", "\x1a\x05", "\x12\x05a", "\x92\x00\x02n", "\x10\x00", "\x08\x00", "\x90\x00\x00", "\x00\x00", "\x80\x00\x00", "\x12\x7f", "\x1e\x00", "\x1b\x24", "\x1c", "\x12", "\x92", "\x13\x14", "\x0b\x0c", "\x0a\x02\x10", "\x0a\x02\x12\x00", "\x0a\x03\x0a\x01\xff", "\xf8\xff\xff\xff\x7f\x01", "\xfa\xff\xff\xff\xff\x01\x00", "\xf8\x80\x80\x80\x80\x80\x01\x01"}
	beside := []string{"\x12\x00", "\x12\x01s", "\x12\x0512345", "\x92\x00\x01t", "\x12\x81\x00u", "\x1a\x00", "\x1a\x03\x0a\x01a", "\x1a\x02\x12\x00", "\x20\x00", "\x98\x01\x00", "\x0a\x00", "\x2b\x2c", "\x2d1234", "\x3212345", "\x32\x0612"}
	ofMetadata := []string{
		"\x0a\x00", "\x0a\x01i", "\x0a\x02\xc3\xa9", "\x0a\x06abcdef", "\x0a\x07abcdefg", "\x0a\x80\x00", "\x0a\x83\x00\xe2\x82\xac", "\x8a\x00\x01j", "\x0a\x09123456\xc3\xa9z", "\x0a\x0a12345678\xc3\xa9", "\x0a\x2812345678901234567890123456789012345678\xc3\xa9", "\x8a\x00\x0912345678i",
		"\x10\x00", "\x10\x07", "\x10\xff\x7f", "\x10\x87\x80\x00", "\x10\xff\xff\xff\xff\xff\x01", "\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "\x90\x00\x08", "\x90\x80\x00\x09",
		"\x18\x09", "\x18\x80\x80\x80\x80\x80\x80\x01", "\x98\x00\xff\x01", "\x22\x00", "\x22\x01h", "\x22\x20" + strings.Repeat("h", 32), "\xa2\x00\x82\x00ha", "\x22\x80\x01" + strings.Repeat("i", 128),
		"\x28\x00", "\x28\xff\x7f", "\x32\x01x", "\x2b\x2c", "\x2d1234", "\x2912345678", "\x8a\x01\x01\xff", "\x90\x01\x00", "\xd2\x02\x01\xff", "\x2b\x0a\x01\xff\x2c", "\xab\x00\xac\x00", "\xab\x00\x2c", "\xf8\xff\xff\xff\x0f\x01", "\xfa\xff\xff\xff\x0f\x01x", "\x98\x81\x80\x80\x80\x00\x02",
	}
	brokenMetadata := []string{
		"\x0a\x01\xff", "\x0a\x0912345678\xff", "\x0a\x8a\x00123456789\xff", "\x0a\x02\xc3", "\x0a\x06abcde\xff", "\x0a\x07abcdef\xff", "\x8a\x00\x01\xff", "\x0a\x81\x00\xff", "\x08\x00", "\x0b\x0c", "\x12\x00", "\x15\x00\x00\x00\x00", "\x1a\x00", "\x20\x00", "\xa0\x00\x00", "\x92\x00\x00",
		"\x00\x00", "\x02\x00", "\x80\x00\x00", "\x10", "\x10\x80", "\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", "\x10\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", "\x22\x01", "\x22\x85\x00abcd", "\x2c", "\x2b\x34", "\x2b", "\x2d123", "\x291234567", "\x2e\x00", "\x2f\x00", "\x90", "\x90\x00", "\xab\x00", "\xf8\xff\xff\xff\x7f\x01", "\xfa\xff\xff\xff\xff\x01\x00", "\xf8\x80\x80\x80\x80\x80\x01\x01",
	}
	ofSigner := []string{"\x0a\x00", "\x0a\x01a", "\x0a\x01\xff", "\x12\x01k", "\x12\x07abcdefg", "\x8a\x00\x01b", "\x92\x00\x00", "\x12\x81\x80\x00l", "\x18\x00", "\x1a\x03abc", "\x22\x00", "\x98\x01\x07", "\x1b\x1c", "\x1d1234"}
	brokenSigner := []string{"\x08\x00", "\x10\x00", "\x0b\x0c", "\x12\x01", "\x0a", "\x1b", "\x04", "\x00\x00"}
	// some is up to n of these fields, in any order, and seldom a broken one; or one more thing between them
	some := func(r *rand.Rand, n int, of, broken []string, more func() []byte) (out []byte) {
		few := 1 + r.IntN(len(of))
		at := r.IntN(len(of))
		for range r.IntN(n + 1) {
			if r.IntN(4) == 0 && more != nil {
				out = append(out, more()...)
				continue
			}
			out = append(out, of[(r.IntN(few)+at)%len(of)]...)
		}
		if r.IntN(60) == 0 {
			out = append(out, broken[r.IntN(len(broken))]...)
		}
		return out
	}
	// prefixed is a field with b in it, not always as shortly as could be
	prefixed := func(r *rand.Rand, num byte, b []byte) []byte {
		if r.IntN(4) > 0 || len(b) >= 0x80 {
			return field(protowire.Number(num), b)
		}
		tag := [][]byte{{num<<3 | 2}, {num<<3 | 0x82, 0}, {num<<3 | 0x82, 0x80, 0}}[r.IntN(3)]
		length := [][]byte{{byte(len(b))}, {0x80 | byte(len(b)), 0}, {0x80 | byte(len(b)), 0x80, 0x80, 0}}[r.IntN(3)]
		return slices.Concat(tag, length, b)
	}
	// group is a group of fields of any kind, and maybe of groups, seldom one that ends wrongly or not
	var group func(r *rand.Rand) []byte
	group = func(r *rand.Rand) []byte {
		num := protowire.Number([]int{3, 5, 9, 15, 16, 100, 1 << 24, 1<<25 - 1, 1 << 25, 1<<29 - 1}[r.IntN(1+r.IntN(10))])
		tag := func(typ protowire.Type) []byte {
			b := protowire.AppendTag(nil, num, typ)
			if r.IntN(8) == 0 {
				b = padded(b, r.IntN(11))
			}
			return b
		}
		out := tag(protowire.StartGroupType)
		of := [][]string{ofData, ofMetadata, ofSigner}[r.IntN(3)]
		for range r.IntN(4) * r.IntN(4) {
			if r.IntN(3) == 0 {
				out = append(out, group(r)...)
			} else {
				out = append(out, of[r.IntN(len(of))]...)
			}
		}
		switch r.IntN(2000) {
		case 0:
			num++
		case 1:
			return out
		case 2:
			out = append(out, broken[r.IntN(len(broken))]...)
		}
		return append(out, tag(protowire.EndGroupType)...)
	}
	for seed := range trials {
		r := rand.New(rand.NewPCG(uint64(seed), 5))
		groups := func() []byte { return group(r) }
		metadata := func() []byte {
			if r.IntN(4) == 0 {
				return group(r)
			}
			return prefixed(r, 1, some(r, 1+r.IntN(3)*r.IntN(8), ofMetadata, brokenMetadata, groups))
		}
		var raw []byte
		for range 1 + r.IntN(4)*r.IntN(8) {
			switch r.IntN(7) {
			case 6:
				raw = append(raw, group(r)...)
			case 0, 1:
				raw = append(raw, beside[r.IntN(len(beside))]...)
			case 2:
				raw = append(raw, prefixed(r, 3, some(r, r.IntN(10), ofSigner, brokenSigner, groups))...)
			default:
				raw = append(raw, prefixed(r, 1, some(r, r.IntN(4)*r.IntN(20), ofData, broken, metadata))...)
			}
		}
		if sameBlob(t, fmt.Sprintf("seed %d", seed), spoilt(r, raw)); t.Failed() {
			return
		}
	}
}

// TestDataBlobOfLongFields compares as TestDataBlobOfAnyFields does, for fields of which most have tags, numbers and
// lengths of more bytes than they need.
func TestDataBlobOfLongFields(t *testing.T) {
	for seed := range 6_000 {
		r := rand.New(rand.NewPCG(uint64(seed), 7))
		most := 3 + r.IntN(9)
		varint := func(v uint64) []byte { return padded(protowire.AppendVarint(nil, v), r.IntN(most)) }
		length := func(b []byte) []byte { return append(varint(uint64(len(b))), b...) }
		var fields func(level string, n int) []byte
		field := func(level string) []byte {
			num := uint64(1 + r.IntN(5))
			if r.IntN(6) == 0 {
				num = []uint64{16, 17, 18, 1 << 24, 1 << 29, 1<<31 - 1}[r.IntN(6)]
			}
			what := map[string]string{"1": "data", "2": "bytes", "3": "signer", "data 1": "metadata", "data 2": "bytes", "metadata 1": "bytes", "metadata 2": "number",
				"metadata 3": "number", "metadata 4": "bytes", "signer 1": "bytes", "signer 2": "bytes"}[strings.TrimSpace(level+" "+strconv.FormatUint(num, 10))]
			if what == "" {
				what = []string{"number", "bytes", "fixed32", "fixed64", "group", "group"}[r.IntN(6)]
			}
			if r.IntN(4000) == 0 {
				num, what = num<<r.IntN(33), []string{"number", "bytes", "fixed32", "end", "end"}[r.IntN(5)]
			}
			switch what {
			case "number":
				return append(varint(num<<3), varint(r.Uint64()>>r.IntN(64))...)
			case "bytes":
				return append(varint(num<<3|2), length([]byte(strings.Repeat("ab\xc3\xa9"[r.IntN(2):], r.IntN(4)*r.IntN(2)+r.IntN(60)/59*40)))...)
			case "fixed32":
				return append(varint(num<<3|5), "\x81234"...)
			case "fixed64":
				return append(varint(num<<3|1), "\x802\x80\x80\x80678"...)
			case "group":
				return slices.Concat(varint(num<<3|3), fields("group", r.IntN(3)), varint(num<<3|4))
			case "end":
				return varint(num<<3 | 4)
			}
			return append(varint(num<<3|2), length(fields(what, r.IntN(4)*r.IntN(9)))...)
		}
		fields = func(level string, n int) (out []byte) {
			for range n {
				out = append(out, field(level)...)
			}
			return out
		}
		raw := fields("", 10+r.IntN(100))
		if sameBlob(t, fmt.Sprintf("seed %d", seed), spoilt(r, raw)); t.Failed() {
			return
		}
	}
}

// TestTagsInPairs: where most of a blob is tags of groups, each is what it is by itself: at its level, with its number, and
// for the group that it ends.
func TestTagsInPairs(t *testing.T) {
	for _, odd := range []string{
		"\x3b\x3e\x3c", "\x3b\x3e\x00\x3c", "\x3b\x3f\x3c", "\x3b\x3f\x00\x3c", // of no type
		"\x3b\x03\x04\x3c", "\x3b\x00\x00\x3c", "\x3b\x02\x00\x3c", "\x3b\x05abcd\x3c", "\x3b\x3b\x04\x3c", // of no number
		"\x3b\x38\x00\x3c\x3c", "\x3b\x38\x00\x3c\x34", "\x3c\x3c", // ends none
		"\xbb\x09\x38\x01\xbc\x09", "\x3b\x3c\xbc\x09", "\x3b\x43\x3c\x44", "\x3b\xb8\x80\x80\x80\x40\x00\x3c", "\x3b\xb8\x80\x80\x80\x3f\x00\x3c", "\x3b\x3b\x38\x00\x3c\xbc\x00", "\x3b\x3b\x3c\x34", "\x3b\x33\x34\x34", // ends another
		"\x0b\x13\x14\x0c", "\x13\x3b\x3c\x14", "\x3b\x0b\x0c\x3c", "\x3b\x12\x01x\x3c", "\x3b\x10\x01\x3c", // of the block's, but for the group
	} {
		for before := range 100 {
			tags := bytes.Repeat(field(1, []byte("\x3b\x3b\x3b\x3c\x3c\x3c")), 50)
			raw := slices.Concat(field(9, make([]byte, before)), tags, []byte(odd), tags)
			sameBlob(t, fmt.Sprintf("%x in a content after %d bytes", odd, before), field(1, raw))
			sameBlob(t, fmt.Sprintf("%x beside contents after %d bytes", odd, before), raw)
			raw = slices.Concat(field(9, make([]byte, before)), tags, field(1, []byte(odd)), tags)
			sameBlob(t, fmt.Sprintf("%x in metadata after %d bytes", odd, before), field(1, raw))
		}
	}
	for seed := range 6_000 {
		r := rand.New(rand.NewPCG(uint64(seed), 9))
		var fields func(deep int) []byte
		group := func(num byte, deep int) []byte {
			begin, end := []byte{num<<3 | 3}, []byte{num<<3 | 4}
			if r.IntN(6) == 0 {
				end = padded(end, 2+r.IntN(9))
			}
			if r.IntN(12) == 0 {
				begin = padded(begin, 2+r.IntN(9))
			}
			if r.IntN(3) == 0 {
				return append(begin, end...)
			}
			return slices.Concat(begin, fields(deep-1), end)
		}
		fields = func(deep int) (out []byte) {
			for range 1 + r.IntN(3) {
				num := byte(1 + r.IntN(15))
				switch kind := r.IntN(9); {
				case kind < 5 && deep > 0:
					out = append(out, group(num, deep)...)
				case kind == 5:
					out = append(out, num<<3|5, 1, 2, 3, 4)
				case kind == 6:
					out = append(append(out, num<<3|2), field(1, []byte("\x2b\x2c"))[1:]...)
				default:
					out = append(out, padded([]byte{num << 3}, 1+r.IntN(100)/99*r.IntN(12))...)
					out = append(out, byte(r.IntN(128)))
				}
			}
			return out
		}
		var raw []byte
		for deep := r.IntN(9); len(raw) < 200+r.IntN(600); {
			in := group(byte(5+r.IntN(11)-r.IntN(200)/199*5), deep)
			switch r.IntN(6) {
			case 0:
				in = field(1, in)
			case 1:
				in = field(3, in)
			case 2:
				in = field(1, slices.Concat(field(1, in), field(2, []byte("tx"))))
			case 3:
				in = field(1, slices.Concat(field(2, nil), field(1, slices.Concat(in, []byte("\x10\x01")))))
			}
			raw = append(raw, in...)
		}
		if r.IntN(8) == 0 {
			raw[r.IntN(len(raw))] ^= 7 // begins, ends
		}
		if sameBlob(t, fmt.Sprintf("seed %d", seed), spoilt(r, raw)); t.Failed() {
			return
		}
	}
}

// TestNoMoreGroupsAmongLongFields: a group with nothing in it is one of those that are open, where fields are long, too.
func TestNoMoreGroupsAmongLongFields(t *testing.T) {
	fields := strings.Repeat("\xa8\x80\x80\x80\x00\x80\x80\x80\x80\x00\x2b\x2c", 30)
	for open := 9_900; open < 10_005; open++ {
		raw := field(1, []byte(strings.Repeat("\x2b", open)+fields+strings.Repeat("\x2c", open)))
		sameBlob(t, fmt.Sprintf("%d groups", open), raw)
	}
}

// spoilt is raw, seldom cut short or with a wrong bit.
func spoilt(r *rand.Rand, raw []byte) []byte {
	if r.IntN(20) == 0 {
		raw = raw[:r.IntN(len(raw)+1)]
	}
	if len(raw) > 0 && r.IntN(10) == 0 {
		raw[r.IntN(len(raw))] ^= 1 << r.IntN(8)
	}
	return raw
}

// padded is the varint b with so many bytes, if it has fewer.
func padded(b []byte, size int) []byte {
	for len(b) < size {
		b[len(b)-1] |= 0x80
		b = append(b, 0)
	}
	return b
}

// TestNumbersOfAnyLength: tags, lengths and numbers may have more bytes than they need, up to ten, among short fields of
// every level and in groups; and what is too long, too large, reserved or not whole is an error.
func TestNumbersOfAnyLength(t *testing.T) {
	numbers := []uint64{1, 2, 3, 4, 5, 15, 16, 200, 1<<25 - 1, 1 << 25, 1<<29 - 1, 1 << 29, 1<<31 - 1, 0, 1 << 31, 1<<61 - 1}
	values := []uint64{0, 1, 127, 128, 1 << 14, 1<<63 - 1, 1<<64 - 1}
	at := 0
	check := func(name string, fields []byte) {
		t.Helper()
		before := strings.Repeat("\x28\x00", 120+at%70) + []string{"", "\x2a\x01\x80", "\x2a\x02\xc3\x80", "\x2d\x80\x80\x80\x80", "\x28\x80\x00"}[at%5]
		after := strings.Repeat("\x28\x00", 200)
		at++
		inside := slices.Concat([]byte(before), fields, []byte(after))
		cut := slices.Concat([]byte(before), fields[:at%len(fields)]) // what it is in ends before it does
		for _, in := range [][]byte{inside, cut} {
			sameBlob(t, name+", beside the content", slices.Concat(in, field(1, []byte("\x12\x01a"))))
			sameBlob(t, name+", in a content", slices.Concat(field(1, in), []byte(after)))
			sameBlob(t, name+", in metadata", field(1, slices.Concat(field(1, in), []byte("\x12\x01b"+after))))
			sameBlob(t, name+", in a signer", slices.Concat(field(1, nil), field(3, in), []byte(after)))
			sameBlob(t, name+", in a group", slices.Concat(field(1, slices.Concat([]byte{0x2b}, in, []byte{0x2c})), []byte(after)))
			long := strings.Repeat("\xab\x01\x28\x00\xac\x01", 20+at%9)
			sameBlob(t, name+", in long metadata and groups", bytes.Repeat(field(1, slices.Concat(field(1, slices.Concat([]byte(long), fields)), []byte("\x12\x01c"+long))), 3))
			sameBlob(t, name+", in long signers", slices.Concat(field(1, nil), bytes.Repeat(slices.Concat(field(3, append([]byte(long), fields...)), []byte("\xab\x01\xac\x01")), 3), in))
			sameBlob(t, name+", beside a long content", slices.Concat(field(1, []byte(long)), fields, field(1, []byte(long+"\x1a\x03")), []byte(after)))
			sameBlob(t, name+", in small contents", slices.Concat([]byte(before), bytes.Repeat(field(1, append(field(1, fields), 0x2b, 0x2c)), 9), []byte(after)))
		}
	}
	for size := range 12 {
		for _, num := range numbers {
			for typ := range protowire.Type(8) {
				tag := padded(protowire.AppendVarint(nil, num<<3|uint64(typ)), size)
				name := fmt.Sprintf("number %d of type %d, of %d bytes", num, typ, len(tag))
				switch typ {
				case protowire.VarintType:
					for i, value := range values {
						check(name, slices.Concat(tag, padded(protowire.AppendVarint(nil, value), 1+(at+i)%12)))
					}
				case protowire.BytesType:
					for i, length := range []int{0, 1, 9, 127, 128} {
						text := bytes.Repeat([]byte{"a\x80\xff"[at%3]}, length)
						check(name, slices.Concat(tag, padded(protowire.AppendVarint(nil, uint64(length)), 1+(at+i)%12), text))
					}
					check(name, slices.Concat(tag, protowire.AppendVarint(nil, values[at%len(values)])))
				case protowire.StartGroupType:
					for i, other := range []uint64{num, num, num, numbers[at%len(numbers)]} {
						end := padded(protowire.AppendVarint(nil, other<<3|uint64(protowire.EndGroupType)), 1+(at+i)%12)
						check(name, slices.Concat(tag, []byte("\x28\x80\x00")[:3*(at%2)], end))
					}
				default:
					check(name, append(tag, "\x80\x8012345\x80"[:8-at%2]...))
				}
			}
		}
	}
}

// TestFieldsEndWithinTheirContent: no field goes on beside its content, whatever is before it.
func TestFieldsEndWithinTheirContent(t *testing.T) {
	after := strings.Repeat("\x20\x00", 300)
	for n := range 260 {
		for _, before := range []string{"\x1a\x01x", "\x28\x80\x80\x00", "\x0a\x00\x28\x80\x80\x00", "\x0a\x02\x10\x07", "\x2b\x08\x00\x2c"} {
			for _, last := range []string{"\x1a\x05abcd", "\x1a\x04", "\x1a\x05", "\x12\x03", "\x1d", "\x28", "\x1a\x85\x80\x00abcd"} {
				content := field(1, []byte(strings.Repeat(before, 20+n)+last))
				sameBlob(t, fmt.Sprintf("%d times %x, then %x", 20+n, before, last), slices.Concat(content, []byte(after)))
			}
		}
	}
}

// TestFieldsEndWithinShortOnes: a field that goes on behind the end of the metadata, content or signer that it is in is an
// error, also if what is there would be fields that end where something else does.
func TestFieldsEndWithinShortOnes(t *testing.T) {
	good := []string{"\x0a\x06\x28\x00\x0a\x02\x10\x07", "\x0a\x02\x28\x00\x1a\x02\x28\x00", "\x1a\x02\x2b\x2c", "\x0a\x04\x0a\x02\x2b\x2c"}
	for _, bad := range []string{
		"\x0a\x08\x0a\x02\x2a\x02\x12\x02\x28\x00", // from metadata to the end of its content
		"\x0a\x02\x2a\x02\x1a\x02\x28\x00",         // from a content to the end of a signer
		"\x0a\x04\x0a\x02\x2a\x04\x1a\x02\x28\x00", // from metadata
		"\x1a\x02\x2a\x02\x0a\x02\x28\x00",         // from a signer to the end of a content
		"\x0a\x02\x2b\x28\x1a\x02\x2c\x2c",         // a group
		"\x1a\x02\x28\x00\x1a\x01\x28\x00",
		"\x0a\x01\x2b", "\x0a\x03\x0a\x01\x2b", "\x1a\x01\x2b", // a group that does not end
	} {
		for n := range 260 {
			before := field(9, make([]byte, n%130))
			for _, after := range append(good, "\x28\x00", "\x2b\x2c") {
				raw := slices.Concat(before, bytes.Repeat([]byte(good[n%4]), 1+n/4), []byte(bad), bytes.Repeat([]byte(after), 60), field(1, nil))
				sameBlob(t, fmt.Sprintf("%x after %d of %x, before %x", bad, 1+n/4, good[n%4], after), raw)
			}
		}
	}
}

// TestShortOnesFarApart: what is between two contents, or metadata, may be as long as what is passed at once.
func TestShortOnesFarApart(t *testing.T) {
	for n := 300; n > 0; n-- {
		between := strings.Repeat("\x28\x00", n/2) + "\x2a\x00"[:n%2*2]
		long := "\x8a\x80\x80\x80\x00\x84\x80\x80\x80\x00"
		sameBlob(t, fmt.Sprintf("contents with %d bytes between them", n), []byte(strings.Repeat("\x0a\x00"+between+long+"\x12\x02ab", 3)))
		sameBlob(t, fmt.Sprintf("metadata with %d bytes between", n), field(1, []byte(strings.Repeat("\x0a\x00"+between+long+"\x10\x01\x18\x02", 3)+"\x12\x01b"+between)))
	}
}

// TestManyLongFields compares as TestDataBlobOfAnyFields does, for fields of a few kinds, of which there are so many that
// all is looked at at once: tags, numbers and lengths of one byte to seven, as large as they can be in these, and almost.
func TestManyLongFields(t *testing.T) {
	for seed := range 8_000 {
		r := rand.New(rand.NewPCG(uint64(seed), 11))
		varint := func(v uint64) []byte { return padded(protowire.AppendVarint(nil, v), r.IntN(1+r.IntN(7))) }
		var kinds [][]byte
		for range 1 + r.IntN(4) {
			num := []uint64{1, 2, 3, 4, 5, 15, 16, 1 << 11, 1<<14 - 1, 1 << 18, 1<<25 - 1, 1 << 28, 1<<31 - 1}[r.IntN(1+r.IntN(13))]
			var one []byte
			switch r.IntN(6) {
			case 0:
				one = append(varint(num<<3), varint(r.Uint64()>>r.IntN(64))...)
			case 1:
				one = slices.Concat(varint(num<<3|3), [][]byte{nil, {0x28, 0x80, 0}}[r.IntN(2)], varint(num<<3|4))
			default:
				length := []int{0, 0, 1, 1, 2, 3, 60, 126, 127, 128}[r.IntN(1+r.IntN(10))]
				one = slices.Concat(varint(num<<3|2), varint(uint64(length)), bytes.Repeat([]byte{"\x00\x08\x28\x80"[r.IntN(4)]}, length))
			}
			kinds = append(kinds, one)
		}
		fields := bytes.Repeat([]byte("\x28\x00"), r.IntN(130))
		for range 40 + r.IntN(300) {
			fields = append(fields, kinds[r.IntN(len(kinds))]...)
		}
		if r.IntN(3) == 0 { // one is not whole, or another begins within it
			fields = slices.Delete(fields, len(fields)-1-r.IntN(9), len(fields)-r.IntN(2))
		}
		fields = append(fields, bytes.Repeat([]byte("\x28\x00"), 300)...)
		name := fmt.Sprintf("seed %d", seed)
		sameBlob(t, name+", beside the content", slices.Concat(fields, field(1, []byte("\x12\x01a"))))
		sameBlob(t, name+", in a content", field(1, fields))
		sameBlob(t, name+", in metadata", field(1, slices.Concat(field(1, fields), []byte("\x12\x01b"))))
	}
}

// TestScatteredBlobs: there is one place to gather transactions in, for however many blobs, of whatever size.
func TestScatteredBlobs(t *testing.T) {
	scattered := func(n int, tx string) []byte { return field(1, bytes.Repeat([]byte("\x18\x00"+tx), n)) }
	check := func(t *testing.T, of *block.DataBlob, raw []byte) {
		t.Helper()
		if want, err := block.DecodeSignedData(raw); err != nil || of.Commitment() != want.Data.Commitment() {
			t.Errorf("got commitment %s, %v, want %s", of.Commitment(), err, want.Data.Commitment())
		}
	}
	read := func(raw []byte) *block.DataBlob {
		d, err := block.ReadDataBlob(raw)
		if err != nil {
			t.Error(err)
		}
		return d
	}
	first := scattered(100, "\x12\x01a")
	a := read(first)
	second := scattered(50, "\x12\x01b")
	b := read(second)
	check(t, a, first)
	check(t, b, second)
	if _, err := block.ReadDataBlob(append(scattered(40, "\x12\x01c"), 0)); err == nil {
		t.Error("a blob that is broken at its end was read")
	}
	check(t, b, second)
	large := strings.Repeat("d", 1_000_000)
	for _, raw := range [][]byte{ // more than there is room for
		scattered(1_000_000, "\x12\x09123456789"), scattered(1_100_000, "\x12\x06123456"), scattered(20, "\x12\xc0\x84\x3d"+large), field(1, []byte("\x92\x00\x80\xad\xe2\x04"+strings.Repeat(large, 10))),
	} {
		d := read(raw)
		check(t, d, raw)
		check(t, b, second)
	}
	var g sync.WaitGroup
	for i := range 4 {
		g.Go(func() {
			for j := range 200 {
				raw := scattered(100+i, "\x12\x02"+string(rune('a'+i))+string(rune('a'+j%26)))
				check(t, read(raw), raw)
			}
		})
	}
	g.Wait()
}
