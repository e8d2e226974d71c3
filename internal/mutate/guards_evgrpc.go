package main

// evgrpcGuards are of executors of Evolve chains.
var evgrpcGuards = []guard{
	{
		name: "a block is noted before the executor is given it",
		file: "exec/evolve/evolve.go",
		from: "if err := e.index.try(next); err != nil {",
		to:   "if err := error(nil); err != nil {",
		pkg:  "./exec/evolve", test: "TestNotedBeforeIt",
	},
	{
		name: "after a start the last block is executed again",
		file: "exec/evolve/settle.go",
		from: "	if last.height > e.before() { // to be",
		to:   "	if false { // to be",
		pkg:  "./exec/evolve", test: "TestLastBlockLost|TestAnotherState",
	},
	{
		name: "a call without an answer leaves the executor in doubt",
		file: "exec/evolve/evolve.go",
		from: "	if errors.Is(err, ErrNoAnswer) {\n		e.known = unknown",
		to:   "	if false {\n		e.known = unknown",
		pkg:  "./exec/evolve", test: "TestLastBlockLost/lags=true,given=false",
	},
	{
		name: "no block takes the place of one that may have been executed",
		file: "exec/evolve/evolve.go",
		from: "case (done || e.tried != nil) && was.hash != hash:",
		to:   "case done && was.hash != hash:",
		pkg:  "./exec/evolve", test: "TestUnknownOutcome",
	},
	{
		name: "no block takes the place of one that was executed",
		file: "exec/evolve/evolve.go",
		from: "case (done || e.tried != nil) && was.hash != hash:",
		to:   "case !done && e.tried != nil && was.hash != hash:",
		pkg:  "./exec/evolve", test: "TestCallerIsBehind",
	},
	{
		name: "an executor that refuses its last block has executed the next one",
		file: "exec/evolve/evolve.go",
		from: "case refused && done && e.tried != nil:",
		to:   "case false:",
		pkg:  "./exec/evolve", test: "TestUnknownOutcome",
	},
	{
		name: "another root after the last block is not taken",
		file: "exec/evolve/evolve.go",
		from: "if done && !bytes.Equal(r.root, was.root) {",
		to:   "if false {",
		pkg:  "./exec/evolve", test: "TestAnotherState",
	},
	{
		name: "another root after the last block is taken if the next header names it",
		file: "exec/evolve/evolve.go",
		from: "|| !bytes.Equal(h.AppHash, e.said) {",
		to:   "|| true {",
		pkg:  "./exec/evolve", test: "TestAnotherState",
	},
	{
		name: "an executor that cannot go back says so",
		file: "exec/evolve/evolve.go",
		from: "case e.known == doubted:\n		e.head = to",
		to:   "case true:\n		e.head = to",
		pkg:  "./exec/evolve", test: "TestCallerIsBehind|TestSuite$/lags=false/Revert$",
	},
	{
		name: "what waits is in a block once",
		file: "exec/evolve/build.go",
		from: "if _, has := p.has[id]; has || len(tx) == 0 {",
		to:   "if len(tx) == 0 {",
		pkg:  "./exec/evolve", test: "TestBuild",
	},
	{
		name: "sizes of transactions are those of the data",
		file: "exec/evolve/evgrpc/evgrpc.go",
		from: "	if len(data) > 0 {\n		return nil, fmt.Errorf(\"%d bytes are of",
		to:   "	if false {\n		return nil, fmt.Errorf(\"%d bytes are of",
		pkg:  "./exec/evolve/evgrpc", test: "TestUnpack",
	},
	{
		name: "an engine that cannot go back follows no L1",
		file: "node/engine.go",
		from: "	if o.opt.Genesis.L1 != nil {\n		return errors.New(\"this engine",
		to:   "	if false {\n		return errors.New(\"this engine",
		pkg:  "./node", test: "TestOneWayEngine",
	},
}
