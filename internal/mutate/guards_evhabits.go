package main

// evhabitsGuards keep an Evolve chain's habits from being misread: its namespaces, its beginning, its key.
var evhabitsGuards = []guard{
	{
		name: "what may have been meant as digits is no namespace's name",
		file: "da/da.go",
		from: "case marked, len(s) == 58, err == nil && len(digits) >= 40:", to: "case len(s) == 58 && !marked:",
		pkg: "./da", test: "TestNamespaceOf",
	},
	{
		name: "a home keeps the namespaces that it was made with",
		file: "node/opened.go",
		from: "		o.opt.plainNames = true\n", to: "		o.opt.plainNames = false\n",
		pkg: "./node", test: "TestNamesOfNamespaces",
	},
	{
		name: "a genesis means the same for all nodes of its chain",
		file: "node/config.go",
		from: "		read = inGenesis\n", to: "		_ = inGenesis\n",
		pkg: "./node", test: "TestNamesInAGenesis",
	},
	{
		name: "a home with blocks keeps its start",
		file: "node/opened.go",
		from: "(signed || !o.store.State().Unsafe.Hash.IsZero())", to: "(signed && false)",
		pkg: "./node", test: "TestStartHeight",
	},
	{
		name: "a node whose chain begins below its start is not ready",
		file: "node/ready.go",
		from: "if v.headless {", to: "if false {",
		pkg: "./node", test: "TestStartHeight",
	},
	{
		name: "a sequencer makes no first block for a chain that has others",
		file: "internal/syncer/produce.go",
		from: "parent.Ref.Hash.IsZero() && m.Headers > 0 &&", to: "false &&",
		pkg: "./node", test: "TestStartHeight",
	},
	{
		name: "headers of the format of before are named",
		file: "internal/derive/verify.go",
		from: "			otherwise = Legacy\n", to: "			otherwise = Forged\n",
		pkg: "./internal/derive", test: "TestLegacyHeaders",
	},
	{
		name: "a port that an ev-node has is said to be its",
		file: "node/listen.go",
		from: "errors.Is(err, syscall.EADDRINUSE) && isEvolve(c.Address)", to: "errors.Is(err, syscall.EADDRINUSE) && false",
		pkg: "./node", test: "TestPortOfAnEvNode",
	},
	{
		name: "whose line of text is not an ev-node's is none",
		file: "node/listen.go",
		from: "return known && ", to: "return known || ",
		pkg: "./node", test: "TestPortOfAnEvNode",
	},
	{
		name: "an exported key is of a kind that an ev-node knows",
		file: "internal/keyfile/import.go",
		from: "kind != block.Ed25519 {\n		return fmt.Errorf(\"%w: %s\", ErrNotEd25519, kind)", to: "kind == 0 {\n		return fmt.Errorf(\"%w: %s\", ErrNotEd25519, kind)",
		pkg: "./internal/keyfile", test: "TestExport",
	},
	{
		name: "a key leaves when all that it has signed is posted",
		file: "node/leave.go",
		from: "st.Unsafe.Height > st.Safe.Height {", to: "st.Unsafe.Height > st.Safe.Height && false {",
		pkg: "./node", test: "TestLeave",
	},
	{
		name: "a home whose key has left looks first for another sequencer",
		file: "node/leave.go",
		from: `os.Remove(filepath.Join(o.opt.Home, "signed"))`, to: `os.Remove(filepath.Join(o.opt.Home, "signed", "none"))`,
		pkg: "./node", test: "TestLeave",
	},
	{
		name: "a new chain's genesis is one for an ev-node",
		file: "cmd/headrace/chain.go",
		from: ", DAEpochForcedInclusion: block.EvolveEpoch}", to: "}",
		pkg: "./cmd/headrace", test: "TestScripts/evolve",
	},
	{
		name: "what is exported is a genesis for an ev-node",
		file: "cmd/headrace/export.go",
		from: "	if theirs.DAEpochForcedInclusion == 0 {", to: "	if false {",
		pkg: "./cmd/headrace", test: "TestEvolveTakesTheGenesis",
	},
}
