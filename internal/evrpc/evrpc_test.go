package evrpc_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/grpcreflect"
	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/encoding/protowire"

	"headrace/block"
	"headrace/da"
	"headrace/internal/evrpc"
	"headrace/internal/httpd"
	"headrace/internal/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The capture of a chain that a real ev-node made: what it posted, and its blocks as its own API returned them. Blocks 1
// to 33 were on the DA layer, 34 was not yet.
const captured = "../derive/testdata/"

// recorded are the answers of that ev-node to GetBlock, from height 1 on.
func recorded(t *testing.T) (answers []json.RawMessage) {
	t.Helper()
	readJSON(t, "blocks.json", &answers)
	return answers
}

func readJSON(t *testing.T, name string, v any) {
	t.Helper()
	raw, err := os.ReadFile(captured + name)
	if err == nil {
		err = json.Unmarshal(raw, v)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// posted is a block as its bytes lie on the DA layer, each half with its height there.
type posted struct {
	header, data     []byte // of a data blob, the data alone; nil if the block is empty
	headerAt, dataAt uint64
	signed           block.SignedHeader
	content          block.Data
	headerHash       block.Hash
}

// chain is the captured one, from its blobs. The encodings are the blobs' own.
func chain(t *testing.T) (blocks []posted) {
	t.Helper()
	var in struct {
		Heights []struct {
			Height  uint64   `json:"da_height"`
			Headers [][]byte `json:"header_blobs"`
			Data    [][]byte `json:"data_blobs"`
		}
	}
	readJSON(t, "da.json", &in)
	blocks = make([]posted, 33)
	for _, h := range in.Heights {
		for _, blob := range h.Headers {
			s, err := block.DecodeSignedHeader(blob)
			if err != nil {
				t.Fatal(err)
			}
			b := &blocks[s.Header.Height-1]
			b.header, b.headerAt, b.signed, b.headerHash = fields(t, blob, 1, 2, 3), h.Height, *s, s.Header.Hash()
		}
		for _, blob := range h.Data {
			s, err := block.DecodeSignedData(blob)
			if err != nil {
				t.Fatal(err)
			}
			b := &blocks[s.Data.Metadata.Height-1]
			_, _, n := protowire.ConsumeTag(blob)
			b.data, _ = protowire.ConsumeBytes(blob[n:])
			b.dataAt, b.content = h.Height, s.Data
		}
	}
	var before []byte
	for i := range blocks {
		b := &blocks[i]
		if b.data == nil {
			b.content = block.EmptyData(&b.signed.Header, before)
			b.data, b.dataAt = b.content.Encode(), b.headerAt
		}
		hash := b.content.Hash()
		before = hash[:]
	}
	return blocks
}

// fields returns a message with some of its fields alone, in their encoding.
func fields(t *testing.T, message []byte, numbers ...protowire.Number) (out []byte) {
	t.Helper()
	for len(message) > 0 {
		number, _, n := protowire.ConsumeField(message)
		if n < 0 {
			t.Fatal(protowire.ParseError(n))
		}
		if slices.Contains(numbers, number) {
			out = append(out, message[:n]...)
		}
		message = message[n:]
	}
	return out
}

// in is a field of a message that has content.
func in(number protowire.Number, content []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), content)
}

func number(field protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, field, protowire.VarintType), v)
}

// answer is GetBlock's, put together from the blobs' bytes.
func (b *posted) answer() []byte {
	whole := in(1, slices.Concat(in(1, b.header), in(2, b.data)))
	return slices.Concat(whole, number(2, b.headerAt), number(3, b.dataAt))
}

const stands = 59 // DA height

