package devnet_test

import (
	"errors"
	"net"
	"os"
	"strings"
	"testing"

	"headrace/devnet"
	"headrace/internal/nettest"
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

// A devnet listens where it is told to, unless somebody else does.
func TestListen(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	free := make([]string, 2)
	for i := range free {
		free[i] = nettest.FreeAddress(t)
	}
	n := devnet.Start(t, devnet.Options{Listen: []string{free[0], taken.Addr().String(), free[1]}})
	addresses := []string{strings.TrimPrefix(n.DA().URL(), "http://")}
	for _, each := range n.Nodes() {
		addresses = append(addresses, each.Address())
	}
	if addresses[0] != free[0] || addresses[1] == taken.Addr().String() || addresses[2] != free[1] || addresses[3] == "" {
		t.Errorf("got %v, want those of %v, and others where that is taken", addresses, free)
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
