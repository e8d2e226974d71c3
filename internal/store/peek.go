package store

import (
	"errors"
	"fmt"

	"headrace/block"
	"headrace/internal/disk"
)

// Peek returns the state of the store in dir, and where it began, without opening it: nothing is locked or written, and a
// node may have it open. It is as of the last commits that have reached the disk.
// Errors are those of Open, but for ErrLocked; damage that is noted there is one.
func Peek(dir string, id Identity, opt Options) (st State, start block.Ref, err error) {
	if err := disk.Noted(dir, opt.FS); err != nil {
		return st, start, err
	}
	values, err := disk.Peek(dir, opt.FS, metaKey, sourceKey, chainKey)
	if err != nil {
		return st, start, err
	}
	if values[0] == nil || values[1] == nil || values[2] == nil {
		return st, start, disk.Corrupt(dir, errors.New("it is being made, or keys are missing"))
	}
	fixed, err := decodeMeta(dir, values[0])
	if err != nil {
		return st, start, err
	}
	if err := fixed.check(dir, id); err != nil {
		return st, start, err
	}
	var items span
	if err := errors.Join(decodeSource(values[1], &st, &items), decodeChain(values[2], &st)); err != nil {
		return st, start, disk.Corrupt(dir, fmt.Errorf("state: %w", err))
	}
	return st, fixed.start, nil
}
