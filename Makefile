# Each target only calls the go command.
.PHONY: run test race vet

run: # the demo: a DA layer, a sequencer and two full nodes in one process
	go run ./cmd/headrace dev

test:
	go test ./...

race: # the packages where goroutines meet
	go test -race ./watch ./follow/... ./internal/derive ./internal/syncer ./internal/store ./internal/sequencer

vet:
	go vet ./...
	go tool staticcheck ./...
