package main

var followGuards = []guard{
	{
		name: "an item that does not follow the last is not applied, it is a fork",
		file: "follow/follower.go",
		from: "case !follows(&item, last):\n\t\t\treturn errFork",
		pkg:  "./follow", test: "TestSimulation",
	},
	{
		name: "more delivered than asked",
		file: "follow/follower.go",
		from: " || next >= to", to: "",
		pkg: "./follow", test: "TestMoreThanAsked",
	},
	{
		name: "nil before all is delivered",
		file: "follow/follower.go",
		from: "if err == nil && next < to {", to: "if false {",
		pkg: "./follow", test: "TestNilTooEarly",
	},
	{
		name: "the sink went back during a fetch",
		file: "follow/follower.go",
		from: "case item.Height != last.Height+1:\n\t\t\treturn errMoved",
		pkg:  "./follow", test: "TestSinkGoesBackDuringAFetch",
	},
	{
		name: "the sink's time is not the source's",
		file: "follow/follower.go",
		from: "watchdog.Stop() // the sink's", to: "// the sink's",
		pkg: "./follow", test: "TestSlowSinkIsNoIdleFetch",
	},
	{
		name: "an item is put back within the queue's bytes",
		file: "follow/queue.go",
		from: "if len(q.items) > 0 && q.bytes+it.Size > q.limit {", to: "if false {",
		pkg: "./follow", test: "TestPutBackWithinTheBound",
	},
	{
		name: "pushed items wait within the queue's bytes",
		file: "follow/queue.go",
		from: "for q.bytes > q.limit &&", to: "for false &&",
		pkg: "./follow", test: "TestQueueIsBounded",
	},
	{
		name: "the newest pushed item always stays",
		file: "follow/queue.go",
		from: "q.bytes > q.limit && len(q.items) > 1", to: "q.bytes > q.limit && len(q.items) > 0",
		pkg: "./follow", test: "TestNewestAlwaysStays",
	},
	{
		name: "a pushed fork takes the place of what waits",
		file: "follow/queue.go",
		from: ".Height >= it.Height", to: ".Height > it.Height",
		pkg: "./follow", test: "TestPushedForkTakesTheOthersPlace",
	},
}
