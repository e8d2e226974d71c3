package main

var deriveGuards = []guard{
	{
		name: "a proposal that the inbox finds void",
		file: "internal/derive/l1.go",
		from: `if p.Void != "" {`, to: "if false {",
		pkg: "./internal/derive", test: "TestSpoiledEmptyProposals",
	},
	{
		name: "a proposal's parent",
		file: "internal/derive/l1.go",
		from: "if block.Hash(p.Parent) != tip.HeaderHash {", to: "if false {",
		pkg: "./internal/derive", test: "TestSpoiledEmptyProposals",
	},
	{
		name: "a proposal without a block",
		file: "internal/derive/l1.go",
		from: "if len(blocks) == 0 {", to: "if false {",
		pkg: "./internal/derive", test: "TestSpoiledEmptyProposals",
	},
	{
		name: "each block of a proposal continues the one before",
		file: "internal/derive/l1.go",
		from: "tip = TipOf(b)\n", to: "\n",
		pkg: "./internal/derive", test: "TestSpoiledProposals",
	},
	{
		name: "the data's proposer",
		file: "internal/derive/l1.go",
		from: "!bytes.Equal(signed.Signer.Address, cfg.Proposer)", to: "false",
		pkg: "./internal/derive", test: "TestSpoiledProposals",
	},
	{
		name: "the data's signature",
		file: "internal/derive/l1.go",
		from: "if err := signed.Verify(); err != nil {", to: "if err := error(nil); err != nil {",
		pkg: "./internal/derive", test: "TestSpoiledProposals",
	},
	{
		name: "the header's chain",
		file: "internal/derive/l1.go",
		from: "case hd.ChainID != cfg.ChainID:", to: "case false:",
		pkg: "./internal/derive", test: "TestSpoiledProposals",
	},
	{
		name: "the header's height",
		file: "internal/derive/l1.go",
		from: "case hd.Height != tip.Height+1:", to: "case false:",
		pkg: "./internal/derive", test: "TestSpoiledProposals",
	},
	{
		name: "the header's parent",
		file: "internal/derive/l1.go",
		from: "case !bytes.Equal(hd.LastHeaderHash, hashField(tip.HeaderHash)):", to: "case false:",
		pkg: "./internal/derive", test: "TestSpoiledProposals",
	},
	{
		name: "time does not go back",
		file: "internal/derive/l1.go",
		from: "hd.Time < max(tip.Time, cfg.StartTime)", to: "hd.Time < cfg.StartTime",
		pkg: "./internal/derive", test: "TestSpoiledProposals",
	},
	{
		name: "the first block is not before the start",
		file: "internal/derive/l1.go",
		from: "max(tip.Time, cfg.StartTime)", to: "tip.Time",
		pkg: "./internal/derive", test: "TestFirstProposedBlockIsNotBeforeTheStart",
	},
	{
		name: "the header names the data",
		file: "internal/derive/l1.go",
		from: "case !bytes.Equal(hd.DataHash, commitment[:]):", to: "case false && len(commitment) > 0:",
		pkg: "./internal/derive", test: "TestSpoiledProposals",
	},
	{
		name: "the data's chain",
		file: "internal/derive/l1.go",
		from: "m.ChainID != hd.ChainID || ", to: "",
		pkg: "./internal/derive", test: "TestSpoiledProposals",
	},
	{
		name: "the data's height",
		file: "internal/derive/l1.go",
		from: "m.Height != hd.Height || ", to: "",
		pkg: "./internal/derive", test: "TestSpoiledProposals",
	},
	{
		name: "the data's time",
		file: "internal/derive/l1.go",
		from: "m.Time != hd.Time || ", to: "",
		pkg: "./internal/derive", test: "TestSpoiledProposals",
	},
	{
		name: "the data's parent",
		file: "internal/derive/l1.go",
		from: " || !bytes.Equal(m.LastDataHash, hashField(tip.DataHash)):", to: ":",
		pkg: "./internal/derive", test: "TestSpoiledProposals",
	},
	{
		name: "the header's proposer",
		file: "internal/derive/l1.go",
		from: "!bytes.Equal(hd.ProposerAddress, cfg.Proposer) || !bytes.Equal(h.Signer.Address, cfg.Proposer)", to: "false",
		pkg: "./internal/derive", test: "TestSpoiledProposals",
	},
	{
		name: "the header's signature",
		file: "internal/derive/l1.go",
		from: "if err := h.Verify(); err != nil {", to: "if err := error(nil); err != nil {",
		pkg: "./internal/derive", test: "TestSpoiledProposals",
	},
	{
		name: "the envelope's signature",
		file: "internal/derive/l1.go",
		from: "return b, h.VerifyEnvelope()", to: "return b, nil",
		pkg: "./internal/derive", test: "TestSpoiledProposals",
	},
}