// home is a store with the captured chain; the last block, which was not posted, is as the ev-node's API told it.
func home(t *testing.T, blocks []posted) *store.Store {
	t.Helper()
	s, err := store.Open("store", store.Identity{ChainID: "peerchain"}, store.Options{FS: vfs.NewMem(), InitialHeight: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	batch := &store.Batch{}
	for i, b := range blocks {
		root := []byte("root after 33")
		if i+1 < len(blocks) {
			root = blocks[i+1].signed.Header.AppHash
		}
		batch.Append = append(batch.Append, store.Record{
			Block: &block.Block{Header: b.signed, Data: b.content}, Root: root, Origin: store.Origin{HeaderAt: b.headerAt, DataAt: b.dataAt},
		})
	}
	last := batch.Append[len(blocks)-1].Block.Ref()
	at := block.Ref{Height: stands, Hash: block.Hash{1}}
	batch.Safe, batch.Finalized, batch.Position, batch.Proven = &last, &last, &at, &at
	newest := unposted(t)
	batch.Append = append(batch.Append, store.Record{Block: newest, Root: []byte("root after 34")})
	if err := s.Commit(batch); err != nil {
		t.Fatal(err)
	}
	return s
}

// unposted is the last block of the capture.
func unposted(t *testing.T) *block.Block {
	t.Helper()
	var b struct {
		Block struct {
			Header struct {
				Header struct {
					Height, Time                                       uint64 `json:",string"`
					LastHeaderHash, DataHash, AppHash, ProposerAddress []byte
					ChainID                                            string
				}
				Signature []byte
				Signer    block.Signer
			}
			Data struct {
				Metadata struct{ LastDataHash []byte }
				Txs      [][]byte
			}
		}
	}
	if err := json.Unmarshal(recorded(t)[33], &b); err != nil {
		t.Fatal(err)
	}
	h := b.Block.Header.Header
	header := block.Header{
		Height: h.Height, Time: h.Time, LastHeaderHash: h.LastHeaderHash, DataHash: h.DataHash, AppHash: h.AppHash,
		ProposerAddress: h.ProposerAddress, ChainID: h.ChainID,
	}
	data := block.EmptyData(&header, b.Block.Data.Metadata.LastDataHash)
	data.Txs = b.Block.Data.Txs
	return &block.Block{Header: block.SignedHeader{Header: header, Signature: b.Block.Header.Signature, Signer: b.Block.Header.Signer}, Data: data}
}

// served serves a store as a node does, over both kinds of HTTP.
type served struct {
	url      string
	genesis  *block.Genesis
	one, two *http.Client // HTTP/1.1 and HTTP/2
}

func serve(t *testing.T, s *store.Store) served {
	t.Helper()
	return serveWith(t, func() *store.Store { return s }, httpd.NewBudget(16<<20))
}

func serveWith(t *testing.T, s func() *store.Store, answers *httpd.Budget) served {
	t.Helper()
	g, err := block.LoadGenesis(captured + "genesis.json")
	if err != nil {
		t.Fatal(err)
	}
	h := evrpc.New(evrpc.Options{
		Genesis: g, Header: da.NamespaceFromName("hdr"), Data: da.NamespaceFromName("dat"), Store: s, Answers: answers,
	})
	server := httptest.NewUnstartedServer(h)
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	var one, two http.Protocols
	one.SetHTTP1(true)
	two.SetUnencryptedHTTP2(true)
	c := served{server.URL, g, &http.Client{Transport: &http.Transport{Protocols: &one}}, &http.Client{Transport: &http.Transport{Protocols: &two}}}
	t.Cleanup(func() { c.one.CloseIdleConnections(); c.two.CloseIdleConnections(); server.Close() })
	return c
}

// ask sends a request as it was recorded, and returns the answer and its trailers.
func (c served) ask(t *testing.T, over *http.Client, method, contentType string, body []byte) (*http.Response, []byte) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+"/evnode.v1."+method, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	switch {
	case strings.HasPrefix(contentType, "application/grpc"):
		req.Header.Set("Te", "trailers")
	default:
		req.Header.Set("Connect-Protocol-Version", "1")
	}
	resp, err := over.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, got
}

// framed is a message as gRPC has it.
func framed(message []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...)
}

// want asks in each form, and compares the answers to the byte. JSON's spaces are nobody's promise.
func (c served) want(t *testing.T, method string, request []byte, requestJSON string, want []byte, wantJSON string) {
	t.Helper()
	for name, over := range map[string]*http.Client{"HTTP/1.1": c.one, "HTTP/2": c.two} {
		resp, got := c.ask(t, over, method, "application/proto", request)
		if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "application/proto" || !bytes.Equal(got, want) {
			t.Errorf("%s %s, protobuf: got %s %x, want %x", name, method, resp.Status, got, want)
		}
		resp, got = c.ask(t, over, method, "application/json", []byte(requestJSON))
		if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "application/json" || compact(t, got) != compact(t, []byte(wantJSON)) {
			t.Errorf("%s %s, JSON: got %s %s, want %s", name, method, resp.Status, got, wantJSON)
		}
	}
	for _, kind := range []string{"application/grpc", "application/grpc+proto"} {
		resp, got := c.ask(t, c.two, method, kind, framed(request))
		if resp.StatusCode != http.StatusOK || resp.Trailer.Get("Grpc-Status") != "0" || !bytes.Equal(got, framed(want)) {
			t.Errorf("%s, gRPC: got %s, status %q, %x, want %x", method, resp.Status, resp.Trailer.Get("Grpc-Status"), got, framed(want))
		}
	}
}

