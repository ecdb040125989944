package mnist

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/dataset"
)

// made returns the content of a file of the set with n examples. Pixels of picture i are i modulo 256 and
// labels i modulo 7.
func made(f file, n int) []byte {
	x := &IDX{Shape: append([]int{n}, f.shape[1:]...), Data: make([]byte, n)}
	if len(f.shape) == 1 {
		for i := range x.Data {
			x.Data[i] = byte(i % 7)
		}
		return encode(x)
	}
	x.Data = x.Data[:0]
	for i := range n {
		x.Data = append(x.Data, bytes.Repeat([]byte{byte(i)}, 28*28)...)
	}
	return encode(x)
}

func write(t *testing.T, dir, name string, content []byte) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), content, 0o666))
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	trainImages, trainLabels := made(files[0], 60000), made(files[1], 60000)
	testImages, testLabels := made(files[2], 10000), made(files[3], 10000)
	// Two names do not fit the content. If a file is there twice, the one without .gz is not read.
	write(t, dir, "train-images-idx3-ubyte.gz", pack(trainImages))
	write(t, dir, "train-images-idx3-ubyte", []byte("not read"))
	write(t, dir, "train-labels-idx1-ubyte.gz", trainLabels)
	write(t, dir, "t10k-images-idx3-ubyte", pack(testImages))
	write(t, dir, "t10k-labels-idx1-ubyte", testLabels)

	d, err := Load(dir)
	require.NoError(t, err)
	for _, c := range []struct {
		set      *dataset.Images
		n, first int // first: where it begins in its file
	}{{d.Valid, 5000, 0}, {d.Train, 55000, 5000}, {d.Test, 10000, 0}} {
		require.Equal(t, c.n, c.set.Len())
		assert.Equal(t, []int{28, 28}, []int{c.set.Height, c.set.Width})
		assert.Len(t, c.set.Pixels, c.n*28*28)
		for _, i := range []int{0, 1, c.n / 2, c.n - 1} {
			assert.Equal(t, uint8((c.first+i)%7), c.set.Labels[i])
			assert.Equal(t, bytes.Repeat([]byte{byte(c.first + i)}, 28*28), c.set.Picture(i))
		}
	}

	write(t, dir, "t10k-labels-idx1-ubyte", changed(testLabels, -1, 10))
	_, err = Load(dir)
	assert.EqualError(t, err,
		"mnist: "+filepath.Join(dir, "t10k-labels-idx1-ubyte")+": idx: label 10 of picture 9999, want 0 to 9")
}

// The training files are short here: their errors are found before the data is read.
func TestLoadRefusals(t *testing.T) {
	good := map[string][]byte{
		"train-images-idx3-ubyte.gz": pack(header(60000, 28, 28)),
		"train-labels-idx1-ubyte.gz": made(files[1], 60000),
		"t10k-images-idx3-ubyte":     pack(made(files[2], 10000)),
		"t10k-labels-idx1-ubyte":     made(files[3], 10000),
	}
	for _, c := range []struct {
		name    string
		content []byte
		want    string
	}{
		{"train-images-idx3-ubyte.gz", good["train-images-idx3-ubyte.gz"], "idx: data cut short: 0 bytes, want 47040000"},
		{"train-images-idx3-ubyte.gz", header(59, 28, 28), "idx: shape [59 28 28], want [60000 28 28]"},
		{"train-images-idx3-ubyte.gz", good["train-labels-idx1-ubyte.gz"], "idx: shape [60000], want [60000 28 28]"},
		{"t10k-images-idx3-ubyte", header(10000, 32, 32), "idx: shape [10000 32 32], want [10000 28 28]"},
		{"t10k-images-idx3-ubyte", good["t10k-images-idx3-ubyte"][:1000], "gzip: truncated: unexpected EOF"},
		{"t10k-labels-idx1-ubyte", []byte("<html>"), "idx: magic number 0x3c68, want 0x0000 (or gzip's 0x1f8b)"},
		{"t10k-labels-idx1-ubyte", good["train-labels-idx1-ubyte.gz"], "idx: shape [60000], want [10000]"},
		{"t10k-labels-idx1-ubyte", changed(good["t10k-labels-idx1-ubyte"], 8, 255),
			"idx: label 255 of picture 0, want 0 to 9"},
	} {
		dir := t.TempDir()
		for name, content := range good {
			write(t, dir, name, content)
		}
		write(t, dir, c.name, c.content)
		want := "mnist: " + filepath.Join(dir, c.name) + ": " + c.want
		if strings.HasPrefix(c.name, "train") {
			d, err := Load(dir)
			assert.EqualError(t, err, want)
			assert.Nil(t, d)
			continue
		}
		paths := []string{filepath.Join(dir, files[2].name), filepath.Join(dir, files[3].name)}
		m, err := load(paths, files[2:])
		assert.EqualError(t, err, want)
		assert.Nil(t, m)
	}
}

