package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/knadh/koanf/parsers/yaml"
	natsd "github.com/nats-io/nats-server/v2/server"
	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"headrace/await"
	"headrace/block"
	"headrace/devnet"
	"headrace/internal/nettest"
	"headrace/stream/nats"
	"headrace/stream/nats/publish"
	natsserver "headrace/stream/nats/server"
)

// published is a devnet of which a full node publishes its blocks on a server that listens.
type published struct {
	node   string // URL of the node
	url    string // of the server, for readers, with a password that no text may have
	chain  string
	server *natsserver.Server
}

// plantedPassword is of readers.
const plantedPassword = "planted-password"

func publishes(t *testing.T) published {
	t.Helper()
	net := devnet.Start(t)
	return publishesAt(t, net, serverAt(t, nettest.FreeAddress(t)))
}

// serverAt starts a server without streams.
func serverAt(t *testing.T, address string) *natsserver.Server {
	t.Helper()
	s, err := natsserver.Open(natsserver.Options{Dir: t.TempDir(), Listen: address, Password: plantedPassword, NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// readersURL is of a server, for those who read.
func readersURL(address string) string { return "nats://reader:" + plantedPassword + "@" + address }

// publishesAt has a full node of a devnet publish at a server.
func publishesAt(t *testing.T, net *devnet.Net, s *natsserver.Server) published {
	t.Helper()
	genesis, err := block.LoadGenesis(filepath.Join(net.Home(), "genesis.json"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := publish.New(publish.Options{Genesis: genesis, Head: await.Safe, Servers: publish.Servers{InProcess: s, User: s.User, Password: s.Password}})
	if err != nil {
		t.Fatal(err)
	}
	full := net.Nodes()[1]
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { _ = p.Run(ctx, full) })
	t.Cleanup(func() { cancel(); work.Wait() })
	return published{full.URL(), readersURL(s.Addr().String()), nats.Chain(genesis.Hash()), s}
}

// writes returns who may write streams of s.
func writes(t *testing.T, s *natsserver.Server) jetstream.JetStream {
	t.Helper()
	nc, err := natsgo.Connect("", natsgo.InProcessServer(s), natsgo.UserInfo(s.User, s.Password))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// tailed are the events that tail has printed.
type tailed struct {
	Event string
	ID    string
	Data  json.RawMessage
}

func tails(t *testing.T, args ...string) (events []tailed) {
	t.Helper()
	out, status, message := execute(t, append([]string{"tail", "--json"}, args...)...)
	if status != 0 {
		t.Fatalf("%q: exit status %d, %s", args, status, message)
	}
	for line := range strings.Lines(out) {
		var e tailed
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
	}
	return events
}

// tail of a stream prints what tail of a node does, ids included; and an id of one is good at the other.
func TestTailOfAStream(t *testing.T) {
	p := publishes(t)
	fromStream := tails(t, "--stream", p.url, "--from", "1", "--count", "12")
	fromNode := tails(t, "--node", p.node, "--from", "1", "--count", "12")
	for i := range fromStream {
		s, n := fromStream[i], fromNode[i]
		at, _, err := nats.ParseCursor(s.ID)
		same, _, err2 := nats.ParseCursor(n.ID)
		if err != nil || err2 != nil || at != same || s.Event != n.Event || string(s.Data) != string(n.Data) {
			t.Errorf("got %s %s %s\nwant %s %s %s", s.Event, s.ID, s.Data, n.Event, n.ID, n.Data)
		}
	}
	text, _, _ := execute(t, "tail", "--stream", p.url, "--from", "1", "--count", "5")
	if want, _, _ := execute(t, "tail", "--node", p.node, "--from", "1", "--count", "5"); text != want || text == "" {
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}
	var height uint64 = 12
	id := fromStream[11].ID
	for _, at := range [][]string{{"--node", p.node}, {"--stream", p.url}, {"--node", p.node}, {"--stream", p.url, "--chain", p.chain}, {"--stream", p.url, "--chain", "hr-" + p.chain}} {
		for _, e := range tails(t, append(at, "--after", id, "--count", "4")...) {
			if next, _, err := nats.ParseCursor(e.ID); err != nil || next.Height != height+1 {
				t.Errorf("%q: got %s, %v after block %d", at, e.ID, err, height)
			}
			id, height = e.ID, height+1
		}
	}
	// An id of a block that is final, of another chain, is refused by both.
	for _, at := range [][]string{{"--node", p.node}, {"--stream", p.url}, {"--stream", p.url, "--node", p.node}} {
		foreign := fmt.Sprintf("7-%s-7", await.Hash{31: 1})
		if out, status, message := execute(t, append([]string{"tail", "--after", foreign, "--count", "1"}, at...)...); status != 1 || out != "" || !strings.Contains(message, "of another chain") {
			t.Errorf("%q: got %q, %d, %s, want that it is of another chain", at, out, status, message)
		}
	}
	// What comes from now on.
	head := tails(t, "--stream", p.url, "--count", "1")[0]
	if at, _, _ := nats.ParseCursor(head.ID); at.Height <= height-4 {
		t.Errorf("got %s, want what comes after block %d", head.ID, height-4)
	}
	// A command for each.
	log := filepath.Join(t.TempDir(), "log")
	if _, status, message := execute(t, "tail", "--stream", p.url, "--from", "3", "--count", "2", "--", "sh", "-c", "cat >>"+log); status != 0 {
		t.Fatal(message)
	}
	lines, err := os.ReadFile(log)
	if err != nil || strings.Count(string(lines), "\n") != 2 || !strings.Contains(string(lines), `"height":3,`) || !strings.Contains(string(lines), `"height":4,`) {
		t.Errorf("got %s, %v", lines, err)
	}
	out, status, message := execute(t, "tail", "--stream", p.url, "--from", "3", "--", "false")
	if status != 1 || !strings.Contains(message, "go on with --from 3") {
		t.Errorf("got %s, %d, %s", out, status, message)
	}
}

// tail of a stream may come before the stream, and before its server: it says so, and waits.
func TestTailComesBeforeTheStream(t *testing.T) {
	net := devnet.Start(t)
	for _, there := range []bool{true, false} {
		address := nettest.FreeAddress(t)
		var server *natsserver.Server
		if there {
			server = serverAt(t, address)
		}
		told, stderr := io.Pipe()
		var out bytes.Buffer
		root := newRoot()
		root.SetOut(&out)
		root.SetErr(stderr)
		root.SetArgs([]string{"tail", "--stream", readersURL(address), "--from", "1", "--count", "5"})
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute) // only for one that hangs
		defer cancel()
		ended := make(chan error, 1) // by the goroutine below
		go func() {
			err := root.ExecuteContext(ctx)
			_ = stderr.Close()
			ended <- err
		}()
		lines := bufio.NewReader(told)
		line, err := lines.ReadString('\n')
		if t.Log(line); err != nil || !strings.HasPrefix(line, "headrace tail: ") || !strings.HasSuffix(line, ": trying again\n") || strings.Contains(line, "planted") {
			t.Fatalf("got %q, %v, want that it tries again", line, err)
		}
		if !there {
			server = serverAt(t, address)
		}
		publishesAt(t, net, server)
		rest, err := io.ReadAll(lines)
		if err := errors.Join(err, <-ended); err != nil || strings.Count(out.String(), "\n") != 5 || !strings.HasPrefix(out.String(), "1  ") {
			t.Errorf("got %v, %q, and on standard error %q, want five blocks", err, out.String(), rest)
		}
	}
}

// What no wait would help is said at once: a wrong password, and several streams of which none is named.
func TestTailDoesNotWaitInVain(t *testing.T) {
	s := serverAt(t, nettest.FreeAddress(t))
	address := s.Addr().String()
	for _, command := range [][]string{{"tail", "--stream"}, {"stream", "check", "--timeout", "1m"}} {
		_, status, message := execute(t, append(command, "nats://reader:planted-other@"+address)...)
		if status != 1 || !strings.Contains(strings.ToLower(message), "authorization violation: see --stream.user") || strings.Contains(message, "planted") {
			t.Errorf("%q: got %d, %s, want that the password is wrong", command, status, message)
		}
	}
	js := writes(t, s)
	for _, chain := range []string{"0123456789abcdef", "fedcba9876543210"} {
		if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: nats.StreamName(chain), Subjects: nats.Subjects(chain)}); err != nil {
			t.Fatal(err)
		}
	}
	for _, command := range [][]string{{"tail", "--stream"}, {"stream", "check", "--timeout", "1m"}} {
		_, status, message := execute(t, append(command, readersURL(address))...)
		if status != 2 || !strings.Contains(message, "name one of 0123456789abcdef, fedcba9876543210 with --chain") || strings.Contains(message, "planted") {
			t.Errorf("%q: got %d, %s, want that there are two", command, status, message)
		}
	}
}

// Why there is no connection, such as that the server has no TLS, is said once.
func TestStreamSaysOnceWhyItIsNotReached(t *testing.T) {
	s := serverAt(t, nettest.FreeAddress(t))
	const cause = "secure connection not available"
	for wait := time.Second; ; wait *= 2 { // a busy machine takes longer to find out
		_, status, message := execute(t, "stream", "check", strings.Replace(readersURL(s.Addr().String()), "nats:", "tls:", 1), "--timeout", wait.String())
		times := strings.Count(message, cause)
		if times == 0 && wait < 30*time.Second {
			continue
		}
		if status != 1 || times != 1 {
			t.Errorf("got %d, %s, want %q once", status, message, cause)
		}
		return
	}
}

// After a block that was taken back tail goes back no further than the stream's history says, although it knows no other
// block; and messages that are no publisher's are counted.
func TestTailAfterAReorg(t *testing.T) {
	s := serverAt(t, nettest.FreeAddress(t))
	js := writes(t, s)
	const chain, final = "0123456789abcdef", 4
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: nats.StreamName(chain), Subjects: nats.Subjects(chain)}); err != nil {
		t.Fatal(err)
	}
	blockOf := func(branch byte, height uint64) await.Ref {
		return await.Ref{Height: height, Hash: await.Hash{branch, byte(height), 31: 1}}
	}
	send := func(m nats.Message) {
		t.Helper()
		m.Final = final
		if _, err := js.PublishMsg(t.Context(), &natsgo.Msg{Subject: m.Subject(chain), Header: m.Header(), Data: m.Body}); err != nil {
			t.Fatal(err)
		}
	}
	block := func(branch, before byte, height uint64) {
		t.Helper()
		at, parent := blockOf(branch, height), blockOf(before, height-1)
		send(nats.Message{Block: at, Parent: parent.Hash, Body: fmt.Appendf(nil, `{"height":%d,"hash":"%s","parent_hash":"%s","safe":true}`, height, at.Hash, parent.Hash)})
	}
	for height := uint64(5); height <= 30; height++ {
		block('a', 'a', height)
	}
	send(nats.Message{From: blockOf('a', 30), Block: blockOf('a', 26)})
	if _, err := js.Publish(t.Context(), nats.BlockSubject(chain, 27), []byte("hello")); err != nil {
		t.Fatal(err)
	}
	block('b', 'a', 27)
	block('b', 'b', 28)
	for after, want := range map[uint64][]string{
		30: {"reorg 26", "block 27", "block 28"},
		28: {"block 29", "block 30", "reorg 26", "block 27", "block 28"},
	} {
		blocks := strings.Count(strings.Join(want, " "), "block")
		events := tails(t, "--stream", readersURL(s.Addr().String()), "--after", fmt.Sprintf("%d-%s-%d", after, blockOf('a', after).Hash, final), "--count", fmt.Sprint(blocks))
		var got []string
		for _, e := range events {
			at, _, err := nats.ParseCursor(e.ID)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, fmt.Sprintf("%s %d", e.Event, at.Height))
		}
		if !slices.Equal(got, want) {
			t.Errorf("after %d: got %q, want %q", after, got, want)
		}
	}
	var stderr bytes.Buffer
	root := newRoot()
	root.SetOut(io.Discard)
	root.SetErr(&stderr)
	root.SetArgs([]string{"tail", "--stream", readersURL(s.Addr().String()), "--from", "20", "--count", "13"})
	if err := root.ExecuteContext(t.Context()); err != nil || !strings.HasPrefix(stderr.String(), "headrace tail: messages of the stream that are no publisher's, and were passed over: ") {
		t.Errorf("got %v, %q, want that one message was passed over", err, stderr.String())
	}
}

