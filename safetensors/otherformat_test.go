package safetensors

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// zipped returns a zip archive with empty files of the given names.
func zipped(names ...string) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range names {
		z.Create(name)
	}
	z.Close()
	return b.Bytes()
}

// otherFormats returns files of other formats by name. The files of testdata/formats were written by the formats' own
// libraries.
func otherFormats(t testing.TB) map[string][]byte {
	files := map[string][]byte{
		"model.keras":       zipped("metadata.json", "config.json", "model.weights.h5"),
		"source.zip":        zipped("README"),
		"big.gguf":          append([]byte("GGUF\x03\x00\x00\x00"), "{\x00\x00\x00\x00\x00\x00\x00"...),
		"pointer":           []byte("version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 3\n"),
		"page":              []byte("<!DOCTYPE html><title>404</title>"),
		"pytorch_model.bin": nil,
		"M.ONNX":            nil,
	}
	paths, err := filepath.Glob("testdata/formats/*.*")
	require.NoError(t, err)
	for _, path := range paths {
		if files[filepath.Base(path)], err = os.ReadFile(path); filepath.Ext(path) == ".py" {
			delete(files, filepath.Base(path))
		}
		require.NoError(t, err)
	}
	files["pytorch_model.bin"], files["M.ONNX"] = files["model.pt"], files["m.onnx"]
	return files
}

func TestOtherFormats(t *testing.T) {
	checkpoint := `a checkpoint of PyTorch (a zip archive with a pickle, as torch.save writes it); read it with the package torchfile of this library, or load it in PyTorch and write it with safetensors.torch.save_file(model.state_dict(), "model.safetensors")`
	onnx := `a model of ONNX (a protobuf message); read it with the package onnx of this library`
	want := map[string]string{
		"model.pt":          checkpoint,
		"script.pt":         checkpoint,
		"pytorch_model.bin": checkpoint,
		"legacy.pt":         "a pickle of Python, as torch.save wrote it before PyTorch 1.6; read it with the package torchfile of this library, or load it in PyTorch and",
		"m.npz":             `arrays of NumPy (a zip archive, .npz); read them with the package dataset/npy of this library`,
		"m.npy":             "an array of NumPy (.npy); read it with the package dataset/npy of this library",
		"m.h5":              "an HDF5 file (.h5, as Keras writes it); load it in Keras or with h5py and write",
		"m.onnx":            onnx,
		"M.ONNX":            onnx,
		"model.keras":       "a model of Keras (a zip archive, .keras); load it in Keras and write",
		"source.zip":        "a zip archive; unpack it",
		"big.gguf":          "a GGUF file, as llama.cpp reads it; load it with gguf.GGUFReader in Python and write",
		"pointer":           "a pointer of Git LFS; fetch the file itself with git lfs pull",
		"page":              "a web page; download the file itself",
	}
	files := otherFormats(t)
	assert.Len(t, files, len(want))
	for name, content := range files {
		path := filepath.Join(t.TempDir(), name)
		require.NoError(t, os.WriteFile(path, content, 0o600))
		p := twoPart()
		before := firsts(p)
		_, err := Load(path, p)
		require.ErrorIs(t, err, ErrNotSafetensors, name)
		assert.ErrorContains(t, err, path+": safetensors: not a safetensors file, but "+want[name])
		assert.NotContains(t, err.Error(), "\n")
		assert.Equal(t, before, firsts(p))

		// The content decides and not the name, except for ONNX.
		_, err = Read(bytes.NewReader(content))
		assert.Equal(t, !strings.EqualFold(name, "m.onnx"), errors.Is(err, ErrNotSafetensors), name)
		// A file that is cut short is an error, too.
		for cut := range min(len(content), 100) {
			_, err := readNamed(bytes.NewReader(content[:cut]), name)
			require.Error(t, err)
			assert.LessOrEqual(t, allocated(func() { readNamed(bytes.NewReader(content[:cut]), name) }), uint64(1<<20))
		}
	}
}

// The error for a damaged safetensors file says what is wrong with it, although the length of its header may look like the
// first bytes of another format, and whatever the name.
func TestDamagedFilesAreNotOtherFormats(t *testing.T) {
	for _, length := range []int{0x0280, 0x0480, '<' + '!'<<8, 8} {
		damaged := file("{"+strings.Repeat(" ", length-2)+"?", 0)
		require.Equal(t, uint64(length), binary.LittleEndian.Uint64(damaged))
		_, err := readNamed(bytes.NewReader(damaged), "m.onnx")
		assert.NotErrorIs(t, err, ErrNotSafetensors)
		assert.ErrorContains(t, err, "found '?'")
	}
	_, err := readNamed(strings.NewReader("hello, world"), "model.pt")
	assert.EqualError(t, err, "safetensors: header of 8583909746840200552 bytes, want at most 100000000")
	_, err = Read(io.MultiReader(strings.NewReader("PK\x03\x04\x00\x00\x00\x00"), failing{}))
	assert.ErrorIs(t, err, errDisk)
}
