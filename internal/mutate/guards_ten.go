package main

// tenGuards are about what changes while a node runs, the token that writes need and the home that is opened anew; and
// about encodings of data blobs.
var tenGuards = []guard{
	{
		name: "a token's file that has changed is read again",
		file: "internal/httpd/token.go",
		from: "if now.same(f.stamp) {", to: "if true {",
		pkg: "./internal/httpd", test: "TestReplacedToken",
	},
	{
		name: "a token's file of no use leaves the token before",
		file: "internal/httpd/token.go",
		from: "\tcase renewed != f.using:\n", to: "\t\tf.using = renewed\n\tcase renewed != f.using:\n",
		pkg: "./internal/httpd", test: "TestReplacedToken",
	},
	{
		name: "a token's file of no use is told of once",
		file: "internal/httpd/token.go",
		from: "\tf.stamp = now\n", to: "",
		pkg: "./internal/httpd", test: "TestReplacedToken",
	},
	{
		name: "a file's token locks a node's writes",
		file: "node/listen.go",
		from: "if opt.Token, opt.File, err = n.token(c); err != nil {", to: "if opt.Token, _, err = n.token(c); err != nil {",
		pkg: "./node", test: "TestTokenBeyondLoopback|TestTokenFileOfNode",
	},
	{
		name: "a pool that was full is full after a reopen",
		file: "node/disk.go",
		from: "next.seq.GoOn(o.seq)", to: "_ = o.seq",
		pkg: "./node", test: "TestFullPoolOutlivesAReopen",
	},
	{
		name: "a pool that was full before a reopen has room once a transaction of the size fits",
		file: "internal/sequencer/sequencer.go",
		from: "now.Since, now.Size = was.Since, was.Size", to: "now.Since = was.Since",
		pkg: "./node", test: "TestFullPoolOutlivesAReopen",
	},
}
