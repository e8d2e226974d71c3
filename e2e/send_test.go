package e2e_test

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"headrace/block"
	"headrace/node"
	"headrace/watch"
)

var (
	sendsFlag     = flag.Int("sends", 10_000, "how many transactions are sent and waited for; -sends 1000000 -senders 1000 -timeout 3h")
	sendersFlag   = flag.Int("senders", 100, "how many send and wait at the same time; a fifth of them in processes of their own")
	sendKillsFlag = flag.Int("sendkills", 10, "how often a client, the sequencer and the full node are killed meanwhile, each; -sendkills 100")
)

// sender is one that sends and waits, again and again.
type sender struct {
	to     *watch.Value[address] // the sequencer
	rng    *rand.Rand
	client *http.Client
}

// newSender returns the i-th sender of a test with a seed.
func newSender(to *watch.Value[address], seed uint64, i int) *sender {
	return &sender{to: to, rng: rand.New(rand.NewPCG(seed, uint64(i))), client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1}}}
}

// sentTx is a transaction and its last answer.
type sentTx struct {
	text, head string
	got        node.Sent
	err        error // why there is none
}

// sameTexts is how many transactions are sent by many.
const sameTexts = 5

// errKilled is the end of a client.
var errKilled = errors.New("the client was killed")

// TestSendsAreAnswered: thousands send and wait, for each head, some the same bytes as others, some in processes of their
// own; and they, their connections, the sequencer and the full node are killed again and again. Whoever is answered is told
// a place that another node's finalized chain has, above the head that was noted, and that nobody else was told. Who is not
// has an error, or an answer that says what is known. What a process was told it has noted before it sent the next one.
func TestSendsAreAnswered(t *testing.T) {
	noteSources(t)
	seed := seedOf(t)
	rng := rand.New(rand.NewPCG(seed, 16))
	each := 20 * time.Millisecond * time.Duration(max(1, *sendersFlag/200)) // so that a block has many of them
	room := fmt.Sprint(max(1280, 2**sendersFlag))
	r := newRollupWith(t, pace{block: each, da: 2 * each}, []string{"--http.max_waiting", room, "--http.max_connections", room}, nil)
	for _, s := range r.servers {
		s.start(t)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute+time.Duration(*sendsFlag)*10*time.Millisecond)
	defer cancel()
	r.seq.ready(ctx, t)
	r.progress(ctx, t, 1)

	began := time.Now()
	s := newSending(r, seed)
	defer func() { cancel(); s.work.Wait() }()
	s.begin(ctx, t)
	s.killAll(ctx, t, rng)
	s.work.Wait()
	for _, p := range s.processes {
		p.done(t)
	}
	t.Logf("all done after %s: the sequencer has %s, and the full node", time.Since(began).Round(time.Millisecond), memory(r.seq.p, r.all.p))
	for _, p := range s.processes {
		p.read(t, s.all)
	}
	s.all.check(ctx, t)
	s.last(ctx, t)
}

// last sends what many have sent, when nobody else sends any more: it is in the next block, and so whoever sends it is told
// that. If those before him are believed to wait for what is in no pool, he is told nothing, as his place is theirs.
func (s *sending) last(ctx context.Context, t *testing.T) {
	t.Helper()
	one := newSender(s.r.seq.url, s.seed, 0)
	defer one.client.CloseIdleConnections()
	for i := range sameTexts {
		tx := sentTx{text: fmt.Sprintf("same=%d", i), head: "unsafe"}
		if one.post(ctx, &tx); tx.err != nil || tx.got.Result != "reached" {
			t.Errorf("%s, when nobody else sends: got %+v, %v, want its place", tx.text, tx.got, tx.err)
		}
	}
}

// memory says what processes have of it now, and had at the most, where the system tells.
func memory(of ...*process) string {
	var parts []string
	for _, p := range of {
		status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
		for line := range strings.Lines(string(status)) {
			if strings.HasPrefix(line, "VmRSS:") || strings.HasPrefix(line, "VmHWM:") {
				parts = append(parts, strings.Join(strings.Fields(line), " "))
			}
		}
	}
	return strings.Join(parts, ", ")
}

// sending is all that is sent in a test, and who sends it.
type sending struct {
	r         *rollup
	seed      uint64
	next, to  atomic.Int64       // which transaction is sent next in this process, and the first that is not
	left      atomic.Int64       // how many have no outcome yet, anywhere
	open      watch.Value[int64] // which one may not be sent here yet, and of the others as large a part: so that some are left until all were killed
	processes []*sendProcess
	all       *outcomes
	here      int            // how many send in this process
	work      sync.WaitGroup // of those in this process

	mu  sync.Mutex
	cut map[*sender]context.CancelCauseFunc // of the request under way
}

