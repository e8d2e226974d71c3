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
}
