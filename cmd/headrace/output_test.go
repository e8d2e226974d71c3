package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"headrace/await"
	"headrace/block"
	"headrace/devnet"
	"headrace/follow"
	"headrace/node"
)

// TestStatusShowsWhatTheNodeSays fails when a name in node.Status changes and the status command does not follow.
func TestStatusShowsWhatTheNodeSays(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	ref := func(height uint64) block.Ref { return block.Ref{Height: height, Hash: block.Hash{byte(height)}} }
	hash := func(first string) string { return first + strings.Repeat("0", 62) }
	said := node.Status{
		ChainID: "demo", Mode: "sequencer", Reason: "no new DA block for 4s, the bound is 3s", StateRoot: "abcd",
		Heads: node.Heads{Unsafe: ref(9), Safe: ref(8), Finalized: ref(7)},
		Source: node.Source{
			Position: ref(16), Proven: ref(17), Head: ref(18), HeadAt: now.Add(-4 * time.Second), Lag: 2, BlockTime: "1s",
		},
		Waiting: []node.Waiting{
			{Stage: follow.StageSubmit, Height: 9, Cause: "refused", Since: now.Add(-time.Second), Next: now.Add(time.Second)},
			{Stage: follow.StageDerive, Height: 9, Cause: "data"},
		},
		Sequencer: &node.Sequence{Paused: "1000 blocks wait", Pending: 1, Submitted: 8},
	}
	body, err := json.Marshal(said)
	if err != nil {
		t.Fatal(err)
	}
	var s status
	if err := json.Unmarshal(body, &s); err != nil {
		t.Fatal(err)
	}
	want := `chain       demo, sequencer node
ready       no: no new DA block for 4s, the bound is 3s
unsafe      9  ` + hash("09") + `
safe        8  ` + hash("08") + `
finalized   7  ` + hash("07") + `
state root  abcd
position    16  ` + hash("10") + `
proven      17  ` + hash("11") + `
DA head     18  ` + hash("12") + `
            4s ago, a block each 1s, 2 behind
sequencer   1 blocks wait for the DA layer, submitted up to 8
paused      1000 blocks wait
waits       submit at 9: refused, for 1s, next try in 1s
waits       derive at 9: data
`
	if got := s.text(now); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	said.Unsafe = &node.Unsafe{From: []node.Endpoint{{Address: "http://other", Role: "unsafe", Healthy: true, Live: true, Mode: "stream", Head: 9, HeadAt: now.Add(-time.Second)}}}
	said.Peers = &node.Peers{
		Addresses: []string{"/ip4/192.0.2.1/tcp/7400/p2p/Me"}, Head: ref(9), Waiting: follow.Waiting{Stage: follow.StageFetch, Height: 9, Cause: "the gate"},
		Peers: []node.Peer{
			{ID: "A", Address: "/ip4/192.0.2.2/tcp/1", Connected: true}, {ID: "B", Address: "/ip4/192.0.2.3/tcp/1", Cause: "refused"},
			{ID: "C", Left: now.Add(time.Minute), Cause: "it has a hole"}, {ID: "D", Address: "/ip4/192.0.2.4/tcp/1", Connected: true, Cause: "it has a hole"},
		},
	}
	said.Proposal = &node.Proposal{ID: 5, L1: ref(15), Reorgs: 2}
	if body, err = json.Marshal(said); err != nil {
		t.Fatal(err)
	}
	s = status{}
	if err := json.Unmarshal(body, &s); err != nil {
		t.Fatal(err)
	}
	got := s.text(now)
	for _, want := range []string{
		"\nproposal    5, in L1 block 15  " + hash("0f") + "\n            reorgs of the L1 took proposals back 2 times\nposition    16 ",
		"\nL1 head     18 ", "\nsequencer   1 blocks wait for the L1, submitted up to 8\n",
		"\nendpoint    http://other (unsafe): healthy, news by stream, at 9 since 1s, 0 behind\n",
		"\npeers       2 are there, and have blocks up to 9\n            they reach this node at /ip4/192.0.2.1/tcp/7400/p2p/Me\n" +
			"peer        /ip4/192.0.2.3/tcp/1/p2p/B is not there: refused\npeer        C is kept out for 1m yet: it has a hole\n" +
			"peer        /ip4/192.0.2.4/tcp/1/p2p/D is there; its last fault: it has a hole\nwaits       for peers: fetch at 9: the gate\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("on an L1: got\n%s\nwant %q", got, want)
		}
	}
	said.Source.Unverified = "the DA layer is a local-da"
	said.Ready, said.Sequencer, said.Waiting, said.Heads, said.Proposal = true, nil, nil, node.Heads{}, &node.Proposal{}
	if body, err = json.Marshal(said); err != nil {
		t.Fatal(err)
	}
	s = status{}
	if err := json.Unmarshal(body, &s); err != nil {
		t.Fatal(err)
	}
	got = s.text(now)
	for _, want := range []string{"ready       yes\n", "unsafe      0\n", "proposal    none yet\n", " behind\n            the DA layer is a local-da\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("got\n%s\nwant a line %q", got, want)
		}
	}
}

