package ethereum

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ethereum/go-ethereum/crypto/kzg4844"

	"headrace/follow"
	"headrace/internal/httpc"
	"headrace/l1"
)

// beacon reads blobs from a beacon API. Whatever it returns is what a versioned hash names, by KZG; whatever goes
// wrong is a lack of content and never a verdict on it: the L1 has shown that the blobs exist.
type beacon struct {
	url    string
	access *httpc.Access // its token, and what no text may have in it
	health *follow.Health
	http   *http.Client
	opt    *Options

	sidecars atomic.Bool // the endpoint has blob_sidecars and not blobs

	mu          sync.Mutex // guards the rest
	genesis     uint64     // seconds since the Unix epoch; 0: not asked yet
	slotSeconds uint64
}

// blobs returns the blobs with these versioned hashes of the L1 block with this time. The beacon API that answered
// last is asked first.
func (c *Client) blobs(ctx context.Context, blockTime uint64, hashes []l1.Hash) ([]*l1.Blob, error) {
	if len(c.beacons) == 0 {
		return nil, errors.New("content is in blobs, and no beacon API is configured")
	}
	var errs []error
	first := int(c.beacon.Load())
	for i := range c.beacons {
		n := (first + i) % len(c.beacons)
		blobs, err := c.beacons[n].blobs(ctx, blockTime, hashes)
		if err == nil {
			c.beacon.Store(int32(n))
			return blobs, nil
		}
		errs = append(errs, err)
	}
	return nil, &follow.FailedError{Errs: errs}
}

func (b *beacon) blobs(ctx context.Context, blockTime uint64, hashes []l1.Hash) ([]*l1.Blob, error) {
	slot, err := b.slot(ctx, blockTime)
	if err != nil {
		return nil, err
	}
	found, err := b.atSlot(ctx, slot, hashes)
	if err != nil {
		return nil, fmt.Errorf("blobs of slot %d: %w", slot, err)
	}
	blobs := make([]*l1.Blob, len(hashes))
	for i, h := range hashes {
		blob, ok := found[h]
		if !ok {
			return nil, fmt.Errorf("blob %s of slot %d: %w", h, slot, l1.ErrNotFound)
		}
		blobs[i] = blob
	}
	return blobs, nil
}

// slot asks the API once for the beacon chain's genesis and slot time.
func (b *beacon) slot(ctx context.Context, blockTime uint64) (uint64, error) {
	b.mu.Lock()
	genesis, seconds := b.genesis, b.slotSeconds
	b.mu.Unlock()
	if seconds == 0 {
		var g struct {
			Time string `json:"genesis_time"`
		}
		var s struct {
			Seconds string `json:"SECONDS_PER_SLOT"`
			Millis  string `json:"SLOT_DURATION_MS"`
		}
		if err := b.get(ctx, "/eth/v1/beacon/genesis", &g); err != nil {
			return 0, fmt.Errorf("beacon genesis: %w", err)
		}
		if err := b.get(ctx, "/eth/v1/config/spec", &s); err != nil {
			return 0, fmt.Errorf("beacon spec: %w", err)
		}
		var err1, err2 error
		genesis, err1 = strconv.ParseUint(g.Time, 10, 64)
		if s.Seconds == "" && len(s.Millis) > 3 {
			s.Seconds = strings.TrimSuffix(s.Millis, "000")
		}
		seconds, err2 = strconv.ParseUint(s.Seconds, 10, 64)
		if err := errors.Join(err1, err2); err != nil || seconds == 0 {
			return 0, fmt.Errorf("beacon genesis time %q, slot time %q: %w", g.Time, s.Seconds, errors.Join(err, errors.New("not usable")))
		}
		b.mu.Lock()
		b.genesis, b.slotSeconds = genesis, seconds
		b.mu.Unlock()
	}
	if blockTime < genesis {
		return 0, fmt.Errorf("block time %d is before the beacon chain's genesis, %d: the beacon API is of another chain", blockTime, genesis)
	}
	return (blockTime - genesis) / seconds, nil
}

// atSlot returns the blobs of a slot that have one of hashes. There are two calls for this: the older one is gone
// from newer clients, and the other way round.
func (b *beacon) atSlot(ctx context.Context, slot uint64, hashes []l1.Hash) (map[l1.Hash]*l1.Blob, error) {
	sidecars := b.sidecars.Load()
	read := map[bool]func(context.Context, uint64, []l1.Hash) (map[l1.Hash]*l1.Blob, error){true: b.readSidecars, false: b.readBlobs}
	found, err := read[sidecars](ctx, slot, hashes)
	var status statusError
	if err == nil || !errors.As(err, &status) || !status.maybeNoSuchCall() {
		return found, err
	}
	found, err2 := read[!sidecars](ctx, slot, hashes)
	if err2 != nil {
		return nil, errors.Join(err, err2)
	}
	b.sidecars.Store(!sidecars)
	return found, nil
}

