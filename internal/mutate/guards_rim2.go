package main

// rim2Guards are about what strangers can make dear, as the encodings of data blobs; about repairs, and about a
// crash within a reorg.
var rim2Guards = []guard{
	{
		name: "what is gathered is taken by the blob that it is of",
		file: "block/blob.go",
		from: "if gathered.of == d.gathered && d.gathered != 0 {", to: "if d.gathered != 0 {",
		pkg: "./block", test: "TestScatteredBlobs",
	},
	{
		name: "what is gathered anew is no longer of the blob before",
		file: "block/compact.go",
		from: "gathered.of, r.gathers, r.out = 0, true, gathered.buf[:]", to: "r.gathers, r.out = true, gathered.buf[:]",
		pkg: "./block", test: "TestScatteredBlobs",
	},
	{
		name: "a blob with more transactions than can be gathered is gone through again",
		file: "block/compact.go",
		from: "case len(p) > len(r.out)-enough:", to: "case false:",
		pkg: "./block", test: "TestScatteredBlobs",
	},
	{
		name: "what gathers small transactions stops when there is no more room",
		file: "block/blob.go",
		from: "if r.out = r.out[o:]; len(r.out) < enough {\n\t\t\tr.end(false)\n\t\t}", to: "if r.out = r.out[o:]; len(r.out) < enough {\n\t\t\tr.out = gathered.buf[:]\n\t\t}",
		pkg: "./block", test: "TestScatteredBlobs",
	},
	{
		name: "a transaction for which there is no room is gathered by itself",
		file: "block/compact.go",
		from: "case len(f.bytes) > len(out)-o-enough/2:", to: "case false:",
		pkg: "./block", test: "TestScatteredBlobs",
	},
	{
		name: "a usual field ends within its content",
		file: "block/compact.go",
		from: "keep < 0 || w&0x8000 != 0 || size > 8 || size > end-i {", to: "keep < 0 || w&0x8000 != 0 || size > 8 {",
		pkg: "./block", test: "TestDataBlobOfAnyFields",
	},
	{
		name: "a field that is passed among others ends within its content",
		file: "block/compact.go",
		from: "|| passed > end ||", to: "||",
		pkg: "./block", test: "TestDataBlobOfAnyFields",
	},
	{
		name: "a field that is passed among others ends within its metadata or signer",
		file: "block/compact.go",
		from: "passed > end || uint(passed-i-1) > uint(^left) {", to: "passed > end {",
		pkg: "./block", test: "TestDataBlobOfAnyFields",
	},
	{
		name: "a field that is passed among others is short, and may be there",
		file: "block/compact.go",
		from: "if length >= uint64(what>>16&0xff) ||", to: "if",
		pkg: "./block", test: "TestDataBlobOfAnyFields",
	},
	{
		name: "a chain id that is passed among others is valid",
		file: "block/compact.go",
		from: "payload&notASCII[length&uint64(what>>24)&7] != 0 {", to: "payload&notASCII[0] != 0 {",
		pkg: "./block", test: "TestDataBlobOfAnyFields",
	},
	{
		name: "a tag with more bits is another one",
		file: "block/compact.go",
		from: "kinds[row|((tag&0x7f7f_7f7f_7f7f_7f00)-1)>>55&padded]", to: "kinds[row|padded|tag&0]",
		pkg: "./block", test: "TestDataBlobOfAnyFields",
	},
	{
		name: "a number that no field can have",
		file: "block/compact.go",
		from: "if stop == 0 || uint32(ends) == 0 {", to: "if stop == 0 {",
		pkg: "./block", test: "TestDataBlobOfAnyFields",
	},
	{
		name: "metadata whose tag is padded is read, too",
		file: "block/compact.go",
		from: "what == nestedPart && i&0x80 != 0:", to: "false:",
		pkg: "./block", test: "TestDataBlobOfAnyFields",
	},
	{
		name: "each chain id is valid, also those that do not count",
		file: "block/compact.go",
		from: "what == chainIDPart && !utf8.Valid(f.bytes):", to: "false && !utf8.Valid(f.bytes):",
		pkg: "./block", test: "TestDataBlobOfAnyFields",
	},
	{
		name: "a field of the wrong type is refused",
		file: "block/compact.go",
		from: "case f.typ != what.typ():", to: "case false:",
		pkg: "./block", test: "TestDataBlobOfAnyFields",
	},
	{
		name: "lanes are fields of Data that say nothing, or empty transactions",
		file: "block/compact.go",
		from: "fine&(0x8000*lanes) == 0x8000*lanes", to: "fine&(0x8000*lanes) != 0",
		pkg: "./block", test: "TestDataBlobOfAnyFields",
	},
	{
		name: "a group in lanes has nothing in it",
		file: "block/compact.go",
		from: "zeroLanes((w>>8^(w+lanes))&low | (w^3*lanes)&(0x87*lanes))", to: "zeroLanes((w ^ 3*lanes) & (0x87 * lanes))",
		pkg: "./block", test: "TestDataBlobOfAnyFields",
	},
	{
		name: "a content that begins is whole",
		file: "block/compact.go",
		from: "w&0x80ff != uint64(contentTag) || next > len(b) {", to: "w&0x80ff != uint64(contentTag) {",
		pkg: "./block", test: "TestDataBlobOfAnyFields",
	},
	{
		name: "a repair that fails takes no room",
		file: "internal/store/repair.go",
		from: "return nil, errors.Join(err, base.RemoveAll(dir+repaired))", to: "return nil, err",
		pkg: "./internal/store", test: "TestRepairEndsAnywhere",
	},
	{
		name: "a repair that was interrupted is no reason to begin a new store",
		file: "internal/store/repair.go",
		from: "return disk.Corrupt(dir, errors.New(\"a repair of it was interrupted\"))", to: "return nil",
		pkg: "./internal/store", test: "TestRepairEndsAnywhere",
	},
	{
		name: "a store that was rebuilt is put in its place by the next repair",
		file: "internal/store/repair.go",
		from: "if err := finishRepair(base, dir); err != nil {\n\t\treturn nil, err\n\t}\n", to: "",
		pkg: "./internal/store", test: "TestRepairEndsAnywhere",
	},
	{
		name: "what an L1 reverts stays signed, across a crash",
		file: "internal/syncer/l1.go",
		from: "b := &store.Batch{Position: &to.Ref, Proven: &to.Ref, DropItemsAbove: &to.Ref.Height, Inbox: &before}", to: "b := &store.Batch{Position: &to.Ref, Proven: &to.Ref, DropItemsAbove: &to.Ref.Height, Inbox: &before, Truncate: &to.Safe}\n\tk.engineKnown = false",
		pkg: "./internal/sequencer", test: "TestCrashWithinAReorg",
	},
	{
		name: "a node leaves an endpoint that drips for one that could serve",
		file: "follow/best.go",
		from: "return bytes == 0 || bytes >=", to: "return true || bytes >=",
		pkg: "./node", test: "TestSlowEndpointIsLeft",
	},
	{
		name: "parameters that a method does not have are counted alone",
		file: "internal/jsonrpc/server.go",
		from: "if n++; n <= most {", to: "if n++; true {",
		pkg: "./internal/jsonrpc", test: "TestManySmallThings",
	},
	{
		name: "what is no id is not decoded",
		file: "internal/jsonrpc/server.go",
		from: "case len(f.id) > 1<<10 && f.id[0] == '[':", to: "case false:",
		pkg: "./internal/jsonrpc", test: "TestManySmallThings",
	},
	{
		name: "a list in a request to the DA layer ends",
		file: "da/celestia/blob.go",
		from: "if len(*l) == fewMost {", to: "if false {",
		pkg: "./da/celestia", test: "TestLongLists",
	},
	{
		name: "a namespace that is asked for many times is no answer of any size",
		file: "da/celestia/methods.go",
		from: "i > 0 && blobsSize(all) > maxGetAll", to: "i < 0",
		pkg: "./da/celestia", test: "TestLongLists",
	},
}
