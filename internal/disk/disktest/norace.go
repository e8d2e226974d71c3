//go:build !race

package disktest

// Race is true under the race detector, where Pebble keeps a stack trace of every iterator and each test takes many times longer: tests that go
// through all points of failure then go through some.
const Race = false
