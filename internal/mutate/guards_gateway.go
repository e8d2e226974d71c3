package main

var gatewayGuards = []guard{
	{
		name: "a status of a gateway is no proof that nothing was posted",
		file: "da/celestia/submit.go",
		from: "case errors.As(err, &status) && slices.Contains(notPosted, status.Status):",
		to:   "case errors.As(err, &status):",
		pkg:  "./da/celestia", test: "TestGateways",
	},
	{
		name: "a redirect that makes a GET of a submission is not followed",
		file: "internal/redact/http.go",
		from: "if len(via) > 0 && req.Method != via[0].Method {",
		to:   "if false {",
		pkg:  "./da/celestia", test: "TestGateways",
	},
	{
		name: "a status that lets nothing through passes the endpoint over",
		file: "da/celestia/submit.go",
		from: "case errors.Is(err, da.ErrNotPosted), errors.Is(err, da.ErrRateLimited)",
		to:   "case errors.Is(err, da.ErrRateLimited)",
		pkg:  "./da/celestia", test: "TestGatewayPassedOver",
	},
	{
		name: "what may be posted is looked for before it is posted again",
		file: "internal/sequencer/submit.go",
		from: "last := head + heights",
		to:   "last := head + 1",
		pkg:  "./internal/sequencer", test: "TestLateArrival",
	},
	{
		name: "a block that is too big even alone is named",
		file: "internal/sequencer/submit.go",
		from: "s.Stuck = err.Error(); return s",
		to:   "return s",
		pkg:  "./internal/sequencer", test: "TestTooBigAlone",
	},
	{
		name: "a size that fared badly is remembered",
		file: "internal/sequencer/portion.go",
		from: "if p.raised {",
		to:   "if false {",
		pkg:  "./internal/sequencer", test: "TestPortion",
	},
	{
		name: "one null receipt is no verdict",
		file: "l1/ethereum/account.go",
		from: "if d.since.IsZero() {\n\t\t*d = doubt{head, now}\n\t\treturn false",
		to:   "if d.since.IsZero() {\n\t\t*d = doubt{head, now}\n\t\treturn true",
		pkg:  "./l1/ethereum", test: "TestDoubt",
	},
}
