package square

var Bech32 = bech32
