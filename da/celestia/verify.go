package celestia

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"headrace/da"
	"headrace/follow"
	"headrace/internal/square"
)

// What an endpoint reports of a height is verified at the level of Options.Level, see da.Level. What is pushed is
// announced at once, with claims about what its header alone does not settle, for Prove to show later. What is
// fetched is verified before it is delivered, many heights side by side, and makes no claims; so a height that is
// read again because a claim was false comes right (I7).

// Prove shows that claims about a height are true; see da.Prover.
func (c *Client) Prove(ctx context.Context, height uint64, hash [32]byte, claims []da.Claim) error {
	if len(claims) == 0 {
		return nil
	}
	var errs []error
	for _, e := range c.ranked() {
		err := e.proveClaims(ctx, height, hash, claims)
		if err == nil || errors.Is(err, da.ErrNotProven) || ctx.Err() != nil {
			return err
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// proveClaims compares claims with what the header commits to. Only a proof that holds makes them false: an endpoint
// whose proofs are bad has shown nothing.
func (e *endpoint) proveClaims(ctx context.Context, height uint64, hash follow.Hash, claims []da.Claim) error {
	h, dah, err := e.proofHeader(ctx, height, hash)
	if err != nil {
		return err
	}
	rows := map[da.Namespace][]square.NamespaceRow{}
	if !square.AbsentByHash(h.DataHash) {
		if err := square.VerifyDAH(dah, h.DataHash); err != nil {
			return fmt.Errorf("%s: height %d: bad roots: %v", e.name, height, err)
		}
		var ask []da.Namespace
		for _, claim := range claims {
			if !square.AbsentByRoots(dah, claim.Namespace) {
				ask = append(ask, claim.Namespace)
			}
		}
		if err := e.rows(ctx, height, ask, rows); err != nil {
			return err
		}
	}
	for _, claim := range claims {
		var blobs []da.Blob
		if r, ok := rows[claim.Namespace]; ok {
			if blobs, err = square.VerifyNamespace(dah, claim.Namespace, r); err != nil {
				return fmt.Errorf("%s: height %d: bad proof: %v", e.name, height, err)
			}
		}
		if len(blobs) != claim.Blobs || da.Digest(blobs) != claim.Digest {
			return e.notProven(&h, fmt.Errorf("namespace %s has %d blobs, %d were announced, or others", claim.Namespace, len(blobs), claim.Blobs))
		}
	}
	return nil
}

// claims returns what is to be shown of a pushed height. It is an error if the header alone shows it to be false.
func (c *Client) claims(h *square.Header, blobs []da.Blob) ([]da.Claim, error) {
	if c.opt.Level == da.Trust {
		return nil, nil
	}
	if square.AbsentByHash(h.DataHash) {
		if len(blobs) > 0 {
			return nil, fmt.Errorf("%w: %d blobs in an empty square", da.ErrNotProven, len(blobs))
		}
		return nil, nil
	}
	var out []da.Claim
	for _, ns := range c.opt.Namespaces {
		from := slices.IndexFunc(blobs, func(b da.Blob) bool { return b.Namespace == ns })
		to := from
		for to >= 0 && to < len(blobs) && blobs[to].Namespace == ns {
			to++
		}
		switch {
		case from < 0:
			out = append(out, da.Claim{Namespace: ns})
		case c.opt.Level == da.Prove:
			out = append(out, da.Claim{Namespace: ns, Blobs: to - from, Digest: da.Digest(blobs[from:to])})
		}
	}
	return out, nil
}

// proofHeader asks for a header with its roots. It must be the one with the given hash.
func (e *endpoint) proofHeader(ctx context.Context, height uint64, hash follow.Hash) (h square.Header, dah *square.DAH, err error) {
	e.client.count.proofs.Add(1)
	dah = &square.DAH{}
	err = e.call(ctx, "header.GetByHeight", params(height), func(result []byte) (err error) {
		h, *dah, err = square.ScanHeader(result, true)
		return err
	})
	if got := follow.Hash(h.Hash()); err == nil && got != hash {
		err = fmt.Errorf("%s: header %d is %s, not %s", e.name, height, got, hash)
	}
	return h, dah, err
}

// prove verifies what was announced of a height. The header is trusted; roots, if there are any, are not.
func (e *endpoint) prove(ctx context.Context, h *square.Header, dah *square.DAH, namespaces []da.Namespace, blobs []da.Blob) error {
	c := e.client
	if c.opt.Level == da.Trust {
		return nil
	}
	if c.opt.Level == da.ProveEmpty { // at the other level the shares themselves are compared
		if err := square.CheckCommitments(blobs); err != nil {
			return e.notProven(h, err)
		}
	}
	ev := square.Evidence{DataHash: h.DataHash, DAH: dah, Rows: map[da.Namespace][]square.NamespaceRow{}}
	for range 3 { // each turn brings what the one before has missed: the roots, then the rows
		need, err := square.VerifyBlobs(c.opt.Level, &ev, namespaces, blobs)
		switch {
		case err != nil:
			return e.notProven(h, err)
		case need.Nothing():
			return nil
		case need.DAH:
			if _, ev.DAH, err = e.proofHeader(ctx, h.Height, h.Hash()); err != nil {
				return err
			}
		}
		if err := e.rows(ctx, h.Height, need.Namespaces, ev.Rows); err != nil {
			return err
		}
	}
	return fmt.Errorf("height %d: verification asks for more and more", h.Height)
}

// notProven returns the error of something announced that is not so, and notes it: it is no small matter.
func (e *endpoint) notProven(h *square.Header, err error) error {
	err = fmt.Errorf("%s: height %d: %w: %w", e.name, h.Height, da.ErrNotProven, err)
	e.note(context.Background(), err)
	return err
}

// rows asks for the data of namespaces with their proofs, side by side.
func (e *endpoint) rows(ctx context.Context, height uint64, namespaces []da.Namespace, into map[da.Namespace][]square.NamespaceRow) error {
	var mu sync.Mutex
	var work sync.WaitGroup
	var failed error
	for _, ns := range namespaces {
		work.Go(func() {
			var rows []square.NamespaceRow
			e.client.count.proofs.Add(1)
			err := e.data(ctx, height, "share.GetNamespaceData", params(height, appendNamespace(ns)), func(result []byte) error {
				return json.Unmarshal(result, &rows)
			})
			mu.Lock()
			defer mu.Unlock()
			into[ns] = rows
			if err != nil {
				failed = err
			}
		})
	}
	work.Wait()
	return failed
}

// check checks what can be checked of an event alone.
func (c *Client) check(e *event) error {
	if c.opt.Level != da.ProveEmpty { // at Prove the shares are compared
		return nil
	}
	if err := square.CheckCommitments(e.blobs); err != nil {
		return fmt.Errorf("%w: %w", da.ErrNotProven, err)
	}
	return nil
}

// provenBlobs returns all blobs of namespaces at a height from their shares, each proven: for an
// endpoint that tells blobs wrongly.
func (e *endpoint) provenBlobs(ctx context.Context, h *square.Header, namespaces []da.Namespace) ([]da.Blob, error) {
	_, dah, err := e.proofHeader(ctx, h.Height, h.Hash())
	if err != nil {
		return nil, err
	}
	if err := square.VerifyDAH(dah, h.DataHash); err != nil {
		return nil, e.notProven(h, err)
	}
	rows := map[da.Namespace][]square.NamespaceRow{}
	if err := e.rows(ctx, h.Height, namespaces, rows); err != nil {
		return nil, err
	}
	var out []da.Blob
	for _, ns := range namespaces {
		blobs, err := square.VerifyNamespace(dah, ns, rows[ns])
		if err != nil {
			return nil, e.notProven(h, err)
		}
		out = append(out, blobs...)
	}
	return out, nil
}
