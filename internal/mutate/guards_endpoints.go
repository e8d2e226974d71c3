package main

// The guards of what closed the rows of endpoints and gateways.
var endpointGuards = []guard{
	{
		name: "an Ethereum node that is waited at gets its token over HTTP",
		file: "await/ethereum/ethereum.go",
		from: ", Access: access}",
		to:   "}",
		pkg:  "./await/ethereum", test: "TestToken$",
	},
	{
		name: "an Ethereum node that is waited at gets its token over a WebSocket",
		file: "await/ethereum/ethereum.go",
		from: `if strings.HasPrefix(at.URL, "ws") {`,
		to:   "if false {",
		pkg:  "./await/ethereum", test: "TestToken$",
	},
	{
		name: "a comma in an address stays",
		file: "cmd/headrace/wait.go",
		from: `strings.LastIndex(text, ",token")`,
		to:   `strings.LastIndex(text, ",")`,
		pkg:  "./cmd/headrace", test: "TestWaitBlockToken",
	},
	{
		name: "a beacon API without an answer closes idle connections",
		file: "internal/httpc/httpc.go",
		from: "		t.unanswered(req.Context())",
		to:   "		_ = t.unanswered",
		pkg:  "./cmd/headrace", test: "TestDeadConnections/beacon/http$",
	},
	{
		name: "a proposal in a block that has vanished is not waited for",
		file: "internal/sequencer/gone.go",
		from: "err == nil && gone {",
		to:   "err == nil && false && gone {",
		pkg:  "./internal/sequencer", test: "TestIncludedInAVanishedBlock",
	},
	{
		name: "an L1 that has lost blocks is made to make one where nothing can be proposed",
		file: "internal/sequencer/gone.go",
		from: "if n, ok := q.cfg.Proposer.(l1.Nudger); ok {",
		to:   "if n, ok := q.cfg.Proposer.(l1.Nudger); ok && false {",
		pkg:  "./internal/sequencer", test: "TestHeadVanishesWithForcedDue/it_holds_few",
	},
	{
		name: "what was safe before the head vanished is not to be dropped",
		file: "internal/sequencer/propose.go",
		from: "max(s.Safe.Height, at.Safe.Height+(draft.last-at.Safe.Height)/2)",
		to:   "at.Safe.Height + (draft.last-at.Safe.Height)/2",
		pkg:  "./internal/sequencer", test: "TestHeadVanishesWithForcedDue",
	},
	{
		name: "a submission may take as long as its setting says",
		file: "node/da.go",
		from: "SubmitTimeout: c.SubmitTimeout,",
		to:   "",
		pkg:  "./node", test: "TestSubmitTimeoutSetting",
	},
	{
		name: "a submission waits for some blocks, as they come",
		file: "da/celestia/client.go",
		from: "each := cmp.Or(c.BlockTime(), slowestBlock)",
		to:   "each := slowestBlock",
		pkg:  "./da/celestia", test: "TestSubmitTimeout$",
	},
	{
		name: "a submission has time to get to a fast DA layer",
		file: "da/celestia/client.go",
		from: "max(submitBlocks*each, submitLeast)",
		to:   "submitBlocks*each",
		pkg:  "./da/celestia", test: "TestSubmitTimeout$",
	},
	{
		name: "blobs that are too large for a gateway are said to be",
		file: "l1/ethereum/send.go",
		from: "if status(err) == http.StatusRequestEntityTooLarge {",
		to:   "if status(err) < 0 {",
		pkg:  "./l1/ethereum", test: "TestBlobsTooLargeForGateway",
	},
	{
		name: "a transaction that a dev chain has forgotten is sent again as it is",
		file: "l1/ethereum/account.go",
		from: "try.forgotten = a.client.opt.BlockTime < 0 && ",
		to:   "try.forgotten = false && ",
		pkg:  "./l1/ethereum", test: "TestForgottenTransaction",
	},
}
