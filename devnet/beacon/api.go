package beacon

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/ethereum/go-ethereum/beacon/engine"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/crypto/kzg4844"
)

// API is the chain's beacon API, an http.Handler: the part of a beacon node's that clients of blobs need.
//
//	/eth/v1/beacon/genesis
//	/eth/v1/beacon/headers/{block}
//	/eth/v1/beacon/blob_sidecars/{block}?indices=0,1
//	/eth/v1/beacon/blobs/{block}?versioned_hashes=0x…
//	/eth/v1/config/spec
//	/eth/v1/node/version, /eth/v1/node/health
//
// {block} is head, genesis, finalized, a slot of the canonical chain, or a beacon block root (Block.Root) of any block.
type API struct {
	chain    *Chain
	requests atomic.Uint64

	mu     sync.Mutex // guards faults
	faults Faults
}

// Faults are what is wrong with an API. The zero value is nothing.
type Faults struct {
	Down   bool // connections are dropped without an answer
	Status int  // if not 0, the status of every answer

	// Tamper, if not nil, may change what is answered about the blobs of a block: it gets a deep copy.
	Tamper func(slot uint64, sidecars []Sidecar) []Sidecar
}

// A Sidecar is one blob of a block.
type Sidecar struct {
	Index      int
	Blob       hexutil.Bytes // 131,072 bytes
	Commitment hexutil.Bytes
	Proof      hexutil.Bytes // of the whole blob, also from Osaka on, where the client's bundle has proofs of cells
}

// CorruptBlobs is a Tamper that changes a byte of each blob and leaves the commitment and the proof as they were.
func CorruptBlobs(_ uint64, sidecars []Sidecar) []Sidecar {
	for _, s := range sidecars {
		s.Blob[len(s.Blob)-1] ^= 1
	}
	return sidecars
}

// OmitBlobs is a Tamper that answers as if the block had no blobs.
func OmitBlobs(uint64, []Sidecar) []Sidecar { return nil }

// API returns the chain's beacon API.
func (c *Chain) API() *API { return &c.api }

// SetFaults replaces the faults, from the next request on.
func (a *API) SetFaults(f Faults) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.faults = f
}

// Requests is how many requests have come, faulty ones included.
func (a *API) Requests() uint64 { return a.requests.Load() }

func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.requests.Add(1)
	a.mu.Lock()
	faults := a.faults
	a.mu.Unlock()
	switch {
	case faults.Down:
		panic(http.ErrAbortHandler) // the server's way to drop the connection
	case faults.Status != 0:
		refuse(w, faults.Status, "as configured")
	default:
		a.serve(w, r, faults)
	}
}

func (a *API) serve(w http.ResponseWriter, r *http.Request, faults Faults) {
	path, ok := strings.CutPrefix(r.URL.Path, "/eth/v1/")
	if !ok || r.Method != http.MethodGet {
		refuse(w, http.StatusNotFound, "no such endpoint")
		return
	}
	switch path {
	case "node/health":
		return
	case "node/version":
		answer(w, map[string]any{"data": map[string]string{"version": "headrace/devnet"}})
		return
	case "beacon/genesis":
		answer(w, map[string]any{"data": map[string]string{
			"genesis_time":            strconv.FormatUint(a.chain.opt.GenesisTime, 10),
			"genesis_validators_root": common.Hash{}.Hex(),
			"genesis_fork_version":    "0x00000000",
		}})
		return
	case "config/spec":
		answer(w, map[string]any{"data": map[string]string{
			"SECONDS_PER_SLOT":           strconv.FormatUint(a.chain.opt.SecondsPerSlot, 10),
			"SLOTS_PER_EPOCH":            "32",
			"DEPOSIT_CHAIN_ID":           a.chain.config.ChainID.String(),
			"DEPOSIT_NETWORK_ID":         a.chain.config.ChainID.String(),
			"FIELD_ELEMENTS_PER_BLOB":    "4096",
			"VERSIONED_HASH_VERSION_KZG": "0x01",
		}})
		return
	}
	rest, ok := strings.CutPrefix(path, "beacon/")
	kind, id, found := strings.Cut(rest, "/")
	if !ok || !found {
		refuse(w, http.StatusNotFound, "no such endpoint")
		return
	}
	b, status, err := a.find(id)
	if err != nil {
		refuse(w, status, err.Error())
		return
	}
	switch kind {
	case "headers":
		a.header(w, b)
	case "blob_sidecars":
		a.sidecars(w, r, b, faults)
	case "blobs":
		a.blobs(w, r, b, faults)
	default:
		refuse(w, http.StatusNotFound, "no such endpoint")
	}
}

// find resolves a block id.
func (a *API) find(id string) (*Block, int, error) {
	c := a.chain
	c.mu.Lock()
	defer c.mu.Unlock()
	head := c.told()
	switch id {
	case "head":
		return head, 0, nil
	case "genesis":
		return c.ancestor(head, 0), 0, nil
	case "finalized":
		if b := c.blocks[c.finalized]; b != nil {
			return b, 0, nil
		}
		return nil, http.StatusNotFound, fmt.Errorf("no finalized block yet")
	}
	if strings.HasPrefix(id, "0x") {
		for _, b := range c.blocks {
			if b.Root().Hex() == id {
				return b, 0, nil
			}
		}
		return nil, http.StatusNotFound, fmt.Errorf("no block with root %s", id)
	}
	slot, err := strconv.ParseUint(id, 10, 64)
	if err != nil {
		return nil, http.StatusBadRequest, fmt.Errorf("invalid block id %q", id)
	}
	for b := head; b != nil && b.Slot >= slot; b = c.blocks[b.Header.ParentHash] {
		if b.Slot == slot {
			return b, 0, nil
		}
	}
	return nil, http.StatusNotFound, fmt.Errorf("no block in slot %d", slot)
}

