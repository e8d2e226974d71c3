package main

// waitsGuards keep the waits at running nodes, and those of Ethereum's transactions and logs, true and without a hang.
var waitsGuards = []guard{
	{
		name: "what stands before a node does not end a wait",
		file: "await/client.go",
		from: "if resp.StatusCode >= 200 && resp.StatusCode < 300 {", to: "if resp.StatusCode < 500 {",
		pkg: "./await", test: "TestEveryWaitAtANodeKeepsTheRules/ready/what_stands",
	},
	{
		name: "a node's own refusal ends a wait",
		file: "await/client.go",
		from: `return why != "" && status >= 400 && status < 500`, to: `return why != "" && status >= 400 && status < 404`,
		pkg: "./await", test: "TestEveryWaitAtANodeKeepsTheRules/ready/refused_404",
	},
	{
		name: "what another producer did before its end counts",
		file: "await/client.go",
		from: "if outer.Err() == nil { // a producer", to: "if false { // a producer",
		pkg: "./await", test: "TestReachedBeforeAnotherEnd",
	},
	{
		name: "a node that does not wait is not asked in a hot loop",
		file: "await/client.go",
		from: "case err == nil && time.Since(began) >= patience/2:", to: "case err == nil && time.Since(began) >= 0:",
		pkg: "./await", test: "TestHastyNodeIsNoHotLoop",
	},
	{
		name: "a stream's blocks follow each other",
		file: "await/stream.go",
		from: "if err := f.place.next(&e); err != nil {", to: "if err := f.place.next(&e); err != nil && false {",
		pkg: "./await", test: "TestEventsInOrder",
	},
	{
		name: "a stream begins after the id it goes on from",
		file: "await/stream.go",
		from: "f.place = placeOf(s.After)", to: "_ = placeOf(s.After)",
		pkg: "./await", test: "TestEventsGoOnAfter",
	},
	{
		name: "what was received is not taken after the end",
		file: "await/stream.go",
		from: "if ctx.Err() != nil { // what was received", to: "if false { // what was received",
		pkg: "./await", test: "TestNothingIsTakenAfterTheEnd",
	},
	{
		name: "while an event is taken a node is not silent",
		file: "await/stream.go",
		from: "\t\twatchdog.Stop() // while", to: "\t\t// while",
		pkg: "./await", test: "TestSlowTaker",
	},
	{
		name: "an end that is told is not yet a node that has stopped",
		file: "await/stream.go",
		from: "case refused(err), errors.As(err, new(takenError)), ended && strange:", to: "case refused(err), errors.As(err, new(takenError)), strange || ended && strange:",
		pkg: "./await", test: "TestStopped/a_gateway",
	},
	{
		name: "another start of a node shows that it had stopped",
		file: "await/stream.go",
		from: "case last.Raw != nil && !s.StartedAt.Equal(last.StartedAt):", to: "case false:",
		pkg: "./await", test: "TestStartedAgain",
	},
	{
		name: "a proposal that others have followed is found at the node",
		file: "node/wait.go",
		from: "_, ok := s.Progress().ProposalAt(hash); return ok", to: "return s.Proposal != nil && (s.Proposal.Tx == hash || s.Proposal.L1.Hash == hash)",
		pkg: "./node", test: "TestWaitProposalAt",
	},
	{
		name: "of several nodes one that fails is told by its address",
		file: "cmd/headrace/wait.go",
		from: `fmt.Sprintf("%s: %s", c, err)`, to: `err.Error()`,
		pkg: "./cmd/headrace", test: "TestWaitAtSeveralNodes",
	},
	{
		name: "a flag names another node than the environment",
		file: "cmd/headrace/nodeat.go",
		from: `text != "" && !cmd.Flags().Changed("node")`, to: `text != ""`,
		pkg: "./cmd/headrace", test: "TestNodeOfTheEnvironment",
	},
	{
		name: "near the head logs are asked for by the block's hash",
		file: "await/ethereum/log.go",
		from: `map[string]any{"blockHash": b.Hash}`, to: `map[string]any{"fromBlock": hexutil.Uint64(b.Number), "toBlock": hexutil.Uint64(b.Number)}`,
		pkg: "./await/ethereum", test: "TestLogOfANodeBehind",
	},
	{
		name: "what a reorg brings in the place of blocks that were looked at is looked at",
		file: "await/ethereum/log.go",
		from: "if settled, moved, err := s.goBack(ctx, conn, head.Number);", to: "if settled, moved, err := true, false, err;",
		pkg: "./await/ethereum", test: "TestLogSchedules",
	},
	{
		name: "a log has its confirmations",
		file: "await/ethereum/log.go",
		from: "s.found.BlockHash, s.filter.Confirmations)", to: "s.found.BlockHash, 0)",
		pkg: "./await/ethereum", test: "TestLogAcrossReorg",
	},
	{
		name: "a replacement has its confirmations",
		file: "await/ethereum/sent.go",
		from: "b.Number, b.Hash, s.Confirmations)", to: "b.Number, b.Hash, 0)",
		pkg: "./await/ethereum", test: "TestReplaced",
	},
	{
		name: "an endpoint that has not answered may know a transaction",
		file: "await/ethereum/sent.go",
		from: "if m.at == (common.Hash{}) || m.heads < s.Lost {", to: "if m.at != (common.Hash{}) && m.heads < s.Lost {",
		pkg: "./await/ethereum", test: "TestDropped",
	},
	{
		name: "a transaction that is seen again is not dropped",
		file: "await/ethereum/sent.go",
		from: "	s.unknown[node] = missing{}", to: "	_ = missing{}",
		pkg: "./await/ethereum", test: "TestDropped",
	},
	{
		name: "a block is below a head of its own branch",
		file: "await/ethereum/block.go",
		from: "again.Hash != head.Hash { // a reorg", to: "false { // a reorg",
		pkg: "./await/ethereum", test: "TestHeightAcrossReorg",
	},
	{
		name: "an event whose command failed is the one to go on with",
		file: "cmd/headrace/tail.go",
		from: "return commandError(command[0], e, goOn, err)", to: `return commandError(command[0], e, "--after "+e.ID, err)`,
		pkg: "./cmd/headrace", test: "TestTailRunsACommand",
	},
}
