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

// blockOf is a block of a branch of a chain that begins with block first, with as many transactions as its height.
func blockOf(branch, before string, first, height uint64) nats.Message {
	hash := func(branch string, height uint64) (h ref.Hash) {
		if height >= first {
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

// The program has each block once, and the total that belongs to them, however often it is killed, and across a reorg; of
// a chain too whose first block is not block 1.
func TestStream(t *testing.T) {
	t.Run("from 1", func(t *testing.T) { keep(t, 1, 1) })
	t.Run("from the initial height", func(t *testing.T) { keep(t, 41, 41, "-from", "41") })
	t.Run("from the middle", func(t *testing.T) { keep(t, 1, 61, "-from", "61") })
}

// keep runs the program with these flags: the chain begins with block first, and the table with block from.
func keep(t *testing.T, first, from uint64, flags ...string) {
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
	db, err := open(file, from)
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
		program := exec.Command(self, append(flags, server.ClientURL(), chain, file)...)
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
	head, fork := first+299, first+249
	for height := first; height <= head; height++ {
		publish(blockOf("a", "a", first, height))
	}
	for until := from + 19; until <= head-20; until += 40 {
		run(until)
	}
	run(head)
	void, holds := blockOf("a", "a", first, head), blockOf("a", "a", first, fork)
	publish(nats.Message{From: void.Block, Block: holds.Block})
	for height := fork + 1; height <= head+50; height++ {
		before := "b"
		if height == fork+1 {
			before = "a"
		}
		publish(blockOf("b", before, first, height))
	}
	run(head + 20)
	run(head + 50)

	var blocks, low, high, txs, total uint64
	row := db.QueryRow("SELECT count(*), min(height), max(height), sum(txs), (SELECT txs FROM total) FROM blocks")
	if err := row.Scan(&blocks, &low, &high, &txs, &total); err != nil {
		t.Fatal(err)
	}
	n := head + 51 - from
	if want := n * (from + head + 50) / 2; blocks != n || low != from || high != head+50 || txs != want || total != want {
		t.Errorf("got %d blocks from %d to %d with %d transactions, in all %d, want %d from %d with %d", blocks, low, high, txs, total, n, from, want)
	}
	for height := from; height <= head+50; height++ {
		branch := "a"
		if height > fork {
			branch = "b"
		}
		if hash, ok, err := db.At(t.Context(), height); err != nil || !ok || hash != blockOf(branch, branch, first, height).Block.Hash {
			t.Fatalf("block %d: got %s, %t, %v, want that of branch %s", height, hash, ok, err, branch)
		}
	}
}
