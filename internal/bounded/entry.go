package bounded

import (
	"archive/zip"
	"errors"
	"io"

	"github.com/unroll-go/unroll/internal/quote"
)

// Entry reads a file of a zip archive whole, and checks its checksum. Like [Read], it takes memory as bytes arrive, at most for as many as the archive
// tells of; to have more is an error.
func Entry(f *zip.File) ([]byte, error) {
	r, err := f.Open()
	if err != nil {
		return nil, quote.Error(err)
	}
	defer r.Close()
	data, err := Read(r, int(f.UncompressedSize64))
	if err != nil {
		return nil, quote.Error(err)
	}
	switch n, err := io.ReadFull(r, make([]byte, 1)); { // the reader compares the checksum at the end
	case n > 0:
		return nil, errors.New("more bytes than the archive tells of")
	case err != io.EOF:
		return nil, quote.Error(err)
	}
	return data, nil
}
