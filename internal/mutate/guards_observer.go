package main

// observerGuards are the edges of a node's observer: without each of them metrics and traces would not see something.
var observerGuards = []guard{
	{
		name: "the observer is handed to the follower",
		file: "node/upstream.go",
		from: ", Observer: o.opt.Observer.Source})",
		to:   "})",
		pkg:  "./e2e/l1", test: "TestObserver/DA",
	},
	{
		name: "the observer is handed to the chain",
		file: "node/upstream.go",
		from: ", Observer: o.opt.Observer.Observer,",
		to:   ",",
		pkg:  "./e2e/l1", test: "TestObserver/DA",
	},
	{
		name: "the observer is handed to the DA layer's client",
		file: "node/da.go",
		from: ", Observer: o.opt.Observer.Source,",
		to:   ",",
		pkg:  "./e2e/l1", test: "TestObserver/DA",
	},
	{
		name: "the observer is handed to the L1's client",
		file: "node/l1.go",
		from: ", Observer: o.opt.Observer.Source,",
		to:   ",",
		pkg:  "./e2e/l1", test: "TestObserver/L1",
	},
	{
		name: "a Waiting that ends is told",
		file: "follow/follower.go",
		from: "\tif was.News != is.News {",
		to:   "\tif was.News != is.News && is.News != (Waiting{}) {",
		pkg:  "./e2e/l1", test: "TestObserver/DA",
	},
	{
		name: "news that comes as before is no edge",
		file: "follow/health.go",
		from: "\tif h.st.Mode == mode {\n\t\treturn\n\t}\n",
		to:   "",
		pkg:  "./e2e/l1", test: "TestObserver/DA",
	},
	{
		name: "the opening of a channel is a call",
		file: "internal/jsonrpc/channel.go",
		from: "\tdefer k.opt.called(method, time.Now(), &err)\n",
		to:   "\t_ = time.Now\n",
		pkg:  "./e2e/l1", test: "TestObserver/DA",
	},
	{
		name: "blocks that are reverted are told",
		file: "internal/syncer/syncer.go",
		from: "\tif s.cfg.Observer.Reverted != nil {",
		to:   "\tif false {",
		pkg:  "./e2e/l1", test: "TestObserver/L1",
	},
}
