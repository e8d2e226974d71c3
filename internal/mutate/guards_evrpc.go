package main

// evrpcGuards are of what an Evolve chain's tools ask a node for, and of HTTP/2.
var evrpcGuards = []guard{
	{
		name: "a block that tools ask for counts while it is answered",
		file: "internal/evrpc/evrpc.go",
		from: "return rec, hold.Grow(ctx, int64(encoded*size))",
		to:   "return rec, hold.Grow(ctx, int64(0*size))",
		pkg:  "./internal/evrpc", test: "TestBudget",
	},
	{
		name: "what was counted of an answer to a tool is given back",
		file: "internal/evrpc/evrpc.go",
		from: "	defer hold.Give()\n",
		to:   "",
		pkg:  "./internal/evrpc", test: "TestBudget",
	},
	{
		name: "two blocks are read at a time for tools",
		file: "internal/evrpc/evrpc.go",
		from: "readers: make(chan struct{}, 2)",
		to:   "readers: make(chan struct{}, 200)",
		pkg:  "./internal/evrpc", test: "TestReaders",
	},
	{
		name: "what a tool's request unpacks to is bounded",
		file: "internal/evrpc/evrpc.go",
		from: "}, connect.WithReadMaxBytes(maxRequest), connect",
		to:   "}, connect",
		pkg:  "./internal/evrpc", test: "TestSizes",
	},
	{
		name: "what a tool's stream sends is bounded",
		file: "internal/evrpc/evrpc.go",
		from: "	r.Body = http.MaxBytesReader(w, r.Body, maxRequest)\n",
		to:   "",
		pkg:  "./internal/evrpc", test: "TestSizes",
	},
	{
		name: "a hash that a tool names has its length",
		file: "internal/evrpc/evrpc.go",
		from: "if len(id.Hash) != len(block.Hash{}) {",
		to:   "if len(id.Hash) < 1 {",
		pkg:  "./internal/evrpc", test: "TestRefused",
	},
	{
		name: "HTTP/2 is for the paths that are named",
		file: "internal/httpd/http2.go",
		from: "if !s.isHTTP2(r.URL.Path) {",
		to:   "if false {",
		pkg:  "./internal/httpd", test: "TestHTTP2Paths",
	},
	{
		name: "requests over HTTP/2 are counted",
		file: "internal/httpd/http2.go",
		from: "	case s.streams <- struct{}{}:\n	default:",
		to:   "	case s.streams <- struct{}{}:\n	case <-r.Context().Done():",
		pkg:  "./internal/httpd", test: "TestHTTP2Streams",
	},
	{
		name: "an answer over HTTP/2 that nobody reads ends",
		file: "internal/httpd/http2.go",
		from: "	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(s.opt.Stream))",
		to:   "	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Hour))",
		pkg:  "./internal/httpd", test: "TestHTTP2Unread",
	},
	{
		name: "tools read without the token",
		file: "node/listen.go",
		from: " && !n.isEvolveRead(r)",
		to:   "",
		pkg:  "./node", test: "TestEvolveRPC",
	},
	{
		name: "tools are answered only where the settings say so",
		file: "node/evolverpc.go",
		from: "if !n.opt.Config.Evolve.RPC {",
		to:   "if false {",
		pkg:  "./node", test: "TestEvolveRPC",
	},
	{
		name: "tools of Evolve read no chain on an L1",
		file: "node/evolverpc.go",
		from: "if n.opt.Config.Evolve.RPC && n.opt.Genesis.L1 != nil {",
		to:   "if false {",
		pkg:  "./node", test: "TestEvolveRPCOnL1",
	},
}
