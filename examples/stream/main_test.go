package main

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"headrace/ref"
	"headrace/stream/nats"
)

// The test binary is the program when it is asked to be.
func TestMain(m *testing.M) {
	if os.Getenv("STREAM_EXAMPLE") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

var chain = nats.Chain(ref.Hash{7})

// blockOf is a block of a branch, with as many transactions as its height.
func blockOf(branch, before string, height uint64) nats.Message {
	hash := func(branch string, height uint64) (h ref.Hash) {
		if height > 0 {
			h = sha256.Sum256(binary.BigEndian.AppendUint64([]byte(branch), height))
		}
		return h
	}
	m := nats.Message{Block: ref.Ref{Height: height, Hash: hash(branch, height)}, Parent: hash(before, height-1), Body: []byte(`{"txs":["c2VhbA=="],"tx_hashes":[`)}
	for i := range height {
		if i > 0 {
			m.Body = append(m.Body, ',')
		}
		m.Body = append(m.Body, `"aa"`...)
	}
	m.Body = append(m.Body, "]}"...)
	return m
}

// The program has each block once, and the total that belongs to them, however often it is killed, and across a reorg.
func TestStream(t *testing.T) {
	server, err := natsserver.NewServer(&natsserver.Options{Host: "127.0.0.1", Port: natsserver.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	server.Start()
	defer server.WaitForShutdown()
	defer server.Shutdown()
	if !server.ReadyForConnections(time.Minute) {
		t.Fatal("the server does not start")
	}
	conn, err := natsgo.Connect(server.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	publish := func(m nats.Message) {
		t.Helper()
		if _, err := js.PublishMsg(t.Context(), &natsgo.Msg{Subject: m.Subject(chain), Header: m.Header(), Data: m.Body}); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(t.TempDir(), "blocks.db")
	db, err := open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	start := func(stderr io.Writer) (kill func()) {
		t.Helper()
		program := exec.Command(self, server.ClientURL(), chain, file)
		program.Env = append(os.Environ(), "STREAM_EXAMPLE=1")
		program.Stderr = stderr
		if err := program.Start(); err != nil {
			t.Fatal(err)
		}
		return func() {
			_ = program.Process.Kill() // in the middle of whatever it does
			_ = program.Wait()
		}
	}
	run := func(until uint64) {
		t.Helper()
		defer start(os.Stderr)()
		for limit := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) { // another program's file is looked at
			last, err := db.Last(t.Context())
			if err != nil || time.Now().After(limit) {
				t.Fatalf("got block %v, %v, want %d", last, err, until)
			}
			if last.Height >= until {
				return
			}
		}
	}
	// It may come before the stream.
	told, stderr := io.Pipe()
	kill := start(stderr)
	line, err := bufio.NewReader(told).ReadString('\n')
	_ = told.Close()
	if kill(); err != nil || !strings.HasSuffix(line, ": trying again\n") {
		t.Errorf("got %q, %v before there is a stream, want that it tries again", line, err)
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: nats.StreamName(chain), Subjects: nats.Subjects(chain)}); err != nil {
		t.Fatal(err)
	}
	const head, fork = 300, 250
	for height := uint64(1); height <= head; height++ {
		publish(blockOf("a", "a", height))
	}
	for until := uint64(20); until <= head-20; until += 40 {
		run(until)
	}
	run(head)
	from, to := blockOf("a", "a", head), blockOf("a", "a", fork)
	publish(nats.Message{From: from.Block, Block: to.Block})
	for height := uint64(fork + 1); height <= head+50; height++ {
		before := "b"
		if height == fork+1 {
			before = "a"
		}
		publish(blockOf("b", before, height))
	}
	run(head + 20)
	run(head + 50)

	var blocks, low, high, txs, total int
	row := db.QueryRow("SELECT count(*), min(height), max(height), sum(txs), (SELECT txs FROM total) FROM blocks")
	if err := row.Scan(&blocks, &low, &high, &txs, &total); err != nil {
		t.Fatal(err)
	}
	if want := (head + 50) * (head + 51) / 2; blocks != head+50 || low != 1 || high != head+50 || txs != want || total != want {
		t.Errorf("got %d blocks from %d to %d with %d transactions, in all %d, want %d with %d", blocks, low, high, txs, total, head+50, want)
	}
	for height := uint64(1); height <= head+50; height++ {
		branch := "a"
		if height > fork {
			branch = "b"
		}
		if hash, ok, err := db.At(t.Context(), height); err != nil || !ok || hash != blockOf(branch, branch, height).Block.Hash {
			t.Fatalf("block %d: got %s, %t, %v, want that of branch %s", height, hash, ok, err, branch)
		}
	}
}
