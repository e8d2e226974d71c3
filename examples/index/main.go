// Command index prints what is posted to a namespace of a Celestia chain, each blob once, in order. It keeps its position
// in a file: started again, it goes on where it was, and one blob may be printed twice. Run it as
//
//	go run ./examples/index http://127.0.0.1:26658 my-namespace index.position
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"

	"headrace/da"
	"headrace/da/celestia"
	"headrace/follow"
	"headrace/follow/position"
)

func main() {
	if len(os.Args) != 4 {
		log.Fatal("usage: index ADDRESS NAMESPACE FILE")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := index(ctx, os.Stdout, os.Args[1], os.Args[2], os.Args[3]); ctx.Err() == nil {
		log.Fatal(err)
	}
}

func index(ctx context.Context, out io.Writer, address, name, file string) error {
	namespace, err := da.NamespaceOf(name)
	if err != nil {
		return err
	}
	client, err := celestia.New([]celestia.Endpoint{{URL: address}}, celestia.Options{Namespaces: []da.Namespace{namespace}})
	if err != nil {
		return err
	}
	defer client.Close()
	return follow.Each(ctx, client, position.InFile(file, 1), func(_ context.Context, item follow.Item[da.Block]) error {
		for _, blob := range item.Data.Blobs {
			if _, err := fmt.Fprintf(out, "%d  %s\n", item.Height, blob.Data); err != nil {
				return err
			}
		}
		return nil
	}, follow.Options{})
}
