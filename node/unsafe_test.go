package node_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"headrace/block"
	"headrace/internal/syncer/syncertest"
	"headrace/node"
)

// offers is a node's POST /v1/unsafe, and the machine behind it, which follows an L1.
type offers struct {
	http.Handler
	*syncertest.Machine
	world *syncertest.World
}

func newOffers(t *testing.T) *offers {
	t.Helper()
	w := syncertest.NewWorld(t, -1)
	m := w.OpenL1(syncertest.NewHome(), nil)
	t.Cleanup(m.Close)
	return &offers{node.Offering(m.L1.Offers), m, w}
}

// post posts a body and returns the answer.
func (o *offers) post(t *testing.T, body io.Reader, size int64) (int, string) {
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/unsafe", body)
	r.ContentLength = size
	w := httptest.NewRecorder()
	o.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// first returns the world's first block, as its proposer signs it.
func (o *offers) first(t *testing.T, txs ...[]byte) (*block.SignedHeader, *block.SignedData) {
	t.Helper()
	c := chain{key: o.world.Key, genesis: o.world.Genesis}
	h, d, _ := c.signed(t, txs...)
	return h, d
}

// unsafeBody is a body in JSON.
func unsafeBody(header, data []byte) []byte {
	b := []byte(`{"header":"`)
	b = base64.StdEncoding.AppendEncode(b, header)
	b = append(b, `","data":"`...)
	b = base64.StdEncoding.AppendEncode(b, data)
	return append(b, `"}`...)
}

// flood is data of 3,000,000 empty transactions, as large as a body may be.
func flood() []byte {
	content := bytes.Repeat([]byte{0x12, 0}, 3_000_000)
	return append([]byte{0x0a, 0x80, 0x9b, 0xee, 0x02}, content...)
}

// allocated returns the bytes that f allocates.
func allocated(f func()) int {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return int(after.TotalAlloc - before.TotalAlloc)
}

// unread is a body that must not be read.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, io.EOF
}

// TestGateBeforeBody: while no blocks are taken, what is offered is not read.
func TestGateBeforeBody(t *testing.T) {
	o := newOffers(t)
	if code, answer := o.post(t, unread{t}, 8<<20); code != http.StatusConflict {
		t.Errorf("got %d %s, want 409", code, answer)
	}
	if code, answer := (&offers{Handler: node.Offering(nil)}).post(t, unread{t}, 8<<20); code != http.StatusConflict || !strings.Contains(answer, "cannot take a block back") {
		t.Errorf("with an engine that goes one way: got %d %s, want 409 and why", code, answer)
	}
}

// TestFloodOfOffers: forty at once of the largest bodies, each of millions of transactions, take one copy of the body
// each, and nothing that grows with what is in it, also where the header is genuine: only the data's signature shows
// then that they are not the proposer's (I6, I9).
func TestFloodOfOffers(t *testing.T) {
	for name, c := range map[string]struct {
		open, genuine bool
		code, each    int // bytes
	}{
		"gate closed":    {false, false, http.StatusConflict, 64 << 10},
		"no header":      {true, false, http.StatusGone, 8_100_000},
		"genuine header": {true, true, http.StatusForbidden, 8_100_000},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOffers(t)
			o.L1.Offers.SetGate(t.Context(), c.open)
			header, data := []byte{0x0a, 0}, flood()
			if c.genuine {
				h, _ := o.first(t, make([][]byte, 3_000_000)...)
				header = h.Encode()
				s := block.SignedData{Data: block.EmptyData(&h.Header, nil), Signature: make([]byte, 64), Signer: h.Signer}
				tail := s.Encode()
				data = data[5:]
				m := s.Data.Encode()
				s.Data.Txs = make([][]byte, 3_000_000)
				tail = tail[len(tail)-len(s.Encode())+len(s.Data.Encode())+5:]
				data = bytes.Join([][]byte{s.Encode()[:5], m, data, tail}, nil)
				if !bytes.Equal(data, s.Encode()) {
					t.Fatal("the data is not what it is to be")
				}
			}
			body := unsafeBody(header, data)
			if len(body) > 8<<20 {
				t.Fatalf("the body has %d bytes", len(body))
			}
			o.post(t, bytes.NewReader(body), int64(len(body))) // makes the tables
			const n = 40
			got := allocated(func() {
				var all sync.WaitGroup
				for range n {
					all.Go(func() {
						if code, answer := o.post(t, bytes.NewReader(body), int64(len(body))); code != c.code {
							t.Errorf("got %d %s, want %d", code, answer, c.code)
						}
					})
				}
				all.Wait()
			})
			if got > n*c.each {
				t.Errorf("got %d bytes allocated for each body of %d bytes, want at most %d", got/n, len(body), c.each)
			}
		})
	}
}

