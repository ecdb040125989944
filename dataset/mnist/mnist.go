// Package mnist downloads and reads MNIST: 70,000 grey pictures of handwritten digits, 28x28 pixels, in ten classes.
//
// [Load] reads the four files of the set from a folder, [Fetch] downloads the files that are missing there, and
// [CacheDir] returns a folder for them in the user's cache:
//
//	dir, err := mnist.CacheDir()
//	...
//	err = mnist.Fetch(ctx, dir, nil)
//	...
//	digits, err := mnist.Load(dir)
//
// Pictures are kept as bytes; [dataset.Images] converts them to float32 when it gathers a batch. A recurrent network reads a
// picture as a sequence of 28 steps, its rows from top to bottom, with 28 features each.
//
// [FashionMNIST] and [KMNIST] have files of the same names, format and sizes. Load reads these sets, too, and each [Set] has its
// own Fetch and CacheDir. [ReadIDX] and [NewImages] read other sets in IDX files.
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

// Data is a set, divided as is usual: of the 60,000 pictures of the training files, the first 5,000 are for validation
// and the other 55,000 for training; the 10,000 pictures of the test files are for the test. Train and Valid share memory.
type Data struct {
	Train, Valid, Test *dataset.Images
}

const (
	classes    = 10
	validation = 5000 // pictures of the training files that are for validation
)

// file is one of the four files of a set.
type file struct {
	name   string // without .gz
	shape  []int
	sum    string // SHA-256 of the unpacked file, or "" if only the sum of the packed file is known
	packed string // MD5 of the packed file, or "" if it may be packed in any way
}

// files are the files of MNIST. They are not changed. The sums are those of the files that yann.lecun.com published.
var files = [...]file{
	{"train-images-idx3-ubyte", []int{60000, 28, 28}, "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db", ""},
	{"train-labels-idx1-ubyte", []int{60000}, "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5", ""},
	{"t10k-images-idx3-ubyte", []int{10000, 28, 28}, "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7", ""},
	{"t10k-labels-idx1-ubyte", []int{10000}, "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2", ""},
}

// Load reads the set from the files in dir: train-images-idx3-ubyte, train-labels-idx1-ubyte,
// t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte. Each may have .gz after its name; if both are there, Load reads
// the one with .gz. The content decides whether a file is packed, not the name.
//
// If files are missing, the error names all of them and wraps [fs.ErrNotExist]. If [ReadIDX] or [NewImages] refuses a
// file, or a file does not have the size of MNIST's, the error names the file. Load does not compare the content with
// that of the genuine files, as [Fetch] does, because other sets have files of the same form.
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

// find returns the path of f in dir, and whether the file is there.
func (f file) find(dir string) (path string, ok bool) {
	for _, suffix := range []string{".gz", ""} {
		path = filepath.Join(dir, f.name+suffix)
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			return path, true // opening the file returns any other error
		}
	}
	return "", false
}

// load reads a file of pictures and a file of labels.
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
		// The shapes are right, so the error is about a label.
		return nil, fmt.Errorf("mnist: %s: %w", paths[1], err)
	}
	return m, nil
}

// CacheDir returns the folder for [MNIST] in the user's cache, such as ~/.cache/unroll/mnist.
func CacheDir() (string, error) { return MNIST.CacheDir() }
