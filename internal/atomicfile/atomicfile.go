// Package atomicfile writes files that are there whole or not at all.
package atomicfile

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Write puts what write writes at path: into a temporary file of the same folder, which is synced and then
// renamed. If anything fails or write panics, the temporary file is removed and what was at path stays as it was.
// The permissions of a file that is replaced are kept; a symbolic link is replaced, not followed.
func Write(path string, write func(w io.Writer) error) error {
	folder, name := filepath.Split(path)
	f, err := create(folder, name)
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	done := false
	defer func() {
		if !done {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	buffer := bufio.NewWriterSize(f, 1<<16)
	for _, step := range []func() error{
		func() error { return keepMode(f, path) },
		func() error { return write(buffer) },
		buffer.Flush,
		f.Sync,
		f.Close,
		func() error { return os.Rename(f.Name(), path) },
	} {
		if err := step(); err != nil {
			return fmt.Errorf("writing %s: %w", path, err)
		}
	}
	done = true
	// The new name lasts through a power cut only once the folder is synced. Where a folder
	// cannot be (Windows), the file is as safe as that system makes it.
	if d, err := os.Open(filepath.Clean(folder)); err == nil {
		d.Sync()
		d.Close()
	}
	return nil
}

// create makes a new file beside name with the mode that os.Create would give; os.CreateTemp would make it private.
func create(folder, name string) (*os.File, error) {
	for i := 0; ; i++ {
		temp := filepath.Join(folder, fmt.Sprintf(".%s.%d.%d.tmp", name, os.Getpid(), i))
		f, err := os.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
		if !os.IsExist(err) || i == 10000 {
			return f, err
		}
	}
}

// keepMode gives f, still empty, the permissions of what is at path, if anything is.
func keepMode(f *os.File, path string) error {
	old, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return f.Chmod(old.Mode().Perm())
}
