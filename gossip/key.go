package gossip

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// LoadKey reads the key that names a host, in hexadecimal as libp2p encodes it, from a file that its owner alone may
// read. If there is none it makes one. It signs no blocks: who has it can pass for this host among its peers.
func LoadKey(path string) (crypto.PrivKey, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return makeKey(path)
	}
	if err != nil {
		return nil, fmt.Errorf("read gossip key: %w", err)
	}
	raw, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err == nil {
		var key crypto.PrivKey
		if key, err = crypto.UnmarshalPrivateKey(raw); err == nil {
			return key, nil
		}
	}
	return nil, fmt.Errorf("%s is no key of a libp2p host in hexadecimal: move it away, and another one is made, with another peer ID", path)
}

func makeKey(path string) (crypto.PrivKey, error) {
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make gossip key: %w", err)
	}
	raw, err := crypto.MarshalPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("make gossip key: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".gossip-*") // its owner's alone
	if err != nil {
		return nil, fmt.Errorf("make gossip key: %w", err)
	}
	defer os.Remove(f.Name())
	_, err = fmt.Fprintln(f, hex.EncodeToString(raw))
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Link(f.Name(), path) // never over another one
	}
	if err != nil {
		return nil, fmt.Errorf("make gossip key: %w", err)
	}
	return key, nil
}

// ParsePeers returns the peers with these multiaddrs. Those of one peer are put together.
func ParsePeers(addresses []string) ([]peer.AddrInfo, error) {
	var all []ma.Multiaddr
	for _, text := range addresses {
		a, err := ma.NewMultiaddr(text)
		if err != nil {
			return nil, fmt.Errorf("%q is no multiaddr such as /ip4/192.0.2.1/tcp/7400/p2p/ID: %w", text, err)
		}
		if _, err := peer.AddrInfoFromP2pAddr(a); err != nil {
			return nil, fmt.Errorf("%q does not end in /p2p/ID: the peer says it in its log, and in its status as peers.addresses: %w", text, err)
		}
		all = append(all, a)
	}
	return peer.AddrInfosFromP2pAddrs(all...)
}

// CheckListen says which of these is no multiaddr to listen on.
func CheckListen(addresses []string) error {
	for _, text := range addresses {
		a, err := ma.NewMultiaddr(text)
		if err != nil {
			return fmt.Errorf("%q is no multiaddr such as /ip4/0.0.0.0/tcp/7400: %w", text, err)
		}
		if _, end := ma.SplitLast(a); end == nil || end.Code() != ma.P_TCP && end.Code() != ma.P_QUIC_V1 {
			return fmt.Errorf("%q does not end in a port of TCP or in quic-v1, as /ip4/0.0.0.0/tcp/7400 and /ip4/0.0.0.0/udp/7400/quic-v1 do", text)
		}
	}
	return nil
}
