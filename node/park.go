package node

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

// A wait that lasts is parked: its connection is taken out of net/http, which keeps several times the memory for a request
// that is being answered. What is left is a goroutine that reads from the connection: it sees the client leave, and is
// woken, when there may be an answer, by a deadline that has passed. The connection is closed after the answer.

// canPark reports whether the connection of a request may be used so.
func canPark(r *http.Request) bool {
	return r.ProtoMajor == 1 && r.Method == http.MethodGet && (r.Body == nil || r.Body == http.NoBody)
}

// park has a wait go on without its request, calls done when it has been answered, and reports whether it does.
func (n *Node) park(w http.ResponseWriter, r *http.Request, g *goal, done func()) bool {
	if g.level == nil || !canPark(r) {
		return false
	}
	conn, in, err := http.NewResponseController(w).Hijack()
	if err != nil { // it is no connection of a server's
		return false
	}
	p := &parked{Conn: conn, more: in.Reader.Buffered() > 0, header: w.Header().Clone(), until: time.Now().Add(g.timeout)}
	n.parked.Go(func() {
		defer done()
		defer conn.Close()
		p.wait(n, g)
	})
	return true
}

// parked is the connection of a wait.
type parked struct {
	net.Conn
	more   bool        // the client has sent more than the request
	header http.Header // of the answer
	until  time.Time
}

func (p *parked) wait(n *Node, g *goal) {
	if !p.sleep(g) {
		return
	}
	p.answer(n, g)
}

// sleep returns when there may be an answer, and false if nobody is there to read it.
func (p *parked) sleep(g *goal) bool {
	if !p.more {
		if p.SetReadDeadline(p.until) != nil {
			return false
		}
		forget := g.level.Notify(g.number, func() { _ = p.SetReadDeadline(time.Unix(1, 0)) })
		_, err := p.Read(make([]byte, 1))
		forget()
		if err != nil {
			return errors.Is(err, os.ErrDeadlineExceeded)
		}
	}
	ctx, cancel := context.WithDeadline(context.Background(), p.until) // the level ends with the node
	defer cancel()
	g.level.Wait(ctx, g.number) // what comes next is not read any more
	return true
}

// answer is not part of wait, so that its memory is not either.
func (p *parked) answer(n *Node, g *goal) {
	ctx, cancel := context.WithDeadline(context.Background(), p.until)
	defer cancel()
	code, a := n.waited(ctx, context.Background(), g)
	body, err := encode(a)
	if err != nil {
		return
	}
	setWaited(p.header)
	p.header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	resp := http.Response{
		StatusCode: code, ProtoMajor: 1, ProtoMinor: 1, Header: p.header, ContentLength: int64(len(body)), Body: io.NopCloser(bytes.NewReader(body)), Close: true,
	}
	var text bytes.Buffer
	if resp.Write(&text) == nil && p.SetWriteDeadline(time.Now().Add(writeTimeout)) == nil {
		_, _ = p.Write(text.Bytes()) // the client may have gone
	}
}
