package main

var compactGuards = []guard{
	{
		name: "a block of a payload has one form",
		file: "l1/compact/columns.go",
		from: "if !before.Same(r.c) {",
		to:   "if false {",
		pkg:  "./l1/compact", test: "TestWrittenForNothing",
	},
	{
		name: "nothing is left of a payload's columns",
		file: "l1/compact/compact.go",
		from: "if len(col) > 0 {",
		to:   "if false {",
		pkg:  "./l1/compact", test: "TestOneEncoding",
	},
	{
		name: "the size that a payload declares is looked at first",
		file: "l1/compact/frame.go",
		from: "case size > MaxSize:",
		to:   "case false:",
		pkg:  "./l1/compact", test: "TestBombs",
	},
	{
		name: "a payload's body is one frame",
		file: "l1/compact/frame.go",
		from: "if len(rest) > 0 {",
		to:   "if false {",
		pkg:  "./l1/compact", test: "TestFrames",
	},
	{
		name: "what the blocks of a payload take is bounded while they are read",
		file: "l1/compact/columns.go",
		from: "n > uint64(max(room, 0)/txCost)",
		to:   "false",
		pkg:  "./l1/compact", test: "TestBombs",
	},
	{
		name: "only blocks that follow are written",
		file: "l1/compact/columns.go",
		from: "same.Hash() != b.Hash() || data != b.Data.Hash()",
		to:   "false",
		pkg:  "./l1/compact", test: "TestRefused",
	},
	{
		name: "a seal is short only if it comes back whole",
		file: "exec/engineapi/short.go",
		from: "if err != nil || !bytes.Equal(again, first) {",
		to:   "if err != nil || false && !bytes.Equal(again, first) {",
		pkg:  "./l1/compact", test: "TestOtherSeals",
	},
	{
		name: "attempts at a block are counted from its parent on",
		file: "exec/engineapi/engine.go",
		from: "e.head, e.attempts = r, 0",
		to:   "e.head = r",
		pkg:  "./exec/engineapi", test: "TestBuiltSealsAreShort",
	},
	{
		name: "a transaction is split only in its canonical encoding",
		file: "l1/compact/tx.go",
		from: "if at += n; size < 56 {",
		to:   "if at += n; false {",
		pkg:  "./l1/compact", test: "TestLongForms",
	},
}
