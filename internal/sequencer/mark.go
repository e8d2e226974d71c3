package sequencer

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"syscall"
	"time"

	"headrace/block"
	"headrace/internal/syncer"
)

// Mark is a file in a home that shows whether the home is the one that signed last, or a copy that may be behind. It
// names the block that was signed last, the host, and the file itself: its inode, and when it was written. The system
// notes that moment too, and nobody can set what it notes. So a file that was copied or put back, in whatever way,
// contradicts itself. What cannot be told is a file system, or a whole machine, that went back to a snapshot.
//
// It is written after each signature, when the signed block is synced to disk, and before anybody sees that. It is not
// synced itself: the store's record of what was signed is, and must agree with it. So a power loss may cost a wait, and
// nothing else. It is no lock: the store is locked.
type Mark struct {
	path   string
	host   string
	file   *os.File // nil: not written yet
	was    marked
	absent bool   // when it was opened
	why    string // why it does not show that the home signed last, when it was opened; empty: it does
}

// marked is what is written.
type marked struct {
	Host   string     `json:"host"` // a hash
	Inode  uint64     `json:"inode"`
	At     int64      `json:"at"` // nanoseconds since 1970
	Height uint64     `json:"height"`
	Hash   block.Hash `json:"hash"`
}

// markSize is the size of the file: it is overwritten in one piece.
const markSize = 512

// slack is how far the system's note of the moment may be from our own. A busy machine pauses for some tenths of a
// second; nobody puts a file back sooner after it was written.
const slack = time.Second / 2

// OpenMark reads the mark at path. It changes nothing. An error, for want of descriptors, says nothing of the mark.
func OpenMark(path string) (m *Mark, err error) {
	m = &Mark{path: path}
	if m.host, err = host(); err == nil {
		m.why, err = m.read()
	}
	return m, err
}

// scarce returns err if it is about the process, and not about the file that was to be opened.
func scarce(err error) error {
	if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
		return fmt.Errorf("read what was signed last: %w", err)
	}
	return nil
}

// read reads what is there, and returns what speaks against it.
func (m *Mark) read() (why string, _ error) {
	raw, err := os.ReadFile(m.path)
	if errors.Is(err, fs.ErrNotExist) {
		m.absent = true
		return "it holds no record of its own that it has signed", nil
	}
	if err := scarce(err); err != nil {
		return "", err
	}
	var inode uint64
	var changed time.Time
	if err == nil {
		inode, changed, err = fileTime(m.path)
	}
	if err == nil {
		err = json.Unmarshal(raw, &m.was)
	}
	switch {
	case err != nil:
		return fmt.Sprintf("its record of what it signed cannot be read: %v", err), nil
	case m.was.Host != m.host:
		return "it was on another machine when it signed last", nil
	case m.was.Inode != inode || changed.Sub(time.Unix(0, m.was.At)).Abs() > slack:
		return "it was copied or put back since it signed last", nil
	}
	return "", nil
}

// none reports whether no mark was there.
func (m *Mark) none() bool { return m == nil || m.absent }

// doubt returns why the home may not be the one that signed last, whose store says that it signed last; empty if it is.
func (m *Mark) doubt(last syncer.Signed) string {
	if m.why == "" && m.was.Hash != last.Ref.Hash && m.was.Hash != last.Parent { // the parent: a kill between store and mark
		return fmt.Sprintf("its record says that it signed block %d last, its store block %d", m.was.Height, last.Ref.Height)
	}
	return m.why
}

// note writes that ref was signed. If it cannot, the next start will wait, which is all it costs: the mark goes, since
// with a copy of the store from that moment the old one would agree.
func (m *Mark) note(ref block.Ref, log *slog.Logger) {
	if err := m.write(ref); err != nil {
		err = errors.Join(err, m.Close(), os.Remove(m.path))
		log.Warn("no mark that this home signed last", "height", ref.Height, "err", err)
	}
}

// write notes that ref was signed.
func (m *Mark) write(ref block.Ref) (err error) {
	if m.file == nil {
		if m.file, err = os.OpenFile(m.path, os.O_RDWR|os.O_CREATE, 0o600); err != nil {
			return fmt.Errorf("note what was signed: %w", err)
		}
	}
	for range 5 { // until the system's clock and ours agree: a busy machine may pause between the two
		inode, _, err := fileTime(m.path)
		if err != nil {
			return fmt.Errorf("note what was signed: %w", err)
		}
		now := time.Now()
		raw, err := json.Marshal(marked{Host: m.host, Inode: inode, At: now.UnixNano(), Height: ref.Height, Hash: ref.Hash})
		if err != nil {
			return fmt.Errorf("note what was signed: %w", err)
		}
		raw = append(raw, bytes.Repeat([]byte{' '}, max(markSize-1-len(raw), 0))...)
		if _, err := m.file.WriteAt(append(raw, '\n'), 0); err != nil {
			return fmt.Errorf("note what was signed: %w", err)
		}
		if _, changed, err := fileTime(m.path); err != nil || changed.Sub(now).Abs() <= slack/2 {
			return err
		}
	}
	return nil // it will be doubted
}

// Close closes the file. Closing again does nothing.
func (m *Mark) Close() error {
	file := m.file
	if m.file = nil; file == nil {
		return nil
	}
	return file.Close()
}

// host identifies the machine, without telling its identity. What it cannot read now it must not be without later.
func host() (string, error) {
	id, err := os.ReadFile("/etc/machine-id")
	if err := scarce(err); err != nil {
		return "", err
	}
	name := strings.TrimSpace(string(id))
	if err != nil || name == "" {
		name, _ = os.Hostname() // what cannot be told apart is not told apart
	}
	sum := sha256.Sum256([]byte("headrace\n" + name))
	return fmt.Sprintf("%x", sum[:16]), nil
}
