package httpc

import (
	"net/http"
	"strconv"
	"time"
)

// maxRest bounds what an endpoint can ask for.
const maxRest = time.Hour

// RetryAfter reads for how long an answer asks that its endpoint be left alone: seconds, or a date. 0: it does not ask.
func RetryAfter(h http.Header) time.Duration {
	text := h.Get("Retry-After")
	if seconds, err := strconv.ParseUint(text, 10, 32); err == nil {
		return min(time.Duration(seconds)*time.Second, maxRest)
	}
	if date, err := http.ParseTime(text); err == nil {
		return max(min(time.Until(date), maxRest), 0)
	}
	return 0
}
