package main

import (
	"fmt"
	"log/slog"
	"path/filepath"

	"headrace/block"
	"headrace/gossip"
	"headrace/node"
)

// fits reports what is wrong with settings that node leaves to the packages that they are about: what start refuses,
// whatever the genesis is.
func fits(c *node.Config) error {
	if err := gossip.CheckListen(c.Gossip.Listen); err != nil {
		return fmt.Errorf("gossip.listen: %w", err)
	}
	if _, err := gossip.ParsePeers(c.Gossip.Peers); err != nil {
		return fmt.Errorf("gossip.peers: %w", err)
	}
	return c.Stream.Fits()
}

// openGossip listens for peers as the settings say, which fits has seen.
func openGossip(home string, c *node.GossipConfig, genesis *block.Genesis, log *slog.Logger) (*gossip.Gossip, error) {
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
