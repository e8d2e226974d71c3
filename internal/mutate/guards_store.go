package main

var storeGuards = []guard{
	{
		name: "finalized blocks are not truncated",
		file: "internal/store/commit.go",
		from: "if top < c.next.Finalized.Height {", to: "if false {",
		pkg: "./internal/store", test: "TestRefusals",
	},
	{
		name: "finalized does not go back",
		file: "internal/store/commit.go",
		from: "if c.b.Finalized.Height < n.Finalized.Height {", to: "if false {",
		pkg: "./internal/store", test: "TestRefusals",
	},
	{
		name: "a block has the one below as its parent",
		file: "internal/store/commit.go",
		from: "h.Height > c.s.fixed.initial && !bytes.Equal(h.LastHeaderHash, top.Hash[:])", to: "false",
		pkg: "./internal/store", test: "TestRefusals",
	},
	{
		name: "a head is the block that is stored there",
		file: "internal/store/commit.go",
		from: "if err == nil && m.hash != r.Hash {", to: "if false {",
		pkg: "./internal/store", test: "TestRefusals",
	},
	{
		name: "proven is not above the position",
		file: "internal/store/commit.go",
		from: "n.Proven.Height > n.Position.Height || ", to: "",
		pkg: "./internal/store", test: "TestRefusals",
	},
	{
		name: "an item has the position as its parent",
		file: "internal/store/commit.go",
		from: " && !it.Parent.IsZero() && it.Parent != last.Hash:", to: " && false:",
		pkg: "./internal/store", test: "TestRefusals",
	},
	{
		name: "finalized blocks are not pruned",
		file: "internal/store/prune.go",
		from: "min(below, next.Finalized.Height, ", to: "min(below, next.Unsafe.Height, ",
		pkg: "./internal/store", test: "TestPruneKeepsFinalized",
	},
	{
		name: "a synced commit is on disk",
		file: "internal/store/commit.go",
		from: "s.db.Commit(c.batch, b.Sync)", to: "s.db.Commit(c.batch, false)",
		pkg: "./internal/store", test: "TestPowerLossLeavesAPrefix",
	},
	{
		name: "a block's body is the one that its mark names",
		file: "internal/store/read.go",
		from: " || block.Hash(body[:len(m.hash)]) != m.hash", to: "",
		pkg: "./internal/store", test: "TestMixedUpBlocks",
	},
	{
		name: "a block by its hash has that hash",
		file: "internal/store/read.go",
		from: "if err == nil && r.Block.Hash() != h {", to: "if false {",
		pkg: "./internal/store", test: "TestMixedUpBlocks",
	},
	{
		name: "the genesis that the store was made with",
		file: "internal/store/load.go",
		from: "case has.Genesis != id.Genesis:", to: "case false:",
		pkg: "./internal/store", test: "TestOpenRefuses",
	},
	{
		name: "a newer format is not read",
		file: "internal/store/load.go",
		from: "if j.Format > format {", to: "if false {",
		pkg: "./internal/store", test: "TestOpenRefuses",
	},
	{
		name: "what is stored of the inbox is whole",
		file: "internal/store/load.go",
		from: "st.Inbox, err = decodeInbox(raw); err != nil {", to: "st.Inbox, _ = decodeInbox(raw); false {",
		pkg: "./internal/store", test: "TestContradictionsAreCorruption",
	},
	{
		name: "the heads name blocks that are there",
		file: "internal/store/load.go",
		from: "if m.hash != r.Hash {", to: "if false {",
		pkg: "./internal/store", test: "TestMixedUpBlocks",
	},
}
