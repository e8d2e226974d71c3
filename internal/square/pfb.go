package square

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"headrace/da"
)

// Account is the address that pays for the blobs of a Build: who signs, if share version 1 is used.
var Account = [20]byte(Address([]byte("headrace development account")))

// AccountAddress is Account as Celestia writes it.
var AccountAddress = bech32("celestia", Account[:])

// payForBlobs makes the transaction for blobs whose commitments are set. The layout, from the inside out:
//
//	MsgPayForBlobs{1 signer (bech32), 2 namespaces, 3 blob sizes (packed), 4 share commitments, 8 share versions (packed)}
//	TxBody{1 Any{1 type URL, 2 message}}
//	AuthInfo{1 SignerInfo{1 Any{type URL, PubKey{1 key}}, 2 ModeInfo{1 Single{1 mode}}, 3 sequence}, 2 Fee{1 Coin{1 denom, 2 amount}, 2 gas limit}}
//	TxRaw{1 body, 2 auth info, 3 signatures}
func payForBlobs(sequence uint64, blobs []da.Blob) PayForBlobs {
	msg := appendBytesField(nil, 1, []byte(AccountAddress))
	var sizes, versions []byte
	gas := uint64(65_000)
	for i := range blobs {
		b := &blobs[i]
		msg = appendBytesField(msg, 2, b.Namespace[:])
		sizes = binary.AppendUvarint(sizes, uint64(len(b.Data)))
		versions = append(versions, b.ShareVersion)
		gas += uint64(len(b.Data)/ShareSize+1) * ShareSize * 8
	}
	msg = appendBytesField(msg, 3, sizes)
	for i := range blobs {
		msg = appendBytesField(msg, 4, blobs[i].Commitment)
	}
	msg = appendBytesField(msg, 8, versions)

	body := appendBytesField(nil, 1, anyMessage("/celestia.blob.v1.MsgPayForBlobs", msg))
	key := sha256.Sum256(Account[:])
	pub := appendBytesField(nil, 1, append([]byte{2}, key[:]...))
	signer := appendBytesField(nil, 1, anyMessage("/cosmos.crypto.secp256k1.PubKey", pub))
	signer = appendBytesField(signer, 2, []byte{0x0a, 2, 8, 1}) // SIGN_MODE_DIRECT
	signer = appendVarintField(signer, 3, sequence)
	coin := appendBytesField(appendBytesField(nil, 1, []byte("utia")), 2, []byte(strconv.FormatUint(gas/250+1, 10)))
	fee := appendVarintField(appendBytesField(nil, 1, coin), 2, gas)
	auth := appendBytesField(appendBytesField(nil, 1, signer), 2, fee)

	raw := appendBytesField(appendBytesField(nil, 1, body), 2, auth)
	r := sha256.Sum256(raw)
	s := sha256.Sum256(r[:])
	return PayForBlobs{Tx: appendBytesField(raw, 3, append(r[:], s[:]...)), Blobs: blobs}
}

func anyMessage(url string, m []byte) []byte {
	return appendBytesField(appendBytesField(nil, 1, []byte(url)), 2, m)
}

// CheckAddress tells whether a text may be an account's address, in a node's words. The checksum is not looked at.
func CheckAddress(address string) error {
	if i := strings.LastIndexByte(address, '1'); i < 1 || i+7 > len(address) {
		return fmt.Errorf("decoding bech32 failed: invalid separator index %d", i)
	}
	return nil
}

// bech32 writes an address as Cosmos chains do (BIP 173).
func bech32(prefix string, data []byte) string {
	const charset = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
	values := make([]byte, 0, len(data)*2)
	acc, bits := uint(0), 0
	for _, b := range data {
		acc, bits = acc<<8|uint(b), bits+8
		for bits >= 5 {
			bits -= 5
			values = append(values, byte(acc>>bits&31))
		}
	}
	if bits > 0 {
		values = append(values, byte(acc<<(5-bits)&31))
	}
	check := uint32(1)
	step := func(v byte) {
		generator := [5]uint32{0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3}
		top := check >> 25
		check = check&0x1ffffff<<5 ^ uint32(v)
		for i, g := range generator {
			if top>>i&1 == 1 {
				check ^= g
			}
		}
	}
	for i := range len(prefix) {
		step(prefix[i] >> 5)
	}
	step(0)
	for i := range len(prefix) {
		step(prefix[i] & 31)
	}
	for _, v := range values {
		step(v)
	}
	for range 6 {
		step(0)
	}
	check ^= 1
	for i := range 6 {
		values = append(values, byte(check>>(5*(5-i))&31))
	}
	out := make([]byte, len(values))
	for i, v := range values {
		out[i] = charset[v]
	}
	return fmt.Sprintf("%s1%s", prefix, out)
}
