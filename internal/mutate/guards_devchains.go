package main

var devchainGuards = []guard{
	{
		name: "who learns of a head from the client finds its slot",
		file: "devnet/beacon/chain.go",
		from: "\tc.coming = b\n", to: "\tc.coming = nil\n",
		pkg: "./devnet/beacon", test: "TestSlotOfANewHead",
	},
	{
		name: "a call names its input once",
		file: "l1/ethereum/reader.go",
		from: `"data": hexutil.Bytes(input)}`,
		to:   `"data": hexutil.Bytes(input), "input": hexutil.Bytes(input)}`,
		pkg:  "./l1/ethereum", test: "TestOneWayIsEnough/one_input",
	},
	{
		name: "what cannot be included is not sent again",
		file: "l1/ethereum/account.go",
		from: "if ctx.Err() != nil || nowhere || ",
		to:   "if ctx.Err() != nil || nowhere && false || ",
		pkg:  "./l1/ethereum", test: "TestEarlierTransactionIsGone",
	},
	{
		name: "a dev chain brings back no transaction",
		file: "l1/ethereum/pace.go",
		from: "return min(onDemand, a.resend())",
		to:   "return a.resend()",
		pkg:  "./l1/ethereum", test: "TestRegain",
	},
	{
		name: "the reason why there is no state is told",
		file: "l1/ethereum/reader.go",
		from: "case errors.Is(other, l1.ErrNotFound):",
		to:   "case false:",
		pkg:  "./l1/ethereum", test: "TestNumberIsOfTheHash",
	},
	{
		name: "nothing is proposed below what is final",
		file: "internal/sequencer/gone.go",
		from: "if head.Height < s.Final.Height {",
		to:   "if false {",
		pkg:  "./internal/sequencer", test: "TestVanishedFinal",
	},
	{
		name: "a program that is obtained once is never half there",
		file: "devnet/program/once.go",
		from: "built := filepath.Join(work, name)",
		to:   "built := path",
		pkg:  "./devnet/devchain", test: "TestNotInstalled/no_registry",
	},
}
