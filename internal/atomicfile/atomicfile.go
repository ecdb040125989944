// Package atomicfile writes files so that a reader finds either the whole file or none.
package atomicfile

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Write creates or replaces the file at path. The function write writes the content into a temporary file of the same
// folder, which is then synced and renamed to path. If anything fails or write panics, the temporary file is removed
// and the file at path stays as it was. The permissions of a file that is replaced are kept. A symbolic link is
// replaced, not followed. What [Regular] refuses is an error and stays as it is.
//
// A process that is killed leaves its temporary file behind. Before it writes, Write removes the temporary files of dead
// processes from the folder, also those for other paths. It leaves the temporary files of living processes alone.
func Write(path string, write func(w io.Writer) error) error {
	if err := Regular(path); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	folder, name := filepath.Split(path)
	removeAllAbandoned(folder)
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
		func() error { return publish(f, path) },
	} {
		if err := step(); err != nil {
			return fmt.Errorf("writing %s: %w", path, err)
		}
	}
	done = true
	// The new name survives a power failure only once the folder is synced. Windows cannot sync a folder; errors are
	// therefore ignored.
	if d, err := os.Open(filepath.Clean(folder)); err == nil {
		d.Sync()
		d.Close()
	}
	return nil
}

// suffix ends the names of temporary files and of no other files.
const suffix = ".unroll-tmp"

// Regular returns an error if a folder, a named pipe, a socket or a device is at path, or a symbolic link that leads to one.
func Regular(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return nil // opening or creating the file returns the error, if it is one
	}
	for _, other := range []struct {
		kind fs.FileMode
		name string
	}{{fs.ModeDir, "folder"}, {fs.ModeNamedPipe, "named pipe"}, {fs.ModeSocket, "socket"}, {fs.ModeDevice, "device"}} {
		if info.Mode()&other.kind != 0 {
			return fmt.Errorf("it is a %s, want a regular file or none", other.name)
		}
	}
	return nil
}

// create creates a temporary file for name in the folder and claims it, so that another process leaves it alone. The file
// has the mode that os.Create would give, whereas a file of os.CreateTemp would be readable by its owner alone.
func create(folder, name string) (*os.File, error) {
	for i := 0; ; i++ {
		temp := filepath.Join(folder, fmt.Sprintf(".%s.%d.%d%s", name, os.Getpid(), i, suffix))
		f, err := os.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
		if err == nil && !claim(f) {
			f.Close() // another process took it for abandoned and removes it
			err = fs.ErrExist
		}
		if !os.IsExist(err) || i == 10000 {
			return f, err
		}
	}
}

// removeAllAbandoned removes the temporary files in the folder that dead processes have left. Errors are ignored: such files
// do no harm but for the space that they take.
func removeAllAbandoned(folder string) {
	entries, _ := os.ReadDir(filepath.Clean(folder))
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") && strings.HasSuffix(e.Name(), suffix) && e.Type().IsRegular() {
			removeAbandoned(filepath.Join(folder, e.Name()))
		}
	}
}

// keepMode gives f the permissions of the file at path, if there is one. It must run before content is written.
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
