//go:build !race

package celestia_test

const scale = 1 << 20 // of big blobs
