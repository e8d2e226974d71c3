// Package square knows Celestia's blocks: headers and their hashes, squares of shares and their roots, share commitments, and proofs.
//
// Build lays blobs out as a block of Celestia does and extends the square; a Square answers what a node is asked about its block: blobs and
// their places, the data of a namespace with its proofs, proofs of commitments, ranges of shares. Verify and its relations check such
// answers against a header's data hash. Headers hash, link, and read and write both JSON encodings that Celestia uses.
//
// What is proven is that data belongs to a header. That the header belongs to the chain, by its validators' signatures, is not: a header is
// as good as the endpoint, or the hash links, that it came from.
//
// Everything here is pure and safe for concurrent use; a Square does not change once it is built. Decoders accept any bytes: they return an
// error, and allocate no more than a small multiple of their input (I6, I9).
package square
