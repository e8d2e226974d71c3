package main

var devchainGuards = []guard{
	{
		name: "a call names its input once",
		file: "l1/ethereum/reader.go",
		from: `"data": hexutil.Bytes(input)}`,
		to:   `"data": hexutil.Bytes(input), "input": hexutil.Bytes(input)}`,
		pkg:  "./l1/ethereum", test: "TestOneWayIsEnough/one_input",
	},
}
