package e2e_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"headrace/node"
)

var (
	sendsFlag     = flag.Int("sends", 10_000, "how many transactions are sent and waited for; -sends 1000000 -senders 1000 -timeout 3h")
	sendersFlag   = flag.Int("senders", 100, "how many send and wait at the same time")
	sendKillsFlag = flag.Int("sendkills", 10, "how often a client, the sequencer and the full node are killed meanwhile, each; -sendkills 100")
)

// sender is one that sends and waits, again and again.
type sender struct {
	r      *rollup
	rng    *rand.Rand
	client *http.Client
	sent   []sentTx
}

// sentTx is a transaction and its last answer.
type sentTx struct {
	text string
	got  node.Sent
	err  error // why there is none
}

// errKilled is the end of a client.
var errKilled = errors.New("the client was killed")

// TestSendsAreAnswered: thousands send and wait, for each head, some the same bytes as others; and their connections, the
// sequencer and the full node are killed again and again. Whoever is answered is told a place that another node's
// finalized chain has, above the head that was noted, and that nobody else was told. Who is not has an error, or an answer
// that says what is known.
func TestSendsAreAnswered(t *testing.T) {
	noteSources(t)
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 16))
	r := newRollup(t, rng)
	for _, s := range r.servers {
		s.start(t)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute+time.Duration(*sendsFlag)*10*time.Millisecond)
	defer cancel()
	r.seq.ready(ctx, t)
	r.progress(ctx, t, 1)

	var left atomic.Int64
	left.Store(int64(*sendsFlag))
	clients := &killable{cut: map[*sender]context.CancelCauseFunc{}}
	var senders []*sender
	var work sync.WaitGroup
	for i := range *sendersFlag {
		s := &sender{r: r, rng: rand.New(rand.NewPCG(seed, uint64(i))), client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1}}}
		senders = append(senders, s)
		work.Go(func() { s.run(ctx, clients, &left) })
	}
	r.killAll(ctx, t, rng, clients, &left)
	work.Wait()
	r.compare(ctx, t, senders)
}

// killable are the clients that can be killed.
type killable struct {
	mu  sync.Mutex
	cut map[*sender]context.CancelCauseFunc // of the request under way
}

func (k *killable) set(s *sender, cut context.CancelCauseFunc) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.cut[s] = cut
}

// killOne cuts the connection of one that waits, as the end of its process does.
func (k *killable) killOne() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	for s, cut := range k.cut {
		cut(errKilled)
		delete(k.cut, s)
		return true
	}
	return false
}

// killAll kills a client, the sequencer and the full node in turn, at moments by chance, while there is something to send.
func (r *rollup) killAll(ctx context.Context, t *testing.T, rng *rand.Rand, clients *killable, left *atomic.Int64) {
	t.Helper()
	each := int64(*sendsFlag / (4**sendKillsFlag + 1)) // so many are sent between two kills
	killed := 0
	for i := range 3 * *sendKillsFlag {
		for goal := max(left.Load()-each, 0); left.Load() > goal; {
			select {
			case <-time.After(time.Duration(1+rng.IntN(20)) * time.Millisecond): // chance's clock
			case <-ctx.Done():
				t.Fatalf("%d are not sent yet: %v\n%s", left.Load(), ctx.Err(), r.tails())
			}
		}
		if left.Load() <= 0 {
			break
		}
		switch i % 3 {
		case 0:
			if clients.killOne() {
				killed++
			}
			continue
		case 1:
			r.seq.p.kill()
			r.seq.start(t)
			r.seq.ready(ctx, t)
		case 2:
			r.all.p.kill()
			r.all.start(t)
			r.all.ready(ctx, t)
		}
		killed++
	}
	t.Logf("%d were killed", killed)
	if want := *sendKillsFlag * 3 / 2; killed < want {
		t.Errorf("only %d were killed, want %d at least: the test tests too little", killed, want)
	}
}

