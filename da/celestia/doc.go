// Package celestia speaks Celestia's JSON-RPC at both ends: a Client is a source of blobs to follow and a place to
// post them, and a Handler serves a chain so that a client cannot tell it from a celestia-node.
//
// # Client
//
// A Client follows any number of namespaces as one sequence of heights. It is a follow.Source: Subscribe gives news
// of the head, with the complete block inline when every namespace's own channel has reported the height; Fetch gives
// any range, many requests in flight, delivered in order. It is a da.Submitter too.
//
// Nothing an endpoint says is more than a hint (I8). A node skips heights in silence, reports lost data as "no
// blobs", closes the channel of a slow reader and goes quiet on an open socket. So an event for one namespace never
// passes a height; a height is complete when each followed namespace has reported it, and when not, it is fetched
// (I7). Heights carry the hash of their header, and their parent's.
//
// News and bulk use connections of their own. What waits is bounded in bytes (I6): values of a channel, answers to be
// decoded, and blocks fetched ahead. How big a height is, strangers decide, so a call is bounded by how long it goes
// without a byte, and by a lowest rate; every wait ends with the caller's context or with Close (I11).
//
// What a fetch has brought is kept when it ends, and a height that does not fit into one message comes in pieces, so
// that a large height on a slow link, or an endpoint that restarts, costs time and not the height.
//
// Of a local-da (Options.LocalDA) nothing can be proven, and no header is there to know a height by: the blobs at a
// height stand in for it.
//
// # Handler
//
// A Handler serves HTTP and WebSocket on one port, with Bearer tokens of four levels or without, the errors, limits
// and oddities of celestia-node v0.32 included, and faults on demand.
package celestia
