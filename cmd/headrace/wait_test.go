package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/rpc"
)

// execute runs one command line in the process.
func execute(t *testing.T, args ...string) (out string, status int, message string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // only for a command that hangs
	defer cancel()
	defer nodeClient.CloseIdleConnections()
	var buf bytes.Buffer
	root := newRoot()
	root.SetOut(&buf)
	root.SetArgs(args)
	if err := root.ExecuteContext(ctx); err != nil {
		return buf.String(), exitStatus(err), err.Error()
	}
	return buf.String(), statusOK, ""
}

// answers is a server that gives one answer after the other, and the last one again.
func answers(t *testing.T, handlers ...http.HandlerFunc) string {
	t.Helper()
	var mu sync.Mutex // guards handlers
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		now := handlers[0]
		if len(handlers) > 1 {
			handlers = handlers[1:]
		}
		mu.Unlock()
		now(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func say(code int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		_, _ = w.Write([]byte(body))
	}
}

func hangUp(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

func TestWaitAtNode(t *testing.T) {
	const reached = `{"result": "reached", "for": "safe height 7"}`
	const late = `{"result": "timeout", "heads": {"safe": {"height": 5, "hash": "ab` + "00000000000000000000000000000000000000000000000000000000000000" + `"}}, "ready": true}`
	const ended = `{"result": "ended", "error": "producer has ended: disk is full", "ready": true}`
	for name, c := range map[string]struct {
		handlers []http.HandlerFunc
		status   int
		says     string
	}{
		"reached":               {[]http.HandlerFunc{say(200, reached)}, 0, ""},
		"asks again":            {[]http.HandlerFunc{say(504, late), say(504, late), say(200, reached)}, 0, ""},
		"through a bad proxy":   {[]http.HandlerFunc{say(502, "bad gateway"), say(504, "<html>"), hangUp, say(503, `{"error":"1024 requests wait already"}`), say(200, reached)}, 0, ""},
		"time is up":            {[]http.HandlerFunc{say(504, late), say(504, late), hangUp}, 3, "last seen: safe head 5 0xab"},
		"the last error":        {[]http.HandlerFunc{hangUp}, 3, "last error: ask node: "},
		"node has ended":        {[]http.HandlerFunc{say(504, late), say(410, ended)}, 4, "the node has ended"},
		"node has no such path": {[]http.HandlerFunc{say(404, `{"error":"there is no /v1/wait"}`)}, 1, `the node refuses: there is no /v1/wait`},
		"node refuses":          {[]http.HandlerFunc{say(400, `{"error":"head \"best\" is not known"}`)}, 1, `the node refuses: head "best" is not known`},
		"before it is up":       {[]http.HandlerFunc{say(404, "404 page not found"), say(401, "no"), say(429, `{"error":"slow down"}`), say(403, "<html>"), say(200, reached)}, 0, ""},
		"not a node for long":   {[]http.HandlerFunc{say(404, "404 page not found")}, 3, "is this a headrace node?"},
		"not a node's success":  {[]http.HandlerFunc{say(200, "hello")}, 1, "is this a headrace node?"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			out, status, message := execute(t, "wait", "height", "7", "--node", answers(t, c.handlers...), "--timeout", "2s")
			if status != c.status || !strings.Contains(message, c.says) {
				t.Errorf("got exit status %d and %q, want %d and %q", status, message, c.status, c.says)
			}
			if (out == "{\"result\":\"reached\",\"for\":\"safe height 7\"}\n") != (c.status == 0) {
				t.Errorf("got %q on standard output with exit status %d", out, status)
			}
			if took := time.Since(began); status == 3 && (took < 2*time.Second || took > time.Minute) {
				t.Errorf("timed out after %s, want 2s", took)
			}
		})
	}
}

// Of several nodes all are waited for, side by side, or any; one that fails for good calls the others off.
func TestWaitAtSeveralNodes(t *testing.T) {
	t.Parallel()
	reached := func() string { return answers(t, say(200, `{"result": "reached", "for": "readiness"}`)) }
	late := func() string { return answers(t, say(504, `{"result":"timeout","ready":true}`)) }
	ended := func() string { return answers(t, say(410, `{"result":"ended","error":"stopped"}`)) }
	refuses := func() string { return answers(t, say(400, `{"error":"makes no sense"}`)) }
	for name, c := range map[string]struct {
		nodes  []string
		any    bool
		status int
		lines  int
		says   string
	}{
		"all":               {[]string{reached(), reached(), reached()}, false, 0, 3, ""},
		"all but one":       {[]string{reached(), late()}, false, 3, 0, "timed out after"},
		"one ends":          {[]string{late(), ended()}, false, 4, 0, "the node has ended"},
		"one refuses":       {[]string{late(), refuses()}, false, 1, 0, "makes no sense"},
		"any":               {[]string{late(), reached(), ended()}, true, 0, 1, ""},
		"none":              {[]string{refuses(), refuses()}, true, 1, 0, "makes no sense"},
		"one, and it alone": {[]string{reached()}, true, 0, 1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := []string{"wait", "ready", "--timeout", "20s"}
			if c.status == 3 {
				args[3] = "300ms"
			}
			for _, n := range c.nodes {
				args = append(args, "--node", n)
			}
			if c.any {
				args = append(args, "--any")
			}
			out, status, message := execute(t, args...)
			if status != c.status || !strings.Contains(message, c.says) || strings.Count(out, "\n") != c.lines {
				t.Errorf("got %q, exit status %d %q, want %d lines, %d and %q", out, status, message, c.lines, c.status, c.says)
			}
			for i, line := range strings.Split(strings.TrimSpace(out), "\n") {
				if len(c.nodes) > 1 && !c.any && c.status == 0 && !strings.HasPrefix(line, fmt.Sprintf(`{"node":%q,"result":"reached"`, c.nodes[i])) {
					t.Errorf("got line %d %s, want that of %s", i, line, c.nodes[i])
				}
			}
			if c.says != "" && len(c.nodes) > 1 && !strings.Contains(message, "http://127.0.0.1:") {
				t.Errorf("got %q, want it to say which node", message)
			}
		})
	}
}