// held is a body that comes when it is let go.
type held struct {
	begun *atomic.Int64
	size  int64
	let   <-chan struct{}
	once  bool
}

func (h *held) Read([]byte) (int, error) {
	if !h.once {
		h.once = true
		h.begun.Add(h.size)
	}
	<-h.let
	return 0, io.EOF
}

// TestOffersAreWeighed: the bodies that are there at a time are bounded in bytes, from before they are read; the
// others wait for their turn, and not for ever (I6).
func TestOffersAreWeighed(t *testing.T) {
	for _, size := range []int64{-1, 8 << 20, 3 << 20, 1 << 40} { // -1: not known
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOffers(t)
				o.L1.Offers.SetGate(t.Context(), true)
				var begun atomic.Int64
				let := make(chan struct{})
				counted := size
				if size < 0 || size > 8<<20 {
					counted = 8 << 20
				}
				codes := make(chan int, 40)
				for range 40 {
					go func() {
						code, _ := o.post(t, &held{begun: &begun, size: counted, let: let}, size)
						codes <- code
					}()
				}
				synctest.Wait()
				if got := begun.Load(); got > node.MaxOffering || got <= node.MaxOffering-counted {
					t.Errorf("got %d bytes of bodies begun, want as many as there may be: %d", got, node.MaxOffering)
				}
				now := len(codes)
				time.Sleep(time.Minute) // of the bubble's clock
				if busy := int64(len(codes) - now); busy != 40-node.MaxOffering/counted {
					t.Errorf("got %d answers, want all that waited too long", busy)
				}
				close(let)
				for i := range 40 {
					want := http.StatusServiceUnavailable
					if int64(i) >= 40-node.MaxOffering/counted {
						want = http.StatusBadRequest
					}
					if code := <-codes; code != want {
						t.Errorf("answer %d: got %d, want %d", i, code, want)
					}
				}
			})
		})
	}
}

// TestOneBudgetOfBodies: what is offered counts beside what is posted otherwise. Two offers that fill the room and stand
// still make room for a transaction, which would not need it if there were two budgets.
func TestOneBudgetOfBodies(t *testing.T) {
	o := newOffers(t)
	o.L1.Offers.SetGate(t.Context(), true)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	goRun(t, "server", func(ctx context.Context) error {
		if err := node.ServeOffers(ctx, l, o.L1.Offers, 16<<20); !errors.Is(err, context.Canceled) {
			return err
		}
		return nil
	})
	said := make(chan string, 2)
	for range 2 {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := fmt.Fprintf(c, "POST /v1/unsafe HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n{", 8<<20); err != nil {
			t.Fatal(err)
		}
		go func() {
			text, _ := io.ReadAll(c) // until it is cut, or has its answer
			said <- string(text)
		}()
	}
	for ctx := bounded(t); len(said) == 0; {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+l.Addr().String()+"/v1/txs", strings.NewReader("a=b"))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusConflict && resp.StatusCode != http.StatusServiceUnavailable {
			t.Fatalf("got %s of a transaction", resp.Status)
		}
	}
	if text := <-said; text != "" {
		t.Errorf("got %q of an offer that stands still, want it to be cut", text)
	}
	http.DefaultClient.CloseIdleConnections()
}

// dripping is a body of which a byte comes each second.
type dripping struct{}

func (dripping) Read(p []byte) (int, error) {
	time.Sleep(time.Second) // of the bubble's clock
	return copy(p, " "), nil
}

// TestOfferThatDrips: a body that comes too slowly is given up, so that it does not keep others out, also while a part
// of it comes each second.
func TestOfferThatDrips(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffers(t)
		o.L1.Offers.SetGate(t.Context(), true)
		begun := time.Now()
		code, answer := o.post(t, dripping{}, 1<<20)
		if took := time.Since(begun); code != http.StatusBadRequest || took > 30*time.Second {
			t.Errorf("got %d after %s: %s; want 400 within half a minute", code, took, answer)
		}
	})
}