// TestStatusTextOfAll: what a node tells beside that is shown, with the ages as of then, or as of the node's own clock if
// that is ahead.
func TestStatusTextOfAll(t *testing.T) {
	const told = `{"version":"v1.2.3","started_at":"2026-11-29T10:00:00Z","at":"2026-11-29T12:00:00Z","chain_id":"demo","mode":"sequencer","reason":"it stands",
"remedy":"look at it","disk":"it is full","heads":{"unsafe":{"height":9},"safe":{"height":7}},
"chain":{"unsafe_made_at":"2026-11-29T11:59:58.5Z","safe_made_at":"2026-11-29T11:58:00Z","safe_at":"2026-11-29T11:59:00Z"},
"source":{"rate":2.5,"endpoints":[
{"address":"http://one","role":"da","healthy":true,"live":true,"mode":"websocket","head":18,"head_at":"2026-11-29T11:59:59Z","last_error":"it was away","last_error_at":"2026-11-29T11:00:00Z"},
{"address":"http://two","role":"da","since":"2026-11-29T11:59:30Z","head":12,"head_at":"2026-11-29T11:59:30Z","lag":6,"last_error":"refused"},
{"address":"http://three","role":"beacon","healthy":true},{"address":"http://four","role":"read","healthy":true}]},
"stream":{"name":"hr-0123","server":"nats://one:4222","state":"failing","cause":"no servers","since":"2026-11-29T11:59:00Z","at":{"height":5},"lag":2},
"sequencer":{"pending":2,"submitted":7,"stuck":"nobody may","failure":"too large","failures":3,"clock":"it is ahead",
"in_flight":{"from":8,"to":9,"since":"2026-11-29T11:59:56Z","deadline":"2026-11-29T12:00:30Z"}}}`
	var s status
	if err := json.Unmarshal([]byte(told), &s); err != nil {
		t.Fatal(err)
	}
	got := s.text(s.At.Add(-time.Hour))
	for _, want := range []string{
		"version     v1.2.3, up 2h\nready       no: it stands\nto do       look at it\ndisk        it is full\n",
		"\n            block 9 was made 1.5s ago; the safe one 2m ago, and it is safe for 1m\n",
		"\nrate        2.50 heights a second\n",
		"\nendpoint    http://one (da): healthy, news by websocket, at 18 since 1s, 0 behind\n            last error, 1h ago: it was away\n",
		"\nendpoint    http://two (da): failing for 30s, no news, at 12 since 30s, 6 behind\n            last error: refused\n",
		"\nendpoint    http://three (beacon): healthy\nendpoint    http://four (read): healthy, is read from\n",
		"\nstream      hr-0123 at nats://one:4222: failing for 1m, at 5, 2 behind\n            no servers\n",
		"\nin flight   blocks 8 to 9, for 4s, given up in 30s\nstuck       nobody may\nposting     the last one failed (3 have): too large\nclock       it is ahead\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got\n%s\nwant %q", got, want)
		}
	}
	if strings.Contains(got, "state root") {
		t.Errorf("got\n%s\nwant no state root, where none is told", got)
	}
	if err := json.Unmarshal([]byte(`{"source":{"catch_up":{"from":10,"percent":42.25,"rate":80,"eta":"3m0s"}}}`), &s); err != nil {
		t.Fatal(err)
	}
	if got, want := s.text(s.At), "\ncatching up 42.2% of the way from 10, 80.0 heights a second, 3m0s to go\n"; !strings.Contains(got, want) {
		t.Errorf("got\n%s\nwant %q", got, want)
	}
}

// TestBoard: blocks on the screen say with which height of the source they came, and how long after its announcement; one
// that was caught up with says no time, and one that is reorganised away is gone.
func TestBoard(t *testing.T) {
	block := func(height int) await.Event {
		return await.Event{Kind: "block", Data: fmt.Appendf(nil, `{"height":%d,"hash":"%064x","parent_hash":"%064x","txs":2}`, height, height, height-1)}
	}
	state := func(safe, position, head int, after time.Duration) await.Event {
		announced := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
		return await.Event{Kind: "status", Data: fmt.Appendf(nil, `{"ready":true,"at":%q,"heads":{"safe":{"height":%d}},"source":{"position":{"height":%d},"head":{"height":%d},"head_at":%q}}`,
			announced.Add(after).Format(time.RFC3339Nano), safe, position, head, announced.Format(time.RFC3339Nano))}
	}
	var b board
	var lines strings.Builder
	for _, e := range []await.Event{
		block(1), block(2), state(2, 10, 20, time.Second), block(3), state(3, 20, 20, 2500*time.Microsecond),
		{Kind: "reorg", Data: []byte(`{"from":{"height":3},"to":{"height":2}}`)}, {Kind: "later"}, block(3), state(3, 21, 21, 40*time.Millisecond),
	} {
		next, err := b.take(e)
		if err != nil {
			t.Fatal(err)
		}
		if err := next.report(&lines, b, next.since(b)); err != nil {
			t.Fatal(err)
		}
		b = next
	}
	want := `block 1  0000000000000000  2 txs  at 10
block 2  0000000000000000  2 txs  at 10
unsafe 0  safe 2  finalized 0  position 10  lag 0  ready
block 3  0000000000000000  2 txs  at 20  announced -> applied 2.5ms
block 3  0000000000000000  2 txs  at 21  announced -> applied 40ms
`
	if got := lines.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := b.text(); !strings.HasSuffix(got, "\n\nblock 3  0000000000000000  2 txs  at 21  announced -> applied 40ms\nblock 2  0000000000000000  2 txs  at 10\nblock 1  0000000000000000  2 txs  at 10\n") {
		t.Errorf("got the screen\n%s", got)
	}
}

