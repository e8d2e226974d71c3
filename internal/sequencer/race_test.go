//go:build race

package sequencer_test

// raced says that the race detector is on, with which all takes some times as long.
const raced = true
