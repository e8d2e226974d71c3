package fault

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
)

func unmarshalStrict(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return plainly(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more after the value")
	}
	return nil
}

// plainly says what is wrong with JSON without the names of Go's types.
func plainly(err error) error {
	if wrong := (*json.UnmarshalTypeError)(nil); errors.As(err, &wrong) {
		if wrong.Field == "" {
			return fmt.Errorf("it is a JSON %s, and not an object", wrong.Value)
		}
		want := map[reflect.Kind]string{reflect.String: "text", reflect.Struct: "text", reflect.Int64: "a text such as 2s", reflect.Float64: "a number"}[wrong.Type.Kind()]
		return fmt.Errorf("%s is a JSON %s, and not %s", wrong.Field[strings.LastIndexByte(wrong.Field, '.')+1:], wrong.Value, cmp.Or(want, "a whole number"))
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok { // it has no type of its own
		return fmt.Errorf("there is no field %s", name)
	}
	return err
}

// Parse reads a fault from a flag: its kind, and after commas the fields as in JSON, for example
//
//	false-empty,from=100,to=120,rate=0.5,for=30s
func Parse(flag string) (Fault, error) {
	parts := strings.Split(flag, ",")
	fields := map[string]any{"kind": parts[0]}
	for _, p := range parts[1:] {
		k, v, ok := strings.Cut(p, "=")
		if !ok || fields[k] != nil {
			return Fault{}, fmt.Errorf("read fault %q: %q is not name=value, or comes twice", flag, p)
		}
		fields[k] = v
		switch k {
		case "conn", "from", "to", "times", "rate", "depth", "size", "per_second", "status":
			if _, err := strconv.ParseFloat(v, 64); err != nil {
				return Fault{}, fmt.Errorf("read fault %q: %s=%s is not a number", flag, k, v)
			}
			fields[k] = json.Number(v)
		}
	}
	j, err := json.Marshal(fields)
	if err != nil {
		return Fault{}, fmt.Errorf("read fault %q: %w", flag, err)
	}
	var f Fault
	if err := f.UnmarshalJSON(j); err != nil {
		return Fault{}, fmt.Errorf("fault %q: %w", flag, err)
	}
	return f, nil
}
