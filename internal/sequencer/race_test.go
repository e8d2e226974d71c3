//go:build race

package sequencer_test

// fewReorgs is how many reorgs the simulation has where each costs ten times as much; -reorgs 200 is for a machine
// with time.
const fewReorgs = 10
