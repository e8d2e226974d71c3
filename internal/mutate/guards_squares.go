package main

// squareGuards are about what the DA layer's methods take of memory and time, and put into their answers.
var squareGuards = []guard{
	{
		name: "a row of the extended square is made without the whole of it",
		file: "internal/square/square.go",
		from: "	column, added := make([][]byte, 2*s.k), room(s.k)\n", to: "	_ = room(4 * s.k * s.k)\n	column, added := make([][]byte, 2*s.k), room(s.k)\n",
		pkg: "./internal/square", test: "TestSampler",
	},
	{
		name: "a list of samples ends",
		file: "da/celestia/methods_share.go",
		from: "jsonrpc.Arg[few[coords]](a", to: "jsonrpc.Arg[[]coords](a",
		pkg: "./da/celestia", test: "TestLongLists",
	},
	{
		name: "samples are given in the order in which they are asked for",
		file: "da/celestia/methods_share.go",
		from: "places[i].at = i", to: "places[i].at = len(places) - 1 - i",
		pkg: "./da/celestia", test: "TestReferenceClient",
	},
	{
		name: "a token whose time is over is not for ever",
		file: "da/celestia/token.go",
		from: "if lifetime != 0 {", to: "if lifetime > 0 {",
		pkg: "./da/celestia", test: "TestReferenceClient",
	},
	{
		name: "a peer's name is no text of any kind",
		file: "da/celestia/methods_node.go",
		from: `if !known || strings.Trim(string(*p), base58) != "" {`, to: "if !known {",
		pkg: "./da/celestia", test: "TestReferenceClient",
	},
}
