package httpc

import (
	"crypto/tls"
	"net/http"
)

// Trusting makes a client's transport take any certificate.
func Trusting(rt http.RoundTripper) http.RoundTripper {
	t := rt.(*transport)
	t.TLSClientConfig = &tls.Config{InsecureSkipVerify: true}
	return t
}
