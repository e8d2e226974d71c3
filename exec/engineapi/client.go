package engineapi

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/beacon/engine"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/params/forks"
	"github.com/ethereum/go-ethereum/rpc"
	"github.com/golang-jwt/jwt/v5"

	"headrace/internal/httpc"
	"headrace/internal/redact"
)

// A Client speaks the Engine API to one execution client: it knows the requests and their versions, and judges
// nothing. It keeps no state but its connections, so it goes on working when the execution client restarts. Safe for
// concurrent use.
type Client struct {
	rpc     *rpc.Client
	secrets redact.Secrets // of the address
	http    *http.Client
	opt     DialOptions
	open    context.Context // ends with Close, and every call with it
	close   context.CancelFunc
}

var errClosed = errors.New("engine is closed")

// DialOptions configure a Client. The zero value works.
type DialOptions struct {
	// Timeout of one request: a watchdog for a client that is frozen. Default: 30 s.
	Timeout time.Duration
	// Called is told of each request after it, by the goroutine that made it: by an Engine with its lock held. It
	// must be quick, and must not call back. Default: nobody is.
	Called func(method string, took time.Duration, err error)
}

// Dial returns a client of the Engine API at url, http or https, which authenticates with secret. It makes no request.
func Dial(url string, secret [32]byte, opt DialOptions) (*Client, error) {
	return dial(url, func(h http.Header) error { return authorize(h, secret, time.Now()) }, opt)
}

// dial is Dial with what authenticates a request, or nil.
func dial(url string, auth rpc.HTTPAuth, opt DialOptions) (*Client, error) {
	if !strings.HasPrefix(url, "http://") && !strings.HasPrefix(url, "https://") {
		return nil, fmt.Errorf("%w: execution client at %s: want an http or https URL", ErrConfig, redact.Refused(url))
	}
	opt.Timeout = cmp.Or(opt.Timeout, 30*time.Second)
	secrets := redact.Of(url)
	asker := httpc.New(httpc.Options{Timeout: opt.Timeout})
	options := []rpc.ClientOption{rpc.WithHTTPClient(asker)}
	if auth != nil {
		options = append(options, rpc.WithHTTPAuth(auth))
	}
	c, err := rpc.DialOptions(context.Background(), url, options...)
	if err != nil {
		return nil, fmt.Errorf("dial execution client at %s: %w", redact.Refused(url), secrets.Error(err))
	}
	open, end := context.WithCancel(context.Background())
	return &Client{rpc: c, secrets: secrets, http: asker, opt: opt, open: open, close: end}, nil
}

// authorize adds a token that is good for one request: the Engine API accepts one for a minute after its time of issue.
func authorize(h http.Header, secret [32]byte, now time.Time) error {
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"iat": now.Unix()}).SignedString(secret[:])
	if err != nil {
		return fmt.Errorf("sign token: %w", err)
	}
	h.Set("Authorization", "Bearer "+token)
	return nil
}

// Close ends the calls under way and drops the connections. Later calls fail.
func (c *Client) Close() {
	c.close()
	c.rpc.Close()
	c.http.CloseIdleConnections()
}

func (c *Client) call(ctx context.Context, result any, method string, args ...any) error {
	return c.request(ctx, method, func(ctx context.Context) error { return c.rpc.CallContext(ctx, result, method, args...) })
}

// batch makes calls of one method in one request. It fails with the first error among their answers.
func (c *Client) batch(ctx context.Context, method string, calls []rpc.BatchElem) error {
	return c.request(ctx, method, func(ctx context.Context) error {
		if err := c.rpc.BatchCallContext(ctx, calls); err != nil {
			return err
		}
		for i := range calls {
			if err := calls[i].Error; err != nil {
				return err
			}
		}
		return nil
	})
}

func (c *Client) request(ctx context.Context, method string, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, c.opt.Timeout)
	defer cancel()
	defer context.AfterFunc(c.open, cancel)()
	start := time.Now()
	err := c.secrets.Error(explain(method, redact.Error(do(ctx))))
	if err != nil && c.open.Err() != nil {
		err = fmt.Errorf("%s: %w", method, errClosed)
	}
	if c.opt.Called != nil {
		c.opt.Called(method, time.Since(start), err)
	}
	return err
}

