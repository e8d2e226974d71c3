package e2e_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"headrace/internal/keyfile"
	"headrace/internal/nettest"
	"headrace/watch"
)

var (
	seedFlag  = flag.Uint64("seed", 0, "seed of the kills; 0: a new one, which is printed")
	killsFlag = flag.Int("kills", 75, "how many processes to kill")
)

// patience bounds every wait: what takes longer on a busy machine hangs.
const patience = 2 * time.Minute

// server is one of the three programs, through all its processes.
type server struct {
	name string
	args []string
	env  []string              // of a process of this test; nil: it is the command
	url  *watch.Value[address] // of the present process
	p    *process
	runs int
}

// address is where a server's run-th process answers; no URL while it does not.
type address struct {
	url string
	run int
}

// start runs the server's next process.
func (s *server) start(t *testing.T) {
	if s.env != nil {
		s.p = spawnProgram(t, os.Args[0], s.env)
	} else {
		s.p = spawn(t, s.args...)
	}
	s.runs++
	run, told := s.runs, s.p.told
	s.url.Set(address{"", run})
	go func() { // ends with the process
		if p, err := told.Wait(context.Background(), func(p progress) bool { return p.URL != "" }); err == nil {
			s.url.Update(func(a address) address {
				if a.run == run {
					a.url = p.URL
				}
				return a
			})
		}
	}()
}

// ready waits until the present process answers.
func (s *server) ready(ctx context.Context, t *testing.T) string {
	t.Helper()
	p, err := s.p.told.Wait(ctx, func(p progress) bool { return p.URL != "" })
	if err != nil {
		t.Fatalf("%s does not start: %v\n%s", s.name, err, p.Tail)
	}
	return p.URL
}

// rollup is a DA layer, a sequencer and a full node, each a process with a home.
type rollup struct {
	home         string
	da, seq, all *server
	servers      []*server
}

// pace is how often a rollup makes blocks, and its DA layer.
type pace struct{ block, da time.Duration }

func newRollup(t *testing.T) *rollup {
	t.Helper()
	return newRollupAt(t, pace{block: 20 * time.Millisecond, da: 40 * time.Millisecond})
}

func newRollupAt(t *testing.T, at pace) *rollup {
	t.Helper()
	return newRollupWith(t, at, nil, nil)
}

// newRollupWith has more arguments for the init of the sequencer and of the full node.
func newRollupWith(t *testing.T, at pace, ofSeq, ofFull []string) *rollup {
	t.Helper()
	home := t.TempDir()
	in := func(names ...string) string { return filepath.Join(append([]string{home}, names...)...) }
	listen := nettest.FreeAddress(t)
	if err := os.WriteFile(in("pass"), []byte("correct horse\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	headrace(t, append([]string{"init", "--home", in("seq"), "--sequencer", "--passphrase-file", in("pass"), "--chain-id", "e2e",
		"--da.address", "http://" + listen, "--http.address", "127.0.0.1:0", "--sequencer.block_time", at.block.String(), "--log.format", "json"}, ofSeq...)...)
	headrace(t, append([]string{"init", "--home", in("full"), "--genesis", in("seq", "genesis.json"),
		"--da.address", "http://" + listen, "--http.address", "127.0.0.1:0", "--log.format", "json"}, ofFull...)...)
	cheapen(t, in("seq", "sequencer.key"))
	program := func(name string, args ...string) *server {
		return &server{name: name, args: args, url: new(watch.Value[address])}
	}
	r := &rollup{
		home: home,
		da:   program("da", "da", "--home", in("da"), "--listen", listen, "--block-time", at.da.String(), "--chain-id", "e2e-da", "--log.format", "json"),
		seq:  program("sequencer", "start", "--home", in("seq")),
		all:  program("full node", "start", "--home", in("full")),
	}
	r.servers = []*server{r.da, r.seq, r.all}
	return r
}

