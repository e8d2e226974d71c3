package e2e_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"headrace/da"
)

// TestDAUnderLoad: the memory of headrace da stays below 512 MiB while all who can post the largest blobs, read them, and
// send garbage, until some heights of 32 MiB have been made.
func TestDAUnderLoad(t *testing.T) {
	if peak(t, 1) == 0 {
		t.Skip("the system does not tell how much memory a process has had")
	}
	p := spawn(t, "da", "--listen", "127.0.0.1:0", "--home", filepath.Join(t.TempDir(), "da"), "--retain", "100", "--block-time", "500ms")
	t.Cleanup(p.kill)
	told, err := p.told.Wait(t.Context(), func(p progress) bool { return p.URL != "" })
	if err != nil {
		t.Fatal(err)
	}
	ns := da.NamespaceFromName("load")
	data := make([]byte, 7_900_000)
	_, _ = rand.Read(data)
	name := base64.StdEncoding.EncodeToString(ns[:])
	submit := []byte(`{"id":1,"jsonrpc":"2.0","method":"blob.Submit","params":[[{"namespace":"` + name + `","data":"` + base64.StdEncoding.EncodeToString(data) + `","share_version":0,"index":-1}],{}]}`)
	garbage := []byte(`[` + strings.Repeat(`{},`, 5_000_000) + `{}]`)
	many := []byte(`{"id":1,"jsonrpc":"2.0","method":"blob.GetAll","params":[` + strings.Repeat("0,", 4_000_000) + `0]}`)
	done := make(chan struct{})
	var work sync.WaitGroup
	defer work.Wait()
	ask := func(body []byte) (answer []byte) {
		resp, err := http.Post(told.URL, "application/json", bytes.NewReader(body))
		if err != nil {
			return nil
		}
		defer resp.Body.Close()
		answer, _ = io.ReadAll(io.LimitReader(resp.Body, 1<<10))
		_, _ = io.Copy(io.Discard, resp.Body)
		return answer
	}
	until := func(f func()) {
		work.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					f()
				}
			}
		})
	}
	const want = 4
	heights := map[uint64]bool{}
	var mu sync.Mutex
	reached := make(chan struct{})
	for range 8 {
		until(func() {
			var a struct{ Result uint64 }
			if json.Unmarshal(ask(submit), &a) == nil && a.Result > 0 {
				mu.Lock()
				defer mu.Unlock()
				if heights[a.Result] = true; len(heights) == want {
					close(reached)
				}
			}
		})
	}
	for range 2 {
		until(func() {
			mu.Lock()
			var height uint64
			for height = range heights { // any
				break
			}
			mu.Unlock()
			ask(fmt.Appendf(nil, `{"id":1,"jsonrpc":"2.0","method":"blob.GetAll","params":[%d,["%s"]]}`, height, name))
		})
		until(func() { ask(garbage) })
		until(func() { ask(many) })
	}
	limit := time.After(4 * time.Minute) // a watchdog of another process
	select {
	case <-reached:
	case <-limit:
		t.Errorf("%d heights with blobs have been made, want %d: %s", len(heights), want, p.told.Load().Tail)
	}
	close(done)
	rss := peak(t, p.cmd.Process.Pid) >> 10
	t.Logf("at most %d MiB of memory", rss)
	if rss > 512 {
		t.Errorf("headrace da took %d MiB of memory, 512 are allowed", rss)
	}
}
