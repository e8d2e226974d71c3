package main

import (
	"fmt"
	"log/slog"
	"path/filepath"

	"headrace/block"
	"headrace/gossip"
	"headrace/node"
)

// openGossip listens for peers as the settings say.
func openGossip(home string, c *node.GossipConfig, genesis *block.Genesis, log *slog.Logger) (*gossip.Gossip, error) {
	if err := gossip.CheckListen(c.Listen); err != nil {
		return nil, fmt.Errorf("gossip.listen: %w", err)
	}
	peers, err := gossip.ParsePeers(c.Peers)
	if err != nil {
		return nil, fmt.Errorf("gossip.peers: %w", err)
	}
	path := c.KeyFile
	if !filepath.IsAbs(path) {
		path = filepath.Join(home, path)
	}
	key, err := gossip.LoadKey(path)
	if err != nil {
		return nil, err
	}
	g, err := gossip.Open(gossip.Options{Genesis: genesis.Hash(), Key: key, Listen: c.Listen, Peers: peers, Most: int(c.MaxPeers), Logger: log.With("module", "gossip")})
	if err != nil {
		return nil, fmt.Errorf("gossip: %w: gossip.listen names the addresses", err)
	}
	return g, nil
}