func (a *API) header(w http.ResponseWriter, b *Block) {
	c := a.chain
	c.mu.Lock()
	canonical := c.ancestor(c.told(), b.Number()) == b
	c.mu.Unlock()
	answer(w, map[string]any{"execution_optimistic": false, "finalized": a.isFinal(b), "data": map[string]any{
		"root": b.Root().Hex(), "canonical": canonical, "header": signedHeader(b),
	}})
}

func (a *API) isFinal(b *Block) bool {
	c := a.chain
	c.mu.Lock()
	defer c.mu.Unlock()
	final := c.blocks[c.finalized]
	return final != nil && c.ancestor(final, b.Number()) == b
}

// signedHeader is the beacon block's header. There is no beacon state and nobody signs: those fields are zero.
func signedHeader(b *Block) map[string]any {
	parent := common.Hash{}
	if b.Header.ParentBeaconRoot != nil {
		parent = *b.Header.ParentBeaconRoot
	}
	return map[string]any{"signature": hexutil.Encode(make([]byte, 96)), "message": map[string]string{
		"slot": strconv.FormatUint(b.Slot, 10), "proposer_index": "0",
		"parent_root": parent.Hex(), "state_root": common.Hash{}.Hex(), "body_root": b.Hash().Hex(),
	}}
}

// inclusionProofLength is the depth of a commitment in a beacon block's body, from Deneb on.
const inclusionProofLength = 17

func (a *API) sidecars(w http.ResponseWriter, r *http.Request, b *Block, faults Faults) {
	sidecars, err := b.sidecars()
	if err != nil {
		refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	if faults.Tamper != nil {
		sidecars = faults.Tamper(b.Slot, sidecars)
	}
	wanted := list(r, "indices")
	header, proof := signedHeader(b), make([]string, inclusionProofLength)
	for i := range proof {
		proof[i] = common.Hash{}.Hex()
	}
	data := []any{}
	for _, s := range sidecars {
		index := strconv.Itoa(s.Index)
		if len(wanted) > 0 && !slices.Contains(wanted, index) {
			continue
		}
		data = append(data, map[string]any{
			"index": index, "blob": s.Blob, "kzg_commitment": s.Commitment, "kzg_proof": s.Proof,
			"signed_block_header": header, "kzg_commitment_inclusion_proof": proof,
		})
	}
	answer(w, map[string]any{"version": a.version(b), "execution_optimistic": false, "finalized": a.isFinal(b), "data": data})
}

func (a *API) blobs(w http.ResponseWriter, r *http.Request, b *Block, faults Faults) {
	sidecars, err := b.sidecars()
	if err != nil {
		refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	if faults.Tamper != nil {
		sidecars = faults.Tamper(b.Slot, sidecars)
	}
	wanted := list(r, "versioned_hashes")
	data := []hexutil.Bytes{}
	for _, s := range sidecars {
		if len(wanted) == 0 || s.Index < len(b.payload.BlobHashes) && slices.Contains(wanted, b.payload.BlobHashes[s.Index].Hex()) {
			data = append(data, s.Blob)
		}
	}
	answer(w, map[string]any{"execution_optimistic": false, "finalized": a.isFinal(b), "data": data})
}

// list reads a query parameter that may be repeated, and may hold several values between commas.
func list(r *http.Request, name string) (values []string) {
	for _, v := range r.URL.Query()[name] {
		values = append(values, strings.Split(v, ",")...)
	}
	return values
}

// version is the consensus' name of the fork at b.
func (a *API) version(b *Block) string {
	switch time := b.Header.Time; {
	case a.chain.config.IsOsaka(b.Header.Number, time):
		return "fulu"
	case a.chain.config.IsPrague(b.Header.Number, time):
		return "electra"
	}
	return "deneb"
}

// sidecars are copies of the block's blobs with their commitments and proofs.
func (b *Block) sidecars() ([]Sidecar, error) {
	proofs, err := b.proofs()
	if err != nil {
		return nil, err
	}
	sidecars := make([]Sidecar, len(b.Blobs.Blobs))
	for i, raw := range b.Blobs.Blobs {
		sidecars[i] = Sidecar{Index: i, Blob: slices.Clone(raw), Commitment: slices.Clone(b.Blobs.Commitments[i]), Proof: slices.Clone(proofs[i])}
	}
	return sidecars, nil
}

// blobProofs are the proofs of whole blobs. From Osaka on the client gives proofs of cells instead, and these are computed.
func blobProofs(bundle *engine.BlobsBundle) ([]hexutil.Bytes, error) {
	if len(bundle.Proofs) == len(bundle.Blobs) {
		return bundle.Proofs, nil
	}
	proofs := make([]hexutil.Bytes, len(bundle.Blobs))
	for i, raw := range bundle.Blobs {
		proof, err := kzg4844.ComputeBlobProof((*kzg4844.Blob)(raw), kzg4844.Commitment(bundle.Commitments[i]))
		if err != nil {
			return nil, fmt.Errorf("compute proof of blob %d: %w", i, err)
		}
		proofs[i] = proof[:]
	}
	return proofs, nil
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // fails only when the client has gone
}

func refuse(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"code": status, "message": message})
}
