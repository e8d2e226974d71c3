//go:build !unix

package main

import (
	"io"
	"os"
	"syscall"

	"headrace/node"
)

// why does nothing here: there is no such signal.
type why struct{}

func onWhy(io.Writer) why { return why{} }
func (why) of(*node.Node) {}
func (why) end()          {}

// stops returns the signals that stop a command in order.
func stops() []os.Signal { return []os.Signal{os.Interrupt, syscall.SIGTERM} }

func hangUpOnce() {}
