package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"headrace/da"
	"headrace/da/celestia"
	"headrace/devnet"
	"headrace/follow/position"
	"headrace/watch"
)

// printed is what the indexer has printed.
type printed struct{ lines *watch.Value[[]string] }

func (p printed) Write(b []byte) (int, error) {
	p.lines.Update(func(l []string) []string { return append(l[:len(l):len(l)], strings.TrimSpace(string(b))) })
	return len(b), nil
}

// The indexer has each blob of its namespace, in order, across a stop and a start.
func TestIndex(t *testing.T) {
	net := devnet.Start(t)
	address, file := net.DA().URL(), filepath.Join(t.TempDir(), "position")
	namespace, err := da.NamespaceOf("example")
	if err != nil {
		t.Fatal(err)
	}
	client, err := celestia.New([]celestia.Endpoint{{URL: address}}, celestia.Options{Namespaces: []da.Namespace{namespace}})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	out := printed{watch.New([]string(nil))}
	var last uint64
	for run := range 2 {
		ctx, cancel := context.WithCancel(t.Context())
		var work sync.WaitGroup
		work.Go(func() { _ = index(ctx, out, address, "example", file) })
		for i := range 3 {
			height, err := client.Submit(t.Context(), []da.Blob{{Namespace: namespace, Data: fmt.Appendf(nil, "blob %d", 3*run+i), Index: -1}})
			if err != nil {
				t.Fatal(err)
			}
			want := fmt.Sprintf("%d  blob %d", height, 3*run+i)
			lines, err := out.lines.Wait(t.Context(), func(l []string) bool { return len(l) > 0 && l[len(l)-1] == want })
			if err != nil {
				t.Fatalf("got %q, want %q: %v", lines, want, err)
			}
			last = height
		}
		cancel()
		work.Wait()
	}
	lines := out.lines.Load()
	seen := map[string]bool{}
	for _, l := range lines {
		seen[l] = true
	}
	if len(seen) != 6 || len(lines) > 7 { // the last one before the stop may come again
		t.Errorf("got %q, want each of six blobs once", lines)
	}
	if at, err := position.InFile(file, 1).Load(); err != nil || at.Height+1 < last {
		t.Errorf("got position %v and %v, want %d", at, err, last)
	}
}
