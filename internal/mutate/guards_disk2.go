package main

var disk2Guards = []guard{
	{
		name: "an index whose write failed says so",
		file: "exec/engineapi/engine.go",
		from: "func (e *Engine) Err() error { return e.index.Err() }", to: "func (e *Engine) Err() error { return nil }",
		pkg: "./exec/engineapi", test: "TestDiskFails",
	},
	{
		name: "a check of an index reads all of it",
		file: "exec/engineapi/index.go",
		from: "err = db.Verify()", to: "err = nil",
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
		from: "if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {", to: "if false {",
		pkg: "./e2e", test: "TestFewDescriptors",
	},
	{
		name: "a DA layer whose disk fails says so by its exit status",
		file: "cmd/headrace/da.go",
		from: "chaos.Wait()\n\tif err != nil {\n\t\treturn onDisk(err)", to: "chaos.Wait()\n\tif err != nil {\n\t\treturn err",
		pkg: "./e2e", test: "TestDiskFull",
	},
}
