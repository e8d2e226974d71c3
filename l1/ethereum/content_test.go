package ethereum_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto/kzg4844"
	"github.com/holiman/uint256"

	"headrace/devnet/beacon"
	"headrace/devnet/geth"
	"headrace/l1"
	"headrace/l1/ethereum"
)

// blobTx signs a transaction to the inbox with blobs.
func (r *rig) blobTx(key *ecdsa.PrivateKey, data []byte, blobs ...*l1.Blob) *types.Transaction {
	r.t.Helper()
	sidecar := types.NewBlobTxSidecar(types.BlobSidecarVersion0, nil, nil, nil)
	for _, b := range blobs {
		blob := kzg4844.Blob(*b)
		commitment, proof := r.commit(&blob)
		sidecar.Blobs, sidecar.Commitments, sidecar.Proofs = append(sidecar.Blobs, blob), append(sidecar.Commitments, commitment), append(sidecar.Proofs, proof)
	}
	nonce := r.nonce(key)
	tx, err := types.SignNewTx(key, types.LatestSignerForChainID(big.NewInt(geth.DevChainID)), &types.BlobTx{
		ChainID: uint256.NewInt(geth.DevChainID), Nonce: nonce, GasTipCap: uint256.NewInt(1e9), GasFeeCap: uint256.NewInt(1e11), Gas: 1_000_000, To: r.inbox(),
		Data: data, BlobFeeCap: uint256.NewInt(1e9), BlobHashes: sidecar.BlobHashes(), Sidecar: sidecar,
	})
	r.check(err)
	return tx
}

type committed struct {
	commitment kzg4844.Commitment
	proof      kzg4844.Proof
}

var commits sync.Map // of [32]byte to committed: a proof takes a third of a second

func (r *rig) commit(blob *kzg4844.Blob) (kzg4844.Commitment, kzg4844.Proof) {
	r.t.Helper()
	key := sha256.Sum256(blob[:])
	if c, ok := commits.Load(key); ok {
		return c.(committed).commitment, c.(committed).proof
	}
	commitment, err := kzg4844.BlobToCommitment(blob)
	r.check(err)
	proof, err := kzg4844.ComputeBlobProof(blob, commitment)
	r.check(err)
	commits.Store(key, committed{commitment, proof})
	return commitment, proof
}

func (r *rig) proposeBlobs(offset uint32, blobs ...*l1.Blob) {
	r.t.Helper()
	r.mine(r.blobTx(r.proposer, bindings.PackProposeBlobs(r.state().LastProposal, common.Hash{7}, 0, offset), blobs...))
}

func twoBlobs(name string) l1.Draft { // takes two blobs
	d := draft(1, name)
	d.Blocks = append(d.Blocks, l1.Encoded{Header: []byte("second"), Data: bytes.Repeat([]byte(name), 150_000/len(name))})
	return d
}

// Content in blobs comes back as it went, with the proofs of before Osaka and of after it.
func TestBlobs(t *testing.T) {
	for _, fork := range []geth.Fork{geth.Prague, geth.Osaka} {
		t.Run(fork.String(), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, fork, l1.Settings{})
			c := r.client(nil)
			d, blobs := draft(1, "one blob"), 1
			if fork == geth.Prague {
				d, blobs = twoBlobs("blobs"), 2
			}
			r.mining(func(ctx context.Context) {
				at, err := r.account(c, r.proposer, ethereum.Blobs).Propose(ctx, d)
				r.check(err)
				p := one(t, c, at.Block.Height).Proposal
				if p.Void != "" || len(p.Own().Blobs) != blobs || !reflect.DeepEqual(p.Blocks, d.Blocks) || p.Parent != d.Parent {
					t.Errorf("got void %q, %d blobs, %d blocks", p.Void, len(p.Own().Blobs), len(p.Blocks))
				}
			})
			if fork == geth.Prague { // the rest does not depend on the fork, and blobs cost each new node seconds
				testBeaconCalls(t, r)
				testBeaconFaults(t, r)
			}
		})
	}
}

// Some beacon nodes have only the older of two calls, some only the newer.
func testBeaconCalls(t *testing.T, r *rig) {
	r.proposeBlobs(0, l1.PackBlobs(payload("a"))...)
	api := r.beacon.Config.Handler
	defer func() { r.beacon.Config.Handler = api }()
	for _, missing := range []string{"/eth/v1/beacon/blobs/", "/eth/v1/beacon/blob_sidecars/"} {
		requests := 0
		r.beacon.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			if requests++; strings.HasPrefix(q.URL.Path, missing) {
				http.NotFound(w, q)
				return
			}
			api.ServeHTTP(w, q)
		})
		c := r.client(nil)
		for range 2 {
			requests = 0
			if p := one(t, c, r.head().Height).Proposal; p.Void != "" || string(p.Blocks[0].Header) != "header a" {
				t.Errorf("without %s: got %+v", missing, p)
			}
		}
		if requests != 1 {
			t.Errorf("without %s: got %d requests the second time, want 1", missing, requests)
		}
		r.chain.API().SetFaults(beacon.Faults{Tamper: beacon.CorruptBlobs})
		if got, err := tryFetch(t.Context(), c, r.head().Height, r.head().Height+1); err == nil || len(got) != 0 || errors.Is(err, l1.ErrContent) {
			t.Errorf("without %s, corrupt: got %+v, %v", missing, got, err)
		}
		r.chain.API().SetFaults(beacon.Faults{})
	}
}

