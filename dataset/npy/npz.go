package npy

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/unroll-go/unroll/internal/bounded"
	"github.com/unroll-go/unroll/internal/quote"
	"github.com/unroll-go/unroll/safetensors"
)

const (
	suffix      = ".npy"
	mostPacking = 200      // unpacked bytes for each byte of an archive
	freePacking = 32 << 20 // unpacked bytes that any archive may have
)

// WriteArchive writes the tensors as a .npz, not compressed, as np.savez does. Equal tensors give equal bytes. A .npz has no place for
// the metadata, which are not written. It is an error if a name is there twice or is not UTF-8, or if [Write] returns one.
func WriteArchive(w io.Writer, f *safetensors.File) error {
	archive := zip.NewWriter(w)
	names := map[string]bool{}
	for _, t := range f.Tensors {
		if names[t.Name] || !utf8.ValidString(t.Name) || len(t.Name) > math.MaxUint16-len(suffix) {
			return fmt.Errorf("npy: tensor %s: the name is taken, not UTF-8 or too long", quote.Text(t.Name))
		}
		names[t.Name] = true
		file, err := archive.CreateHeader(&zip.FileHeader{Name: t.Name + suffix, Method: zip.Store})
		if err != nil {
			return err
		}
		if err := Write(file, t); err != nil {
			return err
		}
	}
	return archive.Close()
}

// readArchive reads a .npz.
func readArchive(data []byte) ([]safetensors.Tensor, error) {
	archive, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, fmt.Errorf("not a zip archive, or damaged: %w", quote.Error(err))
	}
	unpacker := flate.NewReader(bytes.NewReader(nil)) // one for all files, because each takes 40 KB
	archive.RegisterDecompressor(zip.Deflate, func(r io.Reader) io.ReadCloser {
		unpacker.(flate.Resetter).Reset(r, nil) // its error is always nil
		return unpacker
	})
	// The files of an archive may lie upon each other, and a few bytes may be packed forms of gigabytes.
	packed, unpacked := uint64(0), uint64(0)
	limit := max(freePacking, mostPacking*uint64(len(data)))
	for _, f := range archive.File {
		if f.CompressedSize64 > uint64(len(data))-packed {
			return nil, errors.New("the files of the archive have more bytes than it has")
		}
		packed += f.CompressedSize64
		if f.UncompressedSize64 > min(limit, math.MaxInt32)-unpacked {
			return nil, fmt.Errorf("an archive of %d bytes that unpacks to over %d; write it with np.savez, which does not pack",
				len(data), min(limit, math.MaxInt32))
		}
		unpacked += f.UncompressedSize64
	}
	tensors := make([]safetensors.Tensor, 0, len(archive.File))
	names := make(map[string]bool, len(archive.File))
	for _, f := range archive.File {
		name, isArray := strings.CutSuffix(f.Name, suffix)
		switch {
		case !isArray:
			return nil, fmt.Errorf("%s in the archive is no array: its name does not end in %s", quote.Text(f.Name), suffix)
		case names[name]:
			return nil, fmt.Errorf("array %s is there twice", quote.Text(name))
		}
		names[name] = true
		t, err := readEntry(f)
		if err != nil {
			return nil, fmt.Errorf("array %s: %w", quote.Text(name), err)
		}
		t.Name = name
		tensors = append(tensors, t)
	}
	return tensors, nil
}

// readEntry reads an array, a file of an archive.
func readEntry(f *zip.File) (safetensors.Tensor, error) {
	data, err := bounded.Entry(f)
	if err != nil {
		return safetensors.Tensor{}, err
	}
	return parse(data)
}
