package main

var followGuards = []guard{
	{
		name: "an item that does not follow the last is not applied, it is a fork",
		file: "follow/follower.go",
		from: "case !follows(&item, last):\n\t\t\treturn errFork",
		pkg:  "./follow", test: "TestSimulation",
	},
}
