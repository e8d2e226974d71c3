package node

import "math"

// Posted is what proposals came to since the start, by where their content went: those that this node has sent.
type Posted struct {
	CallData Proposals `json:"calldata"`
	Blobs    Proposals `json:"blobs"`
}

// Proposals is what those of one kind came to. What was reverted is in their gas and cost.
type Proposals struct {
	Proposals     uint64  `json:"proposals"`
	Blocks        uint64  `json:"blocks"`
	Bytes         uint64  `json:"bytes"`           // of their payloads
	BytesPerBlock float64 `json:"bytes_per_block"` // of these
	Gas           uint64  `json:"gas"`
	BlobGas       uint64  `json:"blob_gas"`
	CostETH       float64 `json:"cost_eth"`
}

// plus adds what was counted before.
func (p *Proposals) plus(before *Proposals) {
	p.Proposals, p.Blocks, p.Bytes = p.Proposals+before.Proposals, p.Blocks+before.Blocks, p.Bytes+before.Bytes
	p.Gas, p.BlobGas, p.CostETH = p.Gas+before.Gas, p.BlobGas+before.BlobGas, p.CostETH+before.CostETH
	p.average()
}

func (p *Proposals) average() {
	p.BytesPerBlock = 0
	if p.Blocks > 0 {
		p.BytesPerBlock = math.Round(10*float64(p.Bytes)/float64(p.Blocks)) / 10
	}
}
