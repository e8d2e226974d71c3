package main

var nodeGuards = []guard{
	{
		name: "no block is taken beside a DA layer",
		file: "node/unsafe.go",
		from: "if offers == nil {",
		to:   "if false {",
		pkg:  "./node", test: "TestNoOffersBesideADALayer",
	},
	{
		name: "the body of an offered block is bounded",
		file: "node/unsafe.go",
		from: "http.MaxBytesReader(w, r.Body, maxUnsafe)",
		to:   "r.Body",
		pkg:  "./node", test: "TestUnsafeBodyIsBounded",
	},
	{
		name: "the body of a transaction is bounded",
		file: "node/http.go",
		from: "http.MaxBytesReader(w, r.Body, int64(most))",
		to:   "r.Body",
		pkg:  "./node", test: "TestHTTP",
	},
	{
		name: "who proposes in blobs can read them",
		file: "node/l1.go",
		from: "len(c.Beacon) == 0",
		to:   "false",
		pkg:  "./node", test: "TestNewRefusesOnAnL1",
	},
	{
		name: "an L1 has an endpoint",
		file: "node/l1.go",
		from: "len(c.WS)+len(c.HTTP) == 0",
		to:   "false",
		pkg:  "./node", test: "TestNewRefusesOnAnL1",
	},
	{
		name: "no block is made before the source has shown whether there are some",
		file: "node/opened.go",
		from: "o.up.follower.State().Wait(ctx, func(s follow.State) bool { return s.Live })",
		to:   "o.up.follower.State().Wait(ctx, func(s follow.State) bool { return true })",
		pkg:  "./node", test: "TestNoBlockBeforeTheSource",
	},
	{
		name: "a node without news is not ready",
		file: "node/ready.go",
		from: "case age >= bound:",
		to:   "case false:",
		pkg:  "./node", test: "TestReadiness/DA_layer_paused",
	},
	{
		name: "a node that is far behind is not ready",
		file: "node/ready.go",
		from: "case s.Source.Lag > staleAfter:",
		to:   "case false:",
		pkg:  "./node", test: "TestCatchingUp",
	},
	{
		name: "a node whose engine is away is not ready",
		file: "node/ready.go",
		from: "case engineAway(s):",
		to:   "case false:",
		pkg:  "./node", test: "TestEngineRestarted",
	},
}
