package square

import (
	"bytes"
	"fmt"

	"headrace/da"
)

// Evidence is what is at hand to verify what an endpoint told about a height. The header is the one that links to the
// height before; the rest was given by the endpoint and is not trusted.
type Evidence struct {
	DataHash []byte                          // of the header
	DAH      *DAH                            // nil if not at hand
	Rows     map[da.Namespace][]NamespaceRow // answers of share.GetNamespaceData; a namespace that is not in it is not at hand
}

// Need is what is missing to decide.
type Need struct {
	DAH        bool
	Namespaces []da.Namespace // whose rows are missing
}

// Nothing reports whether nothing is missing.
func (n Need) Nothing() bool { return !n.DAH && len(n.Namespaces) == 0 }

// VerifyBlobs checks at a level that told is all that the followed namespaces have at a height, as far as the
// evidence goes. It returns what is missing to decide, nothing if told is verified; or an error that matches
// da.ErrNotProven if told is wrong (I7).
//
// Blobs that are verified as shares keep their commitments as told only if those are right too; others are not looked
// at (see CheckCommitments).
func VerifyBlobs(level da.Level, ev *Evidence, followed []da.Namespace, told []da.Blob) (Need, error) {
	by := map[da.Namespace][]da.Blob{}
	for _, b := range told {
		by[b.Namespace] = append(by[b.Namespace], b)
	}
	if level == da.Trust {
		return Need{}, nil
	}
	if AbsentByHash(ev.DataHash) {
		if len(told) > 0 {
			return Need{}, unproven("%d blobs at an empty height", len(told))
		}
		return Need{}, nil
	}
	var ask []da.Namespace
	for _, ns := range followed {
		if level == da.Prove || len(by[ns]) == 0 {
			ask = append(ask, ns)
		}
	}
	if len(ask) == 0 {
		return Need{}, nil
	}
	if ev.DAH == nil {
		return Need{DAH: true}, nil
	}
	if err := VerifyDAH(ev.DAH, ev.DataHash); err != nil {
		return Need{}, err
	}
	var need Need
	for _, ns := range ask {
		rows, ok := ev.Rows[ns]
		if !ok && !AbsentByRoots(ev.DAH, ns) {
			need.Namespaces = append(need.Namespaces, ns)
			continue
		}
		proven, err := VerifyNamespace(ev.DAH, ns, rows)
		if err != nil {
			return Need{}, err
		}
		if err := same(by[ns], proven); err != nil {
			return Need{}, fmt.Errorf("namespace %s: %w", ns, err)
		}
	}
	return need, nil
}

// same checks that told are the proven blobs, in order.
func same(told, proven []da.Blob) error {
	if len(told) != len(proven) {
		return unproven("%d blobs were announced, but there are %d", len(told), len(proven))
	}
	for i := range told {
		t, p := &told[i], &proven[i]
		if t.Index != p.Index || t.ShareVersion != p.ShareVersion || !bytes.Equal(t.Data, p.Data) || !bytes.Equal(t.Signer, p.Signer) || !bytes.Equal(t.Commitment, p.Commitment) {
			return unproven("blob %d, at index %d, is not the one at index %d", i, t.Index, p.Index)
		}
	}
	return nil
}

// CheckCommitments checks that each blob's commitment is that of its data: a decoder takes it as told. It costs 1.5
// ms per MiB.
func CheckCommitments(blobs []da.Blob) error {
	for i := range blobs {
		c, err := Commitment(&blobs[i])
		if err != nil {
			return unproven("blob %d: %w", i, err)
		}
		if !bytes.Equal(c, blobs[i].Commitment) {
			return unproven("blob %d has commitment %X, but its data gives %X", i, blobs[i].Commitment, c)
		}
	}
	return nil
}
