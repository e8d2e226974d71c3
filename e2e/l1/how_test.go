package l1_test

import (
	"crypto/sha256"
	"flag"
	"hash/fnv"
	"math/big"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/crypto/kzg4844"
	"github.com/holiman/uint256"

	"headrace/block"
	"headrace/devnet"
	"headrace/devnet/geth"
	"headrace/exec/engineapi"
	"headrace/l1"
	"headrace/l1/compact"
	"headrace/node"
)

var howFlag = flag.String("proposals", "", "how blocks are proposed, in all tests: 1, 2, 1-blobs or 2-blobs, where the number is the payloads' version; empty: in each test in one of these ways")

// how is how rollup blocks are proposed. The zero value: in version 1, in call data.
type how struct {
	version2, blobs bool
}

var everyHow = []how{{}, {version2: true}, {blobs: true}, {version2: true, blobs: true}}

// inBlobs are the tests that propose in blobs unless the flag says otherwise. They are few, and quick: a blob's proof takes a third of a second.
var inBlobs = []string{"TestKnownCanonical", "TestSnapshots", "TestResume", "TestForced"}

func (h how) String() string {
	name := "1"
	if h.version2 {
		name = "2"
	}
	if h.blobs {
		name += "-blobs"
	}
	return name
}

func (h how) version() uint64 {
	if h.version2 {
		return l1.CompactVersion
	}
	return 1
}

// chosenHow is what the flag says; without it each test has its own way, always the same. Benchmarks have the zero value, which
// is what they have always measured.
func chosenHow(t testing.TB) how {
	t.Helper()
	if _, ok := t.(*testing.B); ok {
		return how{}
	}
	if *howFlag != "" {
		i := slices.IndexFunc(everyHow, func(h how) bool { return h.String() == *howFlag })
		if i < 0 {
			t.Fatalf("-proposals is %q, want one of %v", *howFlag, everyHow)
		}
		return everyHow[i]
	}
	sum := fnv.New32a()
	sum.Write([]byte(t.Name()))
	name, _, _ := strings.Cut(t.Name(), "/")
	return how{version2: sum.Sum32()%2 == 1, blobs: slices.Contains(inBlobs, name)}
}

// everyWay runs a test in the two ways that have least in common, or in the one that the flag says.
func everyWay(t *testing.T, f func(t *testing.T, h how)) {
	t.Parallel()
	all := []how{{}, {version2: true, blobs: true}}
	if *howFlag != "" {
		all = []how{chosenHow(t)}
	}
	for _, h := range all {
		t.Run(h.String(), func(t *testing.T) {
			t.Parallel()
			f(t, h)
		})
	}
}

// in is the mode with another way to propose.
func (w waits) in(h how) waits {
	w.how = h
	return w
}

// made are the blocks that there are, by their hashes. It is safe for concurrent use.
type made struct {
	mu     sync.Mutex
	blocks map[block.Hash]*block.Block
}

func (m *made) add(b *block.Block) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.blocks == nil {
		m.blocks = map[block.Hash]*block.Block{}
	}
	m.blocks[b.Hash()] = b
}

func (m *made) get(hash block.Hash) *block.Block {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.blocks[hash]
}

// payload writes blocks as a proposal has them, in the version of this world.
func (w *world) payload(blocks ...*block.Block) []byte {
	w.t.Helper()
	if w.waits.how.version2 {
		return w.compact(blocks...)
	}
	return l1.EncodeBlocks(w.encode(blocks...))
}

// compact writes blocks in version 2.
func (w *world) compact(blocks ...*block.Block) []byte {
	w.t.Helper()
	chain := &compact.Chain{ID: w.genesis.ChainID}
	if w.seals {
		codec, err := engineapi.NewSealCodec(devnet.L2Genesis())
		w.check(err)
		chain.Seals = codec
	}
	parent := compact.Parent{Height: blocks[0].Height() - 1}
	if last := blocks[0].Header.Header.LastHeaderHash; last != nil {
		if parent.Block = w.made.get(block.Hash(last)); parent.Block == nil {
			w.t.Fatalf("block %d was not made here", parent.Height)
		}
	}
	payload, err := compact.Encode(chain, parent, blocks)
	w.check(err)
	return payload
}

// blobTx signs a transaction of account i to the inbox whose blobs have a payload.
func (w *world) blobTx(i int, data, payload []byte) *types.Transaction {
	w.t.Helper()
	sidecar := types.NewBlobTxSidecar(types.BlobSidecarVersion0, nil, nil, nil)
	for _, b := range l1.PackBlobs(payload) {
		blob := kzg4844.Blob(*b)
		c, err := commit(&blob)
		w.check(err)
		sidecar.Blobs, sidecar.Commitments, sidecar.Proofs = append(sidecar.Blobs, blob), append(sidecar.Commitments, c.commitment), append(sidecar.Proofs, c.proof)
	}
	key, to := geth.DevKey(i), common.Address(w.inbox.Client.Inbox)
	nonce, err := w.eth.NonceAt(w.ctx, crypto.PubkeyToAddress(key.PublicKey), nil)
	w.check(err)
	tx, err := types.SignNewTx(key, types.LatestSignerForChainID(big.NewInt(geth.DevChainID)), &types.BlobTx{
		ChainID: uint256.NewInt(geth.DevChainID), Nonce: nonce, GasTipCap: uint256.NewInt(1e9), GasFeeCap: uint256.NewInt(1e11), Gas: 5_000_000, To: to,
		Data: data, BlobFeeCap: uint256.NewInt(1e12), BlobHashes: sidecar.BlobHashes(), Sidecar: sidecar,
	})
	w.check(err)
	return tx
}

type committed struct {
	commitment kzg4844.Commitment
	proof      kzg4844.Proof
}

var commits sync.Map // of [32]byte to committed: a proof takes a third of a second

func commit(blob *kzg4844.Blob) (c committed, err error) {
	key := sha256.Sum256(blob[:])
	if known, ok := commits.Load(key); ok {
		return known.(committed), nil
	}
	if c.commitment, err = kzg4844.BlobToCommitment(blob); err == nil {
		c.proof, err = kzg4844.ComputeBlobProof(blob, c.commitment)
	}
	if err == nil {
		commits.Store(key, c)
	}
	return c, err
}

// proposes sets how a sequencer proposes.
func (h how) proposes(c *node.L1Config) {
	c.Payload = h.version()
	if h.blobs {
		c.Content = "blobs"
	}
}
