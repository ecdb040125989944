package main

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/unroll-go/unroll/onnx"
	"github.com/unroll-go/unroll/safetensors"
	"github.com/unroll-go/unroll/vad"
)

// weights is a file that can be downloaded.
type weights struct {
	url  string
	sum  string // SHA-256
	size int64
}

// silero is silero_vad_16k.safetensors of silero-vad 6.2.
var silero = weights{
	url:  "https://raw.githubusercontent.com/snakers4/silero-vad/fb7d7c7f5df63235f0afd037d8397593829aeb41/src/silero_vad/data/silero_vad_16k.safetensors",
	sum:  "c59271c284ae9c8335d795d60e0bfdb71aaaceec578d9bd9ffc1b8153c319ea1",
	size: 1239748,
}

// load reads weights from either of Silero's files.
func load(path string) (*vad.Model, error) {
	model, err := vad.Load(path)
	if !errors.Is(err, safetensors.ErrNotSafetensors) {
		return model, err
	}
	f, open := os.Open(path)
	if open != nil {
		return nil, open
	}
	defer f.Close()
	file, other := onnx.Read(bufio.NewReader(f))
	if other != nil {
		return nil, fmt.Errorf("%s holds no weights: %w; and %w", path, err, other)
	}
	if model, err = vad.From(file.File()); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return model, nil
}

// cachedWeights returns the path of the weights in the user's cache. If they are not there, or damaged, it downloads them.
func cachedWeights(progress io.Writer) (path string, err error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no folder for the weights: %w; give them with -model", err)
	}
	return silero.in(filepath.Join(dir, "unroll", "silero-vad"), progress)
}

// in returns the path of the file in a folder, after a download if it is missing or damaged.
func (w weights) in(dir string, progress io.Writer) (path string, err error) {
	path = filepath.Join(dir, "silero_vad_16k.safetensors")
	if f, err := os.Open(path); err == nil {
		intact := w.copy(io.Discard, f) == nil
		f.Close()
		if intact {
			return path, nil
		}
	}
	fmt.Fprintf(progress, "downloading the weights of Silero VAD (MIT licence) to %s\n", path)
	if err := w.download(dir, path); err != nil {
		return "", fmt.Errorf("downloading the weights: %w\nGet silero_vad_16k.safetensors, which is in the Python package silero-vad 6.2 (pip download silero-vad) "+
			"and at\n%s\nand give it with -model FILE, or put it at\n%s", err, w.url, path)
	}
	return path, nil
}

// download writes the file under a temporary name, and under its own once it is complete and verified.
func (w weights) download(dir, path string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	client := http.Client{Timeout: time.Minute}
	answer, err := client.Get(w.url)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("the server says %q", answer.Status)
	}
	f, err := os.CreateTemp(dir, ".download-*")
	if err != nil {
		return err
	}
	if err := errors.Join(w.copy(f, answer.Body), f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return os.Rename(f.Name(), path)
}

// copy copies the file, and returns an error if it is not the genuine one. It reads at most one byte more than that has.
func (w weights) copy(to io.Writer, from io.Reader) error {
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(to, sum), io.LimitReader(from, w.size+1))
	if err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); n != w.size || got != w.sum {
		return fmt.Errorf("not the file that was asked for: %d bytes of SHA-256 %s, want %d of %s", n, got, w.size, w.sum)
	}
	return nil
}
