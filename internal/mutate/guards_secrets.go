package main

// secretsGuards keep what is secret in an endpoint's address out of texts.
var secretsGuards = []guard{
	{
		name: "two keys of one provider have two names",
		file: "internal/redact/redact.go",
		from: "if times[name] > 1 {",
		to:   "if false {",
		pkg:  "./internal/redact", test: "TestAddresses",
	},
	{
		name: "what is no address is not shown in full",
		file: "internal/redact/redact.go",
		from: "if len(address) <= 24 && ",
		to:   "if ",
		pkg:  "./internal/redact", test: "TestRefused",
	},
	{
		name: "a secret is found in capitals too",
		file: "internal/redact/redact.go",
		from: "for in := lower(text); ; {",
		to:   "for in := text; ; {",
		pkg:  "./internal/redact", test: "TestSecrets",
	},
	{
		name: "a text is not cut within a secret",
		file: "internal/redact/redact.go",
		from: "text = s.whole(text[:longest])",
		to:   "text = text[:longest]",
		pkg:  "./internal/redact", test: "TestLongTexts",
	},
	{
		name: "a token goes along no redirect elsewhere",
		file: "internal/redact/http.go",
		from: `req.Header.Del("Authorization")`,
		to:   "",
		pkg:  "./internal/redact", test: "TestRedirect",
	},
	{
		name: "the address that was asked goes along no redirect elsewhere",
		file: "internal/redact/http.go",
		from: `req.Header.Del("Referer")`,
		to:   "",
		pkg:  "./internal/redact", test: "TestRedirect",
	},
	{
		name: "an answer that repeats its request tells no secret of a DA endpoint",
		file: "internal/jsonrpc/client.go",
		from: "	defer func() { err = c.secrets.Error(err) }()\n	ctx, clock",
		to:   "	ctx, clock",
		pkg:  "./node", test: "TestNoSecretLeavesANode/answer",
	},
	{
		name: "a refusal that repeats its request tells no secret of an L1 endpoint",
		file: "l1/ethereum/endpoint.go",
		from: "err := e.secrets.Error(do(ctx))",
		to:   "err := redact.Error(do(ctx))",
		pkg:  "./node", test: "TestNoSecretLeavesANode/404",
	},
	{
		name: "a refusal that repeats its request tells no secret of an execution client",
		file: "exec/engineapi/client.go",
		from: "c.secrets.Error(explain(method, redact.Error(do(ctx))))",
		to:   "explain(method, redact.Error(do(ctx)))",
		pkg:  "./node", test: "TestNoSecretLeavesANode/404",
	},
	{
		name: "what a node answers tells no secret of its address",
		file: "cmd/headrace/nodeat.go",
		from: "return redact.Of(n.address, token).Error(err)",
		to:   "_ = token\n	return err",
		pkg:  "./cmd/headrace", test: "TestNoSecretInTexts",
	},
	{
		name: "what an Ethereum node answers tells no secret of its address",
		file: "l1/ethereum/contract.go",
		from: `fmt.Errorf("ask L1 for its chain id: %w", secrets.Error(err))`,
		to:   `fmt.Errorf("ask L1 for its chain id: %w", err)`,
		pkg:  "./cmd/headrace", test: "TestNoSecretInTexts",
	},
}
