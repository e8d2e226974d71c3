//go:build !linux && !darwin

package doctor

import "errors"

func free(string) (uint64, error) { return 0, errors.ErrUnsupported }

func descriptors() (uint64, error) { return 0, errors.ErrUnsupported }
