package main

// doctorGuards keep the doctor from doing harm, and from blaming what is well.
var doctorGuards = []guard{
	{
		name: "looking into a store takes no lock",
		file: "internal/disk/peek.go",
		from: "peek(dir, onlyLooking{base}, keys)",
		to:   "peek(dir, base, keys)",
		pkg:  "./internal/store", test: "TestPeek",
	},
	{
		name: "damage that is noted is seen by who looks",
		file: "internal/store/peek.go",
		from: "if err := disk.Noted(dir, opt.FS); err != nil {",
		to:   "if err := disk.Noted(dir, opt.FS); err != nil && false {",
		pkg:  "./internal/store", test: "TestPeek",
	},
	{
		name: "a store of another chain is seen by who looks",
		file: "internal/store/peek.go",
		from: "if err := fixed.check(dir, id); err != nil {",
		to:   "if err := fixed.check(dir, id); err != nil && false {",
		pkg:  "./internal/store", test: "TestPeek",
	},
	{
		name: "a check that needs what is not ok is skipped",
		file: "internal/doctor/doctor.go",
		from: "if p.bad[name] || before[name] {",
		to:   "if false {",
		pkg:  "./internal/doctor", test: "TestPlanted/nobody_listens",
	},
	{
		name: "a check that does not heed its time is left behind",
		file: "internal/doctor/doctor.go",
		from: "	case <-late.C:",
		to:   "	case <-make(chan time.Time, len(late.C)):",
		pkg:  "./internal/doctor", test: "TestPlanted/a_key_that_takes_for_ever",
	},
	{
		name: "a refusal of no blobs is what tells that a token may write",
		file: "da/celestia/inspector.go",
		from: "if errors.Is(err, da.ErrRejected) {",
		to:   "if errors.Is(err, da.ErrRejected) || true {",
		pkg:  "./internal/doctor", test: "TestPlanted/a_token_that_only_reads",
	},
	{
		name: "the height that was applied is compared with the endpoint's",
		file: "internal/doctor/da.go",
		from: "err == nil && h.Hash == at.Hash:",
		to:   "err == nil:",
		pkg:  "./internal/doctor", test: "TestPlanted/another_network",
	},
	{
		name: "an endpoint of another L1 is named",
		file: "internal/doctor/l1.go",
		from: "if want := e.genesis.L1.ChainID; e.id != want {",
		to:   "if want := e.genesis.L1.ChainID; e.id != want && false {",
		pkg:  "./internal/doctor", test: "TestL1/another_L1",
	},
	{
		name: "headers are compared by the hash of their fields",
		file: "internal/doctor/source.go",
		from: "case h > from && got.parent != before.hash:",
		to:   "case false:",
		pkg:  "./internal/doctor", test: "TestPlanted/headers_that_do_not_link",
	},
	{
		name: "news by polling is told from news by a WebSocket",
		file: "internal/doctor/source.go",
		from: `case mode == "polling":`,
		to:   `case mode == "nothing":`,
		pkg:  "./internal/doctor", test: "TestPlanted/no_WebSocket",
	},
	{
		name: "the temporary file is removed",
		file: "internal/doctor/home.go",
		from: "_ = os.Remove(f.Name())",
		to:   "_ = f",
		pkg:  "./internal/doctor", test: "TestHealthy",
	},
}

// liveGuards keep what is shown of a running node right, and the terminal as it was.
var liveGuards = []guard{
	{
		name: "the terminal is given back",
		file: "cmd/headrace/live.go",
		from: `fmt.Fprint(s.out, "\x1b[?25h\x1b[?1049l")`,
		to:   `fmt.Fprint(s.out, "")`,
		pkg:  "./cmd/headrace", test: "TestScripts/live",
	},
	{
		name: "a node's words do nothing to the terminal",
		file: "cmd/headrace/live.go",
		from: "if r < ' ' || r >= 0x7f && r < 0xa0 {",
		to:   "if r < 0 {",
		pkg:  "./cmd/headrace", test: "TestClip",
	},
	{
		name: "how long a block took is told at the head alone",
		file: "cmd/headrace/top.go",
		from: "if s.Source.Position.Height == s.Source.Head.Height && !s.At.IsZero() {",
		to:   "if !s.At.IsZero() {",
		pkg:  "./cmd/headrace", test: "TestBoard",
	},
	{
		name: "blocks that are reorganised away leave the screen",
		file: "cmd/headrace/top.go",
		from: "b.blocks = above(b.blocks, r.To.Height)",
		to:   "_ = above(b.blocks, r.To.Height)",
		pkg:  "./cmd/headrace", test: "TestBoard",
	},
	{
		name: "ages are never below zero",
		file: "cmd/headrace/status.go",
		from: "if now.Before(s.At) {",
		to:   "if false {",
		pkg:  "./cmd/headrace", test: "TestStatusTextOfAll",
	},
}
