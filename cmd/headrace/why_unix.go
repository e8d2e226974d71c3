//go:build unix

package main

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"headrace/node"
)

// why answers SIGUSR1, which would kill otherwise, also while the node is opened and while it stops.
type why struct {
	w     io.Writer
	asked chan os.Signal // package signal sends
	ended chan struct{}
	work  sync.WaitGroup

	mu   sync.Mutex
	node *node.Node // nil: not there yet
}

// onWhy writes why a node is not ready, and what waits, each time SIGUSR1 comes, until end.
func onWhy(w io.Writer) *why {
	y := &why{w: w, asked: make(chan os.Signal, 1), ended: make(chan struct{})}
	signal.Notify(y.asked, syscall.SIGUSR1)
	y.work.Go(func() {
		for {
			select {
			case <-y.asked:
				fmt.Fprint(w, y.text())
			case <-y.ended:
				return
			}
		}
	})
	return y
}

// of names the node.
func (y *why) of(n *node.Node) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.node = n
}

func (y *why) text() string {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.node == nil {
		return "not ready: the node is being opened\n"
	}
	s := y.node.Status().Load()
	return s.Why()
}

// end leaves the signal without an effect: the process ends now.
func (y *why) end() {
	signal.Ignore(syscall.SIGUSR1)
	close(y.ended)
	y.work.Wait()
}

// stops returns the signals that stop a command in order. Who starts a program with nohup wants it to outlive the
// terminal.
func stops() []os.Signal {
	all := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		all = append(all, syscall.SIGHUP)
	}
	return all
}

// hangUpOnce has further SIGHUPs do nothing: who closes a terminal sends one by its shell and one by the kernel, and
// means one.
func hangUpOnce() { signal.Ignore(syscall.SIGHUP) }
