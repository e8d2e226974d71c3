package gossip

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/libp2p/go-libp2p/core/crypto"

	"headrace/internal/logs/logstest"
)

func newKey(t *testing.T) crypto.PrivKey {
	t.Helper()
	key, err := LoadKey(t.TempDir() + "/gossip.key")
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// listening opens a host, and returns what others have in their settings to reach it.
func listening(t *testing.T, key crypto.PrivKey, listen ...string) (*Gossip, []string) {
	t.Helper()
	g, err := Open(Options{Genesis: genesis, Key: key, Listen: listen})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Close() })
	return g, g.Peers().Addresses
}

// port returns an address without the name of who listens there.
func port(address string) string {
	at, _, _ := strings.Cut(address, "/p2p/")
	return at
}

// TestPortInUse: a port has one process, and of several addresses none is left out.
func TestPortInUse(t *testing.T) {
	for _, any := range []string{"/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"} {
		_, taken := listening(t, newKey(t), any)
		for _, listen := range [][]string{{port(taken[0])}, {"/ip4/127.0.0.1/tcp/0", port(taken[0])}} {
			g, err := Open(Options{Genesis: genesis, Key: newKey(t), Listen: listen})
			if err == nil {
				_ = g.Close()
				t.Errorf("listens on %q beside another one", listen)
			} else if !strings.Contains(err.Error(), port(taken[0])) || !strings.Contains(err.Error(), "in use") {
				t.Errorf("%q: %v, want what is wrong with which", listen, err)
			}
		}
	}
}

// TestPeerOfTheSettingsIsTold: the log says where a host is reached, and whether the peers of the settings are there, once.
func TestPeerOfTheSettingsIsTold(t *testing.T) {
	key := newKey(t)
	other, addresses := listening(t, key, "/ip4/127.0.0.1/tcp/0")
	peers, err := ParsePeers(addresses)
	if err != nil {
		t.Fatal(err)
	}
	log := new(logstest.Text)
	g, err := Open(Options{Genesis: genesis, Key: newKey(t), Listen: []string{"/ip4/127.0.0.1/tcp/0"}, Peers: peers, Logger: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	if line := log.Next(t, "msg=gossip"); !strings.Contains(line, g.Peers().Addresses[0]) {
		t.Errorf("the log says %q, want where it is reached", line)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- g.peers.run(ctx) }()
	defer func() { cancel(); <-ended }()
	log.Next(t, "peer found")
	_ = other.Close()
	if line := log.Next(t, "peer lost"); !strings.Contains(line, "refused") || strings.Contains(line, `\n`) {
		t.Errorf("the log says %q, want one line with why", line)
	}
	listening(t, key, port(addresses[0]))
	for {
		line := log.Next(t, "peer ")
		if strings.Contains(line, "peer found") {
			break
		}
		t.Errorf("the log says again %q", line)
	}
}