// stream check is right about a whole stream, of whose node it is, and about one that is not.
func TestStreamCheck(t *testing.T) {
	p := publishes(t)
	tails(t, "--stream", p.url, "--from", "1", "--count", "10")
	out, status, message := execute(t, "stream", "check", p.url, "--node", p.node, "--timeout", "1m")
	if status != 0 || !strings.HasPrefix(out, "stream hr-"+p.chain+": ") || !strings.Contains(out, "blocks 1 to ") || !strings.HasSuffix(out, "compared with the node's: whole\n") {
		t.Errorf("got %q, %d, %s", out, status, message)
	}
	var report nats.Report
	out, status, _ = execute(t, "stream", "check", p.url, "--node", p.node, "--json", "--timeout", "1m")
	if err := json.Unmarshal([]byte(out), &report); err != nil || status != 0 || report.Damages != 0 || report.Last.Height < 10 || report.Compared < 10 || report.Found == nil {
		t.Errorf("got %s, %d, %v", out, status, err)
	}
	if _, status, message = execute(t, "stream", "check", p.url, "--from", "3", "--timeout", "1m"); status != 3 {
		t.Errorf("got %d, %s, want that it begins elsewhere", status, message)
	}
	other := publishes(t)
	tails(t, "--node", other.node, "--from", "1", "--count", "10")
	out, status, message = execute(t, "stream", "check", p.url, "--node", other.node, "--timeout", "1m")
	if status != 3 || !strings.Contains(out, "other-than-node: message 1: block 1 is ") || !strings.HasSuffix(out, " damages\n") || !strings.Contains(message, "the stream has ") {
		t.Errorf("got %.300q, %d, %s", out, status, message)
	}

	js := writes(t, p.server)
	if _, err := js.Publish(t.Context(), nats.BlockSubject(p.chain, 1), []byte("hello")); err != nil {
		t.Fatal(err)
	}
	out, status, message = execute(t, "stream", "check", p.url, "--timeout", "1m")
	if status != 3 || !strings.HasPrefix(out, "foreign-message: message ") || !strings.HasSuffix(out, ": 1 damage\n") || message != "the stream has 1 damage" {
		t.Errorf("got %q, %d, %s", out, status, message)
	}
}

