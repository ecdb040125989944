// Package mnist brings the MNIST handwritten digits: 70,000 grey pictures of 28x28 pixels, ten classes.
//
// [Load] reads the set's four files from a folder, [Fetch] downloads those that the folder lacks, and
// [CacheDir] is a folder to keep them in:
//
//	dir, err := mnist.CacheDir()
//	...
//	err = mnist.Fetch(ctx, dir, nil)
//	...
//	digits, err := mnist.Load(dir)
//
// Pictures stay bytes; [dataset.Images] makes float32 of a batch when it is gathered. As a sequence
// a picture has 28 steps, its rows from top to bottom, of 28 features.
//
// [FashionMNIST] and [KMNIST] come in files of the same names, format and sizes, are read by Load as well, and have a
// Fetch and a CacheDir of their own. For other sets in IDX files there are [ReadIDX] and [NewImages].
package mnist

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/unroll-go/unroll/dataset"
)

// Data is the set as it is usually divided: of the 60,000 training pictures the first 5,000 for
// validation and 55,000 to train on; and 10,000 for the test. Train and Valid share memory.
type Data struct {
	Train, Valid, Test *dataset.Images
}

const (
	classes    = 10
	validation = 5000
)

// file is one of a set's files. The name is without .gz.
type file struct {
	name   string
	shape  []int
	sum    string // SHA-256 of the unpacked file; "": only the packed file's sum is known
	packed string // MD5 of the packed file; "": it may be packed in any way
}

// files are MNIST's, never changed. The sums are of what yann.lecun.com published.
var files = [...]file{
	{"train-images-idx3-ubyte", []int{60000, 28, 28}, "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db", ""},
	{"train-labels-idx1-ubyte", []int{60000}, "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5", ""},
	{"t10k-images-idx3-ubyte", []int{10000, 28, 28}, "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7", ""},
	{"t10k-labels-idx1-ubyte", []int{10000}, "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2", ""},
}

// Load reads the set from the files in dir: train-images-idx3-ubyte, train-labels-idx1-ubyte,
// t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte. Each may have .gz after its name, and is read with
// that if both are there; whether it is packed is told by its content, not by its name.
//
// The error for files that are not there names all of them and wraps [fs.ErrNotExist]. Files that
// are not as [ReadIDX] and [NewImages] want them, or not of MNIST's sizes, are an error that names the file.
// Load does not ask whether the content is MNIST's, as [Fetch] does: other sets have the same form.
func Load(dir string) (*Data, error) {
	var paths, missing []string
	for _, f := range files {
		path, ok := f.find(dir)
		if !ok {
			missing = append(missing, f.name)
		}
		paths = append(paths, path)
	}
	if missing != nil {
		return nil, fmt.Errorf("mnist: %s has no %s, with or without .gz: %w",
			dir, strings.Join(missing, ", "), fs.ErrNotExist)
	}
	train, err := load(paths[:2], files[:2])
	if err != nil {
		return nil, err
	}
	test, err := load(paths[2:], files[2:])
	if err != nil {
		return nil, err
	}
	return &Data{train.Slice(validation, train.Len()), train.Slice(0, validation), test}, nil
}

// find returns the file of dir that is f, and whether there is one.
func (f file) find(dir string) (path string, ok bool) {
	for _, suffix := range []string{".gz", ""} {
		path = filepath.Join(dir, f.name+suffix)
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			return path, true // another error is told when it is opened
		}
	}
	return "", false
}

// load reads two files: pictures, then labels.
func load(paths []string, want []file) (*dataset.Images, error) {
	var read [2]*IDX
	for i, path := range paths {
		r, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("mnist: %w", err)
		}
		read[i], err = ReadIDX(r, want[i].shape...)
		r.Close()
		if err != nil {
			return nil, fmt.Errorf("mnist: %s: %w", path, err)
		}
	}
	m, err := NewImages(read[0], read[1], classes)
	if err != nil {
		// The shapes are as wanted, so it is about a label.
		return nil, fmt.Errorf("mnist: %s: %w", paths[1], err)
	}
	return m, nil
}

// CacheDir is that of [MNIST], such as ~/.cache/unroll/mnist.
func CacheDir() (string, error) { return MNIST.CacheDir() }
