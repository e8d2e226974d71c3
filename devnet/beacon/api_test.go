package beacon_test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"

	"headrace/devnet/beacon"
	"headrace/devnet/geth"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto/kzg4844"
	"github.com/ethereum/go-ethereum/params"
	"github.com/holiman/uint256"
)

// blobTx has one blob that begins with each of the bytes given.
func blobTx(t *testing.T, version byte, nonce uint64, first ...byte) *types.Transaction {
	t.Helper()
	sidecar := types.NewBlobTxSidecar(version, nil, nil, nil)
	for _, b := range first {
		var blob kzg4844.Blob
		blob[1] = b
		commitment, err := kzg4844.BlobToCommitment(&blob)
		if err != nil {
			t.Fatal(err)
		}
		sidecar.Blobs, sidecar.Commitments = append(sidecar.Blobs, blob), append(sidecar.Commitments, commitment)
		if version == types.BlobSidecarVersion1 {
			proofs, err := kzg4844.ComputeCellProofs(&blob)
			if err != nil {
				t.Fatal(err)
			}
			sidecar.Proofs = append(sidecar.Proofs, proofs...)
			continue
		}
		proof, err := kzg4844.ComputeBlobProof(&blob, commitment)
		if err != nil {
			t.Fatal(err)
		}
		sidecar.Proofs = append(sidecar.Proofs, proof)
	}
	return types.MustSignNewTx(geth.DevKey(0), types.NewPragueSigner(uint256.NewInt(geth.DevChainID).ToBig()), &types.BlobTx{
		ChainID: uint256.NewInt(geth.DevChainID), Nonce: nonce, Gas: 21_000, BlobFeeCap: uint256.NewInt(params.GWei),
		GasTipCap: uint256.NewInt(params.GWei), GasFeeCap: uint256.NewInt(100 * params.GWei), BlobHashes: sidecar.BlobHashes(), Sidecar: sidecar,
	})
}

type sidecar struct {
	Index  string        `json:"index"`
	Blob   hexutil.Bytes `json:"blob"`
	Commit hexutil.Bytes `json:"kzg_commitment"`
	Proof  hexutil.Bytes `json:"kzg_proof"`
	Header struct {
		Message struct {
			Slot string `json:"slot"`
		} `json:"message"`
	} `json:"signed_block_header"`
}

// verify checks a sidecar as a client does that knows the versioned hash from the transaction.
func (s *sidecar) verify(hash common.Hash) error {
	commitment := kzg4844.Commitment(s.Commit)
	want := common.Hash{0x01}
	copy(want[1:], hash32(commitment[:])[1:])
	if hash != want {
		return fmt.Errorf("commitment of %s, want %s", want, hash)
	}
	return kzg4844.VerifyBlobProof((*kzg4844.Blob)(s.Blob), commitment, kzg4844.Proof(s.Proof))
}

func hash32(b []byte) []byte {
	h := sha256.Sum256(b)
	return h[:]
}

func get[T any](t *testing.T, url string) (data T, status int) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(url)
	if err != nil {
		return data, 0
	}
	defer resp.Body.Close()
	var answer struct{ Data T }
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil && resp.StatusCode == http.StatusOK {
		t.Fatal(err)
	}
	return answer.Data, resp.StatusCode
}

func TestBlobs(t *testing.T) {
	for _, c := range []struct {
		fork    geth.Fork
		version byte
	}{{geth.Prague, types.BlobSidecarVersion0}, {geth.Osaka, types.BlobSidecarVersion1}} {
		t.Run(c.fork.String(), func(t *testing.T) {
			t.Parallel()
			chain, node := open(t, c.fork, beacon.Options{SecondsPerSlot: 12, GenesisTime: 1_000_000})
			server := httptest.NewServer(chain.API())
			t.Cleanup(server.Close)
			tx := blobTx(t, c.version, 0, 1, 2)
			if err := dial(t, node.HTTP()).SendTransaction(t.Context(), tx); err != nil { // as a proposer does
				t.Fatal(err)
			}
			spec := beacon.Including(tx.Hash())
			spec.SkipSlots = 4
			b := mine(t, chain, 1, spec)
			next := mine(t, chain, 1, beacon.Empty())
			hashes := tx.BlobHashes()

			url := server.URL + "/eth/v1/beacon/blob_sidecars/"
			check := func(id string, wanted ...int) {
				t.Helper()
				sidecars, status := get[[]sidecar](t, url+id)
				if status != http.StatusOK || len(sidecars) != len(wanted) {
					t.Fatalf("%s: got %d sidecars, status %d, want %d", id, len(sidecars), status, len(wanted))
				}
				for i, s := range sidecars {
					if s.Index != strconv.Itoa(wanted[i]) || s.Header.Message.Slot != "5" {
						t.Errorf("%s: got index %s in slot %s, want %d in 5", id, s.Index, s.Header.Message.Slot, wanted[i])
					}
					if err := s.verify(hashes[wanted[i]]); err != nil {
						t.Errorf("%s: sidecar %d: %v", id, i, err)
					}
				}
			}
			check("5", 0, 1)
			check("5?indices=1", 1)
			check("5?indices=1,0", 0, 1)
			check(next.Header.ParentBeaconRoot.Hex(), 0, 1)
			check("6")
			check("head")
			if blobs, _ := get[[]hexutil.Bytes](t, server.URL+"/eth/v1/beacon/blobs/5?versioned_hashes="+hashes[1].Hex()); len(blobs) != 1 || blobs[0][1] != 2 {
				t.Errorf("blobs by versioned hash: got %d", len(blobs))
			}
			for id, want := range map[string]int{"1": 404, "7": 404, "finalized": 404, "garbage": 400, b.Hash().Hex(): 404} {
				if _, status := get[[]sidecar](t, url+id); status != want {
					t.Errorf("%s: got status %d, want %d", id, status, want)
				}
			}
			// In a reorg the slot becomes another block's; the old one is still known by its root.
			if _, err := chain.Reorg(t.Context(), 2, beacon.EmptyN(5)...); err != nil {
				t.Fatal(err)
			}
			if sidecars, status := get[[]sidecar](t, url+"5"); status != http.StatusOK || len(sidecars) != 0 {
				t.Errorf("slot 5 after a reorg: got %d sidecars, status %d, want an empty block", len(sidecars), status)
			}
			check(b.Root().Hex(), 0, 1)
		})
	}
}