// What makes no sense is said, and no secret of an address is.
func TestStreamUsage(t *testing.T) {
	address := nettest.FreeAddress(t)
	url := "nats://planteduser:plantedpass@" + address
	for _, c := range []struct {
		args   []string
		status int
		says   string
	}{
		{[]string{"tail", "--stream", "http://planted@node.example"}, 2, "is not a nats, tls, ws or wss URL"},
		{[]string{"tail", "--stream", url, "--status"}, 2, "--status and --head are of a node"},
		{[]string{"tail", "--stream", url, "--head", "finalized"}, 2, "--status and --head are of a node"},
		{[]string{"tail", "--stream", url, "--after", "x"}, 2, "is not HEIGHT-HASH-FINAL"},
		{[]string{"tail", "--stream", url, "--chain", "x"}, 2, "nor the hash of a genesis"},
		{[]string{"tail", "--stream", url, "--stream.user", "x"}, 2, "go together"},
		{[]string{"tail", "--stream", ""}, 2, "the address of the NATS server is empty"},
		{[]string{"tail", "--chain", "0123456789abcdef"}, 2, "--chain is of a stream"},
		{[]string{"tail", "--node", "http://127.0.0.1:1", "--stream.password_file", "planted"}, 2, "--stream.password_file is of a stream"},
		{[]string{"tail", "--stream", "", "--node", "http://127.0.0.1:1"}, 2, "the address of the NATS server is empty"},
		{[]string{"stream", "check", ""}, 2, "the address of the NATS server is empty"},
		{[]string{"stream", "check", url, "--timeout", "0s"}, 2, "--timeout must be above zero"},
		{[]string{"stream", "check"}, 2, "it takes one argument"},
		{[]string{"stream", "check", "planted"}, 2, "is not a nats, tls, ws or wss URL"},
		{[]string{"stream", "check", url, "--stream.password_file", filepath.Join(t.TempDir(), "none"), "--stream.user", "x"}, 1, "stream.password_file"},
	} {
		out, status, message := execute(t, c.args...)
		if status != c.status || !strings.Contains(message, c.says) || strings.Contains(out+message, "planted") {
			t.Errorf("%q: got %q, %d, %s, want %d and %q", c.args, out, status, message, c.status, c.says)
		}
	}
	p := publishes(t)
	for says, args := range map[string][]string{
		"there is no stream hr-0123456789abcdef": {p.url, "--chain", "0123456789abcdef"},
		"refused":                                {url, "--chain", "0123456789abcdef"},
		"connection refused":                     {url},
		"; last error: ask node":                 {url, "--node", "http://planted:planted@" + nettest.FreeAddress(t)},
	} {
		for wait := time.Second; ; wait *= 2 { // on a busy machine a second may be over before there is any answer
			out, status, message := execute(t, append([]string{"stream", "check", "--timeout", wait.String()}, args...)...)
			if status != 1 || strings.Contains(out+message, "planted") || wait > 30*time.Second {
				t.Errorf("%q: got %q, %d, %s, want 1 and %q", args, out, status, message, says)
				break
			}
			if strings.Contains(message, says) {
				break
			}
		}
	}
	for _, args := range [][]string{{"tail", "--stream", url}, {"tail", "--stream", strings.Replace(p.url, "planted-password", "planted-other", 1)}} {
		says(t, fmt.Sprint(args[0]), args...)
	}
}

