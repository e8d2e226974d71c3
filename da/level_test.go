package da_test

import (
	"testing"

	"headrace/da"
)

func TestLevelText(t *testing.T) {
	for _, want := range []da.Level{da.ProveEmpty, da.Trust, da.Prove} {
		text, err := want.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		var got da.Level
		if err := got.UnmarshalText(text); err != nil || got != want {
			t.Errorf("%s: got %s, %v, want %s", text, got, err, want)
		}
	}
	var zero da.Level
	if zero != da.ProveEmpty {
		t.Errorf("got %s as the zero value, want prove-empty", zero)
	}
	if err := zero.UnmarshalText([]byte("Trust")); err == nil {
		t.Error(`got no error for "Trust"`)
	}
	if _, err := da.Level(9).MarshalText(); err == nil {
		t.Error("got no error for a level that there is not")
	}
}
