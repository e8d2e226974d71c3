// Package evnodev1 is the generated code of executor.proto, which says how an Evolve executor is called. Package evgrpc
// in the folder above is what programs in Go use.
package evnodev1

//go:generate go run headrace/exec/internal/gen/cmd executor.proto evnode/v1/executor.proto