// cheapen encrypts a key again with a work factor that does not cost a second per start.
func cheapen(t *testing.T, path string) {
	t.Helper()
	key, err := keyfile.Load(path, "correct horse", keyfile.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := keyfile.Save(path, key, "correct horse", keyfile.Options{WorkFactor: 4, Replace: true}); err != nil {
		t.Fatal(err)
	}
}

// kill kills one server, or all at once, at a random moment from now, starts what it killed again at once, and
// returns how many that were. A third of the moments are a few milliseconds away: then the victim may still be
// starting. Another third come when it has just logged a block: then it may be at the next one.
func (r *rollup) kill(t *testing.T, rng *rand.Rand) int {
	t.Helper()
	victims := []*server{r.servers[rng.IntN(len(r.servers))]}
	if rng.IntN(10) == 0 {
		victims = r.servers
	}
	mode, longest := rng.IntN(3), float64(1200*time.Millisecond)
	if mode == 0 {
		longest = float64(40 * time.Millisecond)
	}
	moment, cancel := context.WithTimeout(t.Context(), time.Duration(math.Pow(rng.Float64(), 2)*longest)) // chance's clock
	defer cancel()
	told := victims[0].p.told
	blocks := told.Load().Blocks
	_, _ = told.Wait(moment, func(p progress) bool { return mode == 1 && p.Blocks > blocks })
	for _, s := range victims {
		if err := s.p.told.Err(); err != nil {
			t.Fatalf("%s ended by itself: %v\n%s", s.name, err, s.p.told.Load().Tail)
		}
		_ = s.p.cmd.Process.Kill() // all at the same moment, as far as can be
	}
	for _, s := range victims {
		s.p.kill()
		if how := s.p.cmd.ProcessState.String(); how != "signal: killed" {
			t.Fatalf("%s ended by itself: %s\n%s", s.name, how, s.p.told.Load().Tail)
		}
		s.start(t)
	}
	return len(victims)
}

// progress waits until the full node has applied a block above any before: no sequence of kills leaves the rollup
// stuck.
func (r *rollup) progress(ctx context.Context, t *testing.T, above uint64) uint64 {
	t.Helper()
	p, err := r.all.p.told.Wait(ctx, func(p progress) bool { return p.Safe > above })
	if err != nil {
		t.Fatalf("the full node applies nothing above %d: %v\n%s", above, err, r.tails())
	}
	return p.Safe
}

func (r *rollup) tails() string {
	var b strings.Builder
	for _, s := range r.servers {
		fmt.Fprintf(&b, "== %s, run %d\n%s", s.name, s.runs, s.p.told.Load().Tail)
	}
	return b.String()
}

// seedOf returns what a test draws its chances from, and logs how to have the same ones again.
func seedOf(t *testing.T) uint64 {
	t.Helper()
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d: repeat with -seed %d", seed, seed)
	return seed
}

// TestKills: three processes under load, each killed again and again at any moment. Afterwards both nodes have the
// same blocks, which are those on the DA layer, each applied once, with the state that their transactions give.
func TestKills(t *testing.T) {
	noteSources(t)
	rng := rand.New(rand.NewPCG(seedOf(t), 0))
	begin := time.Now()
	r := newRollup(t)
	for _, s := range r.servers {
		s.start(t)
	}
	ctx, cancel := context.WithCancel(t.Context())
	load := newLoad(r.seq.url)
	var work sync.WaitGroup
	work.Go(func() { load.run(ctx) })
	defer work.Wait()
	defer cancel()

	setup := time.Since(begin)
	var highest uint64
	kills := 0
	for i := 0; kills < *killsFlag; i++ {
		if i%8 == 0 {
			highest = r.settled(t, highest)
		}
		kills += r.kill(t, rng)
	}
	r.settled(t, highest)
	chaos := time.Since(begin) - setup
	cancel()
	work.Wait()
	r.verify(t, load)
	for _, s := range []*server{r.all, r.seq, r.da} {
		s.p.interrupt(t)
	}
	t.Logf("set up in %s, %d kills in %s, all done after %s", setup.Round(time.Millisecond), kills, chaos.Round(time.Millisecond), time.Since(begin).Round(time.Millisecond))
}

// settled waits until everybody has started and the full node goes on.
func (r *rollup) settled(t *testing.T, above uint64) uint64 {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), patience, errors.New("it hangs"))
	defer cancel()
	for _, s := range r.servers {
		s.ready(ctx, t)
	}
	return r.progress(ctx, t, above)
}
