package l1_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"headrace/block"
	"headrace/l1"
	"headrace/node"
)

// newReplica makes the home of a replica that follows nodes, as a process with the key-value engine.
func newReplica(w *world, nodes ...string) *process {
	w.t.Helper()
	path, err := command()
	w.check(err)
	p := &process{w: w, path: path, home: filepath.Join(w.t.TempDir(), "home")}
	genesis := filepath.Join(w.t.TempDir(), "genesis.json")
	w.check(os.WriteFile(genesis, w.genesis.Encode(), 0o600))
	p.args = []string{"--home", p.home, "--replica", "--genesis", genesis, "--http.address", "127.0.0.1:0"}
	for _, n := range nodes {
		p.args = append(p.args, "--source.node", n)
	}
	out, err := exec.CommandContext(w.ctx, path, append([]string{"init"}, p.args...)...).CombinedOutput()
	if err != nil {
		w.t.Fatalf("init: %v: %s", err, out)
	}
	w.t.Cleanup(p.kill)
	return p
}

// safe waits until the node's safe head is this block, and checks that it has these blocks and no others.
func (p *process) safe(url string, want []*block.Block) {
	p.w.t.Helper()
	last := want[len(want)-1].Ref()
	for {
		var s node.Status
		if p.get(url+"/v1/status", &s); s.Heads.Safe == last && s.Heads.Unsafe == last {
			p.holds(url, want)
			return
		}
		select {
		case <-time.After(20 * time.Millisecond): // another process tells only when it is asked
		case <-p.w.ctx.Done():
			p.kill()
			p.w.t.Fatalf("got %+v, want block %v; the process has said:\n%s", s.Heads, last, p.log.String())
		}
	}
}

// TestReplicaThroughReorgs: a replica, which is a process, follows nodes of a chain on an L1 that is reorganised: to a
// higher branch, to a lower one, and to one as high; while it runs, while it is dead, and when it is killed as the first
// block of the new branch comes. Then the node that it follows is gone, and the next one of its list is followed through
// another reorg. It has the chain of those nodes each time, block for block.
func TestReplicaThroughReorgs(t *testing.T) {
	t.Parallel()
	for _, version2 := range []bool{false, true} {
		t.Run(fmt.Sprintf("version 2 %t", version2), func(t *testing.T) {
			t.Parallel()
			mode := chosen(t)
			mode.how = how{version2: version2}
			w := newWorld(t, mode, l1.Settings{}, 0)
			a, m, other := w.lightAuthor(), w.light(nil), w.light(nil)
			p := newReplica(w, m.URL(), other.URL())
			url := p.start()
			base := a.many(2)
			root := w.propose(base...)
			m.canonical(1, base[1])
			p.safe(url, a.blocks)
			w.propose(a.many(3)...)
			w.propose(a.many(2)...)
			proposals := uint64(3)
			for i, q := range []struct {
				name string
				n    int // proposals of the new branch
			}{{"higher", 6}, {"lower", 1}, {"as high", 2}, {"by the next node", 3}} {
				followed := m
				if q.name == "by the next node" {
					m.stop()
					followed = other
				}
				followed.canonical(proposals, a.tip())
				p.safe(url, a.blocks)
				if i == 1 {
					p.kill()
				}
				began := time.Now()
				a.back(2)
				w.reorg(root, 1)
				for k := range q.n {
					w.propose(a.many(2)...)
					if i == 2 && k == 0 {
						p.kill()
					}
				}
				proposals = uint64(1 + q.n)
				followed.canonical(proposals, a.tip())
				if i == 1 || i == 2 {
					url = p.start()
				}
				p.safe(url, a.blocks)
				t.Logf("%s: the replica is there %s after the reorg", q.name, time.Since(began).Round(time.Millisecond))
				for h := range uint64(len(a.blocks)) {
					var got node.Block
					p.get(fmt.Sprintf("%s/v1/blocks/%d", url, h+1), &got)
					want, err := followed.Block(h + 1)
					w.check(err)
					if got.Hash != want.Hash || string(got.StateRoot) != string(want.StateRoot) || got.HeaderDAHeight != want.HeaderDAHeight {
						t.Fatalf("%s: got block %+v, want %+v", q.name, got, want)
					}
				}
			}
			w.propose(a.many(1)...)
			p.safe(url, a.blocks)
		})
	}
}