// A Payload is an execution block as the Engine API carries it: the block's fields, and what its hash covers beside
// them.
type Payload struct {
	Data       engine.ExecutableData
	BlobHashes []common.Hash // versioned hashes of all blob transactions, in order
	BeaconRoot common.Hash
	Requests   [][]byte // execution requests; nil in blocks from before Prague
}

// NewPayload hands a block to the client, which executes it if it has its parent. The block does not become canonical.
func (c *Client) NewPayload(ctx context.Context, p *Payload) (status engine.PayloadStatusV1, err error) {
	hashes := p.BlobHashes
	if hashes == nil {
		hashes = []common.Hash{}
	}
	if p.Requests == nil {
		return status, c.call(ctx, &status, newPayloadMethod(false), p.Data, hashes, p.BeaconRoot)
	}
	requests := make([]hexutil.Bytes, len(p.Requests))
	for i, r := range p.Requests {
		requests[i] = r
	}
	return status, c.call(ctx, &status, newPayloadMethod(true), p.Data, hashes, p.BeaconRoot, requests)
}

func newPayloadMethod(withRequests bool) string {
	if withRequests {
		return "engine_newPayloadV4"
	}
	return "engine_newPayloadV3"
}

// ForkchoiceUpdated makes state.HeadBlockHash and its ancestors canonical and, if attributes are given, starts to
// build a block on top. They are engine.PayloadAttributes, or more than those.
func (c *Client) ForkchoiceUpdated(ctx context.Context, state engine.ForkchoiceStateV1, attributes any) (r engine.ForkChoiceResponse, err error) {
	return r, c.call(ctx, &r, "engine_forkchoiceUpdatedV3", state, attributes)
}

// GetPayload fetches the block whose building ForkchoiceUpdated began; fork is the one in force at its time. The
// client stops improving it.
func (c *Client) GetPayload(ctx context.Context, id engine.PayloadID, fork forks.Fork) (*engine.ExecutionPayloadEnvelope, error) {
	version, err := getPayloadVersion(fork)
	if err != nil {
		return nil, err
	}
	var r engine.ExecutionPayloadEnvelope
	if err := c.call(ctx, &r, "engine_getPayload"+version, id); err != nil {
		return nil, err
	}
	return &r, nil
}

// getPayloadVersion: from Osaka on the bundle holds cell proofs, and so the request has another version; newPayload
// has not.
func getPayloadVersion(fork forks.Fork) (string, error) {
	switch {
	case fork == forks.Cancun:
		return "V3", nil
	case fork == forks.Prague:
		return "V4", nil
	case fork >= forks.Osaka && fork < forks.Amsterdam:
		return "V5", nil
	}
	return "", fmt.Errorf("%w: no payloads of fork %s, want cancun, prague or osaka", ErrConfig, fork)
}

// A Header is a block's header and the hash that the client gives for it.
type Header struct {
	types.Header
	Reported common.Hash
}

func (h *Header) UnmarshalJSON(b []byte) error {
	var hash struct{ Hash common.Hash }
	if err := json.Unmarshal(b, &hash); err != nil {
		return err
	}
	h.Reported = hash.Hash
	return h.Header.UnmarshalJSON(b)
}

// Latest returns the client's head.
func (c *Client) Latest(ctx context.Context) (*Header, error) {
	return c.header(ctx, "eth_getBlockByNumber", "latest", false)
}

// Canonical returns the canonical block at number, or nil when there is none.
func (c *Client) Canonical(ctx context.Context, number uint64) (*Header, error) {
	return c.header(ctx, "eth_getBlockByNumber", hexutil.Uint64(number), false)
}

// ByHash returns a block, canonical or not, or nil when the client does not know it.
func (c *Client) ByHash(ctx context.Context, hash common.Hash) (*Header, error) {
	return c.header(ctx, "eth_getBlockByHash", hash, false)
}

func (c *Client) header(ctx context.Context, method string, args ...any) (h *Header, err error) {
	err = c.call(ctx, &h, method, args...)
	return h, err
}

// ChainID returns the chain id the client signs and checks transactions for.
func (c *Client) ChainID(ctx context.Context) (*big.Int, error) {
	var id hexutil.Big
	if err := c.call(ctx, &id, "eth_chainId"); err != nil {
		return nil, err
	}
	return id.ToInt(), nil
}
