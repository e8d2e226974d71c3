// Command engine is an execution engine in fifty lines: its state is a hash over all transactions so far. It keeps nothing
// on disk, since Headrace gives an engine again what it has lost. Run it as
//
//	go run ./examples/engine 127.0.0.1:50051
//
// and give a node the settings --engine.kind grpc --engine.address 127.0.0.1:50051. An engine in Go need not be a
// process: it can be node.Options.Engine.
package main

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"log"
	"os"
	"os/signal"
	"sync"

	"headrace/block"
	"headrace/exec"
	execgrpc "headrace/exec/grpc"
)

// engine has the block that it was at after each height; the first one is before all blocks.
type engine struct {
	mu    sync.Mutex
	heads []exec.Head
}

func (e *engine) Execute(_ context.Context, b *block.Block) ([]byte, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.heads) == 0 {
		e.heads = []exec.Head{{Height: b.Height() - 1}}
	}
	at, hash := e.heads[len(e.heads)-1], b.Hash()
	if first := e.heads[0].Height; b.Height() > first && b.Height() <= at.Height && e.heads[b.Height()-first].Hash == hash {
		return e.heads[b.Height()-first].Root, nil // again: nothing changes
	}
	if parent := b.Header.Header.LastHeaderHash; b.Height() != at.Height+1 || string(parent) != string(at.Hash.Field()) {
		return nil, exec.ErrParent
	}
	state := sha256.New()
	state.Write(at.Root)
	for _, tx := range b.Data.Txs {
		state.Write(binary.BigEndian.AppendUint64(nil, uint64(len(tx))))
		state.Write(tx)
	}
	root := state.Sum(nil)
	e.heads = append(e.heads, exec.Head{Height: b.Height(), Hash: hash, Root: root})
	return root, nil
}

func (e *engine) Head(context.Context) (exec.Head, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.heads) == 0 {
		return exec.Head{}, nil
	}
	return e.heads[len(e.heads)-1], nil
}

func (e *engine) Revert(_ context.Context, height uint64) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	for len(e.heads) > 1 && e.heads[len(e.heads)-1].Height > height {
		e.heads = e.heads[:len(e.heads)-1]
	}
	return nil
}

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: engine ADDRESS")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	l, err := execgrpc.Listen(os.Args[1])
	if err == nil {
		err = execgrpc.Serve(ctx, l, new(engine), execgrpc.ServerOptions{})
	}
	if ctx.Err() == nil {
		log.Fatal(err)
	}
}
