package e2e_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// BenchmarkProductionInACrowd measures what 2,000 connections of one kind cost a sequencer that makes a block each
// 50 ms: in memory, which is bounded, and in blocks, as a part of those that it makes without them. Windows with and
// without the crowd take turns, b.N of each. One attacker opens the connections, and anew those that are cut, held to
// half a core. Run it on a machine that does nothing else, as
//
//	go test ./e2e -run '^$' -bench InACrowd -benchtime 6x
func BenchmarkProductionInACrowd(b *testing.B) {
	if runtime.GOOS != "linux" {
		b.Skip("what is resident is read from /proc")
	}
	noteSources(b)
	dir := b.TempDir()
	pass := filepath.Join(dir, "pass")
	if err := os.WriteFile(pass, []byte("correct horse"), 0o600); err != nil {
		b.Fatal(err)
	}
	da := spawn(b, "da", "--listen", "127.0.0.1:0", "--block-time", "1s", "--log.format", "json")
	home := filepath.Join(dir, "seq")
	headrace(b, "init", "--home", home, "--sequencer", "--passphrase-file", pass, "--da.address", urlOf(b, da), "--http.address", "127.0.0.1:0", "--sequencer.block_time", "50ms", "--log.format", "json")
	seq := spawn(b, "start", "--home", home)
	url := urlOf(b, seq)
	big := largeBlock(b, strings.TrimPrefix(url, "http://"))
	for name := range crowds {
		b.Run(name, func(b *testing.B) {
			var without, with made
			cost := int64(0)
			for b.Loop() {
				next(b, seq)
				without.add(production(b, seq))
				before := resident(b, seq)
				peak := watchResident(b, seq)
				end := crowdOf(b, attack{Nodes: []string{url}, Big: big, Crowd: name})
				with.add(production(b, seq))
				end()
				cost = max(cost, peak()-before)
			}
			b.ReportMetric(100*float64(with.blocks)/float64(without.blocks), "%production")
			b.ReportMetric(without.used.Seconds()/without.took.Seconds(), "cores-without")
			b.ReportMetric(with.used.Seconds()/with.took.Seconds(), "cores")
			b.ReportMetric(float64(cost>>20), "MiB")
			b.ReportMetric(0, "ns/op")
			if cost > mostCost {
				b.Errorf("%d of %s cost %d MiB, want at most %d", crowd, name, cost>>20, mostCost>>20)
			}
		})
	}
}

// window is how long blocks are counted.
const window = 4 * time.Second

// made is what a process has done in some time.
type made struct {
	blocks     int
	used, took time.Duration // processor time, and the time on the wall
}

func (m *made) add(n made) {
	m.blocks, m.used, m.took = m.blocks+n.blocks, m.used+n.used, m.took+n.took
}

func production(b *testing.B, p *process) made {
	b.Helper()
	blocks, used, begun := p.told.Load().Blocks, processor(b, p), time.Now()
	<-time.After(window) // the measurement's
	return made{p.told.Load().Blocks - blocks, processor(b, p) - used, time.Since(begun)}
}

// processor returns the processor time that a process has used.
func processor(b *testing.B, p *process) time.Duration {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), ") ") // behind the name
	var ticks int64
	for _, field := range strings.Fields(rest)[11:13] { // utime and stime
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			b.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / 100 // USER_HZ
}

// next waits for a few blocks: what was before is over.
func next(b *testing.B, p *process) {
	b.Helper()
	at := p.told.Load().Blocks
	if s, err := p.told.Wait(within(b), func(s progress) bool { return s.Blocks >= at+3 }); err != nil {
		b.Fatalf("no blocks: %v\n%s", err, s.Tail)
	}
}

// crowdOf starts a process that attacks in one way, waits until its connections are there, and returns what ends it.
func crowdOf(b *testing.B, a attack) (end func()) {
	b.Helper()
	orders, err := json.Marshal(a)
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(environment(), attackEnv+"="+string(orders))
	cmd.Stderr = os.Stderr
	hold, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	end = func() {
		_ = hold.Close()
		_, _ = io.Copy(io.Discard, out)
		if err := cmd.Wait(); err != nil {
			b.Errorf("the attacker: %v", err)
		}
	}
	if err != nil {
		end()
		b.Fatal(fmt.Errorf("the attacker: %q, %w", line, err))
	}
	return end
}
