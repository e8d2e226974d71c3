package main

// celloadGuards are about headrace da under load: the largest answers, and hashes that it does not know.
var celloadGuards = []guard{
	{
		name: "the first piece of an answer is made when it can be written",
		file: "internal/jsonrpc/socket.go",
		from: "		k.writing.Lock()\n		defer k.writing.Unlock()\n		_ = k.sendLocked(k.server.encodeAnswer(ctx, 0, req, result))\n",
		to:   "		_ = k.send(k.server.encodeAnswer(ctx, 0, req, result))\n",
		pkg:  "./internal/jsonrpc", test: "TestPiecesAtATime",
	},
	{
		name: "a piece is given back before the next one is made",
		file: "internal/jsonrpc/pieces.go",
		from: "		hold.Give()\n		if err != nil {\n			return err\n		}\n	}\n",
		to:   "		_ = hold\n		if err != nil {\n			return err\n		}\n	}\n",
		pkg:  "./internal/jsonrpc", test: "TestPiecesAtATime",
	},
	{
		name: "half an answer in pieces ends its connection",
		file: "internal/jsonrpc/server.go",
		from: "		panic(http.ErrAbortHandler) // what net/http has for it\n",
		to:   "",
		pkg:  "./internal/jsonrpc", test: "TestPieces",
	},
	{
		name: "a piece that panics does not end the server",
		file: "internal/jsonrpc/pieces.go",
		from: "caught := recover(); caught != nil",
		to:   "caught := any(nil); caught != nil",
		pkg:  "./internal/jsonrpc", test: "TestPieces",
	},
	{
		name: "room for an answer is reserved before it is made",
		file: "internal/httpd/budget.go",
		from: "	if err := h.Grow(ctx, n); err != nil {\n		return nil, err\n	}\n	h.Settle()\n",
		to:   "	h.Settle()\n",
		pkg:  "./internal/httpd", test: "TestBook",
	},
	{
		name: "who has reserved room is not cut while the answer is made",
		file: "internal/httpd/budget.go",
		from: "	h.Settle()\n	return h, nil\n",
		to:   "	return h, nil\n",
		pkg:  "./internal/httpd", test: "TestBookedIsNotCut",
	},
	{
		name: "a hash is looked up and not looked for",
		file: "da/celestia/methods_header.go",
		from: "	height, err := h.chain.HeightOf([32]byte(hash))\n",
		to:   "	_, _ = h.chain.Header(1)\n	height, err := h.chain.HeightOf([32]byte(hash))\n",
		pkg:  "./da/celestia", test: "TestByHash",
	},
	{
		name: "hashes of blocks from before the index get into it",
		file: "da/local/disk.go",
		from: "	return d.index(max(indexed+1, d.tail))\n",
		to:   "	_ = indexed\n	return nil\n",
		pkg:  "./da/local", test: "TestHeightOf",
	},
	{
		name: "hashes of pruned blocks leave the index",
		file: "da/local/disk.go",
		from: "return b.Delete(hashKey(r.hash), nil) }),\n		b.Set([]byte(\"t\")",
		to:   "_ = r; return nil }),\n		b.Set([]byte(\"t\")",
		pkg:  "./da/local", test: "TestHeightOf",
	},
}
