package compact

var (
	EncodeBody  = encode
	DecodeBody  = decode
	Pack        = pack
	OpenBody    = func(body []byte) (columns [][]byte, err error) { o, err := open(body); return o.columns, err }
	OwnColumns  = int(ownColumns)
	Packings    = map[string]byte{"stored": stored, "zstd": zstandard}
	ColumnNamed = func(name string) int {
		for i, n := range ownNames {
			if n == name {
				return i
			}
		}
		panic(name)
	}
)
