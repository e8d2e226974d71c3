// Package redact takes out of a text what may be secret in an endpoint's address. Its functions are pure, and safe for
// concurrent use.
package redact

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// Address returns an address without user, password, path and query: many who offer endpoints put the key into the
// path. It is empty if the address is no URL.
func Address(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return ""
	}
	name := (&url.URL{Scheme: u.Scheme, Host: u.Host}).String()
	if u.Path == "/" {
		name += "/"
	}
	return name
}

// Addresses returns the names of several addresses. Those that would be alike are numbered, by their place: two keys
// of one provider, say.
func Addresses(addresses []string) []string {
	names, times := make([]string, len(addresses)), map[string]int{}
	for i, a := range addresses {
		names[i] = Address(a)
		times[names[i]]++
	}
	place := map[string]int{}
	for i, name := range names {
		if times[name] > 1 {
			place[name]++
			names[i] = fmt.Sprintf("%s #%d", name, place[name])
		}
	}
	return names
}

// Refused is an address in a text that says that it is none. What cannot be told apart is not shown, unless it is too
// short for a key and reads like a host.
func Refused(address string) string {
	if name := Address(address); name != "" {
		return fmt.Sprintf("%q", name)
	}
	const alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:-"
	if len(address) <= 24 && strings.Trim(address, alphabet) == "" {
		return fmt.Sprintf("%q", address)
	}
	return "(not shown)"
}

// Secrets are the texts that nobody may see: what an address has beside scheme, host and port, and tokens. The zero
// value has none.
type Secrets struct{ texts []string } // in lower case

// Of returns what is secret in an address, and tokens that go with it.
func Of(address string, tokens ...string) Secrets {
	var s Secrets
	for _, t := range tokens {
		s.add(t)
	}
	u, err := url.Parse(address)
	if err != nil {
		s.add(address)
		return s
	}
	if u.User != nil {
		password, _ := u.User.Password()
		s.add(u.User.Username())
		s.add(password)
		s.add(u.User.String())
		for _, pair := range []string{u.User.String(), u.User.Username() + ":" + password} { // as a header has them
			s.add(base64.StdEncoding.EncodeToString([]byte(pair)))
		}
	}
	for _, part := range append(strings.Split(u.EscapedPath(), "/"), strings.Trim(u.EscapedPath(), "/")) {
		s.add(part)
		if text, err := url.PathUnescape(part); err == nil {
			s.add(text)
		}
	}
	s.add(u.RawQuery)
	for _, part := range strings.FieldsFunc(u.RawQuery, func(r rune) bool { return r == '&' || r == ';' }) {
		name, value, ok := strings.Cut(part, "=")
		if !ok {
			value = name
		}
		s.add(value)
		if text, err := url.QueryUnescape(value); err == nil {
			s.add(text)
		}
	}
	s.add(u.Fragment)
	s.add(u.EscapedFragment())
	return s
}

// shortest is the length below which a text is no secret: a path of "v2" would take every "v2" out of a text.
const shortest = 4

// add notes a secret, as it is and as a URL or JSON has it.
func (s *Secrets) add(text string) {
	quoted := fmt.Sprintf("%q", text)
	for _, form := range []string{text, url.PathEscape(text), url.QueryEscape(text), quoted[1 : len(quoted)-1], strings.ReplaceAll(text, "/", `\/`)} {
		if len(form) >= shortest {
			s.texts = append(s.texts, lower(form))
		}
	}
}

// token is a JWT, which is a secret whosever it is: one for an execution client is made for each request.
var token = regexp.MustCompile(`eyJ[\w-]{8,}\.[\w-]*\.?[\w-]*`)

const hiddenText = "(hidden)"

// longest is how much of a text is looked at and kept, in bytes.
const longest = 4 << 10

// Text returns a text without the secrets. A long one is cut.
func (s Secrets) Text(text string) string {
	if len(text) > longest {
		text = s.whole(text[:longest])
	}
	text = token.ReplaceAllString(text, hiddenText)
	var b strings.Builder
	for in := lower(text); ; {
		at, n := s.first(in)
		if n == 0 {
			b.WriteString(text)
			return b.String()
		}
		b.WriteString(text[:at])
		b.WriteString(hiddenText)
		text, in = text[at+n:], in[at+n:]
	}
}

// first returns where the first secret in a text is, the longest one there.
func (s Secrets) first(in string) (at, n int) {
	at = len(in)
	for _, secret := range s.texts {
		if i := strings.Index(in[:min(len(in), at+len(secret))], secret); i >= 0 && (i < at || len(secret) > n) {
			at, n = i, len(secret)
		}
	}
	return at, n
}

// whole returns a text that was cut without the beginning of a secret at its end.
func (s Secrets) whole(text string) string {
	in, end := lower(text), len(text)
	for _, secret := range s.texts {
		for n := min(len(secret)-1, len(in)); n >= shortest; n-- {
			if strings.HasSuffix(in, secret[:n]) {
				end = min(end, len(in)-n)
				break
			}
		}
	}
	return text[:end]
}

// Error returns an error with the secrets taken out of its text, which for errors.Is and errors.As is what it was. The
// address that was asked is left out: the caller knows which one it is.
func (s Secrets) Error(err error) error {
	err = Error(err)
	if err == nil {
		return nil
	}
	if text := s.Text(err.Error()); text != err.Error() {
		return &hidden{text, err}
	}
	return err
}

// hidden is an error with another text.
type hidden struct {
	text string
	err  error
}

func (h *hidden) Error() string { return h.text }
func (h *hidden) Unwrap() error { return h.err }

// Error returns an error without the address that was asked, or that an answer redirects to.
func Error(err error) error {
	for asked := (*url.Error)(nil); errors.As(err, &asked); {
		err = asked.Err
	}
	if err != nil && strings.Contains(err.Error(), "Location header") { // net/http has no other sign of it
		return &hidden{"the answer redirects to what is no address", err}
	}
	return err
}

// lower is in lower case what is ASCII, so that nothing changes its length.
func lower(text string) string {
	b := []byte(text)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}