// TestClip: a line fits on the terminal, and does nothing to it.
func TestClip(t *testing.T) {
	if got, want := clip("a\x1b[2Jb\u009bc\u00e9 and more", 9), "a?[2Jb?c\u00e9"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestVersionLine(t *testing.T) {
	info := &debug.BuildInfo{GoVersion: "go1.26.0", Main: debug.Module{Version: "v1.2.3"}, Settings: []debug.BuildSetting{
		{Key: "GOOS", Value: "linux"}, {Key: "GOARCH", Value: "amd64"}, {Key: "vcs.revision", Value: "0123456789abcdef"}, {Key: "vcs.modified", Value: "true"},
	}}
	if got, want := versionLine(info), "headrace v1.2.3 commit 0123456789ab with changes go1.26.0 linux/amd64"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	info.Main.Version, info.Settings = "", info.Settings[:2]
	if got, want := versionLine(info), "headrace (devel) go1.26.0 linux/amd64"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestErrorsAreOneLine(t *testing.T) {
	err := errors.Join(errors.New("one\n  two"), errors.New("three"))
	if got, want := oneLine(err), "one; two; three"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestHomeIsMadeWholeOrNotAtAll lets the last file of three fail.
func TestHomeIsMadeWholeOrNotAtAll(t *testing.T) {
	made := newFiles{home: filepath.Join(t.TempDir(), "home")}
	made.add("key", func(path string) error { return writeNew(path, []byte("secret")) })
	made.add("genesis", func(path string) error { return writeNew(path, []byte("{}")) })
	full := errors.New("disk is full")
	made.add("config", func(string) error { return full })
	if err := made.write(); !errors.Is(err, full) {
		t.Fatalf("got %v, want %v", err, full)
	}
	left, err := os.ReadDir(made.home)
	if err != nil || len(left) != 0 {
		t.Errorf("got %v, %v, want an empty home", left, err)
	}
	// What somebody else has put there meanwhile stays.
	made.files = made.files[:2]
	theirs := filepath.Join(made.home, "genesis")
	if err := os.WriteFile(theirs, []byte("theirs"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := made.write(); !errors.Is(err, os.ErrExist) {
		t.Fatalf("got %v, want %v", err, os.ErrExist)
	}
	if got, err := os.ReadFile(theirs); err != nil || string(got) != "theirs" {
		t.Errorf("got %q, %v, want it untouched", got, err)
	}
	if _, err := os.Stat(filepath.Join(made.home, "key")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v for the key, want it gone", err)
	}
}

// TestDevSaysWhenNodesDisagree checks that a report with a problem is printed whole.
func TestDevSaysWhenNodesDisagree(t *testing.T) {
	var b strings.Builder
	(&devOutput{out: &b, json: true}).end(devnet.Report{Problem: "node-1 has another block", Nodes: []devnet.NodeReport{{Height: 3}}})
	if want := `"ok":false`; !strings.Contains(b.String(), want) || !strings.Contains(b.String(), "node-1 has another block") {
		t.Errorf("got %s, want %s and the problem", b.String(), want)
	}
	b.Reset()
	(&devOutput{out: &b}).end(devnet.Report{Problem: "node-1 has another block", Blocks: 3})
	if got := b.String(); strings.Contains(got, "agree") || !strings.Contains(got, "3 blocks") {
		t.Errorf("got %q, want the blocks and no agreement", got)
	}
}

func TestShortDurations(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "0s", time.Minute: "1m", time.Hour: "1h", 90 * time.Second: "1m30s", 50 * time.Millisecond: "50ms", 10 * time.Minute: "10m", time.Hour + time.Minute: "1h1m", 10 * time.Second: "10s"} {
		got := shortDuration(d)
		if back, err := time.ParseDuration(got); got != want || err != nil || back != d {
			t.Errorf("got %q (%v, %v), want %q", got, back, err, want)
		}
	}
}
