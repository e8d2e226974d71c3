package l1_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/ethclient"

	"headrace/block"
	"headrace/exec/engineapi"
	"headrace/watch"
)

// tap stands between a node and its execution client, and counts requests by method, without their version.
type tap struct {
	url string

	mu     sync.Mutex
	counts map[string]int
	after  func(method string)                                // called when the client has done what was asked, before the node is told
	change func(method string, request, answer []byte) []byte // of what the node is told
}

func newTap(t testing.TB, target string) *tap {
	p := &tap{counts: map[string]int{}}
	transport := &http.Transport{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // a node that has gone is answered by nobody
		var request struct{ Method string }
		_ = json.Unmarshal(body, &request)
		out, err := http.NewRequestWithContext(context.WithoutCancel(r.Context()), r.Method, target, bytes.NewReader(body))
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		out.Header = r.Header.Clone()
		resp, err := transport.RoundTrip(out)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		defer resp.Body.Close()
		answer, err := io.ReadAll(resp.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		answer = p.called(strings.TrimRight(request.Method, "V123456789"), body, answer)
		w.Header().Set("Content-Type", resp.Header.Get("Content-Type"))
		w.WriteHeader(resp.StatusCode)
		_, _ = w.Write(answer)
	}))
	t.Cleanup(func() { server.CloseClientConnections(); server.Close(); transport.CloseIdleConnections() })
	p.url = server.URL
	return p
}

func (p *tap) called(method string, request, answer []byte) []byte {
	p.mu.Lock()
	p.counts[method]++
	after, change := p.after, p.change
	p.mu.Unlock()
	if after != nil {
		after(method)
	}
	if change != nil {
		return change(method, request, answer)
	}
	return answer
}

// answer changes what the node is told from now on; nil: nothing.
func (p *tap) answer(change func(method string, request, answer []byte) []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.change = change
}

func (p *tap) then(f func(method string)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.after = f
}

// take returns the counts since it was called last.
func (p *tap) take() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := maps.Clone(p.counts)
	clear(p.counts)
	return out
}

type hdr = *types.Header

// record keeps all heads that an execution client announces.
type record struct {
	heads *watch.Value[[]*types.Header]
}

// recordHeads returns once announcements are subscribed to.
func recordHeads(w *world, url string) *record {
	w.t.Helper()
	client, err := ethclient.DialContext(w.ctx, url)
	w.check(err)
	heads := make(chan *types.Header) // from the client's subscription; never closed
	sub, err := client.SubscribeNewHead(w.ctx, heads)
	w.check(err)
	r := &record{watch.New([]*types.Header(nil))}
	var reader sync.WaitGroup
	reader.Go(func() {
		for {
			select {
			case h := <-heads:
				r.heads.Update(func(l []*types.Header) []*types.Header { return append(l[:len(l):len(l)], h) })
			case err := <-sub.Err():
				r.heads.Close(err)
				return
			}
		}
	})
	w.t.Cleanup(func() { sub.Unsubscribe(); reader.Wait(); client.Close() })
	return r
}

// execution is the hash of a rollup block's execution block.
func execution(t testing.TB, b *block.Block) common.Hash {
	t.Helper()
	s, err := engineapi.DecodeSeal(b.Data.Txs[0])
	if err != nil {
		t.Fatal(err)
	}
	return s.Header.Hash()
}

// latest is the execution client's head.
func (m *member) latest() common.Hash {
	m.w.t.Helper()
	ctx, cancel := context.WithTimeout(m.w.ctx, 10*time.Second)
	defer cancel()
	h, err := m.eth.HeaderByNumber(ctx, nil)
	m.w.check(err)
	return h.Hash()
}
