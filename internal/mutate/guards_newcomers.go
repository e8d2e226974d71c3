package main

var newcomersGuards = []guard{
	{
		name: "a DA layer's figures need a token where the chain needs one",
		file: "da/celestia/handler.go",
		from: `err != nil || level < Read {`,
		to:   `false && (err != nil || level < Read) {`,
		pkg:  "./telemetry", test: "TestWhoReadsDAFigures",
	},
	{
		name: "no fault keeps a DA layer's figures away",
		file: "da/celestia/handler.go",
		from: `if h.opt.Metrics != nil && r.URL.Path == "/metrics" {`,
		to:   `if h.opt.Metrics != nil && r.URL.Path == "/metrics" && !h.refuse(w, r) {`,
		pkg:  "./telemetry", test: "TestDAFigures",
	},
	{
		name: "a channel of a subscription is counted while it is open",
		file: "da/celestia/handler.go",
		from: "result = h.counted(v)",
		to:   "_ = v",
		pkg:  "./telemetry", test: "TestDAFigures",
	},
	{
		name: "a call whose result is made later is counted",
		file: "da/celestia/handler.go",
		from: "						called(began, err)",
		to:   "						_ = began",
		pkg:  "./telemetry", test: "TestDALateResults",
	},
	{
		name: "an error about a fault names no type of Go",
		file: "da/fault/parse.go",
		from: "return plainly(err)",
		to:   "return err",
		pkg:  "./da/fault", test: "TestErrorsAreWords",
	},
}
