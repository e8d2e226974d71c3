package celestia_test

import (
	"errors"
	"testing"

	"headrace/da"
	"headrace/da/celestia"
	"headrace/da/fault"
	"headrace/da/local"
	"headrace/follow"
	"headrace/internal/httpc"
)

// TestProve: true claims are shown, false ones are found out, and an endpoint that cannot show anything decides nothing (I7).
func TestProve(t *testing.T) {
	chain := newChain(t, local.Options{})
	height := submit(t, chain, blob(alpha, "one"), blob(alpha, "two"))
	produce(t, chain, 1)
	faults := &fault.Set{}
	c := newClient(t, serve(t, chain.View(faults), celestia.HandlerOptions{}), celestia.Options{Namespaces: []da.Namespace{alpha, beta}, Level: da.Prove})
	ctx := deadline(t)
	hash := func(height uint64) [32]byte {
		e, err := chain.Header(height)
		if err != nil {
			t.Fatal(err)
		}
		return e.Header.Hash()
	}
	two := da.Digest([]da.Blob{blob(alpha, "one"), blob(alpha, "two")})
	check := func(what string, height uint64, hash [32]byte, ok bool, claims ...da.Claim) {
		t.Helper()
		err := c.Prove(ctx, height, hash, claims)
		if (err == nil) != ok || !ok && !errors.Is(err, da.ErrNotProven) {
			t.Errorf("%s: got %v, want it shown: %t", what, err, ok)
		}
	}
	check("nothing claimed", height, hash(height), true)
	check("blobs", height, hash(height), true, da.Claim{Namespace: alpha, Blobs: 2, Digest: two})
	check("nothing there", height, hash(height), true, da.Claim{Namespace: beta})
	check("nothing between others", height, hash(height), true, da.Claim{Namespace: named("zzz")}, da.Claim{Namespace: named("a")})
	check("both", height, hash(height), true, da.Claim{Namespace: beta}, da.Claim{Namespace: alpha, Blobs: 2, Digest: two})
	check("empty square", height+1, hash(height+1), true, da.Claim{Namespace: alpha})
	check("false empty", height, hash(height), false, da.Claim{Namespace: alpha})
	check("one too few", height, hash(height), false, da.Claim{Namespace: alpha, Blobs: 1, Digest: da.Digest([]da.Blob{blob(alpha, "one")})})
	check("wrong order", height, hash(height), false, da.Claim{Namespace: alpha, Blobs: 2, Digest: da.Digest([]da.Blob{blob(alpha, "two"), blob(alpha, "one")})})
	check("made up", height, hash(height), false, da.Claim{Namespace: beta, Blobs: 2, Digest: two})
	check("made up in an empty square", height+1, hash(height+1), false, da.Claim{Namespace: beta, Blobs: 2, Digest: two})
	for what, err := range map[string]error{
		"another header": c.Prove(ctx, height, hash(height+1), []da.Claim{{Namespace: beta}}),
		"lost data": func() error {
			defer faults.Clear()
			addFault(t, faults, fault.Fault{Kind: fault.FalseEmpty})
			return c.Prove(ctx, height, hash(height), []da.Claim{{Namespace: alpha}})
		}(),
	} {
		if err == nil || errors.Is(err, da.ErrNotProven) {
			t.Errorf("%s: got %v, want neither shown nor false", what, err)
		}
	}
	if c.Stats().ProofCalls == 0 || c.Stats().ContentFetches != 0 {
		t.Errorf("stats: %+v", c.Stats())
	}
}

// TestFetchMendsFalseTales: an endpoint that tells blobs wrongly and has the shares is read by its shares; one that has lost them is an error.
func TestFetchMendsFalseTales(t *testing.T) {
	chain := newChain(t, local.Options{})
	height := submit(t, chain, blob(alpha, "one"), blob(beta, "two"))
	for _, kind := range []fault.Kind{fault.MissingBlob, fault.CorruptBlob, fault.HugeBlob} {
		faults := &fault.Set{}
		addFault(t, faults, fault.Fault{Kind: kind, Namespace: &beta})
		c := newClient(t, serve(t, chain.View(faults), celestia.HandlerOptions{}), celestia.Options{Namespaces: []da.Namespace{alpha, beta}, Level: da.Prove})
		got := fetch(t, c, height, height+1)
		if blobs := got[0].Data.Blobs; len(blobs) != 2 || string(blobs[0].Data) != "one" || string(blobs[1].Data) != "two" {
			t.Errorf("%s: got %v", kind, blobs)
		}
	}
}

// TestDamagedEndpoint: what one endpoint has lost or pruned another one has; when none has it, the error says so.
func TestDamagedEndpoint(t *testing.T) {
	for kind, want := range map[fault.Kind]error{fault.FalseEmpty: nil, fault.BelowTail: da.ErrPruned, fault.Syncing: da.ErrSyncing} {
		chain := newChain(t, local.Options{})
		height := submit(t, chain, blob(alpha, "one"))
		produce(t, chain, 5)
		faults := &fault.Set{}
		f := fault.Fault{Kind: kind}
		switch kind {
		case fault.BelowTail:
			f.To = 1000
		case fault.Syncing:
			f.From = height
		}
		view := chain.View(faults)
		addFault(t, faults, f)
		bad, good := serve(t, view, celestia.HandlerOptions{}), serve(t, chain, celestia.HandlerOptions{})
		alone := newClient(t, bad, celestia.Options{Namespaces: []da.Namespace{alpha}})
		err := alone.Fetch(deadline(t), height, height+1, func(follow.Item[da.Block]) error { return nil })
		if err == nil || want != nil && !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", kind, err, want)
		}
		both, err := celestia.New(httpc.At(bad, good), celestia.Options{Namespaces: []da.Namespace{alpha}})
		if err != nil {
			t.Fatal(err)
		}
		if got := fetch(t, both, height, height+1); len(got[0].Data.Blobs) != 1 {
			t.Errorf("%s: from two endpoints: got %v", kind, got)
		}
		_ = both.Close()
	}
}
