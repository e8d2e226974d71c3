package main

var engineapiGuards = []guard{
	{
		name: "a block is built on our head",
		file: "exec/engineapi/build.go",
		from: "err == nil && envelope.ExecutionPayload.ParentHash != e.head.exec",
		to:   "false",
		pkg:  "./exec/engineapi", test: "TestBuildFromLiar",
	},
	{
		name: "a client that does not have our block cannot exempt",
		file: "exec/engineapi/exempt.go",
		from: "if parent == nil {",
		to:   "if false {",
		pkg:  "./exec/engineapi", test: "TestExemptFromLiar",
	},
	{
		name: "an account without a balance exempts nothing",
		file: "exec/engineapi/exempt.go",
		from: "if a.Balance == nil {",
		to:   "if false {",
		pkg:  "./exec/engineapi", test: "TestExemptFromLiar",
	},
	{
		name: "INVALID is a verdict on top of the parent only",
		file: "exec/engineapi/run.go",
		from: "status.LatestValidHash == nil || *status.LatestValidHash != p.Data.ParentHash",
		to:   "false",
		pkg:  "./exec/engineapi", test: "TestNoVerdict",
	},
	{
		name: "INVALID is a verdict of a client only that can execute blocks there",
		file: "exec/engineapi/run.go",
		from: "err := e.canExecute(ctx); err != nil",
		to:   "err := error(nil); err != nil",
		pkg:  "./exec/engineapi", test: "TestNoVerdict",
	},
	{
		name: "the head is read back after a fork choice",
		file: "exec/engineapi/run.go",
		from: "latest == nil || latest.Reported != head",
		to:   "latest == nil",
		pkg:  "./exec/engineapi", test: "TestNoVerdict",
	},
	{
		name: "a block is sealed on our head",
		file: "exec/engineapi/run.go",
		from: "if h.ParentHash != e.head.exec {",
		to:   "if false {",
		pkg:  "./exec/engineapi", test: "TestVoidByContent",
	},
	{
		name: "a block with another hash is not labelled",
		file: "exec/engineapi/run.go",
		from: "err == nil && r.hash != ref.Hash",
		to:   "false",
		pkg:  "./exec/engineapi", test: "TestLabel",
	},
	{
		name: "what was simulated counts when it was executed",
		file: "exec/engineapi/forced.go",
		from: "err := e.run(ctx, payload); err != nil",
		to:   "err := error(nil); payload == nil",
		pkg:  "./exec/engineapi", test: "TestBuildForcedIsExecuted",
	},
}