func TestBeaconInformation(t *testing.T) {
	t.Parallel()
	chain, _ := open(t, geth.Prague, beacon.Options{SecondsPerSlot: 12, GenesisTime: 1_000_000})
	server := httptest.NewServer(chain.API())
	t.Cleanup(server.Close)
	b := mine(t, chain, 2, beacon.Empty())
	if g, _ := get[map[string]string](t, server.URL+"/eth/v1/beacon/genesis"); g["genesis_time"] != "1000000" {
		t.Errorf("genesis: got %v", g)
	}
	if s, _ := get[map[string]string](t, server.URL+"/eth/v1/config/spec"); s["SECONDS_PER_SLOT"] != "12" || s["DEPOSIT_CHAIN_ID"] != "1337" {
		t.Errorf("spec: got %v", s)
	}
	type header struct {
		Root      common.Hash
		Canonical bool
	}
	if h, _ := get[header](t, server.URL+"/eth/v1/beacon/headers/head"); h.Root != b.Root() || !h.Canonical {
		t.Errorf("header of head: got %v, want root %s", h, b.Root())
	}
	if v, status := get[map[string]string](t, server.URL+"/eth/v1/node/version"); status != http.StatusOK || v["version"] == "" {
		t.Errorf("version: got %v, status %d", v, status)
	}
	if _, status := get[any](t, server.URL+"/eth/v2/beacon/blocks/head"); status != http.StatusNotFound {
		t.Errorf("an endpoint that is not: got status %d, want 404", status)
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	chain, _ := open(t, geth.Prague, beacon.Options{})
	server := httptest.NewServer(chain.API())
	t.Cleanup(server.Close)
	tx := blobTx(t, types.BlobSidecarVersion0, 0, 1)
	mine(t, chain, 1, beacon.With(tx))
	url := server.URL + "/eth/v1/beacon/blob_sidecars/1"
	good := func() {
		t.Helper()
		sidecars, status := get[[]sidecar](t, url)
		if status != http.StatusOK || len(sidecars) != 1 {
			t.Fatalf("without faults: got %d sidecars, status %d", len(sidecars), status)
		}
		if err := sidecars[0].verify(tx.BlobHashes()[0]); err != nil {
			t.Errorf("without faults: %v", err)
		}
	}
	good()
	before := chain.API().Requests()
	for _, want := range []int{404, 500, 503} {
		chain.API().SetFaults(beacon.Faults{Status: want})
		if _, status := get[any](t, url); status != want {
			t.Errorf("got status %d, want %d", status, want)
		}
	}
	chain.API().SetFaults(beacon.Faults{Down: true})
	if _, status := get[any](t, url); status != 0 {
		t.Errorf("down: got status %d, want none", status)
	}
	if got := chain.API().Requests() - before; got < 4 {
		t.Errorf("got %d requests counted, want at least 4", got)
	}
	chain.API().SetFaults(beacon.Faults{Tamper: beacon.CorruptBlobs})
	if sidecars, _ := get[[]sidecar](t, url); len(sidecars) != 1 || sidecars[0].verify(tx.BlobHashes()[0]) == nil {
		t.Error("corrupt blobs: the sidecar is good or missing")
	}
	chain.API().SetFaults(beacon.Faults{Tamper: beacon.OmitBlobs})
	if sidecars, status := get[[]sidecar](t, url); len(sidecars) != 0 || status != http.StatusOK {
		t.Errorf("omitted blobs: got %d, status %d", len(sidecars), status)
	}
	chain.API().SetFaults(beacon.Faults{})
	good() // what was tampered with was a copy
}
