package l1

import "fmt"

// A blob is 4096 field elements of 32 bytes, big-endian and below a modulus of 255 bits. Content goes into the low 31 bytes of each, so that any bytes
// fit; the high byte is zero:
//
//	| 0 | 31 bytes | 0 | 31 bytes | ...
const (
	blobElements  = 4096
	elementSize   = 32
	elementUsable = 31

	BlobSize     = blobElements * elementSize   // bytes of a blob
	BlobCapacity = blobElements * elementUsable // bytes of content in a blob
)

// Blob is an EIP-4844 blob.
type Blob [BlobSize]byte

// PackBlobs spreads content over as few blobs as it takes, and pads the last with zeros.
func PackBlobs(content []byte) []*Blob {
	var blobs []*Blob
	for len(content) > 0 {
		b := new(Blob)
		for i := 0; i < blobElements && len(content) > 0; i++ {
			content = content[copy(b[i*elementSize+1:(i+1)*elementSize], content):]
		}
		blobs = append(blobs, b)
	}
	return blobs
}

// UnpackBlobs returns the content of blobs in their order, padding included, from offset on. Every error is an ErrContent.
func UnpackBlobs(blobs []*Blob, offset uint32) ([]byte, error) {
	if uint64(offset) >= uint64(len(blobs))*BlobCapacity {
		return nil, fmt.Errorf("%w: offset %d in %d blobs", ErrContent, offset, len(blobs))
	}
	content := make([]byte, 0, len(blobs)*BlobCapacity)
	for n, b := range blobs {
		for i := range blobElements {
			element := b[i*elementSize : (i+1)*elementSize]
			if element[0] != 0 {
				return nil, fmt.Errorf("%w: blob %d, element %d is not packed by 31 bytes", ErrContent, n, i)
			}
			content = append(content, element[1:]...)
		}
	}
	return content[offset:], nil
}
