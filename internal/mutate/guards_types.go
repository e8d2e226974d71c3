package main

var typesGuards = []guard{
	{
		name: "a hash has 64 digits",
		file: "ref/ref.go",
		from: " || len(b) != len(h)", to: "",
		pkg: "./ref", test: "TestHashRefuses",
	},
	{
		name: "a hash is read with 0x",
		file: "ref/ref.go",
		from: `strings.TrimPrefix(strings.ToLower(string(text)), "0x")`, to: "strings.ToLower(string(text))",
		pkg: "./ref", test: "TestHashIsReadInBothForms",
	},
	{
		name: "a hash of an L1 is written with 0x",
		file: "l1/l1.go",
		from: `"0x" + ref.Hash(h).String()`, to: "ref.Hash(h).String()",
		pkg: "./l1", test: "TestTextsStay",
	},
	{
		name: "a reference to an L1 block has a number",
		file: "l1/l1.go",
		from: "json.Marshal(refJSON{r.Height, Hash(r.Hash)})", to: "json.Marshal(ref.Ref(r))",
		pkg: "./l1", test: "TestTextsStay",
	},
	{
		name: "messages of waits have 0x before a hash",
		file: "await/await.go",
		from: `"%d 0x%s"`, to: `"%d %s"`,
		pkg: "./await", test: "TestMessagesStay",
	},
	{
		name: "the bytes ahead of the sink are bounded",
		file: "follow/ahead.go",
		from: "return n == 0 || in.Size <= aheadBytes-n", to: "return true",
		pkg: "./follow", test: "TestAheadIsBounded",
	},
	{
		name: "an item that is bigger than the bound goes alone",
		file: "follow/ahead.go",
		from: "n == 0 || in.Size", to: "in.Size",
		pkg: "./follow", test: "TestAheadIsBounded",
	},
	{
		name: "bytes that the sink has taken are given back",
		file: "follow/ahead.go",
		from: "return n - item.Size", to: "return n",
		pkg: "./follow", test: "TestAheadIsBounded",
	},
}