// newSending shares the transactions among those who send.
func newSending(r *rollup, seed uint64) *sending {
	s := &sending{r: r, seed: seed, all: &outcomes{r: r, errs: map[string]int{}}, cut: map[*sender]context.CancelCauseFunc{}}
	s.left.Store(int64(*sendsFlag))
	s.to.Store(int64(*sendsFlag))
	of := max(1, *sendersFlag/5/sendProcesses) // senders of each process
	s.here = max(1, *sendersFlag-of*sendProcesses)
	share := int64(*sendsFlag / (s.here + of*sendProcesses))
	for i := range sendProcesses {
		p := &sendProcess{name: fmt.Sprint("senders ", i), to: r.seq.url, open: &s.open, left: &s.left, rest: share * int64(of), order: sendOrder{Seed: seed}}
		for j := range of {
			first := s.to.Add(-share)
			p.order.Parts = append(p.order.Parts, sendPart{
				Notes: filepath.Join(r.home, fmt.Sprintf("notes-%d-%d", i, j)), Sender: s.here + of*i + j, From: first, To: first + share,
			})
		}
		s.processes = append(s.processes, p)
	}
	for _, p := range s.processes {
		p.order.Of = s.to.Load()
	}
	return s
}

// begin has all of them send.
func (s *sending) begin(ctx context.Context, t *testing.T) {
	for _, p := range s.processes {
		p.start(t)
	}
	for i := range s.here {
		one := newSender(s.r.seq.url, s.seed, i)
		s.work.Go(func() { s.run(ctx, t, one) })
	}
}

// run sends what is left for this process.
func (s *sending) run(ctx context.Context, t *testing.T, one *sender) {
	defer one.client.CloseIdleConnections()
	for {
		n := s.next.Add(1) - 1
		if n >= s.to.Load() {
			return
		}
		if _, err := s.open.Wait(ctx, func(open int64) bool { return n < open }); err != nil {
			return
		}
		tx := one.choose(n)
		request, cut := context.WithCancelCause(ctx)
		s.set(one, cut)
		one.post(request, &tx)
		if cause := context.Cause(request); cause != nil {
			tx.err = cause
		}
		s.set(one, nil)
		cut(nil)
		s.all.add(t, &tx)
		s.left.Add(-1)
	}
}

func (s *sending) set(one *sender, cut context.CancelCauseFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if cut == nil {
		delete(s.cut, one)
		return
	}
	s.cut[one] = cut
}

// cutOne cuts the connection of one that waits, as a network does.
func (s *sending) cutOne() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for one, cut := range s.cut {
		cut(errKilled)
		delete(s.cut, one)
		return true
	}
	return false
}

// killAll kills a client, the sequencer and the full node in turn, at moments by chance, while there is something to send.
// Of the clients each second one is a process.
func (s *sending) killAll(ctx context.Context, t *testing.T, rng *rand.Rand) {
	t.Helper()
	r, each := s.r, max(1, s.to.Load()/int64(3**sendKillsFlag+1)) // so many are sent between two kills
	defer s.open.Set(s.to.Load())
	killed, processes := 0, 0
	for i := range int64(3 * *sendKillsFlag) {
		s.open.Set((i + 3) * each) // there is always something under way
		for goal := int64(*sendsFlag) - (i+1)*each; s.left.Load() > goal; {
			select {
			case <-time.After(time.Duration(1+rng.IntN(20)) * time.Millisecond): // chance's clock
			case <-ctx.Done():
				t.Fatalf("%d are not sent yet: %v\n%s", s.left.Load(), ctx.Err(), r.tails())
			}
		}
		switch i % 3 {
		case 0:
			switch p := s.processes[rng.IntN(len(s.processes))]; {
			case i%2 == 0 && p.kill(t):
				p.start(t)
				processes++
			case !s.cutOne():
				continue
			}
		case 1:
			r.seq.p.kill()
			r.seq.start(t)
			r.seq.ready(ctx, t)
			s.all.lost += 2 * *sendersFlag // what was under way, and then what came before nobody listened any more
		case 2:
			r.all.p.kill()
			r.all.start(t)
			r.all.ready(ctx, t)
		}
		killed++
	}
	t.Logf("%d were killed, of them %d processes of clients", killed, processes)
	if want := *sendKillsFlag * 3 / 2; killed < want || processes < *sendKillsFlag/4 {
		t.Errorf("only %d were killed, and %d processes of clients, want %d and %d at least: the test tests too little", killed, processes, want, *sendKillsFlag/4)
	}
}

// choose makes the n-th transaction.
func (s *sender) choose(n int64) sentTx {
	tx := sentTx{text: fmt.Sprintf("tx-%d=%d", n, n), head: []string{"unsafe", "safe", "finalized"}[s.rng.IntN(3)]}
	if s.rng.IntN(4) == 0 {
		tx.text = fmt.Sprintf("same=%d", s.rng.IntN(sameTexts)) // as others do
	}
	return tx
}

