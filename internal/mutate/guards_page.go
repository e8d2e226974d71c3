package main

// pageGuards are those of the pages for a browser, and of what they read.
var pageGuards = []guard{
	{
		name: "a page that a server has served may ask it, and no other",
		file: "internal/httpd/access.go",
		from: "return err == nil || a.isOurs(host, true)",
		to:   "return true",
		pkg:  "./internal/httpd", test: "TestOwnPageBeyondLoopback",
	},
	{
		name: "a page may run nothing that is not its own",
		file: "internal/page/page.go",
		from: `"default-src 'self'; `,
		to:   `"default-src *; `,
		pkg:  "./node", test: "TestPageHeaders",
	},
	{
		name: "the history of a node is bounded",
		file: "node/history.go",
		from: "if len(h.points) == sampleCount {",
		to:   "if false {",
		pkg:  "./node", test: "TestHistory",
	},
	{
		name: "announcements that are not applied are bounded",
		file: "node/history.go",
		from: "known || len(h.announced) >= mostAnnounced",
		to:   "known",
		pkg:  "./node", test: "TestHistory",
	},
	{
		name: "blocks that were posted out of order are found by their DA height",
		file: "node/served.go",
		from: "max(first, outOfOrder+1) - outOfOrder; height",
		to:   "first; height",
		pkg:  "./node", test: "TestBlocksOfDAHeight",
	},
	{
		name: "the list of faults is waited for",
		file: "da/fault/set.go",
		from: "	s.version.Set(s.changes)\n",
		to:   "",
		pkg:  "./da/celestia", test: "TestFaultsOverHTTP",
	},
}