func (s *sender) run(ctx context.Context, clients *killable, left *atomic.Int64) {
	defer s.client.CloseIdleConnections()
	for {
		n := left.Add(-1)
		if n < 0 {
			return
		}
		to, err := s.r.seq.url.Wait(ctx, func(a address) bool { return a.url != "" })
		if err != nil {
			return
		}
		tx := sentTx{text: fmt.Sprintf("tx-%d=%d", n, n)}
		if s.rng.IntN(4) == 0 {
			tx.text = fmt.Sprintf("same=%d", s.rng.IntN(5)) // as others do
		}
		head := []string{"unsafe", "safe", "finalized"}[s.rng.IntN(3)]
		request, cut := context.WithCancelCause(ctx)
		clients.set(s, cut)
		for { // what could not be sent is sent to the next process
			tx.got, tx.err = s.send(request, to.url+"/v1/txs?timeout=1m&wait="+head, tx.text)
			if !errors.Is(tx.err, syscall.ECONNREFUSED) {
				break
			}
			was := to.run
			if to, err = s.r.seq.url.Wait(request, func(a address) bool { return a.run > was && a.url != "" }); err != nil {
				break
			}
		}
		if cause := context.Cause(request); cause != nil {
			tx.err = cause
		}
		clients.set(s, func(error) {})
		cut(nil)
		s.sent = append(s.sent, tx)
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

// compare compares each answer with the finalized chain of the full node.
func (r *rollup) compare(ctx context.Context, t *testing.T, senders []*sender) {
	t.Helper()
	var highest uint64
	reached, known, errs := 0, 0, map[string]int{}
	for _, s := range senders {
		for _, tx := range s.sent {
			switch {
			case tx.err != nil:
				text := tx.err.Error()
				errs[text[strings.LastIndex(text, ": ")+1:]]++
			case tx.got.Result == "reached":
				reached++
				highest = max(highest, tx.got.Tx.Block.Height)
			case tx.got.Error == "" || !tx.got.Accepted:
				t.Errorf("%s: an answer that says nothing: %+v", tx.text, tx.got)
			default:
				known++
			}
		}
	}
	t.Logf("%d are told their place, %d what is known, and there are these errors: %v", reached, known, errs)
	if reached < *sendsFlag*8/10 {
		t.Errorf("only %d of %d are told their place", reached, *sendsFlag)
	}
	r.progress(ctx, t, highest)
	chain := r.chain(ctx, t, highest)
	told := map[string]string{}
	for _, s := range senders {
		for _, tx := range s.sent {
			if tx.err != nil || tx.got.Result != "reached" {
				continue
			}
			at := tx.got.Tx
			if tx.got.Hash != sha256.Sum256([]byte(tx.text)) || at.Hash != tx.got.Hash || at.Block.Height <= tx.got.Above.Height {
				t.Errorf("%s: told %+v above %d", tx.text, at, tx.got.Above.Height)
			}
			if b := chain[at.Block.Height]; b.Hash != at.Block.Hash.String() || at.Index >= len(b.Txs) || string(b.Txs[at.Index]) != tx.text {
				t.Errorf("%s: told %+v, and the finalized chain has %s there, with %d transactions", tx.text, at, b.Hash, len(b.Txs))
			}
			place := fmt.Sprint(at.Block.Height, "-", at.Index)
			if other, twice := told[place]; twice {
				t.Errorf("two were told place %s: %s and %s", place, other, tx.text)
			}
			told[place] = tx.text
		}
	}
}

// chain reads the finalized blocks of the full node, up to a height.
func (r *rollup) chain(ctx context.Context, t *testing.T, to uint64) map[uint64]node.Block {
	t.Helper()
	base := r.all.ready(ctx, t)
	blocks := map[uint64]node.Block{}
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
		for _, b := range page.Blocks {
			blocks[b.Height] = b
		}
		next = page.Next
	}
	http.DefaultClient.CloseIdleConnections()
	return blocks
}
