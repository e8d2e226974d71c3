package main

var reorgGuards = []guard{
	{
		name: "an L1 reorg takes back no signed block",
		file: "internal/syncer/l1.go",
		from: "\t\tb.Safe = &safe\n", to: "\t\tb.Safe, b.Truncate, k.engineKnown = &safe, &to.Safe, false\n",
		pkg: "./internal/syncer", test: "TestReorgKeepsSignedBlocks",
	},
	{
		name: "a block that is not safe any more has no origin",
		file: "internal/store/commit.go",
		from: "\t\tm.origin = Origin{}\n", to: "",
		pkg: "./internal/store", test: "TestStoreIsLikeTheModel",
	},
	{
		name: "signed blocks that the sequencer drops are counted",
		file: "internal/syncer/forced.go",
		from: "s.counts.Dropped += st.Unsafe.Height - height", to: "",
		pkg: "./internal/syncer", test: "TestGiveUp",
	},
	{
		name: "a reader of safe blocks hears that the safe head went back",
		file: "node/blocks.go",
		from: "case c.passed && c.at.Height", to: "case false && c.at.Height",
		pkg: "./node", test: "TestSafeHeadGoesBack",
	},
	{
		name: "but not that its node is behind it",
		file: "node/blocks.go",
		from: "case c.passed && c.at.Height", to: "case c.at.Height",
		pkg: "./node", test: "TestSafeHeadGoesBack",
	},
	{
		name: "transactions that are taken back wait again",
		file: "exec/kv/execute.go",
		from: "\te.pool.back(next.height, txs)\n\treturn nil\n}\n\n// reset", to: "\t_ = txs\n\treturn nil\n}\n\n// reset",
		pkg: "./exec/kv", test: "TestTakenBackIntoAFullPool/two_blocks",
	},
	{
		name: "also when everything is taken back",
		file: "exec/kv/execute.go",
		from: "\te.pool.back(0, txs)\n\treturn nil\n}\n\n// newest", to: "\t_ = txs\n\treturn nil\n}\n\n// newest",
		pkg: "./exec/kv", test: "TestTakenBackIntoAFullPool/everything",
	},
	{
		name: "a full pool takes back what it has given",
		file: "exec/kv/pool.go",
		from: "if p.bytes+cost > 2*p.limit {", to: "if p.bytes+cost > p.limit {",
		pkg: "./exec/kv", test: "TestTakenBackIntoAFullPool",
	},
	{
		name: "an engine is asked before the section is taken",
		file: "internal/syncer/forced.go",
		from: "\ts.foresee(ctx, last, items, missing)\n", to: "",
		pkg: "./internal/syncer", test: "TestJudgingHoldsNoBlockUp/drafted_true",
	},
	{
		name: "also about a proposal of blocks that are here",
		file: "internal/syncer/l1.go",
		from: "\tk.foreseeAll(ctx, item.Data.Messages, opened)\n", to: "",
		pkg: "./internal/syncer", test: "TestJudgingHoldsNoBlockUp/drafted_false",
	},
	{
		name: "an engine is asked once about an item",
		file: "internal/syncer/forced.go",
		from: "known, ok := s.judged.get(after.Hash, item); ok {", to: "known, ok := s.judged.get(after.Hash, item); ok && false {",
		pkg: "./internal/syncer", test: "TestJudgingHoldsNoBlockUp/drafted_true",
	},
	{
		name: "an answer that came across a revert is not kept",
		file: "internal/syncer/foresee.go",
		from: "!ok || now != before {", to: "!ok || false && now != before {",
		pkg: "./internal/syncer", test: "TestAnswerOfAnotherBlock",
	},
	{
		name: "accounts are asked for in batches",
		file: "exec/engineapi/exempt.go",
		from: "batchSize = 100 ", to: "batchSize = 1 ",
		pkg: "./exec/engineapi", test: "TestExemptCost",
	},
	{
		name: "and once",
		file: "exec/engineapi/exempt.go",
		from: "\to.e.keep(o.state)\n", to: "",
		pkg: "./exec/engineapi", test: "TestExemptCost",
	},
	{
		name: "what one block's items may cost",
		file: "internal/sequencer/forced.go",
		from: "i > 0 && judged > judgedPerBlock", to: "false && i > 0 && judged > judgedPerBlock",
		pkg: "./internal/sequencer", test: "TestForcedBehindStrangers",
	},
	{
		name: "each item has its turn",
		file: "internal/sequencer/forced.go",
		from: "return f.tried[a.Index].Compare(f.tried[b.Index])", to: "return 0",
		pkg: "./internal/sequencer", test: "TestForcedBehindStrangers",
	},
	{
		name: "scrypt's memory is given back",
		file: "internal/keyfile/keyfile.go",
		from: "{ debug.FreeOSMemory() }", to: "{ _ = debug.FreeOSMemory }",
		pkg: "./internal/keyfile", test: "TestMemory",
	},
}