// post sends a transaction, and waits for it. What could not be sent is sent to the sequencer's next process.
func (s *sender) post(ctx context.Context, tx *sentTx) {
	for run := 0; ; {
		var to address
		if to, tx.err = s.to.Wait(ctx, func(a address) bool { return a.run > run && a.url != "" }); tx.err != nil {
			return
		}
		tx.got, tx.err = s.send(ctx, to.url+"/v1/txs?timeout=1m&wait="+tx.head, tx.text)
		if !errors.Is(tx.err, syscall.ECONNREFUSED) {
			return
		}
		run = to.run
	}
}

// send posts a transaction, and returns what is known of it, or why nothing is.
func (s *sender) send(ctx context.Context, url, tx string) (got node.Sent, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(tx))
	if err != nil {
		return got, err
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return got, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
	case resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusAccepted && resp.StatusCode != http.StatusGone:
		err = fmt.Errorf("%s: %s", resp.Status, body)
	default:
		err = json.Unmarshal(body, &got)
	}
	return got, err
}

// outcomes is what became of all that was sent.
type outcomes struct {
	r    *rollup
	lost int // how many may have been lost, at the most, with a sequencer

	mu    sync.Mutex // guards the rest
	known int        // that have an answer, and were not reached
	told  []told
	errs  map[string]int
}

// told is where somebody was told that his transaction is.
type told struct {
	height uint64
	index  int
	block  block.Hash
	text   string
}

func (a *told) compare(b *told) int {
	return cmp.Or(cmp.Compare(a.height, b.height), cmp.Compare(a.index, b.index))
}

// add takes an outcome, and checks what can be checked of it alone.
func (o *outcomes) add(t *testing.T, tx *sentTx) {
	o.mu.Lock()
	defer o.mu.Unlock()
	got := &tx.got
	switch {
	case tx.err != nil:
		text := tx.err.Error()
		o.errs[text[strings.LastIndex(text, ": ")+1:]]++
	case got.Result == "reached" && got.Tx != nil && got.Above != nil:
		at := got.Tx
		if got.Hash != sha256.Sum256([]byte(tx.text)) || at.Hash != got.Hash || at.Block.Height <= got.Above.Height || got.Head != tx.head {
			t.Errorf("%s: told %+v above %d, up to the %s head, want %s", tx.text, at, got.Above.Height, got.Head, tx.head)
		}
		o.told = append(o.told, told{at.Block.Height, at.Index, at.Block.Hash, tx.text})
	case got.Error == "" || !got.Accepted:
		t.Errorf("%s: an answer that says nothing: %+v", tx.text, got)
	default:
		o.known++
	}
}

// check compares the places with the finalized chain of the full node.
func (o *outcomes) check(ctx context.Context, t *testing.T) {
	t.Helper()
	t.Logf("%d are told their place, %d what is known, and there are these errors: %v", len(o.told), o.known, o.errs)
	sum := len(o.told) + o.known
	for _, n := range o.errs {
		sum += n
	}
	if want := *sendsFlag*9/10 - o.lost; sum != *sendsFlag || len(o.told) < want {
		t.Errorf("%d have an outcome, and %d are told their place, want %d and %d at least", sum, len(o.told), *sendsFlag, want)
	}
	if len(o.told) == 0 {
		return
	}
	slices.SortFunc(o.told, func(a, b told) int { return a.compare(&b) })
	for i := range o.told[1:] {
		if a, b := &o.told[i], &o.told[i+1]; a.compare(b) == 0 {
			t.Errorf("two were told place %d of block %d: %s and %s", a.index, a.height, a.text, b.text)
		}
	}
	highest := o.told[len(o.told)-1].height
	o.r.progress(ctx, t, highest)
	rest := o.told
	o.r.finalized(ctx, t, highest, func(b *node.Block) {
		for ; len(rest) > 0 && rest[0].height == b.Height; rest = rest[1:] {
			if at := &rest[0]; b.Hash != at.block.String() || at.index >= len(b.Txs) || string(b.Txs[at.index]) != at.text {
				t.Errorf("%s: told %+v, and the finalized chain has %s there, with %d transactions", at.text, at, b.Hash, len(b.Txs))
			}
		}
	})
	if len(rest) > 0 {
		t.Errorf("the finalized chain does not have %d of the places, the first is %+v", len(rest), rest[0])
	}
}

// finalized reads the finalized blocks of the full node, from the first up to a height, in order.
func (r *rollup) finalized(ctx context.Context, t *testing.T, to uint64, each func(*node.Block)) {
	t.Helper()
	base := r.all.ready(ctx, t)
	defer http.DefaultClient.CloseIdleConnections()
	for next := uint64(1); next <= to; {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s/v1/blocks?head=finalized&from=%d&to=%d", base, next, to+1), nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		var page node.Page
		err = json.NewDecoder(resp.Body).Decode(&page)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK || page.Next == next {
			t.Fatalf("blocks from %d on: %s, %v, next %d", next, resp.Status, err, page.Next)
		}
		for i := range page.Blocks {
			each(&page.Blocks[i])
		}
		next = page.Next
	}
}
