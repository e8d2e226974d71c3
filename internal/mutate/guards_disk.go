package main

// diskGuards are about a disk that fails, and a home that is damaged.
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
		from: "if v.Disk != \"\" {", to: "if false {",
		pkg: "./node", test: "TestRottenBlock",
	},
	{
		name: "a block that is read again is the one that was lost",
		file: "node/repair.go",
		from: "if h.Header.Hash() != l.Ref.Hash {", to: "if false {",
		pkg: "./node", test: "TestLostBlockAmongOthers",
	},
	{
		name: "an index whose write failed says so",
		file: "exec/engineapi/engine.go",
		from: "func (e *Engine) Err() error { return e.index.Err() }", to: "func (e *Engine) Err() error { return nil }",
		pkg: "./exec/engineapi", test: "TestDiskFails",
	},
	{
		name: "a check of an index reads all of it",
		file: "internal/disk/disk.go",
		from: "return d.Verify()", to: "return nil",
		pkg: "./exec/engineapi", test: "TestIndexRots",
	},
	{
		name: "an index on a full disk is opened anew",
		file: "exec/engineapi/engine.go",
		from: "func (e *Engine) Failed() <-chan struct{} { return e.index.Failed() }", to: "func (e *Engine) Failed() <-chan struct{} { return nil }",
		pkg: "./node", test: "TestIndexFailsAndReturns",
	},
	{
		name: "what an engine has in the home is removed if it is damaged",
		file: "node/repair.go",
		from: "if errors.Is(err, ErrDamaged) {", to: "if false {",
		pkg: "./node", test: "TestRottenIndex",
	},
	{
		name: "a mark that cannot be opened for want of descriptors is no other machine's",
		file: "internal/sequencer/mark.go",
		from: "if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {", to: "if errors.Is(err, syscall.EMFILE) && false {",
		pkg: "./e2e", test: "TestFewDescriptors",
	},
	{
		name: "a DA layer whose disk fails says so by its exit status",
		file: "cmd/headrace/da.go",
		from: "chaos.Wait()\n\tif err != nil {\n\t\treturn onDisk(err)", to: "chaos.Wait()\n\tif err != nil {\n\t\treturn err",
		pkg: "./e2e", test: "TestDiskFull",
	},
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