// readBlobs uses the call that gives bare blobs: each is recognised by its commitment, which is computed.
func (b *beacon) readBlobs(ctx context.Context, slot uint64, hashes []l1.Hash) (map[l1.Hash]*l1.Blob, error) {
	query := make([]string, len(hashes))
	for i, h := range hashes {
		query[i] = "versioned_hashes=" + h.String()
	}
	var blobs []*kzg4844.Blob
	if err := b.get(ctx, fmt.Sprintf("/eth/v1/beacon/blobs/%d?%s", slot, strings.Join(query, "&")), &blobs); err != nil {
		return nil, err
	}
	found := map[l1.Hash]*l1.Blob{}
	for _, blob := range blobs {
		if len(found) == len(hashes) || blob == nil {
			break // each costs some milliseconds: no more than were asked for
		}
		commitment, err := kzg4844.BlobToCommitment(blob)
		if err != nil {
			return nil, fmt.Errorf("compute commitment: %w", err)
		}
		found[versionedHash(&commitment)] = (*l1.Blob)(blob)
	}
	return found, nil
}

// readSidecars uses the call that gives blobs with commitments and proofs.
func (b *beacon) readSidecars(ctx context.Context, slot uint64, hashes []l1.Hash) (map[l1.Hash]*l1.Blob, error) {
	var sidecars []struct {
		Blob       *kzg4844.Blob      `json:"blob"`
		Commitment kzg4844.Commitment `json:"kzg_commitment"`
		Proof      kzg4844.Proof      `json:"kzg_proof"`
	}
	if err := b.get(ctx, fmt.Sprintf("/eth/v1/beacon/blob_sidecars/%d", slot), &sidecars); err != nil {
		return nil, err
	}
	wanted := map[l1.Hash]bool{}
	for _, h := range hashes {
		wanted[h] = true
	}
	found := map[l1.Hash]*l1.Blob{}
	for i := range sidecars {
		s := &sidecars[i]
		hash := versionedHash(&s.Commitment)
		if !wanted[hash] || s.Blob == nil {
			continue
		}
		if err := kzg4844.VerifyBlobProof(s.Blob, s.Commitment, s.Proof); err != nil {
			return nil, fmt.Errorf("verify blob %s: %w", hash, err)
		}
		found[hash] = (*l1.Blob)(s.Blob)
	}
	return found, nil
}

func versionedHash(c *kzg4844.Commitment) l1.Hash {
	return kzg4844.CalcBlobHashV1(sha256.New(), c)
}

// statusError is an HTTP status other than 200.
type statusError int

func (s statusError) Error() string {
	return fmt.Sprintf("beacon API answers with HTTP status %d", int(s))
}

// maybeNoSuchCall: 404 says that the slot is not there or the call is not; other clients say 400, 405, 410 or 501.
func (s statusError) maybeNoSuchCall() bool {
	return slices.Contains([]statusError{http.StatusNotFound, http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusGone, http.StatusNotImplemented}, s)
}

// Is makes a 404 an ErrNotFound.
func (s statusError) Is(target error) bool {
	return target == l1.ErrNotFound && s == http.StatusNotFound
}

// get makes one request and decodes the field data of the answer.
func (b *beacon) get(ctx context.Context, path string, data any) (err error) {
	started, parent := time.Now(), ctx
	defer func() {
		err = b.access.Error(err)
		var status statusError
		switch {
		case err == nil, errors.As(err, &status) && status.maybeNoSuchCall():
			b.health.Good()
		case parent.Err() == nil && !errors.Is(err, follow.ErrResting):
			b.health.Bad(err)
		}
		b.health.Called("beacon", 1, started, err)
	}()
	return b.opt.within(ctx, "beacon", nil, func(ctx context.Context) error { return b.read(ctx, path, data) })
}

func (b *beacon) read(ctx context.Context, path string, data any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(b.url, "/")+path, nil)
	if err != nil {
		return err
	}
	r.Header.Set("Accept", "application/json")
	resp, err := b.http.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return statusError(resp.StatusCode)
	}
	answer := struct {
		Data any `json:"data"`
	}{data}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return fmt.Errorf("read beacon API's answer: %w", err)
	}
	return nil
}
