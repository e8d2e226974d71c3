package e2e_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	randv2 "math/rand/v2"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"headrace/da"
	"headrace/internal/jsonrpc"
	"headrace/internal/square"
	"headrace/watch"
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
	heights, end := strain(told.URL)
	const want = 4
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute) // a watchdog of another process
	defer cancel()
	if got, err := heights.Wait(ctx, func(h []uint64) bool { return len(h) >= want }); err != nil {
		t.Errorf("%d heights with blobs have been made, want %d: %s", len(got), want, p.told.Load().Tail)
	}
	end()
	rss := peak(t, p.cmd.Process.Pid) >> 10
	t.Logf("at most %d MiB of memory", rss)
	if rss > 512 {
		t.Errorf("headrace da took %d MiB of memory, 512 are allowed", rss)
	}
}

// strain has twelve clients post the largest blobs, read them, and send garbage, until it is ended. It tells the heights
// that were made of the blobs.
func strain(url string) (heights *watch.Value[[]uint64], end func()) {
	ns := da.NamespaceFromName("load")
	data := make([]byte, 7_900_000)
	_, _ = rand.Read(data)
	name := base64.StdEncoding.EncodeToString(ns[:])
	submit := []byte(`{"id":1,"jsonrpc":"2.0","method":"blob.Submit","params":[[{"namespace":"` + name + `","data":"` + base64.StdEncoding.EncodeToString(data) + `","share_version":0,"index":-1}],{}]}`)
	garbage := []byte(`[` + strings.Repeat(`{},`, 5_000_000) + `{}]`)
	many := []byte(`{"id":1,"jsonrpc":"2.0","method":"blob.GetAll","params":[` + strings.Repeat("0,", 4_000_000) + `0]}`)
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	ask := func(body []byte) (answer []byte) {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
		if err != nil {
			return nil
		}
		resp, err := http.DefaultClient.Do(req)
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
			for ctx.Err() == nil {
				f()
			}
		})
	}
	heights = watch.New[[]uint64](nil)
	for range 8 {
		until(func() {
			var a struct{ Result uint64 }
			if json.Unmarshal(ask(submit), &a) == nil && a.Result > 0 {
				heights.Update(func(h []uint64) []uint64 {
					if slices.Contains(h, a.Result) {
						return h
					}
					return append(slices.Clone(h), a.Result)
				})
			}
		})
	}
	for range 2 {
		until(func() {
			height := uint64(1)
			if h := heights.Load(); len(h) > 0 {
				height = h[len(h)-1]
			}
			ask(fmt.Appendf(nil, `{"id":1,"jsonrpc":"2.0","method":"blob.GetAll","params":[%d,["%s"]]}`, height, name))
		})
		until(func() { ask(garbage) })
		until(func() { ask(many) })
	}
	return heights, func() { cancel(); work.Wait() }
}

const shortBlockTimes = "500ms"

var blockTimes = flag.String("da-block-times", shortBlockTimes, "block times at which headrace da is measured under load, with commas between them; 2.6s,6s are Celestia's")

// TestBlocksInTime measures the time between the blocks of headrace da under load as a ratio to that without, in turns of
// one run. Whatever the load, heights follow each other, and each time is later than the one before; how late a block
// is, the log says, for that depends on the machine.
func TestBlocksInTime(t *testing.T) {
	for _, text := range strings.Split(*blockTimes, ",") {
		t.Run(text, func(t *testing.T) {
			interval, err := time.ParseDuration(text)
			if err != nil {
				t.Fatal(err)
			}
			blocksInTime(t, interval)
		})
	}
}

