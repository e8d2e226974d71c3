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
}
