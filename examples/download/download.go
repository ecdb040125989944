// Package download fetches a file, such as the weights of a model that others trained, and keeps it in the user's cache. A file is used only if it is the genuine
// one, which its checksum tells:
//
//	path, err := download.File{Name: "weights.npz", Folder: "my-model", URL: "https://...", SHA256: "b8af...", Size: 3342298}.Cached(os.Stderr)
//
// The example programs use it, and a program of your own may import it, too: it needs nothing but the standard library.
package download

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// File is a file that can be downloaded.
type File struct {
	Name   string // of the file, in the cache
	Folder string // with the file, in the folder unroll of the user's cache
	URL    string
	SHA256 string // of the content, as hexadecimal digits
	Size   int64  // bytes
	Title  string // what the file is, for messages, such as "the weights of Silero VAD (MIT licence)"
	Source string // where else the file is to be had, such as "in the Python package silero-vad 6.2"
}

// Cached returns the path of the file in the user's cache. If it is not there, or damaged, it is downloaded, which a line on progress tells. The
// error of a download says where else to get the file, and that it can be given with the flag -model.
func (f File) Cached(progress io.Writer) (path string, err error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no folder for %s: %w; give them with -model", f.Title, err)
	}
	return f.in(filepath.Join(dir, "unroll", f.Folder), progress)
}

// in is Cached with the folder of the file.
func (f File) in(dir string, progress io.Writer) (path string, err error) {
	path = filepath.Join(dir, f.Name)
	if r, err := os.Open(path); err == nil {
		intact := f.copy(io.Discard, r) == nil
		r.Close()
		if intact {
			return path, nil
		}
	}
	fmt.Fprintf(progress, "downloading %s to %s\n", f.Title, path)
	if err := f.download(dir, path); err != nil {
		return "", fmt.Errorf("downloading %s: %w\nGet %s, which is %s and at\n%s\nand give it with -model FILE, or put it at\n%s",
			f.Title, err, f.Name, f.Source, f.URL, path)
	}
	return path, nil
}

// download writes the file under a temporary name, and under its own once it is complete and verified.
func (f File) download(dir, path string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	client := http.Client{Timeout: time.Minute}
	answer, err := client.Get(f.URL)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("the server says %q", answer.Status)
	}
	w, err := os.CreateTemp(dir, ".download-*")
	if err != nil {
		return err
	}
	if err := errors.Join(f.copy(w, answer.Body), w.Sync(), w.Close()); err != nil {
		return errors.Join(err, os.Remove(w.Name()))
	}
	return os.Rename(w.Name(), path)
}

// copy copies the file, and returns an error if it is not the genuine one. It reads at most one byte more than the genuine file has.
func (f File) copy(to io.Writer, from io.Reader) error {
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(to, sum), io.LimitReader(from, f.Size+1))
	if err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); n != f.Size || got != f.SHA256 {
		return fmt.Errorf("not the file that was asked for: %d bytes of SHA-256 %s, want %d of %s", n, got, f.Size, f.SHA256)
	}
	return nil
}
