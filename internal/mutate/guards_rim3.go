package main

// rim3Guards are about what strangers hold of a server's memory, about certificates that are renewed, about counts, and
// about bytes that are progress on an L1.
var rim3Guards = []guard{
	{
		name: "a body that is reserved counts once",
		file: "internal/httpd/body.go",
		from: "\t\town.known = n\n", to: "",
		pkg: "./internal/httpd", test: "TestReserve",
	},
	{
		name: "who has waited for room is not cut for that",
		file: "internal/httpd/budget.go",
		from: "h.waits, h.since = false, time.Now() //", to: "h.waits = false //",
		pkg: "./internal/httpd", test: "TestWhoHasWaitedIsNotCut",
	},
	{
		name: "a body that has come whole is not cut while we are at work on it",
		file: "internal/httpd/body.go",
		from: "\t\th = own.hold\n", to: "\t\t_ = own.hold\n",
		pkg: "./internal/httpd", test: "TestWhoHasWaitedIsNotCut",
	},
	{
		name: "what is offered counts where all that is posted does",
		file: "internal/httpd/body.go",
		from: "\t\th = own.hold\n", to: "\t\th = NewBudget(32 << 20).Hold(r.Context())\n",
		pkg: "./node", test: "TestOneBudgetOfBodies",
	},
	{
		name: "a certificate that has changed is read again",
		file: "internal/httpd/cert.go",
		from: "if now[0].same(c.stamps[0]) && now[1].same(c.stamps[1]) {", to: "if true {",
		pkg: "./internal/httpd", test: "TestRenewedCertificate",
	},
	{
		name: "a certificate that cannot be used leaves the one before",
		file: "internal/httpd/cert.go",
		from: "\t\treturn c.using\n\t}\n\tc.using = renewed", to: "\t\treturn nil\n\t}\n\tc.using = renewed",
		pkg: "./internal/httpd", test: "TestRenewedCertificate",
	},
	{
		name: "a certificate that cannot be used is told of once",
		file: "internal/httpd/cert.go",
		from: "\tc.stamps = now\n", to: "",
		pkg: "./internal/httpd", test: "TestRenewedCertificate",
	},
	{
		name: "counts go on after a reopen",
		file: "node/disk.go",
		from: "next.before = &last", to: "_ = last",
		pkg: "./node", test: "TestCountsOutliveAReopen",
	},
	{
		name: "calls of endpoints go on after a reopen",
		file: "node/counted.go",
		from: "was.Address == e.Address && was.Role == e.Role", to: "false",
		pkg: "./node", test: "TestCountsOutliveAReopen",
	},
	{
		name: "what is read of a chunked answer is counted as it comes",
		file: "internal/httpc/clock.go",
		from: "r.Reader.Read(b[:min(len(b), Piece)])", to: "r.Reader.Read(b)",
		pkg: "./internal/httpc", test: "TestCounted",
	},
	{
		name: "bytes of an L1's answer are progress of its call",
		file: "l1/ethereum/progress.go",
		from: "\t\tin.Add(n)\n", to: "\t\tin.Add(0)\n",
		pkg: "./l1/ethereum", test: "TestSlowLinks/blobs",
	},
	{
		name: "bytes over an L1's socket are progress of its fetches",
		file: "l1/ethereum/progress.go",
		from: "for _, ctx := range f.of {", to: "for _, ctx := range map[int]context.Context{} {",
		pkg: "./l1/ethereum", test: "TestSlowLinks/socket,_one_at_a_time",
	},
	{
		name: "blocks that are too slow together are read one at a time",
		file: "l1/ethereum/fetch.go",
		from: "errors.Is(err, context.DeadlineExceeded) && e.blocks.Failed(n)", to: "false",
		pkg: "./l1/ethereum", test: "TestSlowLinks/http,_one_at_a_time",
	},
}
