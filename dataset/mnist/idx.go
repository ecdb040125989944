package mnist

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/unroll-go/unroll/dataset"
	"github.com/unroll-go/unroll/internal/bounded"
)

// IDX is an array of bytes as IDX files hold it.
type IDX struct {
	Shape []int   // one to four dimensions, none of them zero
	Data  []uint8 // row-major: the last dimension is contiguous
}

const (
	typeByte = 0x08 // the type byte of unsigned bytes
	maxDims  = 4    // more than any published IDX file has
)

// ReadIDX reads one IDX file of unsigned bytes to its end, packed with gzip or not: the content tells. If
// a shape is given in want, the file must have it; another one is refused before its data is read.
//
// The format (http://yann.lecun.com/exdb/mnist/, at its end) is a magic number of two zero bytes, a type
// byte and the number of dimensions; then the dimensions as big-endian 32-bit numbers; then the data.
// Anything else is an error: another type, no dimensions or more than four, a dimension of
// zero, more data than an int can count, data that ends early or goes on; and of gzip, any damage, more
// than one member, bytes after it.
//
// Memory follows what has arrived, whatever the header says: at most twice that and 1 MiB.
func ReadIDX(r io.Reader, want ...int) (*IDX, error) {
	r, err := unpack(r)
	if err != nil {
		return nil, err
	}
	shape, size, err := readHeader(r)
	if err != nil {
		return nil, err
	}
	if len(want) > 0 && !slices.Equal(shape, want) {
		return nil, fmt.Errorf("idx: shape %v, want %v", shape, want)
	}
	data, err := readData(r, size)
	if err != nil {
		return nil, err
	}
	return &IDX{shape, data}, nil
}

// readHeader reads the magic number and the dimensions. Size is the product of shape.
func readHeader(r io.Reader) (shape []int, size int, err error) {
	var head [4 + 4*maxDims]byte
	if err := readPart(r, head[:4], 0); err != nil {
		return nil, 0, err
	}
	kind, rank := head[2], int(head[3])
	switch {
	case head[0] != 0 || head[1] != 0:
		return nil, 0, fmt.Errorf("idx: magic number %#04x, want 0x0000 (or gzip's 0x1f8b)", head[:2])
	case kind >= 0x09 && kind <= 0x0e && kind != 0x0a:
		return nil, 0, fmt.Errorf("idx: type byte 0x%02x, another number type, want 0x08 (unsigned bytes)", kind)
	case kind != typeByte:
		return nil, 0, fmt.Errorf("idx: unknown type byte 0x%02x, want 0x08 (unsigned bytes)", kind)
	case rank == 0 || rank > maxDims:
		return nil, 0, fmt.Errorf("idx: %d dimensions, want 1 to %d", rank, maxDims)
	}
	dims := head[4:][:4*rank]
	if err := readPart(r, dims, 4); err != nil {
		return nil, 0, err
	}
	sizes := make([]uint32, rank)
	for i := range sizes {
		sizes[i] = binary.BigEndian.Uint32(dims[4*i:])
	}
	n, err := product(sizes, math.MaxInt)
	if err != nil {
		return nil, 0, err
	}
	for _, d := range sizes {
		shape = append(shape, int(d))
	}
	return shape, int(n), nil
}

// readPart fills part, the header from offset on.
func readPart(r io.Reader, part []byte, offset int) error {
	n, err := io.ReadFull(r, part)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return fmt.Errorf("idx: header cut short: %d bytes, want %d", offset+n, offset+len(part))
	}
	return err
}

// product multiplies dimensions; most is what an int can count, 2^31-1 on 32-bit platforms.
func product(dims []uint32, most uint64) (uint64, error) {
	n := uint64(1)
	for _, d := range dims {
		if d == 0 {
			return 0, fmt.Errorf("idx: dimensions %d, want none of them zero", dims)
		}
		if n > most/uint64(d) {
			return 0, fmt.Errorf("idx: dimensions %d are more than %d bytes", dims, most)
		}
		n *= uint64(d)
	}
	return n, nil
}

// readData reads size bytes, and that the file ends there.
func readData(r io.Reader, size int) ([]uint8, error) {
	data, err := bounded.Read(r, size)
	if err == io.ErrUnexpectedEOF {
		return nil, fmt.Errorf("idx: data cut short: %d bytes, want %d", len(data), size)
	}
	if err != nil {
		return nil, err
	}
	switch _, err := io.ReadFull(r, make([]byte, 1)); err {
	case io.EOF:
		return data, nil
	case nil:
		return nil, fmt.Errorf("idx: bytes after the %d that the header tells of", size)
	default:
		return nil, err
	}
}

// NewImages makes a set of pictures, shape [N,Height,Width], and their labels, shape [N], each under
// classes. It borrows the memory of both. MNIST and its kin have 10 classes, EMNIST's sets up to 62.
func NewImages(pictures, labels *IDX, classes int) (*dataset.Images, error) {
	p, l := pictures.Shape, labels.Shape
	switch {
	case len(p) != 3:
		return nil, fmt.Errorf("idx: pictures of shape %v, want [N Height Width]", p)
	case len(l) != 1:
		return nil, fmt.Errorf("idx: labels of shape %v, want [N]", l)
	case p[0] != l[0]:
		return nil, fmt.Errorf("idx: %d pictures, but %d labels", p[0], l[0])
	}
	for i, label := range labels.Data {
		if int(label) >= classes {
			return nil, fmt.Errorf("idx: label %d of picture %d, want 0 to %d", label, i, classes-1)
		}
	}
	return &dataset.Images{Height: p[1], Width: p[2], Pixels: pictures.Data, Labels: labels.Data}, nil
}
