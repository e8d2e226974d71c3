package node

import (
	"net/http"

	"headrace/block"
	"headrace/watch"
)

// Events serves the events of a chain that a test makes.
func Events(status *watch.Value[Status], oldest func() uint64, ref func(uint64) (block.Ref, error), at func(uint64) (Block, error)) http.Handler {
	return &feed{status: status, oldest: oldest, ref: ref, block: at}
}
