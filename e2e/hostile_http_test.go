package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// crowd is how many connections of one kind an attacker opens.
const crowd = 2000

// mostCost is what they may cost the process, in bytes of memory that is resident.
const mostCost = 100 << 20

// TestHostileConnections: whatever a crowd of strangers does not send or does not read, a node's memory stays bounded,
// its probes and its other clients are answered, and it goes on making blocks.
func TestHostileConnections(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("what is resident is read from /proc")
	}
	noteSources(t)
	dir := t.TempDir()
	pass := filepath.Join(dir, "pass")
	if err := os.WriteFile(pass, []byte("correct horse"), 0o600); err != nil {
		t.Fatal(err)
	}
	da := spawn(t, "da", "--listen", "127.0.0.1:0", "--block-time", "200ms", "--log.format", "json")
	seqHome, fullHome := filepath.Join(dir, "seq"), filepath.Join(dir, "full")
	headrace(t, "init", "--home", seqHome, "--sequencer", "--passphrase-file", pass, "--da.address", urlOf(t, da), "--http.address", "127.0.0.1:0", "--sequencer.block_time", "200ms", "--log.format", "json")
	seq := spawn(t, "start", "--home", seqHome)
	headrace(t, "init", "--home", fullHome, "--genesis", filepath.Join(seqHome, "genesis.json"), "--da.address", urlOf(t, da), "--http.address", "127.0.0.1:0", "--log.format", "json")
	node := spawn(t, "start", "--home", fullHome)
	address := strings.TrimPrefix(urlOf(t, node), "http://")
	height := largeBlock(t, strings.TrimPrefix(urlOf(t, seq), "http://"))
	if _, err := node.told.Wait(within(t), func(p progress) bool { return p.Safe >= height }); err != nil {
		t.Fatal(err)
	}

	for _, attack := range []struct {
		name, request string
		reads         bool // the attacker reads the answer's first line, so that the connection is surely at work
	}{
		{"readers of a large block that do not read", fmt.Sprintf("GET /v1/blocks/%d HTTP/1.1\r\nHost: localhost\r\n\r\n", height), false},
		{"readers of a large value that do not read", "GET /v1/kv/large HTTP/1.1\r\nHost: localhost\r\n\r\n", false},
		{"streams of large blocks that do not read", "GET /v1/events?from=1&body=true HTTP/1.1\r\nHost: localhost\r\n\r\n", false},
		{"readers of pages of blocks that do not read", fmt.Sprintf("GET /v1/blocks?from=%d&signed=true HTTP/1.1\r\nHost: localhost\r\n\r\n", height), false},
		{"streams of large signed blocks that do not read", "GET /v1/events?from=1&body=true&signed=true&events=block,live HTTP/1.1\r\nHost: localhost\r\n\r\n", false},
		{"askers of paths that are not served", "DELETE /v1/" + strings.Repeat("x", 14<<10) + " HTTP/1.1\r\nHost: localhost\r\n\r\n", true},
		{"streams of blocks that do not read", "GET /v1/events?from=1 HTTP/1.1\r\nHost: localhost\r\n\r\n", false},
		{"streams of statuses", "GET /v1/events?events=status HTTP/1.1\r\nHost: localhost\r\n\r\n", false},
		{"waits", "GET /v1/wait?height=100000000&timeout=10m HTTP/1.1\r\nHost: localhost\r\n\r\n", false},
		{"idle connections", "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n", true},
		{"half headers", "GET /livez HTTP/1.1\r\nX: " + strings.Repeat("x", 15<<10), false},
		{"slow transactions", "POST /v1/txs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n" + strings.Repeat("x", 256<<10), false},
		{"slow blocks", "POST /v1/unsafe HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8000000\r\n\r\n{\"header\":\"" + strings.Repeat("A", 256<<10), false},
	} {
		before := resident(t, node)
		begun, made := time.Now(), node.told.Load().Blocks
		peak := watchResident(t, node)
		conns := attackBy(t, address, attack.request, attack.reads)
		time.Sleep(time.Second) // the attack
		most := peak()
		cost := most - before
		t.Logf("%-45s %4d MiB before, %4d at the peak; %d blocks in %s", attack.name, before>>20, most>>20, node.told.Load().Blocks-made, time.Since(begun).Round(100*time.Millisecond))
		if cost > mostCost {
			t.Errorf("%s: %d of them cost %d MiB, want at most %d", attack.name, crowd, cost>>20, mostCost>>20)
		}
		for _, path := range []string{"/livez", "/readyz"} {
			if code := status(t, address, path); code != http.StatusOK {
				t.Errorf("%s: got %d of %s meanwhile, want 200", attack.name, code, path)
			}
		}
		for _, c := range conns {
			_ = c.Close()
		}
		at := node.told.Load().Blocks
		if _, err := node.told.Wait(within(t), func(p progress) bool { return p.Blocks >= at+3 }); err != nil {
			t.Errorf("%s: no blocks afterwards: %v", attack.name, err)
		}
	}
}

