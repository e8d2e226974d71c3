package main

var diskGuards = []guard{
	{
		name: "damage that is read stops no commit",
		file: "internal/disk/disk.go",
		from: "d.rot.note(info.Details)", to: "d.fuse.trip(info.Details)",
		pkg: "./internal/disk", test: "TestDamageStopsNothing",
	},
	{
		name: "damage is noted on the disk",
		file: "internal/disk/rot.go",
		from: "if err := r.write(oneLine{cause}.Error()); err != nil {", to: "if err := error(nil); err != nil {",
		pkg: "./internal/disk", test: "TestDamageStopsNothing",
	},
	{
		name: "damage that a compaction meets is no failed write",
		file: "internal/disk/disk.go",
		from: "if pebble.IsCorruptionError(err) {\n\t\td.work.hold()", to: "if false {\n\t\td.work.hold()",
		pkg: "./internal/disk", test: "TestCompactionMeetsDamage",
	},
	{
		name: "a directory that cannot be listed is not damaged",
		file: "internal/disk/disk.go",
		from: "if errors.As(err, &path) && !errors.Is(err, fs.ErrNotExist) {\n\t\treturn fmt.Errorf(\"open %s: %w\", dir, err)", to: "if errors.As(err, &path) && false {\n\t\treturn fmt.Errorf(\"open %s: %w\", dir, err)",
		pkg: "./internal/disk", test: "TestFaultThatLasts",
	},
	{
		name: "a failed write of the engine is noticed",
		file: "node/disk.go",
		from: "engine = d.Failed()", to: "_ = d.Failed()",
		pkg: "./node", test: "TestDiskFailsAndReturns/engine,_disk_full",
	},
	{
		name: "a home is opened anew until that works",
		file: "node/disk.go",
		from: "case lasts(err):", to: "default:",
		pkg: "./node", test: "TestDiskFailsAndReturns/store,_disk_full",
	},
	{
		name: "a node on a failed disk is not live",
		file: "node/http.go",
		from: "if err := n.notLive(); err != nil {", to: "if err := error(nil); err != nil {",
		pkg: "./node", test: "TestDiskFailsAndReturns/store,_disk_full",
	},
	{
		name: "a node with damage is not ready",
		file: "node/ready.go",
		from: "case s.Disk != \"\":", to: "case false:",
		pkg: "./node", test: "TestRottenBlock",
	},
	{
		name: "a block that is read again is the one that was lost",
		file: "node/repair.go",
		from: "if h.Header.Hash() != l.Ref.Hash {", to: "if false {",
		pkg: "./node", test: "TestLostBlockAmongOthers",
	},
}
