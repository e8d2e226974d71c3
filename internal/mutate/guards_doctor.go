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
		name: "the temporary file is removed",
		file: "internal/doctor/home.go",
		from: "_ = os.Remove(f.Name())",
		to:   "_ = f",
		pkg:  "./internal/doctor", test: "TestHealthy",
	},
}
