package mnist

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"

	"github.com/unroll-go/unroll/tensor"
)

// Set is one of the sets that have the form of MNIST: four files with 60,000 grey pictures for training and 10,000 for the
// test, of 28x28 pixels, in ten classes. [Load] reads any of them. Methods of a Set that does not exist panic with a
// [*tensor.UsageError], but for String.
type Set int

const (
	// MNIST is handwritten digits (LeCun, Cortes, Burges).
	MNIST Set = iota
	// FashionMNIST is pictures of clothes from a shop (Xiao, Rasul, Vollgraf 2017, arXiv:1708.07747). Much harder than MNIST.
	FashionMNIST
	// KMNIST is cursive Japanese characters, Kuzushiji, from old books (Clanuwat et al. 2018, arXiv:1812.01718).
	KMNIST
)

// sets are the known sets. They are not changed. The MD5 sums are those that torchvision verifies; for the unpacked files
// no sums are published.
var sets = [...]struct {
	name    string // also of the folder
	classes []string
	mirrors []string           // addresses of folders, each with a slash at the end
	packed  [len(files)]string // MD5 of the packed files
}{
	MNIST: {"mnist",
		[]string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"},
		[]string{
			"https://storage.googleapis.com/cvdf-datasets/mnist/",
			"https://ossci-datasets.s3.amazonaws.com/mnist/",
		}, [len(files)]string{}},
	FashionMNIST: {"fashion-mnist",
		[]string{"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"},
		[]string{"http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"},
		[len(files)]string{
			"8d4fb7e6c68d591d4c3dfef9ec88bf0d", "25c81989df183df01b3e8a0aad5dffbe",
			"bef4ecab320f06d8554ea6380940ec79", "bb300cfdad3c16e7a12a480ee83cd310",
		}},
	KMNIST: {"kmnist",
		[]string{"o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"},
		[]string{"http://codh.rois.ac.jp/kmnist/dataset/kmnist/"},
		[len(files)]string{
			"bdb82020997e1d708af4cf47b453dcf7", "e144d726b3acfaa3e44228e80efcd344",
			"5c965bf0a639b31b8f53240b1b52f4d7", "7320c461ea6c1c855c0b718fb2a4b134",
		}},
}

// check panics if there is no such set.
func (s Set) check() {
	if s < 0 || int(s) >= len(sets) {
		panic(&tensor.UsageError{Where: "mnist.Set", What: fmt.Sprintf("%d is not one of MNIST, FashionMNIST and KMNIST", int(s))})
	}
}

// String returns the name of the set in small letters, such as "fashion-mnist".
func (s Set) String() string {
	if s < 0 || int(s) >= len(sets) {
		return fmt.Sprintf("Set(%d)", int(s))
	}
	return sets[s].name
}

// Classes returns the name of each class: digits, English names of clothes, or characters in Latin letters.
func (s Set) Classes() []string {
	s.check()
	return slices.Clone(sets[s].classes)
}

// files returns the four files of the set.
func (s Set) files() []file {
	f := slices.Clone(files[:])
	for i, sum := range sets[s].packed {
		if sum != "" {
			f[i].sum, f[i].packed = "", sum
		}
	}
	return f
}

// Fetch is the function [Fetch] for any of the sets. FashionMNIST and KMNIST have one mirror each, that of their authors, which
// is asked over plain HTTP. A file of these sets is intact if it is packed and has the MD5 of the published file.
func (s Set) Fetch(ctx context.Context, dir string, progress func(file string, done, total int64)) error {
	s.check()
	f := fetcher{files: s.files(), mirrors: sets[s].mirrors, client: &http.Client{}, limits: mirrorLimits, progress: progress}
	return f.fetch(ctx, dir)
}

// CacheDir returns the folder for the set within [os.UserCacheDir], such as ~/.cache/unroll/kmnist. The folder need not
// exist: Fetch makes it.
func (s Set) CacheDir() (string, error) {
	s.check()
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("mnist: %w", err)
	}
	return filepath.Join(dir, "unroll", s.String()), nil
}
