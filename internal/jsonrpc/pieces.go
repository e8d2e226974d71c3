package jsonrpc

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"headrace/internal/httpd"
)

// Pieces is a result that is too large to be in memory: its JSON is made a piece at a time, and written before the next
// one is made. Nothing of it is held in between. When a piece fails but the first, which is answered with an error, the
// connection ends: half an answer is none.
type Pieces struct {
	Size int                    // bytes of the whole
	Each int                    // bytes of memory that a piece takes at most, to make it and until it is written
	Next func() ([]byte, error) // makes the next piece. It must not wait, but for its turn
}

// pieceBudget bounds what is in memory of pieces. It is apart from what complete answers are counted in: those may
// wait for the connection on which pieces are being written, and would wait for ever if the pieces waited for them.
const pieceBudget = 48 << 20

// reply is what is to be written for one request. The zero value is nothing.
type reply struct {
	status int
	bytes  []byte      // all, or what comes before the rest
	hold   *httpd.Hold // of bytes
	rest   *Pieces     // nil: none
}

const endOfResult = "}\n"

// size is what will be written.
func (r *reply) size() int {
	if r.rest == nil {
		return len(r.bytes)
	}
	return len(r.bytes) + r.rest.Size + len(endOfResult)
}

// refusal is the reply that an error is.
func refusal(id any, e *Error) reply {
	return reply{status: status(e), bytes: appendError(nil, id, e)}
}

// begin returns the reply of a result in pieces, with the first of them. However long the turn of another answer lasts,
// who waits here holds nothing.
func (s *Server) begin(ctx context.Context, id any, result *Pieces) (reply, error) {
	rest := *result
	first, hold, err := s.piece(ctx, &rest)
	if err != nil {
		return reply{}, err
	}
	return reply{http.StatusOK, append(appendBeforeResult(nil, id), first...), hold, &rest}, nil
}

// piece makes the next piece of a result when there is room for it.
func (s *Server) piece(ctx context.Context, p *Pieces) (out []byte, hold *httpd.Hold, err error) {
	if hold, err = s.pieces.Book(ctx, int64(p.Each)); err != nil {
		return nil, nil, err
	}
	defer func() {
		if caught := recover(); caught != nil {
			err = fmt.Errorf("panic making an answer: %v", caught)
		}
		if err != nil {
			hold.Give()
			return
		}
		hold.Begin()
	}()
	if out, err = p.Next(); err == nil && (len(out) == 0 || len(out) > p.Size) {
		err = fmt.Errorf("make an answer: a piece has %d bytes, where %d are to come", len(out), p.Size)
	}
	p.Size -= len(out)
	return out, hold, err
}

// write writes a reply, and gives back what is held of it, piece by piece. An error may leave half an answer.
func (s *Server) write(ctx context.Context, w io.Writer, r reply) error {
	_, err := w.Write(r.bytes)
	r.hold.Give()
	if err != nil || r.rest == nil {
		return err
	}
	for r.rest.Size > 0 {
		out, hold, err := s.piece(ctx, r.rest)
		if err != nil {
			return err
		}
		_, err = w.Write(out)
		hold.Give()
		if err != nil {
			return err
		}
	}
	_, err = io.WriteString(w, endOfResult)
	return err
}