func blocksInTime(t *testing.T, interval time.Duration) {
	p := spawn(t, "da", "--listen", "127.0.0.1:0", "--home", filepath.Join(t.TempDir(), "da"), "--retain", "100", "--block-time", interval.String())
	told, err := p.told.Wait(t.Context(), func(p progress) bool { return p.URL != "" })
	if err != nil {
		t.Fatal(err)
	}
	c, err := jsonrpc.NewClient("ws"+strings.TrimPrefix(told.URL, "http"), jsonrpc.ClientOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	last := square.Head{}
	// gaps returns the times between the next n blocks.
	gaps := func(n int) (out []time.Duration) {
		for len(out) < n {
			var e square.ExtendedHeader
			if err := c.Call(t.Context(), "header.WaitForHeight", jsonrpc.Array(last.Height+1), e.UnmarshalJSON); err != nil {
				t.Fatal(err)
			}
			h := square.Head{Height: e.Header.Height, Time: e.Header.Time}
			if h.Height != last.Height+1 || !h.Time.After(last.Time) {
				t.Errorf("height %d at %s after %d at %s", h.Height, h.Time, last.Height, last.Time)
			}
			out = append(out, h.Time.Sub(last.Time))
			last = h
		}
		return out
	}
	gaps(1)
	var quiet, loaded []time.Duration
	rounds, each := 1, 2 // in go test, which asserts nothing of times
	if *blockTimes != shortBlockTimes {
		rounds, each = 2, 8
	}
	for range rounds {
		quiet = append(quiet, gaps(4)...)
		heights, end := strain(told.URL)
		if _, err := heights.Wait(t.Context(), func(h []uint64) bool { return len(h) > 0 }); err != nil {
			t.Fatal(err)
		}
		var head square.ExtendedHeader
		if err := c.Call(t.Context(), "header.LocalHead", jsonrpc.Array(), head.UnmarshalJSON); err != nil {
			t.Fatal(err)
		}
		gaps(int(head.Header.Height - last.Height)) // those of the beginning
		loaded = append(loaded, gaps(each)...)
		end()
		gaps(2) // what was under way
	}
	mean := func(d []time.Duration) (sum time.Duration) {
		for _, one := range d {
			sum += one
		}
		return sum / time.Duration(len(d))
	}
	t.Logf("blocks each %s: alone %s on average, %s at most; under load %s, %s at most: a ratio of %.2f; %d MiB of memory",
		interval, mean(quiet), slices.Max(quiet), mean(loaded), slices.Max(loaded), float64(mean(loaded))/float64(mean(quiet)), peak(t, p.cmd.Process.Pid)>>10)
	t.Log(loaded)
}

// TestFullSquares: several clients that ask for the whole of a full square at the same time, and for a namespace as
// large, get the same answer each, and the memory of headrace da stays below 512 MiB.
func TestFullSquares(t *testing.T) {
	if peak(t, 1) == 0 {
		t.Skip("the system does not tell how much memory a process has had")
	}
	p := spawn(t, "da", "--listen", "127.0.0.1:0", "--home", filepath.Join(t.TempDir(), "da"), "--block-time", "1s")
	told, err := p.told.Wait(t.Context(), func(p progress) bool { return p.URL != "" })
	if err != nil {
		t.Fatal(err)
	}
	heights := fullHeights(t, told.URL, 1)
	ns := da.NamespaceFromName("load")
	name := base64.StdEncoding.EncodeToString(ns[:])
	sums := map[string][32]byte{}
	var mu sync.Mutex
	var work sync.WaitGroup
	for i, request := range []string{
		fmt.Sprintf(`"share.GetEDS","params":[%d]`, heights[0]), fmt.Sprintf(`"share.GetEDS","params":[%d]`, heights[0]),
		fmt.Sprintf(`"share.GetNamespaceData","params":[%d,"%s"]`, heights[0], name), fmt.Sprintf(`"blob.GetAll","params":[%d,["%s"]]`, heights[0], name),
	} {
		work.Go(func() {
			sum := whole(t, told.URL, `{"id":1,"jsonrpc":"2.0","method":`+request+`}`)
			mu.Lock()
			defer mu.Unlock()
			if was, again := sums[request]; again && was != sum {
				t.Errorf("request %d: %s is not answered alike", i, request)
			}
			sums[request] = sum
		})
	}
	work.Wait()
	rss := peak(t, p.cmd.Process.Pid) >> 10
	t.Logf("at most %d MiB of memory", rss)
	if rss > 512 {
		t.Errorf("headrace da took %d MiB of memory, 512 are allowed", rss)
	}
}

// whole asks until it gets an answer, and not that there is too much under way, and returns its hash.
func whole(t *testing.T, url, request string) [32]byte {
	for {
		resp, err := http.Post(url, "application/json", strings.NewReader(request))
		if err != nil {
			t.Error(err)
			return [32]byte{}
		}
		var begin bytes.Buffer
		hash := sha256.New()
		n, err := io.CopyN(io.MultiWriter(&begin, hash), resp.Body, 200)
		if errors.Is(err, io.EOF) && strings.Contains(begin.String(), "try again later") {
			_ = resp.Body.Close()
			continue
		}
		more, err := io.Copy(hash, resp.Body)
		_ = resp.Body.Close()
		if n += more; err != nil || n < 30<<20 {
			t.Errorf("%s: %d bytes, %v: %s", request, n, err, begin.String())
		}
		return [32]byte(hash.Sum(nil))
	}
}

// fullHeights has a chain make blocks of 32 MiB, and returns their heights.
func fullHeights(t *testing.T, url string, want int) []uint64 {
	t.Helper()
	ns := da.NamespaceFromName("load")
	name := base64.StdEncoding.EncodeToString(ns[:])
	heights := map[uint64]int{}
	var mu sync.Mutex
	for i := 0; ; i++ {
		var work sync.WaitGroup
		for j := range 4 {
			work.Go(func() {
				data := make([]byte, 8<<20-64<<10)
				rng := randv2.NewChaCha8([32]byte{byte(i), byte(j)})
				_, _ = rng.Read(data)
				resp, err := http.Post(url, "application/json", strings.NewReader(`{"id":1,"jsonrpc":"2.0","method":"blob.Submit","params":[[{"namespace":"`+name+
					`","data":"`+base64.StdEncoding.EncodeToString(data)+`","share_version":0,"index":-1}],{}]}`))
				if err != nil {
					t.Error(err)
					return
				}
				defer resp.Body.Close()
				var a struct{ Result uint64 }
				if err := json.NewDecoder(resp.Body).Decode(&a); err == nil && a.Result > 0 {
					mu.Lock()
					heights[a.Result]++
					mu.Unlock()
				}
			})
		}
		work.Wait()
		var full []uint64
		for height, n := range heights {
			if n == 4 {
				full = append(full, height)
			}
		}
		if len(full) >= want || t.Failed() {
			return full[:min(want, len(full))]
		}
	}
}
