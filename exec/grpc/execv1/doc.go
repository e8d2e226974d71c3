// Package execv1 is the generated code of exec.proto, which says what an engine behind gRPC promises. Package execgrpc in the folder above is what
// programs in Go use.
package execv1

//go:generate go run headrace/exec/internal/gen/cmd exec.proto headrace/exec/v1/exec.proto