// TestUnsafeBodyIsBounded: what is posted is not read into memory without end (I6).
func TestUnsafeBodyIsBounded(t *testing.T) {
	o := newOffers(t)
	o.L1.Offers.SetGate(t.Context(), true)
	for size, want := range map[int]string{1 << 20: "decode signed header", 9 << 20: "too large"} {
		body := `{"header":"` + strings.Repeat("AAAA", size/4) + `"}`
		for _, length := range []int64{int64(len(body)), -1} {
			if code, answer := o.post(t, strings.NewReader(body), length); code != http.StatusBadRequest || !strings.Contains(answer, want) {
				t.Errorf("%d bytes: got %d %.200s, want 400 with %q", size, code, answer, want)
			}
		}
	}
}

// TestUnsafeBodies: a body is what package json reads from it, however it is written.
func TestUnsafeBodies(t *testing.T) {
	o := newOffers(t)
	o.L1.Offers.SetGate(t.Context(), true)
	h, d := o.first(t, bytes.Repeat([]byte{0xff}, 5000), bytes.Repeat([]byte{0xfb}, 5000)) // slashes and plus signs
	header, data := base64.StdEncoding.EncodeToString(h.Encode()), base64.StdEncoding.EncodeToString(d.Encode())
	if !strings.Contains(data, "/") || !strings.Contains(data, "+") {
		t.Fatal("there is nothing to escape")
	}
	quoted := strings.NewReplacer("+", `\u002b`, "/", `\/`).Replace(data)
	broken := data[:100] + `\n` + data[100:]
	for name, c := range map[string]struct {
		body string
		want int
	}{
		"as it is":             {`{"header":"` + header + `","data":"` + data + `"}`, 200},
		"data first":           {` { "data" : "` + data + `", "more": [{"header":"x"}], "header" : "` + header + `" } `, 200},
		"another case":         {`{"Header":"` + header + `","DATA":"` + data + `"}`, 200},
		"escaped":              {`{"header":"` + strings.ReplaceAll(header, "/", `\/`) + `","data":"` + quoted + `"}`, 200},
		"the last one counts":  {`{"header":"AAAA","header":"` + header + `","data":"` + data + `"}`, 200},
		"data twice":           {`{"header":"` + header + `","data":"` + data[:40] + `","data":"` + data + `"}`, 200},
		"no data":              {`{"header":"` + header + `"}`, 403},
		"no data, it says":     {`{"header":"` + header + `","data":null}`, 403},
		"no header":            {`{"data":"` + data + `"}`, 400},
		"a line break":         {`{"header":"` + header + `","data":"` + broken + `"}`, 200},
		"cut short":            {`{"header":"` + header + `","data":"` + data[:len(data)-1] + `"}`, 400},
		"cut off":              {`{"header":"` + header + `","data":"` + data, 400},
		"a number":             {`{"header":1}`, 400},
		"an escape at its end": {`{"header":"` + header + `\\"}`, 400},
		"nothing":              {``, 400},
		"two":                  {`{"header":"` + header + `","data":"` + data + `"}{}`, 400},
	} {
		if code, answer := o.post(t, strings.NewReader(c.body), int64(len(c.body))); code != c.want {
			t.Errorf("%s: got %d %.300s, want %d", name, code, answer, c.want)
		}
	}
	if s := o.Status().Load(); s.Unsafe != (block.Ref{Height: 1, Hash: h.Header.Hash()}) {
		t.Errorf("got the unsafe head %v, want the block that was offered", s.Unsafe)
	}
	rec, err := o.Block(1)
	if err != nil || !bytes.Equal(rec.Block.Data.Encode(), d.Data.Encode()) {
		t.Errorf("got block 1 with another content, %v", err)
	}
}

// FuzzUnsafeBody: what is decoded in place is what package json decodes into memory of its own.
func FuzzUnsafeBody(f *testing.F) {
	for _, s := range []string{"", "AAAA", "AA==", "AA=", `\/\/\/\/`, `\u002b\u002F++`, `AA\nAA`, `\u0041AAA`, `\\`, `\u00e9`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		raw := []byte(`"` + text + `"`)
		var want []byte
		wantErr := json.Unmarshal(bytes.Clone(raw), &want)
		got, err := node.InPlace(raw)
		if wantErr == nil && err != nil && strings.ContainsAny(text, `\`) {
			return // an escape that no character of base64 needs
		}
		if (err == nil) != (wantErr == nil) || err == nil && !bytes.Equal(got, want) {
			t.Errorf("%q: got %x, %v, want %x, %v", text, got, err, want, wantErr)
		}
	})
}
