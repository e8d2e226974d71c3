// Package tiny has guards for the tests of mutate.
package tiny

import "errors"

var errOdd, errBig, errSmall = errors.New("odd"), errors.New("big"), errors.New("small")

// Check refuses what is not even, or not below 100.
func Check(n int) error {
	if n%2 != 0 {
		return errOdd
	}
	if n >= 100 {
		return errBig
	}
	return nil
}

// Twice has the same guard at two places.
func Twice(a, b int) error {
	if a == 0 {
		return errSmall
	}
	if b == 0 {
		return errSmall
	}
	return nil
}

// Drain empties c and returns when it is closed.
func Drain(c chan int) {
	for {
		if _, ok := <-c; !ok {
			break
		}
	}
}
