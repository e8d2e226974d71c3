package celestia

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"headrace/internal/jsonrpc"
)

// Level is what a token allows; each level includes those before it.
type Level = jsonrpc.Level

// The levels of tokens: Public may call nothing useful, Read reads, Write submits blobs, Admin asks about the node itself.
const (
	Public = jsonrpc.Public
	Read   = jsonrpc.Read
	Write  = jsonrpc.Write
	Admin  = jsonrpc.Admin
)

// ParseLevel reads the name of a level: public, read, write or admin.
func ParseLevel(s string) (Level, error) { return jsonrpc.ParseLevel(s) }

// claims are those of celestia-node's tokens. A zero ExpiresAt is never.
type claims struct {
	Allow     []string
	Nonce     []byte
	ExpiresAt time.Time
}

func (claims) GetExpirationTime() (*jwt.NumericDate, error) { return nil, nil } // ExpiresAt is not JWT's exp; see verifyToken
func (claims) GetIssuedAt() (*jwt.NumericDate, error)       { return nil, nil }
func (claims) GetNotBefore() (*jwt.NumericDate, error)      { return nil, nil }
func (claims) GetIssuer() (string, error)                   { return "", nil }
func (claims) GetSubject() (string, error)                  { return "", nil }
func (claims) GetAudience() (jwt.ClaimStrings, error)       { return nil, nil }

// NewToken makes a token that a Handler with the same secret accepts: for a level and those below it, for a time, or for ever if lifetime is 0.
func NewToken(secret []byte, level Level, lifetime time.Duration) (string, error) {
	if len(secret) == 0 {
		return "", errors.New("make token: no secret")
	}
	c := claims{Allow: allowed(level), Nonce: make([]byte, 32)}
	_, _ = rand.Read(c.Nonce) // never fails
	if lifetime != 0 {        // one that is over makes a token that has expired
		c.ExpiresAt = time.Now().UTC().Add(lifetime)
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, c).SignedString(secret)
	if err != nil {
		return "", fmt.Errorf("make token: %w", err)
	}
	return token, nil
}

// allowed lists a level and those below it by name.
func allowed(level Level) []string {
	var out []string
	for l := Public; l <= level; l++ {
		out = append(out, l.String())
	}
	return out
}

func verifyToken(secret []byte, token string) ([]string, error) {
	var c claims
	_, err := jwt.ParseWithClaims(token, &c, func(*jwt.Token) (any, error) { return secret, nil }, jwt.WithValidMethods([]string{"HS256"}))
	switch {
	case errors.Is(err, jwt.ErrTokenMalformed): // a node's words
		return nil, errors.New("token format is not valid")
	case err != nil:
		return nil, err
	}
	if !c.ExpiresAt.IsZero() && time.Now().After(c.ExpiresAt) {
		return nil, fmt.Errorf("token expired %s ago", time.Since(c.ExpiresAt).Round(time.Second))
	}
	return c.Allow, nil
}

// authorize returns what the sender of a request may do: nothing but public methods without a token, an error with one that is not valid.
func authorize(secret []byte, r *http.Request) (Level, error) {
	token := r.Header.Get("Authorization")
	if token == "" {
		if token = r.URL.Query().Get("token"); token == "" {
			return Public, nil
		}
	} else {
		var ok bool
		if token, ok = strings.CutPrefix(token, "Bearer "); !ok {
			return 0, errors.New("no Bearer in the Authorization header")
		}
	}
	allow, err := verifyToken(secret, token)
	if err != nil {
		return 0, err
	}
	level := Public
	for _, name := range allow {
		if l, err := ParseLevel(name); err == nil {
			level = max(level, l)
		}
	}
	return level, nil
}