func compact(t *testing.T, text []byte) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, text); err != nil {
		return fmt.Sprintf("%v: %q", err, text)
	}
	return b.String()
}

func base(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// Every block of the capture is answered as the ev-node did, and in protobuf as its own bytes are.
func TestGetBlock(t *testing.T) {
	blocks, answers := chain(t), recorded(t)
	c := serve(t, home(t, blocks))
	for i, b := range blocks {
		height := uint64(i + 1)
		c.want(t, "StoreService/GetBlock", number(1, height), fmt.Sprintf(`{"height":"%d"}`, height), b.answer(), string(answers[i]))
		c.want(t, "StoreService/GetBlock", in(2, b.headerHash[:]), fmt.Sprintf(`{"hash":%q}`, base(b.headerHash[:])), b.answer(), string(answers[i]))
	}
	newest := unposted(t)
	want := in(1, slices.Concat(in(1, newest.Header.Encode()), in(2, newest.Data.Encode())))
	hash := newest.Hash()
	for request, name := range map[string][]byte{`{"height":"34"}`: number(1, 34), `{"height":0}`: number(1, 0), fmt.Sprintf(`{"hash":%q}`, base(hash[:])): in(2, hash[:])} {
		c.want(t, "StoreService/GetBlock", name, request, want, string(answers[33]))
	}
}

func TestGetState(t *testing.T) {
	c := serve(t, home(t, chain(t)))
	newest := unposted(t)
	hash, h := newest.Hash(), newest.Header.Header
	at := slices.Concat(number(1, h.Time/1e9), number(2, h.Time%1e9))
	want := in(1, slices.Concat(in(1, nil), in(2, []byte("peerchain")), number(3, 1), number(4, 34), in(5, at), number(6, stands),
		in(8, []byte("root after 34")), in(9, hash[:]), in(10, c.genesis.ProposerAddress)))
	wantJSON := fmt.Sprintf(`{"state":{"version":{},"chainId":"peerchain","initialHeight":"1","lastBlockHeight":"34","lastBlockTime":%q,"daHeight":"%d","appHash":%q,"lastHeaderHash":%q,"nextProposerAddress":%q}}`,
		time.Unix(0, int64(h.Time)).UTC().Format(time.RFC3339Nano), stands, base([]byte("root after 34")), base(hash[:]), base(c.genesis.ProposerAddress))
	c.want(t, "StoreService/GetState", nil, `{}`, want, wantJSON)
}

// Before the first block the state is the genesis'.
func TestEmpty(t *testing.T) {
	s, err := store.Open("store", store.Identity{ChainID: "peerchain"}, store.Options{FS: vfs.NewMem(), InitialHeight: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c := serve(t, s)
	start := c.genesis.StartTime
	at := slices.Concat(number(1, uint64(start.Unix())), number(2, uint64(start.Nanosecond())))
	want := in(1, slices.Concat(in(1, nil), in(2, []byte("peerchain")), number(3, 1), in(5, at), in(10, c.genesis.ProposerAddress)))
	wantJSON := fmt.Sprintf(`{"state":{"version":{},"chainId":"peerchain","initialHeight":"1","lastBlockTime":%q,"nextProposerAddress":%q}}`,
		start.Format(time.RFC3339Nano), base(c.genesis.ProposerAddress))
	c.want(t, "StoreService/GetState", nil, `{}`, want, wantJSON)
	c.want(t, "StoreService/GetGenesisDaHeight", nil, `{}`, number(3, 1), `{"height":"1"}`) // the genesis' own
	c.refused(t, "StoreService/GetBlock", number(1, 0), `{"height":0}`, "not_found", "5")
	c.refused(t, "StoreService/GetMetadata", in(1, []byte("d")), `{"key":"d"}`, "not_found", "5")
}

func TestNumbers(t *testing.T) {
	c := serve(t, home(t, chain(t)))
	c.want(t, "StoreService/GetGenesisDaHeight", nil, `{}`, number(3, 3), `{"height":"3"}`)
	for key, v := range map[string]byte{"d": 33, "gdh": 3, "rhb/9/h": 16, "rhb/9/d": 17, "rhb/1/d": 3} {
		value := []byte{v, 0, 0, 0, 0, 0, 0, 0}
		c.want(t, "StoreService/GetMetadata", in(1, []byte(key)), fmt.Sprintf(`{"key":%q}`, key), in(1, value), fmt.Sprintf(`{"value":%q}`, base(value)))
	}
	for _, key := range []string{"", "l", "rhb/34/h", "rhb/35/h", "rhb/0/d", "rhb/9/x", "rhb/9", "rhb/-1/h", "xrhb/9/h"} {
		c.refused(t, "StoreService/GetMetadata", in(1, []byte(key)), fmt.Sprintf(`{"key":%q}`, key), "not_found", "5")
	}
}

func TestConfig(t *testing.T) {
	c := serve(t, home(t, chain(t)))
	header, data := "0x"+da.NamespaceFromName("hdr").String(), "0x"+da.NamespaceFromName("dat").String()
	if len(header) != 60 {
		t.Errorf("got %s, want 0x and 58 digits", header)
	}
	c.want(t, "ConfigService/GetNamespace", nil, `{}`, slices.Concat(in(1, []byte(header)), in(2, []byte(data))), fmt.Sprintf(`{"headerNamespace":%q,"dataNamespace":%q}`, header, data))
	c.want(t, "ConfigService/GetSignerInfo", nil, `{}`, in(1, c.genesis.ProposerAddress), fmt.Sprintf(`{"address":%q}`, base(c.genesis.ProposerAddress)))
}

// refused asks in each form for what is not answered.
func (c served) refused(t *testing.T, method string, request []byte, requestJSON, code, status string) {
	t.Helper()
	for kind, body := range map[string][]byte{"application/proto": request, "application/json": []byte(requestJSON)} {
		resp, got := c.ask(t, c.one, method, kind, body)
		var said struct{ Code string }
		if err := json.Unmarshal(got, &said); err != nil || said.Code != code || resp.StatusCode == http.StatusOK {
			t.Errorf("%s %.80s, %s: got %s %s, want %s", method, requestJSON, kind, resp.Status, got, code)
		}
	}
	resp, got := c.ask(t, c.two, method, "application/grpc", framed(request))
	if said := resp.Header.Get("Grpc-Status") + resp.Trailer.Get("Grpc-Status"); said != status || len(got) > 0 {
		t.Errorf("%s %.80s, gRPC: got status %q, %x, want %s", method, requestJSON, said, got, status)
	}
}

func TestRefused(t *testing.T) {
	c := serve(t, home(t, chain(t)))
	c.refused(t, "StoreService/GetBlock", number(1, 35), `{"height":"35"}`, "not_found", "5")
	c.refused(t, "StoreService/GetBlock", in(2, make([]byte, 32)), fmt.Sprintf(`{"hash":%q}`, base(make([]byte, 32))), "not_found", "5")
	c.refused(t, "StoreService/GetBlock", in(2, make([]byte, 31)), fmt.Sprintf(`{"hash":%q}`, base(make([]byte, 31))), "invalid_argument", "3")
	c.refused(t, "StoreService/GetBlock", nil, `{}`, "invalid_argument", "3")
	long := bytes.Repeat([]byte("k"), 64<<10)
	c.refused(t, "StoreService/GetMetadata", in(1, long), fmt.Sprintf(`{"key":%q}`, long), "resource_exhausted", "8")
}

// gRPC's reflection names the two services, and describes what they take and answer, in both of its versions.
func TestReflection(t *testing.T) {
	c := serve(t, home(t, chain(t)))
	r := grpcreflect.NewClient(c.two, c.url)
	stream := r.NewStream(t.Context())
	defer stream.Close()
	names, err := stream.ListServices()
	if want := "[evnode.v1.ConfigService evnode.v1.StoreService]"; err != nil || fmt.Sprint(slices.Sorted(slices.Values(names))) != want {
		t.Fatalf("got %v, %v, want %s", names, err, want)
	}
	for _, name := range names {
		files, err := stream.FileContainingSymbol(name)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: got %d files, %v", name, len(files), err)
		}
		found := false
		for _, s := range files[0].GetService() {
			found = found || "evnode.v1."+s.GetName() == string(name)
		}
		if !found {
			t.Errorf("%s is not in the file that is said to have it", name)
		}
	}
	for _, version := range []string{"v1", "v1alpha"} { // list_services, to the byte
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.url+"/grpc.reflection."+version+".ServerReflection/ServerReflectionInfo", bytes.NewReader(framed(in(7, nil))))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/grpc")
		req.Header.Set("Te", "trailers")
		resp, err := c.two.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		list := slices.Concat(in(1, in(1, []byte("evnode.v1.StoreService"))), in(1, in(1, []byte("evnode.v1.ConfigService"))))
		if want := framed(slices.Concat(in(2, in(7, nil)), in(6, list))); err != nil || !bytes.Equal(got, want) || resp.Trailer.Get("Grpc-Status") != "0" {
			t.Errorf("%s: got %x, %v, status %q, want %x", version, got, err, resp.Trailer.Get("Grpc-Status"), want)
		}
	}
}

// What is answered counts until it is written, and what finds no room is refused.
func TestBudget(t *testing.T) {
	const limit = 64 << 10
	s, answers := home(t, chain(t)), httpd.NewBudget(limit)
	c := serveWith(t, func() *store.Store { return s }, answers)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	other := answers.Hold(ctx)
	if err := other.Grow(ctx, limit); err != nil {
		t.Fatal(err)
	}
	if resp, got := c.ask(t, c.one, "StoreService/GetBlock", "application/json", []byte(`{"height":"9"}`)); resp.StatusCode != http.StatusServiceUnavailable || !bytes.Contains(got, []byte("too much is under way")) {
		t.Errorf("got %s %s while there is no room, want it refused", resp.Status, got)
	}
	if resp, got := c.ask(t, c.one, "StoreService/GetState", "application/json", []byte(`{}`)); resp.StatusCode != http.StatusOK {
		t.Errorf("got %s %s, want what is small to be answered", resp.Status, got)
	}
	other.Give()
	for range 100 { // of which each counts more than 1 KiB
		if resp, got := c.ask(t, c.two, "StoreService/GetBlock", "application/proto", number(1, 9)); resp.StatusCode != http.StatusOK {
			t.Fatalf("got %s %s, want what others held to be free", resp.Status, got)
		}
	}
	c.one.CloseIdleConnections()
	c.two.CloseIdleConnections()
	if err := answers.Hold(ctx).Grow(ctx, limit); err != nil {
		t.Errorf("got %v, want all to be given back", err)
	}
}

// Two blocks are read at a time, whoever asks.
func TestReaders(t *testing.T) {
	s := home(t, chain(t))
	inside, leave := make(chan struct{}, 10), make(chan struct{})
	c := serveWith(t, func() *store.Store { inside <- struct{}{}; <-leave; return s }, nil)
	const asked = 5
	statuses := make(chan int, asked)
	var work sync.WaitGroup
	for range asked {
		work.Go(func() {
			resp, _ := c.ask(t, c.one, "StoreService/GetBlock", "application/json", []byte(`{"height":"9"}`))
			statuses <- resp.StatusCode
		})
	}
	entered := 0
	for refused := 0; refused < asked-2 && entered <= 2; { // while nobody has left
		select {
		case <-inside:
			entered++
		case got := <-statuses:
			refused++
			if got != http.StatusServiceUnavailable {
				t.Errorf("got status %d for one too many, want it refused", got)
			}
		}
	}
	entered += len(inside)
	close(leave)
	work.Wait()
	if entered != 2 {
		t.Fatalf("%d read at the same time, want 2", entered)
	}
	for range 2 {
		if got := <-statuses; got != http.StatusOK {
			t.Errorf("got status %d for one of the two, want its answer", got)
		}
	}
}

// What a request unpacks to is bounded, and what a stream sends.
func TestSizes(t *testing.T) {
	c := serve(t, home(t, chain(t)))
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	fmt.Fprintf(w, `{"key":%q}`, bytes.Repeat([]byte("k"), 1<<20))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.url+"/evnode.v1.StoreService/GetMetadata", &packed)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Content-Encoding", "gzip")
	resp, err := c.one.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || !bytes.Contains(got, []byte(`"resource_exhausted"`)) {
		t.Errorf("got %s %s, %v for a megabyte in %d bytes, want it refused", resp.Status, got, err, packed.Len())
	}

	many := bytes.Repeat(framed(in(7, nil)), 20_000)
	req, err = http.NewRequestWithContext(t.Context(), http.MethodPost, c.url+"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", bytes.NewReader(many))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/grpc")
	req.Header.Set("Te", "trailers")
	resp, err = c.two.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	if err == nil && resp.Trailer.Get("Grpc-Status") == "0" {
		t.Errorf("got all answers of a stream of %d bytes, want it to end before", len(many))
	}
}
