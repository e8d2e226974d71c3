package gossip

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gossip.key")
	made, err := LoadKey(path)
	if err != nil {
		t.Fatal(err)
	}
	again, err := LoadKey(path)
	if err != nil || !made.Equals(again) {
		t.Errorf("the key is another one when it is read again: %v", err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("its file is %v (%v): others may read it", info.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".gossip*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
	secret, _ := os.ReadFile(path)
	if err := os.WriteFile(path, secret[:40], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadKey(path); err == nil || strings.Contains(err.Error(), string(secret[:20])) {
		t.Errorf("half a key: %v", err)
	}
}

func TestParsePeers(t *testing.T) {
	const id = "12D3KooWCe7ajn1u6ERdvqjnYdzri3FQboLW2kzHFvoPjggdUSrb"
	for _, c := range []struct {
		in   []string
		want int
		err  string
	}{
		{[]string{"/ip4/192.0.2.1/tcp/7400/p2p/" + id, "/ip4/192.0.2.1/udp/7400/quic-v1/p2p/" + id}, 1, ""},
		{[]string{"/ip4/192.0.2.1/tcp/7400"}, 0, "/p2p/ID"},
		{[]string{"192.0.2.1:7400"}, 0, "multiaddr"},
		{nil, 0, ""},
	} {
		got, err := ParsePeers(c.in)
		if len(got) != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%q: %v, %v", c.in, got, err)
		}
	}
	if err := CheckListen([]string{"/ip4/0.0.0.0/tcp/0", "0.0.0.0:0"}); err == nil || !strings.Contains(err.Error(), "0.0.0.0:0") {
		t.Errorf("host:port: %v", err)
	}
	if err := CheckListen([]string{"/ip4/127.0.0.1"}); err == nil || !strings.Contains(err.Error(), "does not end in a port") {
		t.Errorf("no port: %v", err)
	}
	if err := CheckListen([]string{"/ip4/0.0.0.0/udp/0/quic-v1", "/dns4/localhost/tcp/0"}); err != nil {
		t.Error(err)
	}
}