// E7, E8: a beacon API that is down, errs, or gives the wrong blobs, delays a proposal; it never makes it void.
func testBeaconFaults(t *testing.T, r *rig) {
	_, state := follower(t, r.client(nil), r.head().Height+1)
	for name, faults := range map[string]beacon.Faults{
		"down":    {Down: true},
		"500":     {Status: http.StatusInternalServerError},
		"404":     {Status: http.StatusNotFound},
		"corrupt": {Tamper: beacon.CorruptBlobs},
		"omitted": {Tamper: beacon.OmitBlobs},
	} {
		r.chain.API().SetFaults(faults)
		r.proposeBlobs(0, l1.PackBlobs(payload("a"))...)
		got, err := tryFetch(t.Context(), r.client(nil), r.head().Height, r.head().Height+1)
		if err == nil || len(got) != 0 || errors.Is(err, l1.ErrContent) {
			t.Errorf("%s: got %+v, %v, want an error that is no verdict", name, got, err)
		}
		r.chain.API().SetFaults(beacon.Faults{})
		reach(t, state, r.head())
		if p := one(t, r.client(nil), r.head().Height).Proposal; p.Void != "" || string(p.Blocks[0].Header) != "header a" {
			t.Errorf("%s, afterwards: got %+v", name, p)
		}
	}
	none := r.client(func(o *ethereum.Options) { o.Beacon = nil })
	if got, err := tryFetch(t.Context(), none, r.head().Height, r.head().Height+1); err == nil || len(got) != 0 {
		t.Errorf("without a beacon API: got %+v, %v", got, err)
	}
}

// S38: content that is no good makes a void proposal, for every client alike; its id is consumed, and the next
// proposal is good again.
func TestVoid(t *testing.T) {
	t.Parallel()
	r := newRig(t, geth.Prague, l1.Settings{ForcedDelay: 1000})
	full := l1.PackBlobs(payload("a"))[0]
	full[32] = 1 // an element that is not packed by 31 bytes
	shared := l1.PackBlobs(append(make([]byte, 100), payload("shared")...))
	forwarder := r.forwarder()
	r.mine(r.tx(r.owner, r.inbox(), bindings.PackSetProposer(forwarder, true)))
	many := make([]l1.Encoded, l1.MaxBlocks+1)
	for i := range many {
		many[i].Header = []byte{1}
	}
	id := uint64(0)
	for _, c := range []struct {
		name, void string // void is part of the reason; empty for good content
		propose    func()
	}{
		{"garbage in call data", "payload version", func() { r.propose([]byte("garbage")) }},
		{"no blocks", "no blocks", func() { r.propose(l1.EncodeBlocks(nil)) }},
		{"too many blocks", "more than", func() { r.propose(l1.EncodeBlocks(many)) }},
		{"garbage in a blob", "payload version", func() { r.proposeBlobs(0, l1.PackBlobs([]byte("garbage"))...) }},
		{"full element", "31 bytes", func() { r.proposeBlobs(0, full) }},
		{"offset beyond", "offset", func() { r.proposeBlobs(l1.BlobCapacity, l1.PackBlobs(payload("a"))...) }},
		{"offset within", "", func() { r.proposeBlobs(100, shared...) }},
		{"by another contract", "directly", func() {
			r.mine(r.tx(r.proposer, forwarder, bindings.PackPropose(r.state().LastProposal, common.Hash{7}, 0, payload("a"))))
		}},
		{"trailing bytes after the arguments", "", func() { // unusual, but the contract reads it, and so do we
			data := bindings.PackPropose(r.state().LastProposal, common.Hash{7}, 0, payload("a"))
			r.mine(r.tx(r.proposer, r.inbox(), append(data, "trailing"...)))
		}},
		{"good content again", "", func() { r.propose(payload("a")) }},
	} {
		c.propose()
		id++
		p := one(t, r.client(nil), r.head().Height).Proposal
		if p == nil || p.ID != id || !strings.Contains(p.Void, c.void) || (p.Void == "") != (c.void == "") || (p.Blocks == nil) != (c.void != "") {
			t.Errorf("%s: got %+v, want proposal %d with void %q", c.name, p, id, c.void)
		}
		if again := one(t, r.client(nil), r.head().Height).Proposal; !reflect.DeepEqual(again, p) {
			t.Errorf("%s: another client got %+v", c.name, again)
		}
	}
	r.mine(r.tx(r.proposer, forwarder, bindings.PackForce(l1.EncodeTxs(nil))))
	if f := one(t, r.client(nil), r.head().Height).Forced; !strings.Contains(f.Source.Void, "directly") {
		t.Errorf("forced by another contract: got %+v", f)
	}
}

// forwarder deploys a contract that passes each call on to the inbox, so that the content is not in the transaction's
// input.
func (r *rig) forwarder() common.Address {
	r.t.Helper()
	run := common.FromHex(fmt.Sprintf("365f5f37"+"5f5f365f5f73%x5af1"+"00", r.inbox()))
	code := append([]byte{0x60, byte(len(run)), 0x80, 0x60, 9, 0x5f, 0x39, 0x5f, 0xf3}, run...)
	nonce := r.nonce(r.owner)
	tx, err := types.SignNewTx(r.owner, types.LatestSignerForChainID(big.NewInt(geth.DevChainID)), &types.DynamicFeeTx{
		ChainID: big.NewInt(geth.DevChainID), Nonce: nonce, GasTipCap: big.NewInt(1e9), GasFeeCap: big.NewInt(1e11), Gas: 1_000_000, Data: code,
	})
	r.check(err)
	r.mine(tx)
	receipt, err := r.eth.TransactionReceipt(r.t.Context(), tx.Hash())
	r.check(err)
	return receipt.ContractAddress
}
