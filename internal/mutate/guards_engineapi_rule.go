package main

// The rule of forced transactions, and what an engine does when it connects and when it is closed. The rule's tests
// need no execution client.
var engineapiRuleGuards = []guard{
	{
		name: "a transaction of a type that depends on others is not taken",
		file: "exec/engineapi/rule.go",
		from: "if tx.Type() > dynamicFeeType {", to: "if false {",
		pkg: "./exec/engineapi", test: "TestRuleVectors",
	},
	{
		name: "a type that came after the rule is no transaction",
		file: "exec/engineapi/rule.go",
		from: "(raw[0] == 0 || raw[0] > lastType)", to: "false",
		pkg: "./exec/engineapi", test: "TestLaterTypes",
	},
	{
		name: "blobs in a bundle are read by the rule",
		file: "exec/engineapi/rule.go",
		from: "if v.Version != 1 {", to: "if false {",
		pkg: "./exec/engineapi", test: "TestRuleVectors",
	},
	{
		name: "a transaction has a size that pools take",
		file: "exec/engineapi/rule.go",
		from: "if size > maxTxBytes {", to: "if false {",
		pkg: "./exec/engineapi", test: "TestRuleVectors",
	},
	{
		name: "init code is bounded",
		file: "exec/engineapi/rule.go",
		from: "tx.To() == nil && n > maxInitCode", to: "false",
		pkg: "./exec/engineapi", test: "TestRuleVectors",
	},
	{
		name: "a transaction's gas is capped from Osaka on",
		file: "exec/engineapi/rule.go",
		from: "if r.osaka && tx.Gas() > maxTxGas {", to: "if false {",
		pkg: "./exec/engineapi", test: "TestRuleVectors",
	},
	{
		name: "and not before",
		file: "exec/engineapi/rule.go",
		from: "osaka: begun(config.OsakaTime)", to: "osaka: true",
		pkg: "./exec/engineapi", test: "TestRuleVectors",
	},
	{
		name: "a transaction has no more gas than its block",
		file: "exec/engineapi/rule.go",
		from: "if tx.Gas() > r.gasLimit {", to: "if false {",
		pkg: "./exec/engineapi", test: "TestRuleVectors",
	},
	{
		name: "the last nonce is nobody's",
		file: "exec/engineapi/rule.go",
		from: "if tx.Nonce() == 1<<64-1 {", to: "if false {",
		pkg: "./exec/engineapi", test: "TestRuleVectors",
	},
	{
		name: "a transaction pays for what it is",
		file: "exec/engineapi/rule.go",
		from: "needs := intrinsicGas(tx); tx.Gas() < needs", to: "needs := intrinsicGas(tx); tx.Gas() < needs-1",
		pkg: "./exec/engineapi", test: "TestRuleVectors",
	},
	{
		name: "a transaction pays the floor for its data",
		file: "exec/engineapi/rule.go",
		from: "r.prague && tx.Gas() < needs", to: "r.prague && tx.Gas() < needs-1",
		pkg: "./exec/engineapi", test: "TestRuleVectors",
	},
	{
		name: "there is no floor before Prague",
		file: "exec/engineapi/rule.go",
		from: "prague: begun(config.PragueTime)", to: "prague: true",
		pkg: "./exec/engineapi", test: "TestRuleVectors",
	},
	{
		name: "a fork begins with its second",
		file: "exec/engineapi/rule.go",
		from: "at != nil && *at <= time", to: "at != nil && *at < time",
		pkg: "./exec/engineapi", test: "TestRuleBegins",
	},
	{
		name: "a fee is a word at most",
		file: "exec/engineapi/rule.go",
		from: "case fee.BitLen() > 256:", to: "case false:",
		pkg: "./exec/engineapi", test: "TestRuleVectors",
	},
	{
		name: "a tip is no more than the fee",
		file: "exec/engineapi/rule.go",
		from: "case tip.Cmp(fee) > 0:", to: "case false:",
		pkg: "./exec/engineapi", test: "TestRuleVectors",
	},
	{
		name: "a transaction offers the least tip",
		file: "exec/engineapi/rule.go",
		from: "case tip.Cmp(least) < 0:", to: "case false:",
		pkg: "./exec/engineapi", test: "TestRuleVectors",
	},
	{
		name: "the least tip is above the next base fee",
		file: "exec/engineapi/rule.go",
		from: "; left.Cmp(least) < 0 {", to: "; false {",
		pkg: "./exec/engineapi", test: "TestRuleVectors",
	},
	{
		name: "the base fee moves by one at least",
		file: "exec/engineapi/rule.go",
		from: "if step.Sign() == 0 {", to: "if false {",
		pkg: "./exec/engineapi", test: "TestRuleVectors",
	},
	{
		name: "a transaction is signed for this chain",
		file: "exec/engineapi/rule.go",
		from: "if id.Cmp(r.chainID) != 0 {", to: "if false {",
		pkg: "./exec/engineapi", test: "TestRuleVectors",
	},
	{
		name: "a sender has what a transaction may cost",
		file: "exec/engineapi/rule.go",
		from: "case a.Balance.ToInt().Cmp(cost) < 0:", to: "case false:",
		pkg: "./exec/engineapi", test: "TestRuleVectors",
	},
	{
		name: "a nonce is used once",
		file: "exec/engineapi/rule.go",
		from: "case tx.Nonce() < nonce:", to: "case false:",
		pkg: "./exec/engineapi", test: "TestRuleVectors",
	},
	{
		name: "a nonce is the next one",
		file: "exec/engineapi/rule.go",
		from: "case tx.Nonce() > nonce:", to: "case false:",
		pkg: "./exec/engineapi", test: "TestRuleVectors",
	},
	{
		name: "a contract sends nothing",
		file: "exec/engineapi/rule.go",
		from: "case a.contract:", to: "case false:",
		pkg: "./exec/engineapi", test: "TestRuleVectors",
	},
	{
		name: "a delegation has the length of an address",
		file: "exec/engineapi/rule.go",
		from: "len(code) == 23 && ", to: "",
		pkg: "./exec/engineapi", test: "TestRuleVectors",
	},
	{
		name: "a genesis names no fork that is not known",
		file: "exec/engineapi/check.go",
		from: "return checkSchedule(config)", to: "_ = config\n\treturn nil",
		pkg: "./exec/engineapi", test: "TestUnknownFork",
	},
	{
		name: "a genesis file names no fork that go-ethereum does not know",
		file: "exec/engineapi/files.go",
		from: "if file.Config != nil {", to: "if false {",
		pkg: "./exec/engineapi", test: "TestUnknownFork",
	},
	{
		name: "the early forks are in force",
		file: "exec/engineapi/check.go",
		from: "case !first.IsHomestead ||", to: "case false && !first.IsHomestead ||",
		pkg: "./exec/engineapi", test: "TestEarlyForks",
	},
	{
		name: "Close ends a call under way",
		file: "exec/engineapi/client.go",
		from: "defer context.AfterFunc(c.open, cancel)()", to: "",
		pkg: "./exec/engineapi", test: "TestCloseWhileConnecting",
	},
}
