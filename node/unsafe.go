package node

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"headrace/block"
	"headrace/internal/derive"
	"headrace/internal/httpd"
	"headrace/internal/syncer"
)

// The reasons why an offered block is not taken.
var (
	ErrGate    = syncer.ErrGate    // the node does not have all that is canonical: offer it again when Status.Unsafe.Open
	ErrStale   = syncer.ErrStale   // the canonical chain has a block at its height
	ErrFar     = syncer.ErrFar     // it is further above the safe head than Config.Unsafe.Max
	ErrForged  = syncer.ErrForged  // the chain's proposer has not signed all of it
	ErrGarbled = syncer.ErrGarbled // it cannot be read
	ErrUnfit   = syncer.ErrUnfit   // it does not fit its parent, or the engine finds it invalid
	ErrOther   = syncer.ErrOther   // the proposer has signed another block on its parent, which is preferred
)

// ErrStranger is an ErrForged of what does not even say that it is of this chain and its proposer.
var ErrStranger = derive.ErrStranger

// errNoOffers is an ErrGate that stays.
var errNoOffers error = noOffers{}

type noOffers struct{}

func (noOffers) Error() string {
	return "no unsafe blocks are taken: this node's engine cannot take a block back"
}
func (noOffers) Is(target error) bool { return target == ErrGate }

// maxUnsafe bounds the body of POST /v1/unsafe, in bytes: a block and its base64.
const maxUnsafe = 8 << 20

// Offer takes a block, as the chain's proposer has signed it, that came beside the canonical source, in any order;
// data is nil for a block without transactions. It becomes the unsafe head at once, or, when buffered is true, once
// its parent is there; the canonical block at its height promotes or replaces it. Of two blocks on one parent that
// with the later time is preferred, then that with the greater hash. ErrGate, ErrStale, ErrFar, ErrForged, ErrUnfit and
// ErrOther say why it is refused; with any other error it is kept and tried again. A sequencer answers ErrGate.
func (n *Node) Offer(ctx context.Context, header *block.SignedHeader, data *block.SignedData) (buffered bool, err error) {
	offers := n.at.Load().up.offers
	if offers == nil {
		return false, errNoOffers
	}
	var raw []byte
	if data != nil {
		raw = data.Encode()
	}
	return offers.Offer(ctx, header.Encode(), raw)
}

// offering is POST /v1/unsafe. Anyone may send anything, as often and as slowly as they like, so the gate is asked
// before a body is read, what is read is bounded in bytes over all requests, and within a body the Offers look at the
// signatures before they look at anything that costs more.
type offering struct {
	offers func() *syncer.Offers // the present ones; nil: nothing is taken
	bodies *httpd.Budget         // of all that is posted: the whole body counts in it before it is read, and others wait
	closed error                 // why nothing is taken over HTTP; nil: it may be
}

// errOpenOffers: like a full node's log, its unsafe head is not for every host to change.
var errOpenOffers = errors.New("other hosts reach this node, and it has no token: set http.token or http.token_file to take unsafe blocks over HTTP, or unsafe.from to fetch them")

// offerTime is how long a body may take to come, and how long a request waits for others to be done.
const offerTime = 20 * time.Second

// ServeHTTP answers 200 when the block is connected and 202 when it waits for its parent; 400 when it does not
// decode, 403 when it is not the proposer's, 409 when none are taken now, or none so far above the safe head, 410 when
// the canonical chain is past its height, 422 when it can be no block on its parent, or another one is preferred there,
// 503 when there are too many at a time.
func (o *offering) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	buffered, err := o.offer(w, r)
	switch {
	case errors.Is(err, ErrGate), errors.Is(err, ErrFar):
		fail(w, http.StatusConflict, err)
	case errors.Is(err, errOpenOffers):
		fail(w, http.StatusForbidden, err)
	case errors.Is(err, ErrStale):
		fail(w, http.StatusGone, err)
	case errors.Is(err, ErrForged):
		fail(w, http.StatusForbidden, err)
	case errors.Is(err, ErrUnfit), errors.Is(err, ErrOther):
		fail(w, http.StatusUnprocessableEntity, err)
	case errors.Is(err, syncer.ErrGarbled):
		fail(w, http.StatusBadRequest, err)
	case err != nil:
		fail(w, http.StatusServiceUnavailable, err)
	case buffered:
		reply(w, http.StatusAccepted, map[string]bool{"buffered": true})
	default:
		reply(w, http.StatusOK, map[string]bool{"buffered": false})
	}
}

