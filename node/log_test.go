package node_test

import (
	"log/slog"
	"math"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"headrace/internal/nettest"
	"headrace/node"
)

// levelled gives a node a log whose levels can be changed.
func levelled(t *testing.T, o *node.Options) *journal {
	t.Helper()
	levels, err := o.Config.Log.Levels()
	if err != nil {
		t.Fatal(err)
	}
	j := new(journal)
	o.Levels, o.Logger = levels, node.NewLogger(levels, slog.NewTextHandler(j, &slog.HandlerOptions{Level: slog.Level(math.MinInt)}))
	return j
}

// put sends a request to a node with a token, if it is not "".
func put(t *testing.T, n *running, method, token, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(bounded(t), method, "http://"+n.Address()+"/v1/log", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return answerOf(t, req)
}

// TestLogOverHTTP: the levels of a log are for everybody to read, and for who has the token to change. What makes no
// sense is refused, and changes nothing.
func TestLogOverHTTP(t *testing.T) {
	t.Parallel()
	o := newChain(t, "log").full(t, "http://"+nettest.FreeAddress(t))
	o.Config.HTTP.Token, o.Config.Log.Level = token, "warn,follow=error"
	j := levelled(t, &o)
	n := start(t, o)
	levels := func() string {
		t.Helper()
		var got node.Logged
		decode(t, wantStatus(t, n, "/v1/log", http.StatusOK), &got)
		if len(got.Modules) < 5 || got.Modules[0] != "node" {
			t.Errorf("got modules %q", got.Modules)
		}
		return got.Level
	}
	const first, next = "warn,follow=error", `{"level": "info,engine=debug"}`
	if got := levels(); got != first {
		t.Fatalf("got %q, want %q", got, first)
	}
	for name, c := range map[string]struct {
		token, body string
		want        int
		says        string
	}{
		"no token":           {"", next, 401, "token"},
		"another token":      {"a token that somebody guesses", next, 401, "token"},
		"no JSON":            {token, "debug", 400, "the body is to be like"},
		"nothing":            {token, "", 400, "the body is to be like"},
		"another field":      {token, `{"levels": "debug"}`, 400, "unknown field"},
		"no level":           {token, `{}`, 400, "level is missing"},
		"an empty level":     {token, `{"level": ""}`, 400, "level is missing"},
		"a number":           {token, `{"level": 3}`, 400, "the body is to be like"},
		"an unknown level":   {token, `{"level": "loud"}`, 400, `level \"loud\" is not known`},
		"an unknown module":  {token, `{"level": "info,p2p=debug"}`, 400, "use node, follow"},
		"more than a level":  {token, `{"level": "info` + strings.Repeat(" ", 5<<10) + `"}`, 413, "the body is to be like"},
		"a second one in it": {token, `{"level": "debug"} {"level": "debug"}`, 400, "the body is to be like"},
	} {
		if got, text := put(t, n, "PUT", c.token, c.body); got != c.want || !strings.Contains(text, c.says) {
			t.Errorf("%s: got %d %s, want %d, %q", name, got, text, c.want, c.says)
		}
		if got := levels(); got != first {
			t.Fatalf("%s: got levels %q after it was refused", name, got)
		}
	}
	if got, text := put(t, n, "POST", token, next); got != http.StatusMethodNotAllowed {
		t.Errorf("POST: got %d %s, want 405", got, text)
	}
	if got, text := put(t, n, "PUT", token, next); got != 200 || !strings.Contains(text, `"level": "info,engine=debug"`) || levels() != "info,engine=debug" {
		t.Errorf("got %d %s, and levels %q", got, text, levels())
	}
	if got, _ := put(t, n, "PUT", token, `{"level": "error"}`); got != 200 {
		t.Errorf("got %d", got)
	}
	for _, want := range []string{`level=INFO msg="the log has other levels" level="info,engine=debug" before="warn,follow=error"`, `level=INFO msg="the log has other levels" level=error before="info,engine=debug"`} {
		if strings.Count(j.String(), want) != 1 {
			t.Errorf("want once %s in\n%s", want, j.String())
		}
	}
	if strings.Contains(j.String(), token) {
		t.Error("the token is in the log")
	}
}

// TestLogBeyondLoopback: a node that other hosts reach, and that needs no token as it takes nothing else, takes no levels
// either; with a token it does. One whose program has a log of its own says so.
func TestLogBeyondLoopback(t *testing.T) {
	t.Parallel()
	c := newChain(t, "log-beyond")
	const debug = `{"level": "debug"}`
	for name, test := range map[string]struct {
		set   func(*node.Options)
		token string
		want  int
		says  string
	}{
		"no token":             {func(o *node.Options) { o.Config.HTTP.Address = "0.0.0.0:0" }, "", 403, "set http.token"},
		"a token of its own":   {func(o *node.Options) { o.Config.HTTP.Address = "0.0.0.0:0" }, token, 403, "set http.token"},
		"a token":              {func(o *node.Options) { o.Config.HTTP.Address, o.Config.HTTP.Token = "0.0.0.0:0", token }, token, 200, "debug"},
		"a token that is kept": {func(o *node.Options) { o.Config.HTTP.Address, o.Config.HTTP.Token = "0.0.0.0:0", token }, "", 401, "token"},
		"the loopback":         {func(*node.Options) {}, "", 200, "debug"},
		"a log of its own":     {func(o *node.Options) { o.Levels = nil }, "", 501, "its program's"},
	} {
		o := c.full(t, "http://"+nettest.FreeAddress(t))
		levelled(t, &o)
		test.set(&o)
		n := start(t, o)
		if got, text := put(t, n, "PUT", test.token, debug); got != test.want || !strings.Contains(text, test.says) {
			t.Errorf("%s: got %d %s, want %d, %q", name, got, text, test.want, test.says)
		}
		if o.Levels != nil && (o.Levels.String() == "debug") != (test.want == 200) {
			t.Errorf("%s: got levels %s", name, o.Levels)
		}
		n.stopped(t)
	}
}

// TestModulesOfLines: the parts of a node log as their modules, and what is the node's own names none.
func TestModulesOfLines(t *testing.T) {
	t.Parallel()
	d, _ := daLayer(t, "127.0.0.1:0", "", 50*time.Millisecond)
	o := newChain(t, "modules").sequencer(t, d.URL(), 50*time.Millisecond)
	o.Config.Log.Level = "debug"
	j := levelled(t, &o)
	n := start(t, o)
	n.until(t, "some blocks", func(s node.Status) bool { return s.Heads.Safe.Height >= 5 && s.Ready })
	n.stopped(t)
	for _, want := range []string{`msg=block .*module=syncer`, `msg=submitted .*module=sequencer`, `msg=ready after=\S+`} {
		if !regexp.MustCompile(`(?m)` + want + `$`).MatchString(j.String()) {
			t.Errorf("want a line %s in\n%s", want, j.String())
		}
	}
}

// span is a line about several blocks.
type span struct {
	blocks, from, to, txs, unsafe, safe int
	rate                                float64
}

var spanLine = regexp.MustCompile(`msg=blocks (?:module=syncer )?blocks=(\d+)(?: from=(\d+) to=(\d+) txs=(\d+))? unsafe=(\d+) safe=(\d+) rate=([\d.]+)/s`)

func spans(j *journal) (out []span) {
	for _, m := range spanLine.FindAllStringSubmatch(j.String(), -1) {
		n := func(i int) int { v, _ := strconv.Atoi(m[i]); return v }
		rate, _ := strconv.ParseFloat(m[7], 64)
		out = append(out, span{n(1), n(2), n(3), n(4), n(5), n(6), rate})
	}
	return out
}

// TestBlocksAtOnce: with log.blocks a node makes one line of all blocks of so long. None is lost: the lines go on where
// the one before ended, also after a time without blocks, in which nothing is said, and at the end of the node.
func TestBlocksAtOnce(t *testing.T) {
	for _, onL1 := range []bool{false, true} {
		t.Run(map[bool]string{false: "DA layer", true: "L1"}[onL1], func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j := new(journal)
				a := newAilingAs(t, onL1, func(_ *ailing, full *node.Options) {
					full.Logger, full.Config.Log.Blocks = slog.New(slog.NewTextHandler(j, nil)), "10s"
				})
				defer a.work.Wait()
				defer a.stop()
				a.until(a.full, "well", func(s node.Status) bool { return s.Ready && s.Heads.Safe.Height >= 30 })
				begun := len(spans(j))
				for i := range 60 {
					if err := a.seq.SubmitTx(a.Context(), []byte("key="+strconv.Itoa(i))); err != nil {
						t.Fatal(err)
					}
					time.Sleep(2 * time.Second)
				}
				if n := len(spans(j)) - begun; n < 11 || n > 13 {
					t.Errorf("got %d lines in two minutes, want one each 10 s", n)
				}
				for _, s := range spans(j)[begun:] {
					if s.rate < 0.5 || s.rate > 1.5 || s.unsafe < s.to || s.safe < s.to-20 {
						t.Errorf("got %+v of blocks each second", s)
					}
				}
				<-a.pause
				time.Sleep(time.Minute)
				quiet := len(spans(j))
				time.Sleep(10 * time.Minute)
				if n := len(spans(j)); n != quiet {
					t.Errorf("got %d lines while there was no block, want none", n-quiet)
				}
				a.pause <- struct{}{}
				at := a.full.Status().Load().Heads.Safe.Height
				last := a.until(a.full, "going on", func(s node.Status) bool { return s.Heads.Safe.Height > at+20 })
				a.stop()
				a.work.Wait()
				if s := a.full.Status().Load(); s.Heads.Safe.Height > last.Heads.Safe.Height {
					last = s
				}
				blocks, txs, to := 0, 0, 0
				for _, s := range spans(j) {
					if s.blocks == 0 {
						continue
					}
					if s.from != to+1 || s.to-s.from+1 != s.blocks {
						t.Errorf("got %+v after block %d", s, to)
					}
					blocks, txs, to = blocks+s.blocks, txs+s.txs, s.to
				}
				if uint64(to) < last.Heads.Safe.Height || blocks != to || txs != 60 {
					t.Errorf("got %d blocks up to %d, with %d transactions, want all up to %d, with 60", blocks, to, txs, last.Heads.Safe.Height)
				}
				if n := j.has("block"); n > 0 {
					t.Errorf("got %d lines of one block", n)
				}
			})
		})
	}
}

// TestNoBlocksLogged: a log without blocks has the rest.
func TestNoBlocksLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := new(journal)
		a := newAilingAs(t, false, func(_ *ailing, full *node.Options) {
			full.Logger, full.Config.Log.Blocks = slog.New(slog.NewTextHandler(j, nil)), "none"
		})
		defer a.work.Wait()
		defer a.stop()
		a.until(a.full, "well", func(s node.Status) bool { return s.Ready && s.Heads.Safe.Height >= 30 })
		if j.has("block") > 0 || j.has("blocks") > 0 || j.has("ready") != 1 {
			t.Errorf("got\n%s", j.String())
		}
	})
}