func TestLoadMissing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "digits")
	_, err := Load(dir)
	assert.EqualError(t, err, "mnist: "+dir+" has no train-images-idx3-ubyte, train-labels-idx1-ubyte, "+
		"t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte, with or without .gz: file does not exist")
	assert.ErrorIs(t, err, fs.ErrNotExist)

	require.NoError(t, os.Mkdir(dir, 0o777))
	write(t, dir, "train-images-idx3-ubyte.gz", nil)
	write(t, dir, "t10k-labels-idx1-ubyte", nil)
	_, err = Load(dir)
	assert.EqualError(t, err, "mnist: "+dir+" has no train-labels-idx1-ubyte, t10k-images-idx3-ubyte, "+
		"with or without .gz: file does not exist")
}

func TestLoadOfFolders(t *testing.T) {
	dir := t.TempDir()
	for _, f := range files {
		require.NoError(t, os.Mkdir(filepath.Join(dir, f.name), 0o777))
	}
	_, err := Load(dir)
	require.Error(t, err)
	assert.Contains(t, err.Error(), filepath.Join(dir, files[0].name))
	assert.NotErrorIs(t, err, fs.ErrNotExist)
}

func TestCacheDir(t *testing.T) {
	base, err := os.UserCacheDir()
	if err != nil {
		_, err := CacheDir()
		require.Error(t, err)
		return
	}
	dir, err := CacheDir()
	require.NoError(t, err)
	assert.Equal(t, filepath.Join(base, "unroll", "mnist"), dir)
}

// genuine returns the folder of the genuine files, which are too large to keep beside the code.
func genuine(t *testing.T) string {
	dir := os.Getenv("UNROLL_MNIST")
	if dir == "" {
		t.Skip("UNROLL_MNIST is not set: no folder with MNIST's four files")
	}
	return dir
}

func TestGenuine(t *testing.T) {
	d, err := Load(genuine(t))
	require.NoError(t, err)
	assert.Equal(t, []int{55000, 5000, 10000}, []int{d.Train.Len(), d.Valid.Len(), d.Test.Len()})
	assert.Equal(t, []uint8{5, 0, 4, 1, 9}, d.Valid.Labels[:5])
	assert.Equal(t, []uint8{7, 2, 1, 0, 4}, d.Test.Labels[:5])

	histogram := func(sets ...*dataset.Images) (h [10]int) {
		for _, m := range sets {
			for _, label := range m.Labels {
				h[label]++
			}
		}
		return h
	}
	assert.Equal(t, [10]int{5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949}, histogram(d.Train, d.Valid))
	assert.Equal(t, [10]int{980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009}, histogram(d.Test))
	mean := func(sets ...*dataset.Images) float64 {
		sum, n := 0, 0
		for _, m := range sets {
			for _, p := range m.Pixels {
				sum += int(p)
			}
			n += len(m.Pixels)
		}
		return float64(sum) / float64(n) / 255
	}
	assert.InDelta(t, 0.1307, mean(d.Train, d.Valid), 5e-5) // the figure that normalises MNIST everywhere
	assert.InDelta(t, 0.1325, mean(d.Test), 5e-5)

	var b dataset.Batch
	index := []int{54999, 0, 7, 31415}
	require.NoError(t, d.Train.Gather(index, &b))
	require.Equal(t, []int{28, len(index), 28}, b.X.Shape())
	for row, i := range index {
		require.Equal(t, int32(d.Train.Labels[i]), b.Labels[row])
		for step := range 28 {
			for pixel := range 28 {
				want := float32(d.Train.Pixels[(i*28+step)*28+pixel]) / 255
				require.Equal(t, want, b.X.Data()[(step*len(index)+row)*28+pixel])
			}
		}
	}
}

// The sums are those of the genuine files: if all four are there, Fetch does not use the network.
func TestFetchOfGenuineFiles(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	assert.NoError(t, Fetch(ctx, genuine(t), func(string, int64, int64) { t.Error("a download") }))
}
