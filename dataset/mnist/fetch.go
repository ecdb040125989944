package mnist

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"

	"github.com/unroll-go/unroll/internal/atomicfile"
	"github.com/unroll-go/unroll/internal/quote"
)

// Fetch makes sure that dir holds the four files of [MNIST]. It makes the folder if it does not exist, and downloads each
// file that is missing or damaged, as NAME.gz. A file is intact if its unpacked content has the SHA-256 of the genuine
// file; intact files, packed or not, stay as they are. If all four are intact, Fetch does not use the network. A folder, a
// named pipe, a socket or a device in the place of a file is an error. A symbolic link to a damaged file is replaced, and
// the file that it leads to stays as it is.
//
// Each file is asked of Google's mirror and, if that does not serve it intact, of PyTorch's. A mirror is given up if it
// has not begun to answer after 5 seconds, if no byte arrives for 15 seconds, or if fewer than 30 KiB arrive in 30
// seconds. If no mirror serves a file, Fetch returns an error with a line for each mirror, in which control
// characters of what a server said are escaped. If ctx ends, the error wraps its cause.
//
// A file appears under its name when it is complete, verified and synced to the disk, and then replaces a damaged one. If
// anything fails, no part of a file is left behind.
//
// If progress is not nil, Fetch calls it in the caller's goroutine as a file arrives, with the bytes that have arrived and
// the bytes in all, which are -1 if the mirror does not say. A second mirror begins again from 0.
func Fetch(ctx context.Context, dir string, progress func(file string, done, total int64)) error {
	return MNIST.Fetch(ctx, dir, progress)
}

// fetcher downloads the files of a set.
type fetcher struct {
	files    []file
	mirrors  []string // addresses of folders, each with a slash at the end
	client   *http.Client
	limits   limits
	progress func(file string, done, total int64) // or nil
}

func (f *fetcher) fetch(ctx context.Context, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("mnist: %w", err)
	}
	for _, want := range f.files {
		if path, ok := want.find(dir); ok {
			if err := atomicfile.Regular(path); err != nil { // opening a named pipe could wait forever
				return fmt.Errorf("mnist: %s: %w", path, err)
			}
		}
		if want.intact(dir) {
			continue
		}
		if err := f.fetchFile(ctx, dir, want); err != nil {
			return fmt.Errorf("mnist: fetching %s.gz: %w", want.name, err)
		}
	}
	return nil
}

// fetchFile downloads a file from the first mirror that serves it.
func (f *fetcher) fetchFile(ctx context.Context, dir string, want file) error {
	var failed []error
	for _, mirror := range f.mirrors {
		from := mirror + want.name + ".gz"
		err := atomicfile.Write(filepath.Join(dir, want.name+".gz"), func(w io.Writer) error {
			if err := f.download(ctx, from, want, w); err != nil {
				return fmt.Errorf("%s: %w", from, quote.Error(err))
			}
			return nil
		})
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		failed = append(failed, err)
	}
	return fmt.Errorf("no mirror served it:\n%w", errors.Join(failed...))
}

// intact reports whether the file that Load would read from dir is the genuine one.
func (f file) intact(dir string) bool {
	path, ok := f.find(dir)
	if !ok {
		return false
	}
	r, err := os.Open(path)
	if err != nil {
		return false
	}
	defer r.Close()
	return f.verify(r, unpack) == nil
}

// verify reads a file, which open unpacks, and compares its size and sum with those of the genuine file. It unpacks at
// most one byte more than the genuine file has.
func (f file) verify(r io.Reader, open func(io.Reader) (io.Reader, error)) error {
	sum, packed := sha256.New(), md5.New()
	content, err := open(io.TeeReader(r, packed))
	if err != nil {
		return err
	}
	n, err := io.Copy(sum, io.LimitReader(content, f.size()+1))
	switch got, gotPacked := fmt.Sprintf("%x", sum.Sum(nil)), fmt.Sprintf("%x", packed.Sum(nil)); {
	case err != nil:
		return err
	case n > f.size():
		return fmt.Errorf("unpacked, it has more than %d bytes", f.size())
	case f.sum != "" && got != f.sum:
		return fmt.Errorf("unpacked, its SHA-256 is %s (%d bytes), want %s (%d bytes)", got, n, f.sum, f.size())
	case f.packed != "" && gotPacked != f.packed:
		return fmt.Errorf("its MD5 is %s, want %s", gotPacked, f.packed)
	}
	return nil
}

// size returns the number of bytes of the unpacked file.
func (f file) size() int64 {
	n := int64(1)
	for _, d := range f.shape {
		n *= int64(d)
	}
	return n + int64(4+4*len(f.shape))
}
