package main

// The guards of slow links, and of heights that are large on them.
var slowGuards = []guard{
	{
		name: "a call without a byte ends",
		file: "internal/jsonrpc/clock.go",
		from: "case silent <= 0:",
		to:   "case silent <= -time.Hour:",
		pkg:  "./internal/jsonrpc", test: "TestClock/bytes,_then_silence",
	},
	{
		name: "an answer comes at the lowest rate",
		file: "internal/jsonrpc/clock.go",
		from: "case slow <= 0:",
		to:   "case slow <= -time.Hour:",
		pkg:  "./internal/jsonrpc", test: "TestClock/below_the_lowest_rate",
	},
	{
		name: "bytes of an answer are progress of its call",
		file: "internal/jsonrpc/clock.go",
		from: "; at.After(moved) {",
		to:   "; false {",
		pkg:  "./internal/jsonrpc", test: "TestClock/above_it",
	},
	{
		name: "a call that later ones have overtaken ends",
		file: "internal/jsonrpc/clock.go",
		from: "latest.After(k.start.Add(k.limit)) {",
		to:   "latest.After(k.start.Add(1000 * k.limit)) {",
		pkg:  "./internal/jsonrpc", test: "TestClock/later_calls_first",
	},
	{
		name: "bytes are progress of a fetch",
		file: "follow/follower.go",
		from: "return bytes >= least }",
		to:   "return bytes < 0 }",
		pkg:  "./follow", test: "TestBytesAreProgress",
	},
	{
		name: "a fetch whose bytes drip ends",
		file: "follow/follower.go",
		from: "return bytes >= least }",
		to:   "return bytes >= 0 }",
		pkg:  "./follow", test: "TestBytesAreProgress",
	},
	{
		name: "a slow source is left for another",
		file: "follow/best.go",
		from: "return bytes == 0 || bytes >= ",
		to:   "return bytes >= 0 || bytes >= ",
		pkg:  "./follow", test: "TestSlowSourceIsLeft",
	},
	{
		name: "a slow source is not left for one that was slow",
		file: "follow/best.go",
		from: "!m.slowAt(now) && (head == 0",
		to:   "(head == 0",
		pkg:  "./follow", test: "TestSlowSourceIsKept",
	},
	{
		name: "bytes of an endpoint are progress of its fetches",
		file: "da/celestia/endpoint.go",
		from: "		follow.Received(ctx, n)\n",
		to:   "		_ = ctx\n",
		pkg:  "./da/celestia", test: "TestSlowBigHeight",
	},
}