// A node that never answers does not keep the command beyond its time.
func TestWaitAtFrozenNode(t *testing.T) {
	t.Parallel()
	url := answers(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	began := time.Now()
	_, status, message := execute(t, "wait", "height", "7", "--node", url, "--timeout", "200ms")
	if took := time.Since(began); status != 3 || took > time.Minute || !strings.Contains(message, "never answered") {
		t.Errorf("got exit status %d and %q after %s, want a timeout", status, message, took)
	}
}

// TestWaitInterrupted: a wait that is interrupted while the node waits too says where the node is, and calls only a silent
// one silent.
func TestWaitInterrupted(t *testing.T) {
	const at = `{"result": "reached", "heads": {"safe": {"height": 5, "hash": "ab` + "00000000000000000000000000000000000000000000000000000000000000" + `"}}, "ready": true}`
	defer func(d time.Duration) { lastQuestion = d }(lastQuestion)
	for name, c := range map[string]struct {
		last    http.HandlerFunc
		patient time.Duration
		says    string
	}{
		"it is well":   {say(200, at), time.Minute, "interrupted: last seen: safe head 5 0xab"},
		"it is silent": {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, 50 * time.Millisecond, "interrupted: the node never answered"},
	} {
		for _, what := range [][]string{{"height", "7"}, {"tx", strings.Repeat("ab", 32)}} {
			t.Run(name+"/"+what[0], func(t *testing.T) {
				lastQuestion = c.patient
				ctx, interrupt := context.WithCancel(t.Context())
				defer interrupt()
				url := answers(t, func(_ http.ResponseWriter, r *http.Request) {
					interrupt()
					<-r.Context().Done()
				}, c.last)
				root := newRoot()
				root.SetArgs(append(append([]string{"wait"}, what...), "--node", url, "--timeout", "0"))
				defer nodeClient.CloseIdleConnections()
				if err := root.ExecuteContext(ctx); err == nil || !strings.Contains(err.Error(), c.says) || exitStatus(err) != statusFailure {
					t.Errorf("got %v, want %q", err, c.says)
				}
			})
		}
	}
}

func events(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = w.Write([]byte("retry: 1000\n\n: alive\n\n" + text))
	}
}

