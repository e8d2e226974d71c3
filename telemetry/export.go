package telemetry

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/credentials/insecure"

	"headrace/block"
	"headrace/internal/edge"
	"headrace/internal/redact"
	"headrace/node"
)

// TraceOptions say where traces go, and of which node they are.
type TraceOptions struct {
	Config  node.TelemetryConfig // OTLP must be set
	Chain   string
	Version string
	Logger  *slog.Logger // default: silent
}

// NewTraces returns traces that go to the endpoint that the configuration names. Nothing is dialled yet, and one that is
// down is no error: what it does not take is dropped.
func NewTraces(opt TraceOptions) (*Traces, error) {
	opt.Logger = cmp.Or(opt.Logger, slog.New(slog.DiscardHandler))
	// What the library says by itself may have an address or a header in it: each export's error is logged below.
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(error) {}))
	otel.SetLogger(logr.Discard())
	to, secrets, err := newExporter(opt.Config.OTLP)
	if err != nil {
		return nil, fmt.Errorf("telemetry.otlp: %w", secrets.Error(err))
	}
	about, err := resource.New(context.Background(), resource.WithTelemetrySDK(),
		resource.WithAttributes(attribute.String("service.name", "headrace"), attribute.String("service.version", opt.Version), attribute.String("headrace.chain_id", opt.Chain)),
		resource.WithFromEnv())
	if err != nil && about == nil {
		return nil, fmt.Errorf("telemetry: read OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	provider := sdk.NewTracerProvider(sdk.WithResource(about), sdk.WithSampler(sdk.AlwaysSample()), sdk.WithIDGenerator(ids{}),
		sdk.WithBatcher(&logged{SpanExporter: to, log: opt.Logger, secrets: secrets}))
	x := &export{provider: provider, tracer: provider.Tracer("headrace"), limit: limitOf(opt.Config.Sampling())}
	return &Traces{export: x, made: map[uint64]made{}}, nil
}

// flushTime bounds how long Close waits for what is left to be taken.
const flushTime = 500 * time.Millisecond

// Close exports what is left, if the endpoint takes it soon. Call it when the node has stopped.
func (t *Traces) Close() {
	t.mu.Lock()
	for _, m := range t.made {
		if !m.safe.IsZero() {
			t.finish(m)
		}
	}
	t.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), flushTime)
	defer cancel()
	_ = t.export.provider.Shutdown(ctx) // a failure was logged
}

// newExporter makes an exporter by the protocol that the address names. It returns what may not be in any text.
// Headers, certificates and timeouts are those of the environment's OTEL_EXPORTER_OTLP_ variables.
func newExporter(address string) (sdk.SpanExporter, redact.Secrets, error) {
	headers, values := envHeaders()
	secrets := redact.Of(address, values...)
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return nil, secrets, errors.New("it is no URL")
	}
	if u.User != nil {
		password, _ := u.User.Password()
		headers["authorization"] = "Basic " + base64.StdEncoding.EncodeToString([]byte(u.User.Username()+":"+password))
	}
	// With a URL the setting alone says whether there is TLS. Else the environment had a say, which may speak of another
	// endpoint.
	to := url.URL{Scheme: "http", Host: u.Host}
	ctx := context.Background()
	grpc, secure := endpointKind(u.Scheme)
	if secure {
		to.Scheme = "https"
	}
	if grpc {
		opts := []otlptracegrpc.Option{otlptracegrpc.WithEndpointURL(to.String()), otlptracegrpc.WithHeaders(headers)}
		if !secure {
			opts = append(opts, otlptracegrpc.WithTLSCredentials(insecure.NewCredentials()))
		}
		e, err := otlptracegrpc.New(ctx, opts...)
		return e, secrets, err
	}
	to.Path = path.Join("/", u.Path, "v1/traces")
	opts := []otlptracehttp.Option{otlptracehttp.WithEndpointURL(to.String()), otlptracehttp.WithHeaders(headers)}
	if !secure {
		opts = append(opts, otlptracehttp.WithTLSClientConfig(nil))
	}
	e, err := otlptracehttp.New(ctx, opts...)
	return e, secrets, err
}

