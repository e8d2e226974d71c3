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
}
