package redact_test

import (
	"errors"
	"fmt"
	"net/url"
	"testing"

	"headrace/internal/redact"
)

func TestAddress(t *testing.T) {
	for address, want := range map[string]string{
		"http://127.0.0.1:26658":                     "http://127.0.0.1:26658",
		"http://127.0.0.1:26658/":                    "http://127.0.0.1:26658/",
		"wss://user:key@node.example/v2/key?key=k#k": "wss://node.example",
		"https://node.example/a%2Fkey/":              "https://node.example",
		"https://node.example/?key=k":                "https://node.example/",
		"http://%zz key":                             "",
	} {
		if got := redact.Address(address); got != want {
			t.Errorf("%s: got %s, want %s", address, got, want)
		}
	}
}

func TestError(t *testing.T) {
	refused := errors.New("refused")
	asked := fmt.Errorf("dial: %w", &url.Error{Op: "Get", URL: "https://node.example/key", Err: refused})
	if got := redact.Error(asked); got != refused {
		t.Errorf("got %v, want %v", got, refused)
	}
	if got := redact.Error(refused); got != refused || redact.Error(nil) != nil {
		t.Errorf("an error without an address: got %v, want it as it is", got)
	}
}
