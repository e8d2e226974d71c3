//go:build !race

package sequencer_test

// fewReorgs is how many reorgs the simulation has in a run of all tests; -reorgs 200 is for a machine with time.
const fewReorgs = 40
