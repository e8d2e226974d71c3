package httpd

// IsOurs reports whether a request to host is taken.
func IsOurs(hosts []string, host string, loopback bool) bool {
	return (&Access{Hosts: hosts}).isOurs(host, loopback)
}
