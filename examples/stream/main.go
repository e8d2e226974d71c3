// Command stream keeps a table of a chain's blocks in an SQLite database, and how many transactions there are in all. Both
// are in step with the chain's stream on a NATS server. Each block is there once, whatever happens to this program, to the
// server or to the chain. Run it as
//
//	go run ./examples/stream [-from HEIGHT] nats://127.0.0.1:4222 CHAIN blocks.db [http://127.0.0.1:7331]
//
// CHAIN is the part of the stream's name behind hr-. Where the server asks for a password, it stands in the address:
// nats://reader:PASSWORD@127.0.0.1:4222. A server or a stream that is not there yet is waited for. What the stream does not
// have any more is read from the node, if one is named. An empty table begins with block 1, or with that of -from: the
// chain's first one where its genesis has an initial_height above 1, or any other.
package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	_ "modernc.org/sqlite"

	"headrace/await"
	"headrace/ref"
	"headrace/stream/nats"
)

func main() {
	from := flag.Uint64("from", 1, "the `height` of the first block in an empty table")
	flag.Parse()
	if *from == 0 || flag.NArg() < 3 || flag.NArg() > 4 {
		log.Fatal("usage: stream [-from HEIGHT] SERVER CHAIN FILE [NODE]")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	opt := nats.ReadOptions{Lost: func(err error) { log.Printf("%v: trying again", err) }}
	if flag.NArg() == 4 {
		opt.Node = await.Node(flag.Arg(3))
	}
	if err := index(ctx, flag.Arg(0), flag.Arg(1), flag.Arg(2), *from, opt); ctx.Err() == nil {
		log.Fatal(err)
	}
}

func index(ctx context.Context, server, chain, file string, from uint64, opt nats.ReadOptions) error {
	conn, err := natsgo.Connect(server, natsgo.RetryOnFailedConnect(true), natsgo.MaxReconnects(-1), natsgo.IgnoreAuthErrorAbort())
	if err != nil {
		return err
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return err
	}
	db, err := open(file, from)
	if err != nil {
		return err
	}
	defer db.Close()
	return nats.Read(ctx, js, chain, db, opt)
}

// database is the sink: what it has stored is where to go on.
type database struct {
	*sql.DB
	from uint64 // the first block of an empty table
}

func open(file string, from uint64) (database, error) {
	db, err := sql.Open("sqlite", "file:"+file+"?_txlock=immediate&_pragma=busy_timeout(10000)&_pragma=journal_mode(wal)")
	if err != nil {
		return database{}, err
	}
	_, err = db.Exec(`
		CREATE TABLE IF NOT EXISTS blocks (height INTEGER PRIMARY KEY, hash TEXT NOT NULL, txs INTEGER NOT NULL);
		CREATE TABLE IF NOT EXISTS total (txs INTEGER NOT NULL);
		INSERT INTO total SELECT 0 WHERE NOT EXISTS (SELECT * FROM total);`)
	return database{db, from}, err
}

// Last implements nats.Sink.
func (db database) Last(ctx context.Context) (last ref.Ref, err error) { return db.last(ctx, db.DB) }

// last is the last block of the table, as a transaction sees it. Without one it is the height before the first, and no hash.
func (db database) last(ctx context.Context, in interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}) (ref.Ref, error) {
	last, ok, err := refOf(in.QueryRowContext(ctx, "SELECT height, hash FROM blocks ORDER BY height DESC LIMIT 1"))
	if err == nil && !ok {
		last.Height = db.from - 1
	}
	return last, err
}

func refOf(row *sql.Row) (block ref.Ref, ok bool, err error) {
	var hash string
	if err = row.Scan(&block.Height, &hash); errors.Is(err, sql.ErrNoRows) {
		return ref.Ref{}, false, nil
	}
	if err == nil {
		err = block.Hash.UnmarshalText([]byte(hash))
	}
	return block, err == nil, err
}

// At implements nats.Sink.
func (db database) At(ctx context.Context, height uint64) (hash ref.Hash, ok bool, err error) {
	at, ok, err := refOf(db.QueryRowContext(ctx, "SELECT height, hash FROM blocks WHERE height = ?", height))
	return at.Hash, ok, err
}

// Apply implements nats.Sink: the block, and what is made of it, are there both or not at all.
func (db database) Apply(ctx context.Context, b nats.Block) error {
	var body struct {
		TxHashes []string `json:"tx_hashes"` // of its transactions; txs has the engine's own too
	}
	if err := json.Unmarshal(b.Body, &body); err != nil {
		return err
	}
	return db.change(ctx, func(tx *sql.Tx) error {
		last, err := db.last(ctx, tx)
		if err == nil && (last.Height != b.Height-1 || last.Hash != b.Parent && !last.Hash.IsZero()) {
			err = fmt.Errorf("block %d is no child of block %d: does another program write this file?", b.Height, last.Height)
		}
		if err == nil {
			_, err = tx.ExecContext(ctx, "INSERT INTO blocks VALUES (?, ?, ?)", b.Height, b.Hash.String(), len(body.TxHashes))
		}
		if err == nil {
			_, err = tx.ExecContext(ctx, "UPDATE total SET txs = txs + ?", len(body.TxHashes))
		}
		return err
	})
}

// Undo implements nats.Sink.
func (db database) Undo(ctx context.Context, u nats.Undo) error {
	return db.change(ctx, func(tx *sql.Tx) error {
		last, err := db.last(ctx, tx)
		if err == nil && last != u.From {
			err = fmt.Errorf("block %d is to be undone, and block %d is the last one: does another program write this file?", u.From.Height, last.Height)
		}
		if err == nil {
			_, err = tx.ExecContext(ctx, "UPDATE total SET txs = txs - (SELECT ifnull(sum(txs), 0) FROM blocks WHERE height > ?)", u.To.Height)
		}
		if err == nil {
			_, err = tx.ExecContext(ctx, "DELETE FROM blocks WHERE height > ?", u.To.Height)
		}
		return err
	})
}

// change runs one transaction.
func (db database) change(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := f(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}