func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// urlOf waits for what a process prints first.
func urlOf(t testing.TB, p *process) string {
	t.Helper()
	s, err := p.told.Wait(within(t), func(s progress) bool { return s.URL != "" })
	if err != nil {
		t.Fatalf("%v: %s", err, s.Tail)
	}
	return s.URL
}

// largeBlock has the sequencer make a block of about a megabyte, and returns its height.
func largeBlock(t testing.TB, address string) uint64 {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	tx := "large=" + strings.Repeat("x", 1<<20-100)
	resp, err := client.Post("http://"+address+"/v1/txs", "application/octet-stream", strings.NewReader(tx))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		t.Fatalf("got %s of a large transaction", resp.Status)
	}
	for height := uint64(1); ; height++ {
		wait, err := client.Get(fmt.Sprintf("http://%s/v1/wait?height=%d&timeout=60s", address, height))
		if err != nil {
			t.Fatal(err)
		}
		_ = wait.Body.Close()
		resp, err := client.Get(fmt.Sprintf("http://%s/v1/blocks/%d", address, height))
		if err != nil {
			t.Fatal(err)
		}
		var b struct{ Txs [][]byte }
		err = json.NewDecoder(resp.Body).Decode(&b)
		_ = resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		for _, tx := range b.Txs {
			if len(tx) > 1<<19 {
				return height
			}
		}
	}
}

// attackBy opens the crowd's connections, which say request and read no more than one line. Those that the node cuts
// are not opened again.
func attackBy(t *testing.T, address, request string, reads bool) []net.Conn {
	t.Helper()
	conns := make([]net.Conn, crowd)
	var work sync.WaitGroup
	for worker := range 50 {
		work.Go(func() {
			for i := worker; i < crowd; i += 50 {
				c, err := net.Dial("tcp", address)
				if err != nil {
					t.Error(err)
					return
				}
				conns[i] = c
				_ = c.(*net.TCPConn).SetReadBuffer(4 << 10)
				_ = c.SetDeadline(time.Now().Add(time.Second)) // the node may take no more than a part
				_, _ = io.WriteString(c, request)
				if reads {
					_, _ = c.Read(make([]byte, 12))
				}
			}
		})
	}
	work.Wait()
	return conns
}

// resident returns the memory of a process that is resident and its own, in bytes.
func resident(t testing.TB, p *process) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		if rest, ok := bytes.CutPrefix(line, []byte("RssAnon:")); ok {
			kb, err := strconv.ParseInt(strings.Fields(string(rest))[0], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kb << 10
		}
	}
	t.Fatal("no RssAnon in /proc")
	return 0
}

// watchResident looks at what is resident until the function that it returns is called, which returns the most.
func watchResident(t testing.TB, p *process) (peak func() int64) {
	t.Helper()
	end := make(chan struct{})
	var most int64
	var work sync.WaitGroup
	work.Go(func() {
		look := time.NewTicker(20 * time.Millisecond) // a probe of another process
		defer look.Stop()
		for {
			most = max(most, resident(t, p))
			select {
			case <-look.C:
			case <-end:
				return
			}
		}
	})
	return func() int64 { close(end); work.Wait(); return most }
}

// status asks on a connection of its own.
func status(t *testing.T, address, path string) int {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	resp, err := client.Get("http://" + address + path)
	if err != nil {
		t.Error(err)
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}
