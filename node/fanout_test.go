package node_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"headrace/block"
	"headrace/node"
)

// fanEnv makes this test's program the readers of one node: see runFan.
const fanEnv = "HEADRACE_NODE_FAN"

var fanReaders = flag.Int("fan", 400, "readers of TestFanOut: -fan 10000 needs 10,000 descriptors in each process")

// runFan opens as many streams of a node's blocks as "ADDRESS NUMBER" says. It prints "open" when all are, reads a height,
// and prints "done" when each has every block up to it, each the child of the one before.
func runFan(of string, in io.Reader, out io.Writer) error {
	address, count, _ := strings.Cut(of, " ")
	n, err := strconv.Atoi(count)
	if err != nil {
		return err
	}
	var until atomic.Uint64 // the height; not known yet: the largest
	until.Store(math.MaxUint64)
	var opening, reading sync.WaitGroup
	ends := make(chan error, n+2) // one by each reader, and one by each of the two that wait below
	opening.Add(n)
	turns := make(chan struct{}, 32) // of those who connect
	for range n {
		reading.Go(func() {
			turns <- struct{}{}
			body, err := openFan(address)
			<-turns
			opening.Done()
			if err == nil {
				defer body.Close()
				err = readFan(body, &until)
			}
			if err != nil {
				ends <- err
			}
		})
	}
	go func() {
		opening.Wait()
		fmt.Fprintln(out, "open")
		var height uint64
		if _, err := fmt.Fscan(in, &height); err != nil {
			ends <- err
			return
		}
		until.Store(height)
		reading.Wait()
		ends <- nil
	}()
	if err := <-ends; err != nil {
		return err
	}
	fmt.Fprintln(out, "done")
	return nil
}

func openFan(address string) (io.ReadCloser, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	if _, err := io.WriteString(conn, "GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		return nil, err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, errors.New(resp.Status)
	}
	return struct {
		io.Reader
		io.Closer
	}{resp.Body, conn}, nil
}

func readFan(body io.Reader, until *atomic.Uint64) error {
	var at block.Ref
	kind := ""
	for lines := bufio.NewScanner(body); lines.Scan(); {
		switch name, value, _ := bytes.Cut(lines.Bytes(), []byte(": ")); {
		case string(name) == "event":
			kind = string(value)
		case string(name) == "data" && kind == "block":
			var b node.BlockEvent
			if err := json.Unmarshal(value, &b); err != nil {
				return err
			}
			if at.Height > 0 && (b.Height != at.Height+1 || b.ParentHash != at.Hash) {
				return fmt.Errorf("block %d, child of %s, comes after %v", b.Height, b.ParentHash, at)
			}
			if at = (block.Ref{Height: b.Height, Hash: b.Hash}); at.Height >= until.Load() {
				return nil
			}
		}
	}
	return fmt.Errorf("a stream ends at block %d", at.Height)
}

// fan is a process with readers.
type fan struct {
	*exec.Cmd
	in  io.Writer
	out *bufio.Reader
}

func startFan(ctx context.Context, t *testing.T, address string, readers int) *fan {
	t.Helper()
	f := &fan{Cmd: exec.CommandContext(ctx, os.Args[0])}
	f.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d", fanEnv, address, readers))
	f.Stderr = os.Stderr
	in, err := f.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := f.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	f.in, f.out = in, bufio.NewReader(out)
	if err := f.Start(); err != nil {
		t.Fatal(err)
	}
	return f
}

// says waits for a line.
func (f *fan) says(t *testing.T, want string) {
	t.Helper()
	if line, err := f.out.ReadString('\n'); line != want+"\n" {
		t.Fatalf("the readers say %q, %v, want %q", line, err, want)
	}
}

// TestFanOut: many readers behind two nodes have every block, in order. With -fan 10000 it is how ten thousand read a chain:
//
//	go test ./node -run TestFanOut -fan 10000 -v
func TestFanOut(t *testing.T) {
	const blocks, interval = 20, 250 * time.Millisecond
	readers := *fanReaders
	d, _ := daLayer(t, "127.0.0.1:0", "", interval)
	c := newChain(t, "fan")
	start(t, c.sequencer(t, d.URL(), interval))
	var nodes [2]*running
	for i := range nodes {
		nodes[i] = start(t, crowdOptions(c.full(t, d.URL())))
		nodes[i].until(t, "ready", ready)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(max(2, readers/1000))*patience) // only for readers that hang
	defer cancel()
	before, began := used(), time.Now()
	var fans [2]*fan
	for i := range fans {
		fans[i] = startFan(ctx, t, nodes[i].Address(), readers/2)
	}
	for _, f := range fans {
		f.says(t, "open")
	}
	opened, each := time.Since(began), (used()-before)/uint64(readers)
	last := nodes[0].Status().Load().Heads.Safe.Height + blocks
	began = time.Now()
	for _, f := range fans {
		fmt.Fprintln(f.in, last)
	}
	for _, n := range nodes {
		if _, err := n.Wait(ctx, last); err != nil {
			t.Fatal(err)
		}
	}
	applied := time.Since(began)
	for _, f := range fans {
		f.says(t, "done")
		if err := f.Wait(); err != nil {
			t.Error(err)
		}
	}
	t.Logf("%d readers, open in %s, with %d bytes of the nodes' memory each: all have %d blocks in %s, %s after the nodes",
		readers, opened.Round(time.Millisecond), each, blocks, time.Since(began).Round(time.Millisecond), (time.Since(began) - applied).Round(time.Millisecond))
}