func blockEvent(height int) string {
	return fmt.Sprintf("id: %d-x-0\nevent: block\ndata: {\"height\":%d,\"txs\":2,\"safe\":true}\n\n", height, height)
}

// tail goes on after the last event that it has printed, whatever cuts the stream.
func TestTailResumes(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex // guards from
	var from []string
	noted := func(h http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			from = append(from, r.Header.Get("Last-Event-ID"))
			mu.Unlock()
			h(w, r)
		}
	}
	url := answers(t,
		noted(events(blockEvent(1)+blockEvent(2)+"id: 3-x-0\nevent: block\ndata: {\"hei")), // cut in the middle
		noted(hangUp),
		noted(say(503, "{}")),
		noted(events(blockEvent(3)+"event: end\ndata: {\"cause\":\"stopped\"}\n\n")),
		noted(events("id: 1-x-0\nevent: reorg\ndata: {\"from\":{\"height\":3},\"to\":{\"height\":1}}\n\nevent: novelty\ndata: {}\n\n"+blockEvent(2)+blockEvent(3)+blockEvent(4))),
	)
	out, status, message := execute(t, "tail", "--node", url, "--from", "1", "--count", "6")
	var heights []string
	for line := range strings.Lines(out) {
		first, _, _ := strings.Cut(line, "  ")
		heights = append(heights, first)
	}
	if got, want := strings.Join(heights, ","), "1,2,3,reorg: back from 3 to 1,2,3"; status != 0 || got != want {
		t.Errorf("got %q, exit status %d %s, want %q", got, status, message, want)
	}
	mu.Lock()
	defer mu.Unlock()
	if got, want := strings.Join(from, ","), ",2-x-0,2-x-0,2-x-0,3-x-0"; got != want {
		t.Errorf("got resumptions %q, want %q", got, want)
	}
}

// tail -- COMMAND runs it for each event with that on its standard input; one that fails has its status, and is the one to
// go on with. What the command has taken is not given to it again, whatever cuts the stream.
func TestTailRunsACommand(t *testing.T) {
	t.Parallel()
	log := filepath.Join(t.TempDir(), "log")
	script := `read -r line; echo "$line" >>"` + log + `"; case "$line" in *'"height":4'*) exit 7;; esac`
	reorg := "id: 1-x-0\nevent: reorg\ndata: {\"from\":{\"height\":2},\"to\":{\"height\":1}}\n\n"
	streams := func() string {
		return answers(t, events(blockEvent(1)), hangUp, events(blockEvent(2)+reorg+blockEvent(2)+blockEvent(3)+blockEvent(4)+blockEvent(5)))
	}
	out, status, message := execute(t, "tail", "--node", streams(), "--from", "1", "--", "sh", "-c", script)
	if status != 7 || out != "" || !strings.HasSuffix(message, "sh for block 4: exit status 7: go on with --after 3-x-0") {
		t.Errorf("got %q, exit status %d %q, want the command's failure, and from where to go on", out, status, message)
	}
	lines, err := os.ReadFile(log)
	want := []string{
		`{"event":"block","id":"1-x-0","data":{"height":1,`, `{"event":"block","id":"2-x-0","data":{"height":2,`, `{"event":"reorg","id":"1-x-0",`,
		`{"event":"block","id":"2-x-0",`, `{"event":"block","id":"3-x-0",`, `{"event":"block","id":"4-x-0",`, "",
	}
	got := strings.Split(string(lines), "\n")
	if err != nil || len(got) != len(want) {
		t.Fatalf("got %q, %v, want %d events", got, err, len(want)-1)
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("got %s, want %s", got[i], want[i])
		}
	}
	for _, c := range []struct {
		args   []string
		status int
		says   string
	}{
		{[]string{"--from", "1", "--", "false"}, 1, "go on with --from 1"},
		{[]string{"--", "false"}, 1, "go on with --from 1"}, // the first that came
		{[]string{"--after", "0-x-0", "--", "false"}, 1, "go on with --after 0-x-0"},
		{[]string{"--from", "1", "--", "sh", "-c", "kill -9 $$"}, 1, "killed"},
		{[]string{"--from", "1", "--", "no-such-program-anywhere"}, 1, "no-such-program-anywhere for block 1"},
		{[]string{"--count", "1", "--", "cat"}, 0, ""},
		{[]string{"--"}, 2, "no command after --"},
		{[]string{"cat"}, 2, "it takes no argument such as"},
	} {
		if out, status, message := execute(t, append([]string{"tail", "--node", streams()}, c.args...)...); status != c.status || !strings.Contains(message, c.says) || (out != "") != (status == 0) {
			t.Errorf("%q: got %q, exit status %d %q, want %d and %q", c.args, out, status, message, c.status, c.says)
		}
	}
}

