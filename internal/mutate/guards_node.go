package main

var nodeGuards = []guard{
	{
		name: "no block is taken that could not be taken back",
		file: "node/unsafe.go",
		from: "if offers == nil {",
		to:   "if false {",
		pkg:  "./node", test: "TestNoOffersWithAOneWayEngine",
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
		file: "node/send.go",
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
		from: "add(v.head(bound)...)",
		to:   "",
		pkg:  "./node", test: "TestReadinessByTheChainsClock",
	},
	{
		name: "a node that is far behind is not ready",
		file: "node/ready.go",
		from: "add(v.behind(bound)...)",
		to:   "",
		pkg:  "./node", test: "TestCatchingUp",
	},
	{
		name: "a node whose engine is away is not ready",
		file: "node/ready.go",
		from: "		r.after = 0\n	}\n	return []row{r}",
		to:   "		r.after = time.Hour\n	}\n	return []row{r}",
		pkg:  "./node", test: "TestEngineRestarted",
	},
}
