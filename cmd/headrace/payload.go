package main

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"headrace/block"
	"headrace/l1"
	"headrace/l1/compact"
)

// maxPayloadFile is more than any payload takes, in bytes: in hexadecimal, and in blobs.
const maxPayloadFile = 3 * l1.MaxPayload

func newPayload() *cobra.Command {
	var asJSON bool
	var offset uint32
	cmd := &cobra.Command{
		Use:   "payload FILE [flags]",
		Short: "Explain a payload of an inbox: what a proposal, or a forced item, holds",
		Long: `Explain a payload of an inbox: what a proposal, or a forced item, holds, of any version. Nothing is asked of a node or an L1.

FILE is a payload as it is, or in hexadecimal, or the blobs that it is in, one behind the other. A - stands for the standard input. It is the argument data
of a transaction that calls propose or force, or what its blobs hold.

A payload of version 2 leaves out what follows from the block that it builds on. So heights and hashes are shown of version 1 alone, and whether a proposal is
a good one only a node can say. In version 1 the first transaction of a block may be the engine's own, and counts here.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("it takes one argument, a file: see %s --help", cmd.CommandPath())
			}
			raw, err := readPayload(cmd.InOrStdin(), args[0], offset)
			if err != nil {
				return err
			}
			v, err := explainPayload(raw)
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(v)
			}
			_, err = io.WriteString(cmd.OutOrStdout(), v.text())
			return err
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.Uint32Var(&offset, "offset", 0, "where in blobs the payload begins, in bytes of what they hold")
	flags.BoolVar(&asJSON, "json", false, "print one line of JSON")
	return cmd
}

// readPayload reads a file in any of the forms that a payload has.
func readPayload(in io.Reader, name string, offset uint32) ([]byte, error) {
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	raw, err := io.ReadAll(io.LimitReader(in, maxPayloadFile+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", name, err)
	case len(raw) > maxPayloadFile:
		return nil, fmt.Errorf("%s has more than %d bytes: it is no payload", name, maxPayloadFile)
	case len(raw) > 0 && len(raw)%l1.BlobSize == 0 && raw[0] == 0:
		var blobs []*l1.Blob
		for b := range slices.Chunk(raw, l1.BlobSize) {
			blobs = append(blobs, (*l1.Blob)(b))
		}
		return l1.UnpackBlobs(blobs, offset)
	}
	text := strings.TrimPrefix(strings.TrimSpace(string(raw)), "0x")
	if b, err := hex.DecodeString(text); err == nil && len(b) > 0 {
		return b, nil
	}
	return raw, nil
}

// payloadView is what payload prints.
type payloadView struct {
	Version int                `json:"version"`
	Bytes   int                `json:"bytes"` // of the payload
	Blocks  []payloadBlock     `json:"blocks,omitempty"`
	Forced  [][]byte           `json:"forced,omitempty"`  // transactions of a forced item
	Compact *compact.Explained `json:"compact,omitempty"` // of version 2
}

// payloadBlock is a block of version 1.
type payloadBlock struct {
	Height uint64     `json:"height"`
	Hash   block.Hash `json:"hash"`
	Time   time.Time  `json:"time"`
	Txs    int        `json:"txs"`
	Bytes  int        `json:"bytes"` // of the payload
}

func explainPayload(raw []byte) (v payloadView, err error) {
	if compact.Is(raw) {
		e, err := compact.Explain(raw)
		return payloadView{Version: compact.Version, Bytes: e.Length, Compact: &e}, err
	}
	if later, ok := l1.DecodeLater(raw); ok {
		return v, fmt.Errorf("payload version %d, of the key %x: this release reads versions up to %d", later.Version, later.PubKey, compact.Version)
	}
	if len(raw) == 0 || raw[0] != 1 {
		return v, errors.New("this is no payload of version 1 or 2, which has that number as its first byte: it is the data that propose or force was called with, without the selector and the other arguments, or what the blobs hold from --offset on")
	}
	v.Version = 1
	blocks, err := l1.DecodeBlocks(raw)
	if err != nil {
		txs, forced := l1.DecodeTxs(raw)
		if forced != nil || len(txs) == 0 {
			return v, err
		}
		v.Forced, v.Bytes = txs, len(l1.EncodeTxs(txs))
		return v, nil
	}
	v.Bytes = l1.PayloadSize(blocks)
	for i, e := range blocks {
		h, d, err := block.ReadSigned(e.Header, e.Data)
		if err != nil {
			return v, fmt.Errorf("block %d of %d: %w", i+1, len(blocks), err)
		}
		b := payloadBlock{Height: h.Header.Height, Hash: h.Header.Hash(), Time: time.Unix(0, int64(h.Header.Time)).UTC(), Bytes: len(e.Header) + len(e.Data)}
		if d != nil {
			data := d.Data()
			b.Txs = len(data.Txs)
		}
		v.Blocks = append(v.Blocks, b)
	}
	return v, nil
}

func (v payloadView) text() string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-12s"+format+"\n", append([]any{name}, args...)...)
	}
	line("payload", "version %d, %d bytes", v.Version, v.Bytes)
	switch {
	case v.Forced != nil:
		line("forced", "%d transactions", len(v.Forced))
		for i, tx := range v.Forced {
			line(fmt.Sprintf("tx %d", i+1), "%d bytes", len(tx))
		}
	case v.Compact != nil:
		v.compactText(line)
	default:
		line("blocks", "%d", len(v.Blocks))
		for _, x := range v.Blocks {
			line(fmt.Sprintf("block %d", x.Height), "%s  %s, transactions: %d, bytes: %d", x.Hash, x.Time.Format(time.RFC3339Nano), x.Txs, x.Bytes)
		}
	}
	return b.String()
}

// compactText writes the lines of a payload of version 2.
func (v payloadView) compactText(line func(name, format string, args ...any)) {
	e, txs := v.Compact, 0
	for _, x := range e.Blocks {
		txs += len(x.Txs)
	}
	line("packing", "%s, of a body of %d bytes", e.Packing, e.Size)
	if key, err := block.DecodePublicKey(e.PublicKey); err == nil {
		line("proposer", "%x", key.Address())
	} else {
		line("proposer", "%v", err)
	}
	line("signature", "of the last block, %d bytes", len(e.Signature))
	for _, c := range e.Columns {
		if c.Bytes > 0 {
			line("column", "%s: %d bytes", c.Name, c.Bytes)
		}
	}
	line("blocks", "%d, transactions: %d", len(e.Blocks), txs)
	for i, x := range e.Blocks {
		seal, size := "", 0
		if x.Sealed {
			seal = ", behind the engine's own, which follows its rules"
		}
		for _, tx := range x.Txs {
			size += len(tx)
		}
		line(fmt.Sprintf("block %d", i+1), "%s after the one before, transactions: %d of %d bytes%s", x.After, len(x.Txs), size, seal)
	}
}
