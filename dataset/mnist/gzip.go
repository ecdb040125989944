package mnist

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
)

var gzipMagic = []byte{0x1f, 0x8b}

// unpack returns a reader of the unpacked content if r begins with the magic number of gzip, and of r itself otherwise.
func unpack(r io.Reader) (io.Reader, error) {
	packed := bufio.NewReader(r)
	start, err := packed.Peek(2)
	if err != nil && err != io.EOF {
		return nil, err
	}
	if !bytes.Equal(start, gzipMagic) {
		return packed, nil
	}
	return gunzip(packed)
}

// gunzip returns a reader of the unpacked content of r, which must be a single gzip member with nothing after it.
func gunzip(r *bufio.Reader) (io.Reader, error) {
	start, err := r.Peek(2)
	if err != nil && err != io.EOF {
		return nil, err
	}
	if !bytes.Equal(start, gzipMagic) {
		return nil, fmt.Errorf("gzip: not gzip: begins with %q, want %q", start, gzipMagic)
	}
	// gzip.NewReader reads a bufio.Reader without buffering, so that bytes after the member stay in r.
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, gzipError(err)
	}
	z.Multistream(false)
	return &member{r, z}, nil
}

// member reads the single member of a gzip stream, and returns an error if anything follows it.
type member struct {
	packed *bufio.Reader
	z      *gzip.Reader
}

func (m *member) Read(p []byte) (int, error) {
	n, err := m.z.Read(p)
	if err != io.EOF {
		return n, gzipError(err)
	}
	next, err := m.packed.Peek(2)
	switch {
	case err != nil && err != io.EOF:
		return n, err
	case bytes.Equal(next, gzipMagic):
		return n, errors.New("gzip: several members, want one")
	case len(next) > 0:
		return n, errors.New("gzip: bytes after the end")
	}
	return n, io.EOF
}

// gzipError adds to an error of package gzip what it means for the file.
func gzipError(err error) error {
	switch err {
	case io.ErrUnexpectedEOF:
		return fmt.Errorf("gzip: truncated: %w", err)
	case gzip.ErrHeader:
		return fmt.Errorf("gzip: damaged header: %w", err)
	case gzip.ErrChecksum:
		return fmt.Errorf("gzip: CRC or length at the end does not fit the content: %w", err)
	}
	return err
}

// What a packed file may unpack to if its size is not known beforehand: so many bytes for each packed one, and so many more.
const (
	mostInflation = 100 // gzip reaches 1,032 for zeros, and 5 for the pictures of MNIST
	inflationRoom = 16 << 20
)

// counter counts the bytes that are read through it.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// frugal reads unpacked bytes until they are too many for the packed bytes that have arrived.
type frugal struct {
	counter
	packed *counter
}

func (f *frugal) Read(p []byte) (int, error) {
	n, err := f.counter.Read(p)
	if f.n > mostInflation*f.packed.n+inflationRoom {
		return 0, fmt.Errorf("gzip: unpacks to more than %d times its bytes and %d MiB, want the shape of such a file given", mostInflation, inflationRoom>>20)
	}
	return n, err
}
