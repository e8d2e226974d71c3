// Package redact takes out of a text what may be secret in an endpoint's address. Its functions are pure.
package redact

import (
	"errors"
	"net/url"
)

// Address returns an address without user, password, path and query: many who offer endpoints put the key into the
// path. It is empty if the address is no URL.
func Address(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	if u.Path != "/" {
		u.Path, u.RawPath = "", ""
	}
	return u.String()
}

// Error returns an error without the address that was asked. The caller knows which one it is.
func Error(err error) error {
	var asked *url.Error
	if errors.As(err, &asked) {
		return asked.Err
	}
	return err
}
