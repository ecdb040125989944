package mnist

import (
	"bufio"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/unroll-go/unroll/internal/atomicfile"
)

const (
	answerTime = 5 * time.Second  // for a mirror to begin its answer, connecting and redirects included
	stallTime  = 15 * time.Second // for the next byte of a file to arrive
)

// Fetch makes dir hold the four files of [MNIST]. It downloads, as NAME.gz, each one that is not there intact: that
// is, whose unpacked content has not the SHA-256 of the genuine file. Files that are intact, packed or not,
// stay untouched; if all are, nothing is asked of the network. The folder is made if need be.
//
// Each file is asked of Google's mirror and, if that does not serve it intact, of PyTorch's. A mirror is given up
// when it has not begun to answer in 5 seconds, or when no byte comes for 15. Once no mirror serves a
// file, Fetch gives up; the error joins what each of them said. If ctx ends, it is its cause.
//
// A file appears under its name when it is complete, verified and on the disk, and replaces one that was
// damaged. Whatever goes wrong, no part of a file stays behind.
//
// If progress is not nil, it is called as a file arrives, by the caller's goroutine, with the bytes so far and
// in all, or -1 where the mirror does not tell. A second mirror begins at 0 again.
func Fetch(ctx context.Context, dir string, progress func(file string, done, total int64)) error {
	return MNIST.Fetch(ctx, dir, progress)
}

type fetcher struct {
	files    []file
	mirrors  []string // what comes before a file's name
	client   *http.Client
	progress func(file string, done, total int64)
}

func (f *fetcher) fetch(ctx context.Context, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("mnist: %w", err)
	}
	for _, want := range f.files {
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
				return fmt.Errorf("%s: %w", from, err)
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

// download writes what a mirror serves to w, and verifies it.
func (f *fetcher) download(ctx context.Context, from string, want file, w io.Writer) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	giveUp := func(after time.Duration, why string) *time.Timer {
		return time.AfterFunc(after, func() { cancel(fmt.Errorf("%s in %v", why, after)) })
	}

	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept-Encoding", "identity") // the file as it is: the client shall not unpack it
	silent := giveUp(answerTime, "no answer")
	resp, err := f.client.Do(req)
	silent.Stop()
	if err != nil {
		var e *url.Error
		if errors.As(err, &e) {
			err = e.Err // without the address, which the caller tells
		}
		return because(ctx, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %s", resp.Status)
	}

	t := &transfer{name: want.name + ".gz", body: resp.Body, total: resp.ContentLength,
		most: want.size() + 1024, progress: f.progress}
	t.stalled = giveUp(stallTime, "no byte")
	defer t.stalled.Stop()
	return because(ctx, want.verify(io.TeeReader(t, w), func(r io.Reader) (io.Reader, error) {
		return gunzip(bufio.NewReader(r))
	}))
}

// because returns why ctx ended where that is what err comes from.
func because(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// transfer is the body of an answer on its way.
type transfer struct {
	name     string
	body     io.Reader
	done     int64
	total    int64
	most     int64 // a packed file that is longer is not ours
	stalled  *time.Timer
	progress func(file string, done, total int64)
}

func (t *transfer) Read(p []byte) (int, error) {
	// Only the mirror's time counts, not the disk's or the callback's.
	t.stalled.Reset(stallTime)
	n, err := t.body.Read(p)
	t.stalled.Stop()
	t.done += int64(n)
	if t.done > t.most {
		return 0, fmt.Errorf("more than %d bytes", t.most)
	}
	if n > 0 && t.progress != nil {
		t.progress(t.name, t.done, t.total)
	}
	return n, err
}

// intact tells whether dir holds f, as Load would find it.
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

// verify reads a file, unpacked by open, no further than one byte past f's size.
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
