package main

var seqGuards = []guard{
	{
		name: "a block and a proposal have one limit",
		file: "internal/sequencer/sequencer.go",
		from: "q.cfg.MaxBlockBytes = min(q.cfg.MaxBlockBytes, q.cfg.Proposer.Limit()-aroundData)",
		to:   "",
		pkg:  "./internal/sequencer", test: "TestOneLimit",
	},
	{
		name: "a transaction that no block can hold is refused",
		file: "internal/sequencer/sequencer.go",
		from: "most := q.MaxTx(); size > most {",
		to:   "most := q.MaxTx(); false && size > most {",
		pkg:  "./node", test: "TestOtherEngines",
	},
	{
		name: "the engine's pool learns what a block holds before the first one is made",
		file: "internal/sequencer/sequencer.go",
		from: "p.Limit(q.cfg.MaxBlockBytes)",
		to:   "_ = p",
		pkg:  "./internal/sequencer", test: "TestLimitFalls",
	},
	{
		name: "what an engine gives beyond the limit is asked for again",
		file: "internal/sequencer/sequencer.go",
		from: "if size <= q.cfg.MaxBlockBytes {",
		to:   "if size <= 10*q.cfg.MaxBlockBytes {",
		pkg:  "./internal/sequencer", test: "TestEngineThatCountsOtherwise",
	},
	{
		name: "a pool that has drained is not called full",
		file: "internal/sequencer/sequencer.go",
		from: "size < q.cfg.MaxBlockBytes/2 {",
		to:   "false {",
		pkg:  "./internal/sequencer", test: "TestOneLimit",
	},
	{
		name: "a pool holds no more than ten blocks take",
		file: "exec/kv/pool.go",
		from: "p.blocks >= poolBlocks &&",
		to:   "p.blocks >= 3*poolBlocks &&",
		pkg:  "./exec/kv", test: "TestConformance$",
	},
	{
		name: "a pool takes nothing larger than a block",
		file: "exec/kv/pool.go",
		from: "case p.block > 0 && size > p.block:",
		to:   "case false:",
		pkg:  "./exec/kv", test: "TestConformance$",
	},
	{
		name: "what waits and is larger than a block is dropped",
		file: "exec/kv/pool.go",
		from: "len(tx)+exec.TxOverhead > maxBytes {",
		to:   "len(tx) < 0 {",
		pkg:  "./exec/kv", test: "TestConformance$",
	},
	{
		name: "what a cut left out comes first in the next",
		file: "exec/engineapi/forced.go",
		from: "return waited[b.from] - waited[a.from] })",
		to:   "return 0 })",
		pkg:  "./exec/engineapi", test: "TestBuildCutLongestFirst",
	},
}
