package beacon_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
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

// Blobs whose field elements are all the same number have commitments and proofs that need no computing: the polynomial is a constant c,
// so the commitment is c times the generator, and the quotient, and with it each proof, is zero: the point at infinity.
var (
	commitments = map[byte]kzg4844.Commitment{
		0: {0xc0},
		1: kzg4844.Commitment(hexutil.MustDecode("0x97f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb")),
		2: kzg4844.Commitment(hexutil.MustDecode("0xa572cbea904d67468808c8eb50a9450c9721db309128012543902d0ac358a62ae28f75bb8f1c7c42c39a8c5529bf0f4e")),
	}
	infinity = kzg4844.Proof{0xc0}
)

func constant(c byte) (blob kzg4844.Blob) {
	for i := 31; i < len(blob); i += 32 {
		blob[i] = c
	}
	return blob
}

// blobTx has one constant blob for each number.
func blobTx(version byte, nonce uint64, numbers ...byte) *types.Transaction {
	sidecar := types.NewBlobTxSidecar(version, nil, nil, nil)
	for _, c := range numbers {
		sidecar.Blobs, sidecar.Commitments = append(sidecar.Blobs, constant(c)), append(sidecar.Commitments, commitments[c])
		proofs := 1
		if version == types.BlobSidecarVersion1 {
			proofs = kzg4844.CellProofsPerBlob
		}
		sidecar.Proofs = append(sidecar.Proofs, slices.Repeat([]kzg4844.Proof{infinity}, proofs)...)
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

// verify checks that s is the sidecar of constant(c).
func (s *sidecar) verify(c byte) error {
	blob, commitment := constant(c), commitments[c]
	if !bytes.Equal(s.Commit, commitment[:]) || !bytes.Equal(s.Proof, infinity[:]) {
		return fmt.Errorf("commitment %s with proof %s, want %x with %x", s.Commit, s.Proof, commitment, infinity)
	}
	if !bytes.Equal(s.Blob, blob[:]) {
		return errors.New("another blob")
	}
	return nil
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
			tx := blobTx(c.version, 0, 1, 2)
			spec := beacon.With(tx)
			if c.fork == geth.Prague { // by way of the pool, as a proposer does
				if err := dial(t, node.HTTP()).SendTransaction(t.Context(), tx); err != nil {
					t.Fatal(err)
				}
				spec = beacon.Including(tx.Hash())
			}
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
					if err := s.verify(byte(wanted[i] + 1)); err != nil {
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
			check("genesis")
			if blobs, _ := get[[]hexutil.Bytes](t, server.URL+"/eth/v1/beacon/blobs/5?versioned_hashes="+hashes[1].Hex()); len(blobs) != 1 || blobs[0][31] != 2 {
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
	tx := blobTx(types.BlobSidecarVersion0, 0, 1)
	mine(t, chain, 1, beacon.With(tx))
	url := server.URL + "/eth/v1/beacon/blob_sidecars/1"
	good := func() {
		t.Helper()
		sidecars, status := get[[]sidecar](t, url)
		if status != http.StatusOK || len(sidecars) != 1 {
			t.Fatalf("without faults: got %d sidecars, status %d", len(sidecars), status)
		}
		if err := sidecars[0].verify(1); err != nil {
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
	if sidecars, _ := get[[]sidecar](t, url); len(sidecars) != 1 || sidecars[0].verify(1) == nil {
		t.Error("corrupt blobs: the sidecar is good or missing")
	}
	chain.API().SetFaults(beacon.Faults{Tamper: beacon.OmitBlobs})
	if sidecars, status := get[[]sidecar](t, url); len(sidecars) != 0 || status != http.StatusOK {
		t.Errorf("omitted blobs: got %d, status %d", len(sidecars), status)
	}
	chain.API().SetFaults(beacon.Faults{})
	good() // what was tampered with was a copy
}
