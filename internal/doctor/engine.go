package doctor

import (
	"context"
	"errors"

	"headrace/exec/engineapi"
	"headrace/exec/evolve/evgrpc"
	enginegrpc "headrace/exec/grpc"
	"headrace/internal/redact"
)

// engine is what executes the blocks.
func (d *doctor) engine() *patient {
	p := &patient{of: "engine"}
	needs := []string{"config"}
	switch c := &d.config.Engine; c.Kind {
	case "engineapi", "evolve-evm":
		e := &client{doctor: d}
		p.of, p.close = redact.Address(c.URL), e.release
		p.checks = []check{
			{name: "engine", needs: needs, run: e.checkAnswers},
			{name: "methods", needs: []string{"engine"}, run: e.checked(e.methods, "use a recent version of an execution client that offers them on its Engine API port", "it offers what the chain's forks need")},
			{name: "chain", needs: []string{"engine"}, run: e.checked(e.chain, "initialise the client with the file that engine.genesis_file names, in an empty directory", "its genesis is the one given to this node")},
			{name: "forks", needs: []string{"chain", "methods"}, run: e.checked(e.forks, "give the client and this node the same genesis file", "its fork schedule is the one given to this node")},
			{name: "pool", needs: []string{"engine"}, run: e.checkPool},
		}
	case "grpc":
		p.of, p.checks = c.Address, []check{{name: "engine", needs: needs, run: d.checkGRPC}}
	case "evolve-grpc":
		p.of, p.checks = c.Address, []check{{name: "engine", needs: needs, run: d.checkExecutor}}
	}
	return p
}

// client is an Ethereum execution client.
type client struct {
	*doctor
	at *engineapi.Inspector
}

func (e *client) release() {
	if e.at != nil {
		e.at.Close()
	}
}

func (e *client) open() (err error) {
	c := &e.config.Engine
	opt := engineapi.Options{URL: c.URL, DialOptions: engineapi.DialOptions{Timeout: e.opt.Timeout}}
	if opt.JWT, err = engineapi.ReadSecret(c.JWTFile); err != nil {
		return errors.Join(errors.New("engine.jwt_file"), err)
	}
	if opt.Genesis, err = engineapi.ReadGenesis(c.GenesisFile); err != nil {
		return errors.Join(errors.New("engine.genesis_file"), err)
	}
	if _, err = engineapi.ParseAddress(c.FeeRecipient); err != nil {
		return errors.Join(errors.New("engine.fee_recipient"), err)
	}
	e.at, err = engineapi.Inspect(opt, c.Kind == "evolve-evm")
	return err
}

func (e *client) checkAnswers(ctx context.Context) *finding {
	if err := e.open(); err != nil {
		return fail("mend the settings of the section engine, and the files that they name", "%v", err)
	}
	err := e.at.Answers(ctx)
	switch {
	case errors.Is(err, engineapi.ErrConfig):
		return fail("engine.url must name the client's Engine API port (8551), engine.jwt_file must hold its secret (--authrpc.jwtsecret), and the clocks must agree", "%v", err)
	case err != nil:
		return fail("start the execution client, and let engine.url name its Engine API port, as http://127.0.0.1:8551", "%v", err)
	}
	return ok("it answers, and takes the secret")
}

func (e *client) methods(ctx context.Context) error { return e.at.Methods(ctx) }
func (e *client) chain(ctx context.Context) error   { return e.at.Chain(ctx) }
func (e *client) forks(ctx context.Context) error   { return e.at.Forks(ctx) }

func (e *client) checked(ask func(context.Context) error, remedy, good string) func(context.Context) *finding {
	return func(ctx context.Context) *finding {
		if err := ask(ctx); err != nil {
			return fail(remedy, "%v", err)
		}
		return ok("%s", good)
	}
}

// checkPool asks the client's public JSON-RPC, from which a sequencer of an Evolve chain takes what waits.
func (e *client) checkPool(ctx context.Context) *finding {
	url := e.config.Engine.EthURL
	if url == "" {
		return nil
	}
	if err := engineapi.Pool(ctx, url, engineapi.DialOptions{Timeout: e.opt.Timeout}); err != nil {
		return fail("engine.eth_url must name the client's public JSON-RPC (8545), which must be switched on", "%v", err)
	}
	return ok("%s answers", redact.Address(url))
}

func (d *doctor) checkGRPC(ctx context.Context) *finding {
	e, err := enginegrpc.Dial(d.config.Engine.Address, enginegrpc.Options{Timeout: d.opt.Timeout})
	if err != nil {
		return fail("engine.address must be host:port or unix:/path", "%v", err)
	}
	defer e.Close()
	head, err := e.Head(ctx)
	if err != nil {
		return fail("start the engine, which must serve exec/grpc, and let engine.address name it", "%v", err)
	}
	return ok("it answers, and is at block %d", head.Height)
}

func (d *doctor) checkExecutor(ctx context.Context) *finding {
	x, err := evgrpc.Dial(d.config.Engine.Address, evgrpc.Options{Timeout: d.opt.Timeout})
	if err != nil {
		return fail("engine.address must be http://host:port or unix:///path", "%v", err)
	}
	defer x.Close()
	if _, err := x.GetExecutionInfo(ctx); err != nil {
		return fail("start the executor, which must serve evnode.v1.ExecutorService, and let engine.address name it", "%v", err)
	}
	return ok("it answers")
}
