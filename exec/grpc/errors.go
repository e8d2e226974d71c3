package execgrpc

import (
	"context"
	"errors"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"headrace/exec"
	"headrace/exec/grpc/execv1"
)

// domain is the domain of every ErrorInfo.
const domain = "headrace.exec.v1"

// kinds is the table of exec's errors on the wire. The reason decides; the code is for people and tools.
var kinds = []struct {
	err    error
	reason string
	code   codes.Code
}{
	{exec.ErrParent, "PARENT", codes.FailedPrecondition},
	{exec.ErrInvalid, "INVALID", codes.InvalidArgument},
	{exec.ErrPruned, "PRUNED", codes.OutOfRange},
	{exec.ErrTooBig, "TOO_BIG", codes.InvalidArgument},
	{exec.ErrFull, "FULL", codes.ResourceExhausted},
}

// toStatus is the status of an engine's error in a call with ctx. The end of ctx, which is the caller's, has codes of
// its own; the end of any other context is the engine's trouble.
func toStatus(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	for _, k := range kinds {
		if !errors.Is(err, k.err) {
			continue
		}
		s, derr := status.New(k.code, err.Error()).WithDetails(&errdetails.ErrorInfo{Reason: k.reason, Domain: domain})
		if derr != nil {
			return status.Errorf(codes.Internal, "encode error %q: %v", err, derr)
		}
		return s.Err()
	}
	switch ended := ctx.Err(); {
	case ended != nil && errors.Is(err, ended):
		return status.FromContextError(ended).Err()
	case errors.Is(err, errors.ErrUnsupported):
		return status.Error(codes.Unimplemented, err.Error())
	}
	return status.Error(codes.Internal, err.Error())
}

// remote is an error that came over the wire: the engine's words, and the kind they stand for.
type remote struct {
	words string
	kind  error
}

func (e *remote) Error() string { return e.words }

func (e *remote) Unwrap() error { return e.kind }

// fromStatus is toStatus the other way. What has no meaning to us stays as it is.
func fromStatus(err error) error {
	s, ok := status.FromError(err)
	if !ok {
		return err
	}
	for _, d := range s.Details() {
		info, ok := d.(*errdetails.ErrorInfo)
		if !ok || info.Domain != domain {
			continue
		}
		for _, k := range kinds {
			if info.Reason == k.reason {
				return &remote{s.Message(), k.err}
			}
		}
	}
	switch s.Code() {
	case codes.Unimplemented:
		return &remote{s.Message(), errors.ErrUnsupported}
	case codes.DeadlineExceeded: // ours, which the server keeps too, and may see pass a little earlier
		return &remote{s.Message(), context.DeadlineExceeded}
	}
	return err
}

// byAnEngine is an interceptor that lets nothing pass for an engine's answer but an engine's. Whatever stands before it
// may answer in its place: with an HTTP status, of which gRPC makes a code (of 404 the one of a method that is missing),
// or, if it knows gRPC, with a code. So a code without gRPC's content type is nobody's word on the call, and that a method
// is missing is believed of an engine that has Head.
func byAnEngine(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	var header, trailer metadata.MD
	err := invoke(ctx, method, req, reply, conn, append(opts, grpc.Header(&header), grpc.Trailer(&trailer))...)
	code := status.Code(err)
	switch code {
	case codes.OK, codes.Canceled, codes.DeadlineExceeded, codes.ResourceExhausted: // the last three are ours, or say nothing of the method
		return err
	}
	if len(header.Get("content-type"))+len(trailer.Get("content-type")) == 0 {
		return status.Error(codes.Unavailable, "no engine answers: "+status.Convert(err).Message())
	}
	if code != codes.Unimplemented {
		return err
	}
	if method != execv1.Engine_Head_FullMethodName {
		if conn.Invoke(ctx, execv1.Engine_Head_FullMethodName, &execv1.HeadRequest{}, &execv1.HeadResponse{}) == nil {
			return err
		}
	}
	return status.Error(codes.Unavailable, "no engine answers, or one without Head: "+status.Convert(err).Message())
}
