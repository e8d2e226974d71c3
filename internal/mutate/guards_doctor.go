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

// doctor2Guards keep the doctor's words true of what is served, and of a local-da.
var doctor2Guards = []guard{
	{
		name: "a certificate that is over fails",
		file: "internal/doctor/serving.go",
		from: "case left < 0:",
		to:   "case left < 0 && false:",
		pkg:  "./internal/doctor", test: "TestTLS/it_is_over",
	},
	{
		name: "a certificate of a short life is not near its end all the time",
		file: "internal/doctor/serving.go",
		from: "min(lateRenewal, cert.NotAfter.Sub(cert.NotBefore)/4)",
		to:   "lateRenewal",
		pkg:  "./internal/doctor", test: "TestTLS/a_week,_in_between",
	},
	{
		name: "a node is known by the certificate in its home",
		file: "internal/doctor/serving.go",
		from: "if !s.PeerCertificates[0].Equal(d.cert) {",
		to:   "if false {",
		pkg:  "./internal/doctor", test: "TestTLS/another_program",
	},
	{
		name: "descriptors for the connections that are set count",
		file: "internal/doctor/serving.go",
		from: "case limit < need:",
		to:   "case limit < need && false:",
		pkg:  "./internal/doctor", test: "TestPlanted/few_descriptors",
	},
	{
		name: "a local-da is asked as one",
		file: "internal/doctor/da.go",
		from: "LocalDA: c.IsLocal(),",
		to:   "",
		pkg:  "./internal/doctor", test: "TestLocalDA",
	},
	{
		name: "what a local-da holds is compared with what was applied",
		file: "internal/doctor/localda.go",
		from: "case now != at.Hash:",
		to:   "case now != at.Hash && false:",
		pkg:  "./internal/doctor", test: "TestLocalDA/another_one",
	},
	{
		name: "a local-da that has begun anew is named",
		file: "internal/doctor/localda.go",
		from: "if at.Height > e.head.height {",
		to:   "if at.Height > e.head.height && false {",
		pkg:  "./internal/doctor", test: "TestLocalDA/one_that_has_begun_anew",
	},
	{
		name: "an inbox that is older than the chain's start is named",
		file: "l1/ethereum/inspector.go",
		from: "if err == nil && !there {",
		to:   "if err == nil && (!there || true) {",
		pkg:  "./internal/doctor", test: "TestL1/a_start_above_the_deployment",
	},
	{
		name: "states that an endpoint does not keep say nothing",
		file: "l1/ethereum/inspector.go",
		from: "if err != nil && answered(err) {",
		to:   "if err != nil && answered(err) && false {",
		pkg:  "./internal/doctor", test: "TestL1$",
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
