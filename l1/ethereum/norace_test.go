//go:build !race

package ethereum_test

const raceEnabled = false
