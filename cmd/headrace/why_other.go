//go:build !unix

package main

import (
	"context"
	"io"
	"os"

	"headrace/node"
)

func onWhy(context.Context, io.Writer, *node.Node) {}

// stops are the signals that stop a command in order.
var stops = []os.Signal{os.Interrupt}