// envHeaders returns the headers that the environment names, and their values as they are there too.
func envHeaders() (headers map[string]string, values []string) {
	headers = map[string]string{}
	for _, name := range []string{"OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"} {
		text := os.Getenv(name)
		if text == "" {
			continue
		}
		headers = map[string]string{} // the more special one replaces the other
		values = append(values, text)
		for pair := range strings.SplitSeq(text, ",") {
			key, value, ok := strings.Cut(pair, "=")
			if plain, err := url.PathUnescape(strings.TrimSpace(value)); ok && err == nil {
				headers[strings.ToLower(strings.TrimSpace(key))] = plain
				values = append(values, value, plain)
				if _, token, ok := strings.Cut(plain, " "); ok { // Bearer TOKEN
					values = append(values, token)
				}
			}
		}
	}
	return headers, values
}

// logged is an exporter whose failures are logged, when they begin and then seldom, without what is secret.
type logged struct {
	sdk.SpanExporter
	log     *slog.Logger
	said    edge.Log
	secrets redact.Secrets
}

func (l *logged) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	err := l.SpanExporter.ExportSpans(ctx, spans)
	if err != nil {
		l.said.Warn(l.log, "traces not exported", l.secrets.Error(err), "spans", len(spans))
	}
	return nil
}

// export makes spans of marks.
type export struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer
	limit    uint64 // of a trace id's last eight bytes, halved: those below are sampled, as OpenTelemetry's samplers do
}

func limitOf(ratio float64) uint64 {
	if ratio >= 1 {
		return 1 << 63
	}
	return uint64(ratio * (1 << 63))
}

func (x *export) sampled(id trace.TraceID) bool {
	return binary.BigEndian.Uint64(id[8:])>>1 < x.limit
}

// samples reports whether a block's trace is exported.
func (x *export) samples(hash block.Hash) bool { return x.sampled(traceOf(hash)) }

// traceOf returns the id of a block's trace.
func traceOf(hash block.Hash) trace.TraceID { return trace.TraceID(hash[:16]) }

// block exports a root and its parts, of a block that is sampled.
func (x *export) block(name string, ref block.Ref, start time.Time, parts []mark, about ...attribute.KeyValue) {
	about = append(about, attribute.Int64("headrace.height", int64(ref.Height)), attribute.String("headrace.hash", ref.Hash.String()))
	x.spans(traceOf(ref.Hash), name, start, parts, about)
}

// subscription exports the set-up of one, in a trace of its own.
func (x *export) subscription(start time.Time, parts []mark) {
	var id trace.TraceID
	_, _ = rand.Read(id[:]) // it does not fail
	if x.sampled(id) {
		x.spans(id, "subscribe", start, parts, nil)
	}
}

// spans exports a root, and a child for each mark, from where the one before ended. All times are counted from the
// start by the monotonic clock: a clock that is set meanwhile changes no duration.
func (x *export) spans(id trace.TraceID, name string, start time.Time, parts []mark, about []attribute.KeyValue) {
	wall := time.Unix(0, start.UnixNano())
	ctx, root := x.tracer.Start(context.WithValue(context.Background(), traceKey{}, id), name, trace.WithTimestamp(wall), trace.WithAttributes(about...))
	at := time.Duration(0)
	for _, m := range parts {
		_, child := x.tracer.Start(ctx, m.name, trace.WithTimestamp(wall.Add(at)))
		if m.failed {
			child.SetStatus(codes.Error, "")
		}
		at = max(at, m.end.Sub(start))
		child.End(trace.WithTimestamp(wall.Add(at)))
	}
	root.End(trace.WithTimestamp(wall.Add(at)))
}

// ids makes a trace's id what its context says.
type ids struct{}

type traceKey struct{}

func (g ids) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	id, _ := ctx.Value(traceKey{}).(trace.TraceID)
	return id, g.NewSpanID(ctx, id)
}

func (ids) NewSpanID(context.Context, trace.TraceID) (id trace.SpanID) {
	for !id.IsValid() {
		_, _ = rand.Read(id[:])
	}
	return id
}
