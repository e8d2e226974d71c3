package node

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"headrace/block"
)

// What another node serves, as far as it is of use. Nothing of it is believed here: whoever takes a block looks at its
// signature.

// mirrored is a block of an event or of a page.
type mirrored struct {
	Signed struct {
		Signature    SignatureKind
		Header, Data inPlace
	}
	HeaderDAHeight uint64 `json:"header_da_height"`
	DataDAHeight   uint64 `json:"data_da_height"`
}

// unsigned reports whether it says that it has no signature of its own, as a block that came with others in a proposal of
// version 2.
func (m *mirrored) unsigned() bool { return m.Signed.Signature == Unsigned }

// maxPage bounds an answer of another node: a page of blocks, or one that is as large as any may be.
const maxPage = 2 * maxUnsafe

// mirroredPage is a Page.
type mirroredPage struct {
	Blocks fewBlocks
	Next   uint64
	Head   block.Ref
}

// readPage reads a page.
func readPage(r io.Reader) (p mirroredPage, err error) {
	text, err := io.ReadAll(io.LimitReader(r, maxPage+1))
	switch {
	case err != nil:
		return p, err
	case len(text) > maxPage:
		return p, fmt.Errorf("its answer has more than %d bytes", maxPage)
	}
	if err := json.Unmarshal(text, &p); err != nil {
		return p, fmt.Errorf("read its blocks: %w", err)
	}
	return p, nil
}

// fewBlocks are no more blocks than a page may have: of more none is read.
type fewBlocks []mirrored

// UnmarshalJSON implements json.Unmarshaler.
func (f *fewBlocks) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		return nil
	}
	in := json.NewDecoder(bytes.NewReader(text))
	if token, err := in.Token(); err != nil || token != json.Delim('[') {
		return errors.Join(err, fmt.Errorf("blocks are not a list but %v", token))
	}
	for n := 0; in.More(); n++ {
		var passed struct{}
		if err := in.Decode(&passed); err != nil {
			return err
		}
		if n == pageBlocks {
			return fmt.Errorf("a page has more than %d blocks", pageBlocks)
		}
	}
	return json.Unmarshal(text, (*[]mirrored)(f))
}
