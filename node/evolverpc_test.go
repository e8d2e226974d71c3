package node_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"headrace/block"
	"headrace/internal/nettest"
	"headrace/node"
)

// asks sends a request and returns its answer.
func asks(t *testing.T, c *http.Client, url, contentType, body string, header ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(bounded(t), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(text)
}

// TestEvolveRPC: what an ev-node's tools ask for is answered at the node's own address, as its other reads are: without
// the token that writing needs, and to no page whose origin is not named. Without the setting nothing of it is there.
func TestEvolveRPC(t *testing.T) {
	t.Parallel()
	d, _ := daLayer(t, "127.0.0.1:0", "", 50*time.Millisecond)
	c := newChain(t, "tools")
	o := c.sequencer(t, d.URL(), 50*time.Millisecond)
	o.Config.Evolve.RPC, o.Config.HTTP.Token = true, strings.Repeat("t", 32)
	n := start(t, o)
	n.until(t, "making blocks that are safe", func(s node.Status) bool { return s.Heads.Safe.Height > 2 })
	var two http.Protocols
	two.SetUnencryptedHTTP2(true)
	one, over2 := &http.Client{Transport: &http.Transport{}}, &http.Client{Transport: &http.Transport{Protocols: &two}}
	one.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	t.Cleanup(func() { one.CloseIdleConnections(); over2.CloseIdleConnections() })
	const store = "/evnode.v1.StoreService/"

	resp, text := asks(t, one, n.URL()+store+"GetBlock", "application/json", `{"height":"2"}`)
	var answer struct {
		Block struct {
			Header struct {
				Header struct {
					Height, ChainID string
					LastHeaderHash  []byte
				}
			}
		}
		HeaderDAHeight string
	}
	b, err := n.Block(2)
	if err == nil {
		err = json.Unmarshal([]byte(text), &answer)
	}
	if h := answer.Block.Header.Header; err != nil || resp.StatusCode != 200 || h.Height != "2" || h.ChainID != "tools" || !bytes.Equal(h.LastHeaderHash, b.ParentHash) || answer.HeaderDAHeight == "" {
		t.Errorf("got %s %s, %v, want block 2", resp.Status, text, err)
	}
	if resp, text := asks(t, over2, n.URL()+store+"GetBlock", "application/grpc", "\x00\x00\x00\x00\x02\x08\x02", "Te", "trailers"); resp.Trailer.Get("Grpc-Status") != "0" || !strings.Contains(text, "tools") {
		t.Errorf("got %s %q, %v over gRPC, want block 2", resp.Status, text, resp.Trailer)
	}
	if resp, text := asks(t, one, n.URL()+"/evnode.v1.ConfigService/GetNamespace", "application/json", `{}`); resp.StatusCode != 200 || !strings.Contains(text, `"0x00`) {
		t.Errorf("got %s %s, want the namespaces", resp.Status, text)
	}
	for _, over := range []*http.Client{one, over2} {
		if resp, text := asks(t, over, n.URL()+store+"GetState", "application/json", `{}`, "Origin", "https://evil.example"); resp.StatusCode != http.StatusForbidden {
			t.Errorf("got %s %s for a page, want it refused", resp.Status, text)
		}
		if resp, text := asks(t, over, n.URL()+store+"GetState", "application/json", `{}`); resp.StatusCode != 200 {
			t.Errorf("got %s %s, want the state", resp.Status, text)
		}
	}
	for _, path := range []string{"/v1/txs", store + "../../v1/txs", store + "%2e%2e/%2e%2e/v1/txs"} {
		if resp, text := asks(t, one, n.URL()+path, "application/octet-stream", "a=1"); resp.StatusCode < 300 {
			t.Errorf("%s: got %s %s without the token, want it refused", path, resp.Status, text)
		}
	}
	if resp, text := asks(t, over2, n.URL()+"/v1/txs", "application/octet-stream", "a=1", "Authorization", "Bearer "+o.Config.HTTP.Token); resp.StatusCode != http.StatusHTTPVersionNotSupported {
		t.Errorf("got %s %s for another path over HTTP/2, want it refused", resp.Status, text)
	}
	n.stopped(t)

	plain := start(t, c.full(t, d.URL()))
	if resp, text := asks(t, one, plain.URL()+store+"GetState", "application/json", `{}`); resp.StatusCode != http.StatusNotFound {
		t.Errorf("got %s %s without the setting, want it not found", resp.Status, text)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, plain.URL()+store+"GetState", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := over2.Do(req); err == nil {
		t.Errorf("got %s over %s without the setting, want HTTP/1.1 alone", resp.Status, resp.Proto)
	}
	plain.stopped(t)
}

// A chain on an L1 is no ev-node's.
func TestEvolveRPCOnL1(t *testing.T) {
	t.Parallel()
	c := newChain(t, "tools")
	c.genesis.DA, c.genesis.DAStartHeight = nil, 0
	c.genesis.L1 = &block.GenesisL1{ChainID: 1, Inbox: "0x" + strings.Repeat("11", 20), StartBlock: 1}
	o := c.full(t, "http://"+nettest.FreeAddress(t))
	o.Config.L1.WS = node.At("ws://" + nettest.FreeAddress(t))
	o.Config.Evolve.RPC = true
	if _, err := opens(t, o); err == nil || !strings.Contains(err.Error(), "evolve.rpc is set") {
		t.Errorf("got %v, want it refused", err)
	}
}
