package sequencer

import (
	"headrace/block"
	"headrace/internal/syncer"
)

// Write and Doubt are what the sequencer uses of a Mark.
func (m *Mark) Write(ref block.Ref) error { return m.write(ref) }

func (m *Mark) Doubt(last syncer.Signed) string { return m.doubt(last) }
