package main

var figuresGuards = []guard{
	{
		name: "a method beyond as many as there should be has no series of its own",
		file: "telemetry/metrics.go",
		from: "case len(c.known) > c.most:",
		to:   "case false:",
		pkg:  "./telemetry", test: "TestSeriesAreBounded",
	},
	{
		name: "an endpoint beyond the first ones has no series",
		file: "telemetry/status.go",
		from: "all[:min(len(all), endpointsShown)]",
		to:   "all",
		pkg:  "./telemetry", test: "TestSeriesAreBounded",
	},
	{
		name: "a height is announced once",
		file: "telemetry/metrics.go",
		from: "if height > last && len(a.queue)",
		to:   "if len(a.queue)",
		pkg:  "./telemetry", test: "TestObserverCounts",
	},
	{
		name: "a height that was taken back may be announced again",
		file: "telemetry/metrics.go",
		from: "	a.at = height - 1",
		to:   "",
		pkg:  "./telemetry", test: "TestObserverCounts",
	},
	{
		name: "the first news of an endpoint is no reconnect",
		file: "telemetry/metrics.go",
		from: `return known && was == ""`,
		to:   `return was == ""`,
		pkg:  "./telemetry", test: "TestObserverCounts",
	},
	{
		name: "a watchdog of fetches is counted",
		file: "telemetry/metrics.go",
		from: "if errors.Is(err, follow.ErrStalled) {",
		to:   "if false {",
		pkg:  "./telemetry", test: "TestObserverCounts",
	},
	{
		name: "a request that has lasted is not counted any more",
		file: "node/wait.go",
		from: "defer func() { now.Add(-1); <-slots }()",
		to:   "defer func() { <-slots }()",
		pkg:  "./telemetry", test: "TestWaitersAndStreams",
	},
}
