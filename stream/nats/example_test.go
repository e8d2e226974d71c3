package nats_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"headrace/ref"
	"headrace/stream/nats"
)

// heights is a store in memory: what a database does in a transaction is here an assignment.
type heights struct {
	first uint64    // the height to begin with
	chain []ref.Ref // that is stored
	last  uint64    // of the example
}

var errEnough = errors.New("enough")

func (h *heights) Last(context.Context) (ref.Ref, error) {
	if len(h.chain) == 0 {
		return ref.Ref{Height: h.first - 1}, nil
	}
	return h.chain[len(h.chain)-1], nil
}

func (h *heights) At(_ context.Context, height uint64) (ref.Hash, bool, error) {
	if height < h.first || height >= h.first+uint64(len(h.chain)) {
		return ref.Hash{}, false, nil
	}
	return h.chain[height-h.first].Hash, true, nil
}

func (h *heights) Apply(_ context.Context, b nats.Block) error {
	h.chain = append(h.chain, b.Ref)
	fmt.Println("block", b.Height)
	if b.Height == h.last {
		return errEnough
	}
	return nil
}

func (h *heights) Undo(_ context.Context, u nats.Undo) error {
	h.chain = h.chain[:u.To.Height+1-h.first]
	fmt.Println("back from", u.From.Height, "to", u.To.Height)
	return nil
}

// A store is kept in step with a stream, across a reorg.
func ExampleRead() {
	js, stop := exampleServer()
	defer stop()
	err := nats.Read(context.Background(), js, chain, &heights{first: 3, last: 7}, nats.ReadOptions{})
	fmt.Println(err)
	// Output:
	// block 3
	// block 4
	// block 5
	// back from 5 to 4
	// block 5
	// block 6
	// block 7
	// enough
}

// exampleServer is a server with a stream of a few blocks.
func exampleServer() (js jetstream.JetStream, stop func()) {
	dir, err := os.MkdirTemp("", "example")
	must(err)
	server, err := natsserver.NewServer(&natsserver.Options{DontListen: true, JetStream: true, StoreDir: dir, NoSigs: true, NoLog: true})
	must(err)
	server.Start()
	if !server.ReadyForConnections(time.Minute) {
		panic("the server does not start")
	}
	conn, err := natsgo.Connect("", natsgo.InProcessServer(server))
	must(err)
	js, err = jetstream.New(conn)
	must(err)
	ctx := context.Background()
	_, err = js.CreateStream(ctx, jetstream.StreamConfig{Name: nats.StreamName(chain), Subjects: nats.Subjects(chain)})
	must(err)
	other := branchOf("b", trunk, 4, 10)
	for _, m := range append(append(trunk.blocks(1, 5), trunk.reorg(5, 4)), other.blocks(5, 7)...) {
		_, err := js.PublishMsg(ctx, &natsgo.Msg{Subject: m.Subject(chain), Header: m.Header(), Data: m.Body})
		must(err)
	}
	return js, func() {
		conn.Close()
		server.Shutdown()
		server.WaitForShutdown()
		_ = os.RemoveAll(dir)
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
