package node_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"headrace/await"
	"headrace/block"
	"headrace/da/local"
	"headrace/devnet"
	"headrace/node"
)

// sendIn sends in the process.
func sendIn(ctx context.Context, n *node.Node, tx string) (node.Sent, error) {
	return n.Send(ctx, []byte(tx), await.Unsafe)
}

// sendOver returns what sends over HTTP, with as many connections as there are senders.
func sendOver(senders int) func(context.Context, *node.Node, string) (node.Sent, error) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: senders}}
	return func(ctx context.Context, n *node.Node, tx string) (sent node.Sent, err error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+n.Address()+"/v1/txs?wait=unsafe&timeout=1m", strings.NewReader(tx))
		if err != nil {
			return sent, err
		}
		resp, err := client.Do(req)
		if err != nil {
			return sent, err
		}
		defer resp.Body.Close()
		if err := json.NewDecoder(resp.Body).Decode(&sent); err != nil || sent.Result != "reached" {
			return sent, fmt.Errorf("%s: %+v, %w", resp.Status, sent, err)
		}
		_, err = io.Copy(io.Discard, resp.Body) // so that the connection is used again
		return sent, err
	}
}

// BenchmarkAnswer measures how long after the commit of its block whoever has sent a transaction, and waits for that, is
// answered, in the process and over HTTP: alone, and among a thousand. It reports the middle one, and that which 99 of 100
// are not later than.
func BenchmarkAnswer(b *testing.B) {
	for _, c := range []struct {
		way     string
		senders int
		send    func(context.Context, *node.Node, string) (node.Sent, error)
	}{
		{"process", 1, sendIn}, {"process", 100, sendIn}, {"process", 1000, sendIn},
		{"http", 1, sendOver(1)}, {"http", 100, sendOver(100)}, {"http", 1000, sendOver(1000)},
	} {
		senders := c.senders
		b.Run(fmt.Sprintf("%s/senders=%d", c.way, senders), func(b *testing.B) {
			d, err := devnet.NewDA(devnet.DAOptions{Listen: "127.0.0.1:0", Chain: local.Options{Interval: 100 * time.Millisecond}})
			if err != nil {
				b.Fatal(err)
			}
			var mu sync.Mutex
			var last time.Time // the end of the last commit
			committed := map[uint64]time.Time{}
			o := benchSequencer(b, d.URL())
			o.Observer.Done = func(step node.Step, _ uint64, _ time.Duration, _ error) {
				if step == node.StepCommit {
					mu.Lock()
					last = time.Now()
					mu.Unlock()
				}
			}
			o.Observer.Applied = func(a node.Applied) {
				mu.Lock()
				defer mu.Unlock()
				if !a.Safe {
					committed[a.Ref.Height] = last
				}
			}
			n, stop := runBench(b, d, o)
			defer stop()
			var late []time.Duration
			round := 0
			for b.Loop() {
				var work sync.WaitGroup
				for i := range senders {
					work.Go(func() {
						sent, err := c.send(b.Context(), n, fmt.Sprintf("k%d=%d", i, round))
						now := time.Now()
						if err != nil {
							b.Error(err)
							return
						}
						mu.Lock()
						at, ok := committed[sent.Tx.Block.Height]
						if !ok { // that is told after the answer
							at = last
						}
						late = append(late, now.Sub(at))
						mu.Unlock()
					})
				}
				work.Wait()
				round++
			}
			slices.Sort(late)
			b.ReportMetric(float64(late[len(late)/2].Microseconds()), "p50-us")
			b.ReportMetric(float64(late[len(late)*99/100].Microseconds()), "p99-us")
		})
	}
}

// benchSequencer returns the options of a sequencer with a block each ten milliseconds.
func benchSequencer(b *testing.B, url string) node.Options {
	b.Helper()
	key, err := block.GenerateKey(block.Ed25519)
	if err != nil {
		b.Fatal(err)
	}
	o := node.Options{Home: b.TempDir(), Key: key, Config: node.Default(), Genesis: &block.Genesis{
		ChainID: "answer", StartTime: time.Now().UTC(), InitialHeight: 1, DAStartHeight: 1, ProposerAddress: key.Public().Address(),
		DA: &block.GenesisDA{HeaderNamespace: "answer-headers", DataNamespace: "answer-data"},
	}}
	o.Config.DA.Address, o.Config.HTTP.Address = node.At(url), "127.0.0.1:0"
	o.Config.Sequencer.Enabled, o.Config.Sequencer.BlockTime = true, 10*time.Millisecond
	return o
}

// runBench runs a DA layer and a node on it, until stop is called.
func runBench(b *testing.B, d *devnet.DA, o node.Options) (n *node.Node, stop func()) {
	b.Helper()
	n, err := node.New(o)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { _ = d.Run(ctx) })
	work.Go(func() { _ = n.Run(ctx) })
	if _, err := await.Height(b.Context(), n.Status(), 2); err != nil {
		b.Fatal(err)
	}
	return n, func() { cancel(); work.Wait() }
}