func (o *offering) offer(w http.ResponseWriter, r *http.Request) (buffered bool, err error) {
	if o.offers() == nil {
		return false, errNoOffers
	}
	if o.closed != nil {
		return false, o.closed
	}
	if err := o.offers().Gate(); err != nil {
		return false, err
	}
	size := int64(maxUnsafe)
	if r.ContentLength >= 0 {
		size = min(size, r.ContentLength)
	}
	ctx, cancel := context.WithTimeoutCause(r.Context(), offerTime, errors.New("too many blocks are offered at a time"))
	defer cancel()
	hold, err := o.bodies.Reserve(ctx, r, size)
	if err != nil {
		return false, err
	}
	defer hold.Give()
	// A body that does not come keeps others waiting. What has no deadline, a recorder, needs none.
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(offerTime))
	body, err := readOffer(&timely{http.MaxBytesReader(w, r.Body, maxUnsafe), time.Now().Add(offerTime)}, size)
	_ = control.SetReadDeadline(time.Time{})
	if err != nil {
		return false, fmt.Errorf("%w: %w", syncer.ErrGarbled, err)
	}
	return o.offers().Offer(r.Context(), body.Header, body.Data)
}

// timely is a body until a moment: one that drips may move its connection's deadline with each byte.
type timely struct {
	io.Reader
	until time.Time
}

func (t *timely) Read(p []byte) (int, error) {
	if time.Now().After(t.until) {
		return 0, fmt.Errorf("it has not come within %s", offerTime)
	}
	return t.Reader.Read(p)
}

// offered is the body: header and data as in a proposal; no data for a block without transactions.
type offered struct{ Header, Data inPlace }

// readOffer reads a body of about size bytes. What it returns is in the memory that the body was read into: that, and
// no more, is what a request takes.
func readOffer(r io.Reader, size int64) (body offered, err error) {
	buf := bytes.NewBuffer(make([]byte, 0, size+bytes.MinRead))
	if _, err := buf.ReadFrom(r); err != nil {
		return body, fmt.Errorf("read body: %w", err)
	}
	if err := json.Unmarshal(buf.Bytes(), &body); err != nil {
		return body, fmt.Errorf("decode body: %w", err)
	}
	return body, nil
}

// inPlace is bytes that JSON has in base64, decoded to where they were: package json has a value decode itself from
// its own part of the input.
type inPlace []byte

// UnmarshalJSON implements json.Unmarshaler.
func (p *inPlace) UnmarshalJSON(text []byte) error {
	switch {
	case string(text) == "null":
		return nil
	case len(text) < 2 || text[0] != '"':
		return errors.New("it is to be a string in base64")
	}
	text = text[1 : len(text)-1]
	if bytes.IndexByte(text, '\\') >= 0 {
		text = unescape(text)
	}
	from := base64.NewDecoder(base64.StdEncoding, bytes.NewReader(text))
	var chunk [3 << 10]byte
	out := text[:0] // three bytes for each four: it stays behind what is read
	for {
		n, err := from.Read(chunk[:])
		out = append(out, chunk[:n]...)
		if err == io.EOF {
			*p = inPlace(out[:len(out):len(out)])
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// unescape takes the escapes that JSON allows for what can be in base64 out of b, in place: b is the inside of a valid
// string. Others stay, and are no base64.
func unescape(b []byte) []byte {
	out := b[:0]
	for i := 0; i < len(b); i++ {
		c := b[i]
		if c == '\\' {
			i++
			switch b[i] {
			case '/':
				c = '/'
			case 'n', 'r': // base64 may have lines
				c = '\n'
			case 'u':
				if n, err := strconv.ParseUint(string(b[i+1:i+5]), 16, 7); err == nil {
					c = byte(n)
				}
				i += 4
			}
		}
		out = append(out, c)
	}
	return out
}
