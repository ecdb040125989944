// Package torchfile reads the files .pt and .pth that torch.save of PyTorch writes, without PyTorch and without running what is in
// them. A file holds the state_dict of a model, or a checkpoint: a dict with such dicts, numbers and texts in it.
//
//	file, err := torchfile.Load("model.pt")
//	...
//	report, err := safetensors.Loading{}.Apply(file, params)
//
// The result is the content of a safetensors file: [safetensors.Loading] sets weights from it, also of a part of the model or under other
// names, and [safetensors.Write] converts it. The names in dicts within dicts are joined by dots, and so are the places in lists
// and tuples, from 0. The file of
//
//	torch.save({"model": model.state_dict(), "optimizer": adam.state_dict(), "epoch": 3}, "checkpoint.pt")
//
// has the tensors model.lstm.weight_ih_l0 and optimizer.state.0.exp_avg, and its Metadata has "epoch": "3" and
// "optimizer.param_groups.0.lr": "0.001". To load the model alone, say so:
//
//	report, err := safetensors.Loading{Prefix: "model."}.Apply(file, params)
//
// Metadata has the values that are not tensors, as texts: numbers, which strconv.ParseInt and ParseFloat read back, True, False, None, texts as
// they are, and types such as torch.float32. Weights that share their memory in PyTorch (tied weights, views) share it here, unless a view has to be rearranged:
// the numbers of a Tensor are always row-major, those of a transposed one too.
//
// # What is refused
//
// A file of torch.save has a program in it, a pickle, that makes the dict. Python's own reader lets that
// program import and call anything, which is why such files from strangers are dangerous. The reader here knows
// dicts, lists, tuples, numbers, texts, and the calls by which PyTorch writes tensors and parameters. Anything else is an error that names it, such as
// posix.system, or the class of the model in a file of torch.save(model), which would need its Python code: save model.state_dict().
//
// Also refused are files of torch.jit.save, files of processors that store the high byte first, tensors that are quantized, sparse or on no device,
// and records whose checksum is wrong, as after set_crc32_options(False) of torch.serialization.
//
// Reading allocates at most 512 times the bytes of the file and 4 MiB, whatever the file tells of; a file of weights takes little more than
// twice its size. Views that have to be rearranged are copied, and may have more elements than their storage; all copies together
// may have four times the bytes of the file and 1 MiB.
//
// # The format
//
// The file is a zip archive. It has a folder with the records data.pkl, the pickle; byteorder; and data/0, data/1 and so on, the storages, which are not compressed
// (https://docs.pytorch.org/docs/stable/notes/serialization.html). In the pickle, a storage is a persistent id ("storage", its type, its record, its
// device, its elements), and a tensor a call of torch._utils._rebuild_tensor_v2 with a storage, an offset, a size and strides.
//
// Before PyTorch 1.6, and with _use_new_zipfile_serialization=False, torch.save wrote the legacy format: five pickles one after the other, of which the fourth
// makes the dict and the fifth a list of the storages, and then the storages. Both formats are read; the legacy one has no checksums.
package torchfile

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"

	"github.com/unroll-go/unroll/internal/bounded"
	"github.com/unroll-go/unroll/internal/quote"
	"github.com/unroll-go/unroll/safetensors"
)

const maxPickle = 16 << 20 // bytes; a model of a thousand layers has less than one

