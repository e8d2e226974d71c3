package devnet_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"headrace/devnet"
	"headrace/watch"
)

// A devnet is there when Start returns, and gone when its test has ended.
func TestStart(t *testing.T) {
	var n *devnet.Net
	t.Run("while", func(t *testing.T) {
		n = devnet.Start(t)
		if len(n.Nodes()) != 3 {
			t.Fatalf("got %d nodes, want a sequencer and two full ones", len(n.Nodes()))
		}
		for i, each := range n.Nodes() {
			if !each.Status().Load().Ready {
				t.Errorf("%s is not ready", n.Name(i))
			}
		}
		if err := n.Nodes()[0].SubmitTx(t.Context(), []byte("color=blue")); err != nil {
			t.Error(err)
		}
	})
	if err := n.Nodes()[1].Status().Err(); !errors.Is(err, watch.ErrClosed) {
		t.Errorf("got %v of a node after its test, want its end", err)
	}
	if _, err := os.Stat(n.Home()); err == nil {
		t.Error("the home is still there")
	}
}

// What keeps a devnet from running fails its test.
func TestStartFails(t *testing.T) {
	f := &failing{T: t}
	func() {
		defer func() { _ = recover() }()
		devnet.Start(f, devnet.Options{Through: func(int, string) (string, error) { return "", errors.New("no link") }})
	}()
	if !strings.Contains(f.said, "no link") {
		t.Errorf("got %q, want the test to fail of it", f.said)
	}
}

// failing is a test that notes what it fails of.
type failing struct {
	*testing.T
	said string
}

func (f *failing) Fatal(args ...any) {
	for _, a := range args {
		if err, ok := a.(error); ok {
			f.said = err.Error()
		}
	}
	panic("it ends here")
}
