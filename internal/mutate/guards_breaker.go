package main

var breakerGuards = []guard{
	{
		name: "a rotten block of a table is read once",
		file: "internal/disk/disk.go",
		from: "d.fuse.rotten.add(d.fuse.PathBase(info.Path), info.Details)", to: "",
		pkg: "./internal/disk", test: "TestRottenBlockIsReadOnce",
	},
	{
		name: "what a full disk leaves of a table is removed",
		file: "internal/disk/fuse.go",
		from: "_ = f.FS.Remove(*name) //", to: "_ = *name //",
		pkg: "./internal/disk", test: "TestFullDiskIsNotFilled",
	},
	{
		name: "the body of an offer does not drip",
		file: "node/unsafe.go",
		from: "if time.Now().After(t.until) {", to: "if false {",
		pkg: "./node", test: "TestOfferThatDrips",
	},
}