// Load is [Read] for the file at path.
func Load(path string) (*safetensors.File, error) {
	r, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	info, err := r.Stat()
	if err != nil {
		return nil, err
	}
	f, err := Read(r, info.Size())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

// Read reads a file of torch.save of the given number of bytes. The package comment says how tensors are named and what is refused.
// Tensors are in the order of the file. A tensor may have 8 dimensions, the pickle 16 MiB, and a dict 32 dicts within each other.
func Read(r io.ReaderAt, size int64) (*safetensors.File, error) {
	f, err := read(r, size)
	if err != nil {
		return nil, fmt.Errorf("torchfile: %w", err)
	}
	return f, nil
}

func read(r io.ReaderAt, size int64) (*safetensors.File, error) {
	var start [9]byte
	n, err := r.ReadAt(start[:min(int64(len(start)), max(size, 0))], 0)
	if err != nil && err != io.EOF {
		return nil, err
	}
	switch {
	case n > 1 && start[0] == 0x80 && start[1] <= 5:
		return readLegacy(r, size)
	case n == 9 && start[8] == '{':
		return nil, errors.New("not a file of torch.save, but it looks like a safetensors file; read it with package safetensors")
	case string(start[:min(n, 4)]) != "PK\x03\x04":
		return nil, errors.New("not a file of torch.save: it is neither a zip archive nor a pickle")
	}
	z, err := zip.NewReader(r, size)
	if err != nil {
		return nil, quote.Error(err)
	}
	a, err := newArchive(z, size)
	if err != nil {
		return nil, err
	}
	if _, ok := a.records["constants.pkl"]; ok {
		return nil, errors.New("a program of torch.jit.save; in PyTorch, write torch.save(torch.jit.load(path).state_dict(), path)")
	}
	if order, err := a.read("byteorder", 16); err != nil && err != errMissing {
		return nil, err
	} else if err == nil && string(order) != "little" {
		return nil, fmt.Errorf("the byte order is %s, want little", quote.Text(order))
	}
	pickle, err := a.read("data.pkl", maxPickle)
	if err != nil {
		return nil, err
	}
	content, _, rest, err := unpickle(string(pickle))
	if err == nil && rest != "" {
		err = fmt.Errorf("%d bytes after the pickle", len(rest))
	}
	if err != nil {
		return nil, err
	}
	return flatten(content, a)
}

// archive is the records of a file, by their names without the folder, and the storages that were read.
type archive struct {
	records  map[string]*zip.File
	left     int64 // bytes of records that may still be read: a directory may list the same bytes often
	copies   int64 // bytes of views that may still be copied
	text     int64 // bytes of names and of metadata that may still be made: a pickle may put one dict into others many times
	storages map[string][]byte
}

// newBudget returns an archive without records, of a file of so many bytes.
func newBudget(size int64) *archive {
	return &archive{records: map[string]*zip.File{}, left: size, copies: min(4*size+1<<20, math.MaxInt), text: 256*size + 1<<20, storages: map[string][]byte{}}
}

func newArchive(z *zip.Reader, size int64) (*archive, error) {
	const pickle = "/data.pkl"
	folder := ""
	for _, f := range z.File {
		if base, ok := strings.CutSuffix(f.Name, pickle); ok && !strings.Contains(base, "/") {
			folder = base + "/"
			break
		}
	}
	if folder == "" {
		return nil, errors.New("not a file of torch.save: the zip archive has no record data.pkl in a folder")
	}
	a := newBudget(size)
	for _, f := range z.File {
		name, ok := strings.CutPrefix(f.Name, folder)
		if !ok {
			return nil, fmt.Errorf("record %s is not in the folder %s", quote.Text(f.Name), quote.Text(folder))
		}
		if a.records[name] != nil {
			return nil, fmt.Errorf("record %s is there twice", quote.Text(f.Name))
		}
		a.records[name] = f
	}
	return a, nil
}

var errMissing = errors.New("missing")

// read returns the bytes of a record. It returns errMissing if there is none of this name.
func (a *archive) read(name string, most int64) ([]byte, error) {
	f := a.records[name]
	if f == nil {
		return nil, errMissing
	}
	data, err := a.readFile(f, most)
	if err != nil {
		return nil, fmt.Errorf("record %s: %w", quote.Text(f.Name), err)
	}
	return data, nil
}

func (a *archive) readFile(f *zip.File, most int64) ([]byte, error) {
	switch size := f.UncompressedSize64; {
	case f.Method != zip.Store:
		return nil, errors.New("it is compressed, which torch.save does not do; unpack the archive and pack it with zip -0")
	case size != f.CompressedSize64 || size > uint64(min(a.left, math.MaxInt)):
		return nil, fmt.Errorf("%d bytes, which the file does not have", size)
	case size > uint64(most):
		return nil, fmt.Errorf("%d bytes, want at most %d", size, most)
	}
	a.left -= int64(f.UncompressedSize64)
	data, err := bounded.Entry(f)
	if err != nil {
		return nil, fmt.Errorf("reading its bytes: %w", err)
	}
	return data, nil
}

// storage returns the bytes of a storage.
func (a *archive) storage(key string) ([]byte, error) {
	if data, ok := a.storages[key]; ok {
		return data, nil
	}
	data, err := a.read("data/"+key, a.left)
	if err == errMissing {
		return nil, fmt.Errorf("the file has no record data/%s with its numbers", quote.Name(key))
	} else if err != nil {
		return nil, err
	}
	a.storages[key] = data
	return data, nil
}
