package main

var inboxGuards = []guard{
	{
		name: "a proposal takes no more forced items than it has room for",
		file: "l1/l1.go",
		from: "if room += queue[n].Room; room > s.ForcedRoom {",
		to:   "if room += queue[n].Room; room > 2*s.ForcedRoom {",
		pkg:  "./l1", test: "TestRoom",
	},
	{
		name: "a sequencer looks at the items that a proposal has room for alone",
		file: "internal/sequencer/forced.go",
		from: "queue = queue[:f.settings.Fit(queue)]",
		to:   "",
		pkg:  "./internal/sequencer", test: "TestRoomAfterAnOutage",
	},
	{
		name: "an inbox of a version that is not known is not taken for one that is",
		file: "l1/ethereum/reader.go",
		from: "case err == nil && version.Cmp(big.NewInt(2)) == 0:",
		to:   "case err == nil:",
		pkg:  "./l1/ethereum", test: "TestVersionIsShown",
	},
	{
		name: "no inbox takes no items at all",
		file: "l1/ethereum/reader.go",
		from: "len(out) != 32 || n.Sign() == 0 || n.BitLen() > 16",
		to:   "len(out) != 32 || n.BitLen() > 16",
		pkg:  "./l1/ethereum", test: "TestVersionIsShown",
	},
	{
		name: "a room that no contract has is not believed",
		file: "l1/ethereum/reader.go",
		from: "if room < l1.MinRoom || room > l1.MaxRoom {",
		to:   "if room > l1.MaxRoom {",
		pkg:  "./l1/ethereum", test: "TestVersionIsShown",
	},
	{
		name: "no more is paid to the inbox than may be",
		file: "l1/ethereum/account.go",
		from: "if fee.Wei.Cmp(most) > 0 {",
		to:   "if false {",
		pkg:  "./l1/ethereum", test: "TestForcePays",
	},
	{
		name: "as much goes along to the inbox as may be paid",
		file: "l1/ethereum/account.go",
		from: "if r.value = larger(r.value, spare); r.value.Cmp(most) >= 0 {",
		to:   "if _ = spare; r.value.Cmp(most) >= 0 {",
		pkg:  "./l1/ethereum", test: "TestForceWhenTheFeeGrows",
	},
	{
		name: "no more goes along to the inbox than leaves the gas to be paid",
		file: "l1/ethereum/account.go",
		from: "return gas.Sub(has.ToInt(), gas), nil",
		to:   "_ = gas; return has.ToInt(), nil",
		pkg:  "./l1/ethereum", test: "TestForceWhenTheFeeGrows",
	},
	{
		name: "what is kept of forced items is bounded in bytes",
		file: "l1/ethereum/forced.go",
		from: "for c.bytes += f.Source.Size(); c.bytes > forcedCacheBytes; {",
		to:   "for c.bytes += f.Source.Size(); c.bytes > 4*forcedCacheBytes; {",
		pkg:  "./l1/ethereum", test: "TestForcedCacheIsBounded",
	},
	{
		name: "an item that is read again is counted once",
		file: "l1/ethereum/forced.go",
		from: "		c.bytes -= old.Source.Size()\n	}\n	c.items.Add",
		to:   "		_ = old\n	}\n	c.items.Add",
		pkg:  "./l1/ethereum", test: "TestForcedCacheIsBounded",
	},
}
