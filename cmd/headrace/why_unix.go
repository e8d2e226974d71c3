//go:build unix

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"headrace/node"
)

// onWhy writes why a node is not ready, and what waits, each time SIGUSR1 comes, until ctx ends.
func onWhy(ctx context.Context, w io.Writer, n *node.Node) {
	asked := make(chan os.Signal, 1) // package signal sends
	signal.Notify(asked, syscall.SIGUSR1)
	go func() { // ends with the context
		defer signal.Stop(asked)
		for {
			select {
			case <-asked:
				s := n.Status().Load()
				fmt.Fprint(w, s.Why())
			case <-ctx.Done():
				return
			}
		}
	}()
}

// stops are the signals that stop a command in order.
var stops = []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP}
