// Package evnodev1 is the generated code of two files of Evolve's protocol. executor.proto says how an executor is
// called: package evgrpc in the folder above is what programs in Go use. services.proto says what a node tells the tools
// that read it.
package evnodev1

//go:generate go run headrace/exec/internal/gen/cmd executor.proto evnode/v1/executor.proto
//go:generate go run headrace/exec/internal/gen/cmd services.proto evnode/v1/services.proto