// A signal to tail lets the command that runs end, and tells from where to go on.
func TestTailStopsAfterACommand(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	began, goes, done := filepath.Join(dir, "began"), filepath.Join(dir, "goes"), filepath.Join(dir, "done")
	for _, fifo := range []string{began, goes} {
		if out, err := exec.Command("mkfifo", fifo).CombinedOutput(); err != nil {
			t.Skipf("no mkfifo: %v %s", err, out)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	var stderr bytes.Buffer
	root := newRoot()
	root.SetErr(&stderr)
	root.SetArgs([]string{"tail", "--node", answers(t, events(blockEvent(1)+blockEvent(2))), "--from", "1", "--", "sh", "-c", "echo >" + began + "; read x <" + goes + "; echo >>" + done})
	ended := make(chan error, 1) // sent to once
	go func() { ended <- root.ExecuteContext(ctx) }()
	if _, err := os.ReadFile(began); err != nil { // blocks until the command runs
		t.Fatal(err)
	}
	cancel()
	if err := os.WriteFile(goes, []byte("go\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := <-ended
	taken, readErr := os.ReadFile(done)
	if err != nil || readErr != nil || string(taken) != "\n" || !strings.HasSuffix(stderr.String(), "stopped: go on with --after 1-x-0\n") {
		t.Errorf("got %v, %q taken (%v), and %q, want one command that ended", err, taken, readErr, stderr.String())
	}
}

func TestTailRefused(t *testing.T) {
	t.Parallel()
	for body, says := range map[string]string{
		`{"error":"block 3 is pruned: the oldest one here is 9"}`: "the node refuses: block 3 is pruned",
		`{"error":"head best is not known"}`:                      "the node refuses: head best",
	} {
		if out, status, message := execute(t, "tail", "--node", answers(t, say(410, body))); status != 1 || out != "" || !strings.Contains(message, says) {
			t.Errorf("got %q, exit status %d %q, want 1 and %q", out, status, message, says)
		}
	}
}

// What stands before a node that is not up yet ends neither; what is another program does.
func TestTailBeforeItIsUp(t *testing.T) {
	t.Parallel()
	url := answers(t, say(404, "404 page not found"), say(401, "no"), say(429, `{"error":"slow down"}`), say(410, "gone"), events(blockEvent(1)))
	if out, status, message := execute(t, "tail", "--node", url, "--count", "1"); status != 0 || !strings.HasPrefix(out, "1  ") {
		t.Errorf("got %q, exit status %d %q, want the block", out, status, message)
	}
	if _, status, message := execute(t, "tail", "--node", answers(t, say(200, "hello"))); status != 1 || !strings.Contains(message, "is this a headrace node?") {
		t.Errorf("got exit status %d %q of another program", status, message)
	}
}

// One rule for all: what a node itself refuses ends tail, top and status --watch too.
func TestRefusalsEndAll(t *testing.T) {
	t.Parallel()
	for _, command := range [][]string{{"tail"}, {"top"}, {"status", "--watch"}, {"status", "--watch", "--json"}, {"wait", "ready"}, {"wait", "stopped"}} {
		for _, code := range []int{400, 401, 404, 409, 410} {
			args := append(command, "--node", answers(t, say(code, `{"error":"that is not here"}`)))
			if _, status, message := execute(t, args...); status != 1 || !strings.HasSuffix(message, "the node refuses: that is not here") {
				t.Errorf("%q: got exit status %d %q after %d, want its end", command, status, message, code)
			}
		}
	}
}

// Another program ends the wait for a block at once; what says that nothing is there does not.
func TestWaitForBlockElsewhere(t *testing.T) {
	t.Parallel()
	other := rpc.NewServer()
	if err := other.RegisterName("blob", oneBlock{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(other.Stop)
	elsewhere := other.WebsocketHandler([]string{"*"}).ServeHTTP
	for name, c := range map[string]struct {
		handlers []http.HandlerFunc
		status   int
		says     string
	}{
		"another method":       {[]http.HandlerFunc{elsewhere}, 1, "no Ethereum node"},
		"a page":               {[]http.HandlerFunc{say(200, "<html>")}, 1, "no Ethereum node"},
		"not up":               {[]http.HandlerFunc{say(404, "404 page not found")}, 3, "404"},
		"not up, then another": {[]http.HandlerFunc{say(404, ""), say(401, ""), say(429, ""), elsewhere}, 1, "no Ethereum node"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := strings.Replace(answers(t, c.handlers...), "http", "ws", 1)
			timeout := "20s"
			if c.status == 3 {
				timeout = "500ms"
			}
			_, status, message := execute(t, "wait", "block", "5", "--rpc", url, "--timeout", timeout)
			if status != c.status || !strings.Contains(message, c.says) {
				t.Errorf("got exit status %d %q, want %d and %q", status, message, c.status, c.says)
			}
		})
	}
}

// A time below zero is none.
func TestNegativeTimeout(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"wait", "ready"}, {"wait", "stopped"}, {"wait", "height", "1"}, {"wait", "block", "1", "--rpc", "ws://127.0.0.1:1"}} {
		if _, status, message := execute(t, append(args, "--timeout", "-1s")...); status != 2 || !strings.Contains(message, "below zero") {
			t.Fatalf("%v: got exit status %d %q, want it refused", args, status, message)
		}
	}
}

// oneBlock is an Ethereum node with block 5.
type oneBlock struct{}

func (oneBlock) NewHeads(ctx context.Context) (*rpc.Subscription, error) {
	n, _ := rpc.NotifierFromContext(ctx)
	return n.CreateSubscription(), nil
}

func (oneBlock) GetBlockByNumber(n hexutil.Uint64, _ bool) map[string]any {
	if n != 5 {
		return nil
	}
	hash := hexutil.Bytes(bytes.Repeat([]byte{5}, 32))
	return map[string]any{"number": n, "hash": hash, "parentHash": hash, "timestamp": hexutil.Uint64(55)}
}

func (o oneBlock) GetBlockByHash(_ hexutil.Bytes, full bool) map[string]any {
	return o.GetBlockByNumber(5, full)
}

func TestWaitForBlock(t *testing.T) {
	t.Parallel()
	eth := rpc.NewServer()
	if err := eth.RegisterName("eth", oneBlock{}); err != nil {
		t.Fatal(err)
	}
	defer eth.Stop()
	url := strings.Replace(answers(t, eth.WebsocketHandler([]string{"*"}).ServeHTTP), "http", "ws", 1)
	hash := "0x" + strings.Repeat("05", 32)
	want := `{"block":{"number":5,"hash":"` + hash + `","parent_hash":"` + hash + `","time":55},"result":"reached"}` + "\n"
	for _, name := range []string{"5", hash} {
		if out, status, message := execute(t, "wait", "block", name, "--rpc", url); status != 0 || out != want {
			t.Errorf("got %q, exit status %d %s, want %q", out, status, message, want)
		}
	}
	_, status, message := execute(t, "wait", "block", "5", "--depth", "2", "--rpc", url, "--timeout", "100ms")
	if status != 3 || !strings.Contains(message, "canonical block 5 below 2 others") {
		t.Errorf("got exit status %d %q, want a timeout", status, message)
	}
}

// fate is an Ethereum node with block 5, of which each other block is a child, and what became of transactions 1 to 3 of
// its sender: the first has a receipt, the second was replaced by the first, and the third nobody knows.
type fate struct{ oneBlock }

func (fate) GetBlockByNumber(n string, _ bool) map[string]any {
	number := map[string]hexutil.Uint64{"latest": 5, "finalized": 4, "0x4": 4, "0x5": 5}[n]
	if number == 0 {
		return nil
	}
	hash := func(n byte) hexutil.Bytes { return bytes.Repeat([]byte{n}, 32) }
	return map[string]any{"number": number, "hash": hash(byte(number)), "parentHash": hash(byte(number) - 1), "timestamp": hexutil.Uint64(55)}
}

func (fate) GetBlockByHash(hexutil.Bytes, bool) map[string]any {
	return map[string]any{"transactions": []any{map[string]any{"hash": tx(1), "from": "0x" + strings.Repeat("aa", 20), "nonce": "0x0"}}}
}

func tx(n byte) string { return fmt.Sprintf("0x%064x", n) }

func (fate) GetTransactionReceipt(hash string) map[string]any {
	if hash != tx(1) {
		return nil
	}
	return map[string]any{
		"transactionHash": hash, "blockNumber": "0x4", "blockHash": "0x" + strings.Repeat("04", 32), "status": "0x1", "cumulativeGasUsed": "0x1", "gasUsed": "0x1",
		"logs": []any{}, "logsBloom": "0x" + strings.Repeat("0", 512),
	}
}

func (fate) GetTransactionByHash(string) map[string]any { return nil }

func (fate) GetTransactionCount(_ string, n hexutil.Uint64) hexutil.Uint64 {
	return min(max(n, 3)-3, 1)
}

// growing is one whose head is another each time.
type growing struct {
	fate
	heads *atomic.Int32
}

func (g growing) GetBlockByNumber(n string, full bool) map[string]any {
	b := g.fate.GetBlockByNumber(n, full)
	if n == "latest" {
		b["hash"] = hexutil.Bytes(bytes.Repeat([]byte{byte(g.heads.Add(1))}, 32))
	}
	return b
}

// The exit status tells what became of a transaction, and a head is waited for at any Ethereum node.
func TestWaitForReceipt(t *testing.T) {
	t.Parallel()
	eth := rpc.NewServer()
	if err := eth.RegisterName("eth", fate{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(eth.Stop)
	url := strings.Replace(answers(t, eth.WebsocketHandler([]string{"*"}).ServeHTTP), "http", "ws", 1)
	sender := []string{"--sender", "0x" + strings.Repeat("aa", 20), "--nonce"}
	for _, c := range []struct {
		args   []string
		status int
		says   string
	}{
		{[]string{"receipt", tx(1)}, 0, `"transactionHash":"` + tx(1)},
		{[]string{"receipt", tx(1), "--depth", "1"}, 0, `"blockNumber":"0x4"`},
		{[]string{"receipt", tx(1), "--depth", "2"}, 3, "timed out after 300ms"},
		{append([]string{"receipt", tx(2)}, append(sender, "0")...), 5, "was replaced: block 4 0x" + strings.Repeat("04", 32) + " has its nonce consumed by transaction " + tx(1)},
		{append([]string{"receipt", tx(3), "--lost", "1"}, append(sender, "7")...), 3, "the receipt of transaction " + tx(3)},
		{[]string{"receipt", "0x12"}, 2, "is not a transaction's hash"},
		{[]string{"receipt"}, 2, "one argument"},
		{[]string{"receipt", tx(1), "--nonce", "1"}, 2, "go together"},
		{[]string{"receipt", tx(1), "--nonce", "1", "--sender", "0x12"}, 2, "is not an address"},
		{[]string{"block", "4", "--head", "finalized"}, 0, `"number":4`},
		{[]string{"block", "5", "--head", "finalized"}, 3, "block 5 at or below the finalized head"},
		{[]string{"block", "5", "--head", "unsafe"}, 0, `"number":5`},
		{[]string{"block", "5", "--head", "best"}, 2, "not safe, unsafe or finalized"},
		{[]string{"block", "4", "--head", "safe", "--depth", "1"}, 2, "--head and --depth"},
		{[]string{"block", tx(5), "--head", "safe"}, 2, "by its number"},
	} {
		out, status, message := execute(t, append(append([]string{"wait"}, c.args...), "--rpc", url, "--timeout", map[bool]string{true: "300ms", false: "20s"}[c.status == 3])...)
		if status != c.status || !strings.Contains(out+message, c.says) {
			t.Errorf("%q: got %q, exit status %d %q, want %d and %q", c.args, out, status, message, c.status, c.says)
		}
	}
	grows := rpc.NewServer()
	if err := grows.RegisterName("eth", growing{heads: new(atomic.Int32)}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(grows.Stop)
	other := strings.Replace(answers(t, grows.WebsocketHandler([]string{"*"}).ServeHTTP), "http", "ws", 1)
	if _, status, message := execute(t, "wait", "receipt", tx(3), "--lost", "1", "--rpc", other); status != 6 || !strings.Contains(message, "was dropped") {
		t.Errorf("got %d %q, want it dropped", status, message)
	}
	if _, status, message := execute(t, "wait", "receipt", tx(1)); status != 2 || !strings.Contains(message, "--rpc") {
		t.Errorf("got %d %q without an Ethereum node", status, message)
	}
}

// TestWaitBlockToken: the Ethereum node that is waited at gets its token, from a file, over HTTP and WebSocket. What
// would show it on the command line is refused, and what cannot work fails at once.
func TestWaitBlockToken(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("open sesame\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/a" { // a half of an address
			http.NotFound(w, r)
			return
		}
		if r.Header.Get("Authorization") != "Bearer open sesame" {
			http.Error(w, "no such token", http.StatusUnauthorized)
			return
		}
		l1Answers(w, r)
	}))
	t.Cleanup(s.Close)
	for _, scheme := range []string{"http", "ws"} {
		at := scheme + "://" + s.Listener.Addr().String()
		for _, address := range []string{at, at + "/a,b"} {
			out, status, message := execute(t, "wait", "block", "7", "--rpc", address+",token_file="+file)
			if status != 0 || !strings.Contains(out, `"number":7`) {
				t.Errorf("%s: got exit status %d, %q and %q, want the block", address, status, out, message)
			}
		}
		for args, want := range map[string]struct {
			status int
			says   string
		}{
			at:                               {3, "401"},
			at + "/a,b":                      {3, "401"},
			at + ",token=open sesame":        {2, "--rpc: command lines and the environment are no place for a token"},
			at + ",token_file=":              {2, "--rpc: token_file= names no file"},
			at + ",token_file=" + file + "x": {1, "--rpc " + at + ": token_file: open "},
		} {
			if _, status, message := execute(t, "wait", "block", "7", "--timeout", "300ms", "--rpc", args); status != want.status || !strings.Contains(message, want.says) {
				t.Errorf("%s: got exit status %d and %q, want %d and %q", args, status, message, want.status, want.says)
			}
		}
	}
}
