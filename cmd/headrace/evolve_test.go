package main

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"headrace/block"
)

// evolveChecks is how an ev-node checks a genesis.json.
func evolveChecks(text []byte) error {
	var g struct {
		ChainID string    `json:"chain_id"`
		Start   time.Time `json:"start_time"`
		Initial uint64    `json:"initial_height"`
		Address []byte    `json:"proposer_address"`
		Epoch   uint64    `json:"da_epoch_forced_inclusion"`
		DAStart uint64    `json:"da_start_height"` // may be 0: not known yet
	}
	if err := json.Unmarshal(text, &g); err != nil {
		return err
	}
	switch {
	case g.ChainID == "":
		return errors.New("no chain_id")
	case g.Initial < 1:
		return errors.New("initial_height is below 1")
	case g.Start.IsZero():
		return errors.New("no start_time")
	case len(g.Address) == 0:
		return errors.New("no proposer_address")
	case g.Epoch < 1:
		return errors.New("da_epoch_forced_inclusion is below 1")
	}
	return nil
}

// TestEvolveTakesTheGenesis: a new chain's genesis is one for an ev-node, and so is what is exported of a chain that
// was made before, whose own stays as it is: it is the chain's identity.
func TestEvolveTakesTheGenesis(t *testing.T) {
	t.Parallel()
	opt := initOptions{chainID: "new", daStartHeight: 7, keyType: block.Ed25519.String()}
	g := &block.Genesis{ChainID: opt.chainID, StartTime: time.Unix(1, 0).UTC(), InitialHeight: 1, ProposerAddress: make([]byte, 32), DAStartHeight: 7}
	before := *g
	if err := onDA(t.Context(), &before, opt, map[string]any{}); err != nil {
		t.Fatal(err)
	}
	if evolveChecks(before.Encode()) == nil {
		t.Fatal("an epoch of 0 passes their checks: this test shows nothing")
	}
	hash := before.Hash()
	theirs := evolveGenesis(&before, 9)
	if err := evolveChecks(theirs.Encode()); err != nil || theirs.DAStartHeight != 9 || theirs.DA != nil || theirs.DAEpochForcedInclusion != 50 {
		t.Errorf("got %s, %v, want what an ev-node takes, with the DA height", theirs.Encode(), err)
	}
	if before.Hash() != hash {
		t.Error("the chain's own genesis has changed")
	}
	chosen := before
	chosen.DAEpochForcedInclusion = 3
	if got := evolveGenesis(&chosen, 9).DAEpochForcedInclusion; got != 3 {
		t.Errorf("got epoch %d for a chain that has 3", got)
	}
}
