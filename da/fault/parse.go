package fault

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

func unmarshalStrict(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more after the value")
	}
	return nil
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