// The compose file's commands are ours, with flags that there are, and its servers' configuration is one: with it a reader
// may read, and not write.
func TestStreamCompose(t *testing.T) {
	raw, err := os.ReadFile("../../docs/stream.compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	file, err := yaml.Parser().Unmarshal(raw)
	if err != nil {
		t.Fatal(err)
	}
	ours := 0
	for name, s := range file["services"].(map[string]any) {
		parts, _ := s.(map[string]any)["command"].([]any)
		if parts == nil {
			parts, _ = file["services"].(map[string]any)["full-1"].(map[string]any)["command"].([]any)
		}
		var words []string
		for _, p := range parts {
			words = append(words, fmt.Sprint(p))
		}
		commands := [][]string{words}
		if len(words) == 3 && words[0] == "sh" {
			commands = nil
			for line := range strings.Lines(words[2]) {
				if _, command, ok := strings.Cut(strings.TrimSuffix(strings.TrimSpace(line), " &&"), "headrace "); ok && !strings.HasPrefix(line, "until") && !strings.HasPrefix(line, "test") {
					commands = append(commands, append([]string{"headrace"}, strings.Fields(command)...))
				}
			}
			if len(commands) != 2 {
				t.Errorf("%s: got commands %q, want init and start", name, commands)
			}
		}
		for _, words := range commands {
			if words[0] != "headrace" {
				continue
			}
			ours++
			command, args, err := newRoot().Find(words[1:])
			if err == nil {
				err = command.ParseFlags(args)
			}
			if err != nil || !command.HasParent() {
				t.Errorf("%s: %q: %v", name, words, err)
			}
		}
	}
	if ours != 8 {
		t.Errorf("got %d commands of ours, want 8", ours)
	}

	text := file["configs"].(map[string]any)["nats"].(map[string]any)["content"].(string)
	text = strings.NewReplacer("$$", "$", "/data", t.TempDir(), "0.0.0.0:6222", "127.0.0.1:-1", "port: 4222", "port: -1\nhost: 127.0.0.1").Replace(text)
	text = regexp.MustCompile(`(?m)^ *routes:.*$`).ReplaceAllString(text, "")
	cluster := regexp.MustCompile(`(?ms)^cluster \{.*?^\}$`)
	if !cluster.MatchString(text) {
		t.Fatalf("got no cluster in\n%s", text)
	}
	t.Setenv("PUBLISHER_PASSWORD", "publishers-password")
	t.Setenv("READER_PASSWORD", "readers-password")
	conf := filepath.Join(t.TempDir(), "nats.conf")
	writeFile(t, filepath.Dir(conf), "nats.conf", cluster.ReplaceAllString(text, ""))
	o, err := natsd.ProcessConfigFile(conf)
	if err != nil || !o.JetStream || !o.SyncAlways || o.JetStreamLimits.DefaultMaxConsumers != 10_000 {
		t.Fatalf("got %+v, %v, want a server that syncs always, for many readers", o, err)
	}
	o.NoSigs, o.NoLog = true, true
	s, err := natsd.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	defer s.WaitForShutdown()
	defer s.Shutdown()
	if !s.ReadyForConnections(time.Minute) {
		t.Fatal("the server does not start")
	}
	writer, err := natsgo.Connect(s.ClientURL(), natsgo.UserInfo("publisher", "publishers-password"))
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	js, err := jetstream.New(writer)
	if err != nil {
		t.Fatal(err)
	}
	const chain = "0123456789abcdef"
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: nats.StreamName(chain), Subjects: nats.Subjects(chain)}); err != nil {
		t.Fatal(err)
	}
	m := nats.Message{Block: await.Ref{Height: 1, Hash: await.Hash{1}}, Body: []byte(`{"height":1}`)}
	if _, err := js.PublishMsg(t.Context(), &natsgo.Msg{Subject: m.Subject(chain), Header: m.Header(), Data: m.Body}); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Dir(conf), "password", "readers-password\n")
	as := []string{"--stream.user", "reader", "--stream.password_file", filepath.Join(filepath.Dir(conf), "password")}
	if out, status, message := execute(t, append([]string{"tail", "--stream", s.ClientURL(), "--from", "1", "--count", "1"}, as...)...); status != 0 || !strings.HasPrefix(out, "1  ") {
		t.Errorf("got %q, %d, %s", out, status, message)
	}
	reader, err := natsgo.Connect(s.ClientURL(), natsgo.UserInfo("reader", "readers-password"), natsgo.ErrorHandler(func(*natsgo.Conn, *natsgo.Subscription, error) {}))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if err := errors.Join(reader.Publish(nats.BlockSubject(chain, 2), []byte("hello")), reader.Flush()); err != nil {
		t.Fatal(err)
	}
	if stream, err := js.Stream(t.Context(), nats.StreamName(chain)); err != nil || stream.CachedInfo().State.LastSeq != 1 {
		t.Errorf("got %v, %v, want that a reader cannot write", stream, err)
	}
}
