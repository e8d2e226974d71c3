package main

// The guards of connections to endpoints, and of what the command line takes for final.
var connsGuards = []guard{
	{
		name: "a call without an answer closes idle connections",
		file: "internal/httpc/httpc.go",
		from: "		t.unanswered(req.Context())",
		to:   "		_ = t.unanswered",
		pkg:  "./cmd/headrace", test: "TestDeadConnections/L1/http$",
	},
	{
		name: "a dead connection of HTTP/2 is dropped",
		file: "internal/httpc/httpc.go",
		from: "SendPingTimeout: min(timeout/2, mostQuiet), ",
		to:   "",
		pkg:  "./cmd/headrace", test: "TestDeadConnections/engine/https$",
	},
	{
		name: "a call to an engine without an answer is the last on its connection",
		file: "exec/internal/links/links.go",
		from: "if unanswered && ",
		to:   "if false && ",
		pkg:  "./cmd/headrace", test: "TestDeadConnections/engine/grpc$",
	},
	{
		name: "another program ends a wait for a block",
		file: "await/ethereum/ethereum.go",
		from: "if errors.Is(failure, ErrOther) {",
		to:   "if false {",
		pkg:  "./cmd/headrace", test: "TestWaitForBlockElsewhere/a_page",
	},
	{
		name: "a time below zero is refused",
		file: "cmd/headrace/wait.go",
		from: "if *timeout < 0 {",
		to:   "if false {",
		pkg:  "./cmd/headrace", test: "TestNegativeTimeout",
	},
	{
		name: "a page of a named origin may read",
		file: "internal/httpd/httpd.go",
		from: "		if s.opt.Share(w, r) {",
		to:   "		if false {",
		pkg:  "./node", test: "TestNamedPage",
	},
	{
		name: "an answer to one origin is not for another",
		file: "internal/httpd/access.go",
		from: `	h.Set("Vary", "Origin")`,
		to:   "",
		pkg:  "./internal/httpd", test: "TestShare",
	},
}
