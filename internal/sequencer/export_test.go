package sequencer

import (
	"log/slog"

	"headrace/block"
	"headrace/internal/syncer"
)

// Write and Doubt are what the sequencer uses of a Mark.
func (m *Mark) Write(ref block.Ref) error { return m.write(ref) }

func (m *Mark) Doubt(last syncer.Signed) string { return m.doubt(last) }

// NoteInVain has the next note fail to be written.
func (m *Mark) NoteInVain(ref block.Ref) error {
	if err := m.file.Close(); err != nil {
		return err
	}
	m.note(ref, slog.New(slog.DiscardHandler))
	return nil
}
