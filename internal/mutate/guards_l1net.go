package main

var l1netGuards = []guard{
	{
		name: "the body of an HTTP answer decides what it is",
		file: "internal/jsonrpc/post.go",
		from: "if err != nil || f.result == nil && !isObject(f.err) {",
		to:   "if err != nil || resp.Header.Get(\"Content-Type\") != \"application/json\" {",
		pkg:  "./internal/jsonrpc", test: "TestBodyDecides",
	},
	{
		name: "an error that is no JSON-RPC object leaves the HTTP status",
		file: "internal/jsonrpc/post.go",
		from: "!isObject(f.err)",
		to:   "f.err == nil",
		pkg:  "./internal/jsonrpc", test: "TestBodyDecides",
	},
}
