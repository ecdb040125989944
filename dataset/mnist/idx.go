package mnist

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/unroll-go/unroll/dataset"
	"github.com/unroll-go/unroll/internal/bounded"
	"github.com/unroll-go/unroll/tensor"
)

// IDX is the content of an IDX file: an array of bytes with a shape.
type IDX struct {
	Shape []int   // one to four dimensions, none of them zero
	Data  []uint8 // row-major: the last dimension is contiguous
}

const (
	typeByte = 0x08 // the type byte of unsigned bytes
	maxDims  = 4    // no published IDX file has more
)

// ReadIDX reads an IDX file of unsigned bytes to its end. The file may be packed with gzip; ReadIDX recognises that by the
// content. If want is given, the file must have this shape; a file of another shape is refused before its data is read.
//
// The format (http://yann.lecun.com/exdb/mnist/, last section) is two zero bytes, a type byte and the number of dimensions;
// then the dimensions as big-endian 32-bit numbers; then the data, row-major. ReadIDX returns an error for another
// type, for no dimensions or more than four, for a dimension of zero, for more data than an int can count, and if the data
// ends early or goes on. In a packed file, any damage, a second gzip member and bytes after the first are errors.
//
// Whatever the header announces, ReadIDX allocates at most twice the bytes that have arrived, unpacked, and 1 MiB. The size
// of want limits what a packed file may unpack to. Without want, a packed file may unpack to 100 times the packed bytes that
// have arrived and 16 MiB, and ReadIDX therefore allocates at most 1000 times the packed bytes (most of
// it garbage that hostile blocks cost the decompressor) and 33 MiB.
func ReadIDX(r io.Reader, want ...int) (*IDX, error) {
	arrived := &counter{r: r}
	r, err := unpack(arrived)
	if err != nil {
		return nil, err
	}
	if packed, ok := r.(*member); ok && len(want) == 0 {
		r = &frugal{counter{r: packed}, arrived}
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

// readHeader reads the type and the dimensions. Size is the product of the dimensions.
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

// readPart reads len(part) bytes of the header into part. The bytes before them in the file, offset in number, are for errors.
func readPart(r io.Reader, part []byte, offset int) error {
	n, err := io.ReadFull(r, part)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return fmt.Errorf("idx: header cut short: %d bytes, want %d", offset+n, offset+len(part))
	}
	return err
}

// product returns the product of dimensions, which may be at most most: the largest int, 2^31-1 on 32-bit platforms.
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

// readData reads size bytes and checks that the file ends after them.
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

// NewImages joins pictures, shape [N,Height,Width], and their labels, shape [N], whose values are 0 to classes-1. The
// result uses the memory of both. MNIST, Fashion-MNIST and KMNIST have 10 classes, the sets of EMNIST up to 62. Files
// that do not belong together or have other labels are an error. NewImages panics with a [*tensor.UsageError] if classes
// is less than 1, and with a [*tensor.ShapeError] if an IDX has not as many bytes as its shape says.
func NewImages(pictures, labels *IDX, classes int) (*dataset.Images, error) {
	if classes < 1 {
		panic(&tensor.UsageError{Where: "mnist.NewImages", What: fmt.Sprintf("%d classes, want at least 1", classes)})
	}
	pictures.check("pictures")
	labels.check("labels")
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

// check panics if x, which may be made by hand, does not have as many bytes as its shape says.
func (x *IDX) check(what string) {
	if n := tensor.Size(x.Shape); len(x.Data) != n {
		panic(&tensor.ShapeError{Where: "mnist.NewImages", Got: fmt.Sprintf("%d bytes of %s", len(x.Data), what),
			Want: fmt.Sprintf("%d for shape %v", n, x.Shape)})
	}
}
