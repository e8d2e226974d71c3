package main

var deriveGuards = []guard{
	{
		name: "a proposal that the inbox finds void",
		file: "internal/derive/l1.go",
		from: `case o.void != "":`, to: "case false:",
		pkg: "./internal/derive", test: "TestSpoiledEmptyProposals",
	},
	{
		name: "a proposal's parent",
		file: "internal/derive/l1.go",
		from: "case block.Hash(o.parent) != tip.HeaderHash:", to: "case false:",
		pkg: "./internal/derive", test: "TestSpoiledEmptyProposals",
	},
	{
		name: "a proposal without a block",
		file: "internal/derive/l1.go",
		from: "case o.of == 0:", to: "case false:",
		pkg: "./internal/derive", test: "TestSpoiledEmptyProposals",
	},
	{
		name: "each block of a proposal continues the one before",
		file: "internal/derive/l1.go",
		from: "tip = TipOf(blocks[i])\n", to: "\n",
		pkg: "./internal/derive", test: "TestSpoiledProposals",
	},
}
