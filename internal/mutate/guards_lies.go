package main

// liesGuards are about sources that are wrong, each in its own way, and about whom that is held against.
var liesGuards = []guard{
	{
		name: "a subscription that no retry can cure ends the follower",
		file: "follow/follower.go",
		from: "if ctx.Err() != nil || IsFatal(err) {", to: "if ctx.Err() != nil {",
		pkg: "./follow", test: "TestFatalSubscriptionEndsRun",
	},
	{
		name: "the follower ends with the subscription's error",
		file: "follow/follower.go",
		from: "if cause := context.Cause(ctx); IsFatal(cause) {", to: "if cause := context.Cause(ctx); false {",
		pkg: "./follow", test: "TestFatalSubscriptionEndsRun",
	},
	{
		name: "a refused item is held against the source that gave it",
		file: "follow/best.go",
		from: "for n > 0 && fork.height < starts[n] {", to: "for false {",
		pkg: "./follow", test: "TestRefusedAfterItsTurn",
	},
	{
		name: "the lead is handed over with its head",
		file: "follow/best.go",
		from: "u.Head.Height < n.best.Height || u.Head == n.best {", to: "true {",
		pkg: "./follow", test: "TestLeadIsHandedOver",
	},
	{
		name: "receipts that do not fit the header speak against the endpoint",
		file: "l1/ethereum/endpoint.go",
		from: "\te.health.Bad(err)\n\treturn err\n", to: "\treturn err\n",
		pkg: "./l1/ethereum", test: "TestLies",
	},
	{
		name: "receipts that are not there yet do not speak against the endpoint",
		file: "l1/ethereum/receipts.go",
		from: "err == nil && receipts == nil:", to: "false:",
		pkg: "./l1/ethereum", test: "TestLies/no_receipts",
	},
	{
		name: "a head's content is asked for where it was announced",
		file: "l1/ethereum/news.go",
		from: "item, err := e.item(ctx, head)\n\tif err != nil {", to: "var item follow.Item[l1.Block]\n\tvar err error\n\t{",
		pkg: "./l1/ethereum", test: "TestContentFromWhoAnnounces",
	},
	{
		name: "heights are read again after twice as many heights each time",
		file: "internal/syncer/prove.go",
		from: "min(2*r.after, rereadMax)", to: "r.after",
		pkg: "./internal/syncer", test: "TestRereadsGetRarer",
	},
	{
		name: "a complete block ends the patience with the one before",
		file: "internal/syncer/prove.go",
		from: "case w.Headers+w.Data == 0:\n\t\t*r = reread{}", to: "case w.Headers+w.Data == 0:",
		pkg: "./internal/syncer", test: "TestRereadsGetRarer",
	},
	{
		name: "an engine that has no state to go back to begins anew",
		file: "internal/syncer/engine.go",
		from: "if errors.Is(err, exec.ErrPruned) {", to: "if false {",
		pkg: "./internal/syncer", test: "TestEngineAheadWithoutStates",
	},
	{
		name: "a proposal whose predecessor was not seen is not judged",
		file: "internal/syncer/l1.go",
		from: "if prop.ID != p.in.Proposal.ID+1 {", to: "if false {",
		pkg: "./internal/syncer", test: "TestProposalWithoutPredecessor",
	},
}
