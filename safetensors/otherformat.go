package safetensors

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
)

// ErrNotSafetensors is wrapped by the error for a file that cannot be read because it has another format, such as
// that of torch.save, of Keras or of ONNX. The error names the format and says how to convert the file.
var ErrNotSafetensors = errors.New("not a safetensors file")

// startSize is how many bytes of a file tell its format: enough for the first names in a zip archive.
const startSize = 4096

// recorder keeps the first bytes that are read through it.
type recorder struct {
	r     io.Reader
	start []byte // at most startSize
	err   error  // an error of r other than io.EOF
}

func (s *recorder) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.start = append(s.start, p[:min(n, startSize-len(s.start))]...)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// readNamed is [Read] for a file of the given name.
func readNamed(r io.Reader, name string) (*File, error) {
	s := &recorder{r: r}
	f, err := read(s)
	if err != nil && s.err == nil {
		if other := s.otherFormat(strings.ToLower(filepath.Ext(name))); other != "" {
			err = fmt.Errorf("%w, but %s", ErrNotSafetensors, other)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("safetensors: %w", err)
	}
	return f, nil
}

// What to do about a file of another format.
const (
	saveTorch = `; load it in PyTorch and write it with safetensors.torch.save_file(model.state_dict(), "model.safetensors")`
	saveNumpy = ` and write the arrays, by name, with safetensors.numpy.save_file(arrays, "model.safetensors")`
)

// otherFormat returns the format of a file that could not be read, and how to convert the file, or "" if it looks like a
// damaged safetensors file or is not recognised. The extension, in small letters, decides for ONNX alone, whose files
// begin with no fixed bytes.
func (s *recorder) otherFormat(extension string) string {
	const zip, gitLFS = "PK\x03\x04", "version https://git-lfs."
	begins := func(magic string) bool { return bytes.HasPrefix(s.start, []byte(magic)) }
	if begins(zip) || begins(gitLFS[:8]) { // which more than the eight bytes that were read must tell
		io.CopyN(io.Discard, s, int64(startSize-len(s.start)))
	}
	has := func(part string) bool { return bytes.Contains(s.start, []byte(part)) }
	switch {
	case len(s.start) > 8 && s.start[8] == '{' && binary.LittleEndian.Uint64(s.start) <= maxHeader:
		return "" // a header in its place: the first bytes are its length, whatever they look like
	case begins(zip) && (has("/data.pkl") || has("/data/0")): // torch.jit.save begins with the data
		return "a checkpoint of PyTorch (a zip archive with a pickle, as torch.save writes it); read it with the package torchfile of this library, " +
			"or" + saveTorch[1:]
	case begins(zip) && (has("metadata.json") || has("config.json") || has(".weights.h5")):
		return "a model of Keras (a zip archive, .keras); load it in Keras" + saveNumpy
	case begins(zip) && has(".npy"):
		return "arrays of NumPy (a zip archive, .npz); read them with the package dataset/npy of this library"
	case begins(zip):
		return "a zip archive; unpack it"
	case len(s.start) > 1 && s.start[0] == 0x80 && s.start[1] >= 2 && s.start[1] <= 5:
		return "a pickle of Python, as torch.save wrote it before PyTorch 1.6; read it with the package torchfile of this library, or" + saveTorch[1:]
	case begins("\x93NUMPY"):
		return "an array of NumPy (.npy); read it with the package dataset/npy of this library"
	case begins("\x89HDF\r\n\x1a\n"):
		return "an HDF5 file (.h5, as Keras writes it); load it in Keras or with h5py" + saveNumpy
	case begins("GGUF"):
		return "a GGUF file, as llama.cpp reads it; load it with gguf.GGUFReader in Python" + saveNumpy
	case extension == ".onnx" && begins("\x08"):
		return "a model of ONNX (a protobuf message); read it with the package onnx of this library"
	case begins(gitLFS):
		return "a pointer of Git LFS; fetch the file itself with git lfs pull"
	case begins("<!") || begins("<html"):
		return "a web page; download the file itself"
	}
	return ""
}
