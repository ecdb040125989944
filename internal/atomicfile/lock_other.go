//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package atomicfile

import (
	"os"
	"time"
)

// claim does nothing: this system has no lock that ends with its process, or, as Windows, does not remove a file that is
// open.
func claim(*os.File) bool { return true }

// removeAbandoned removes a temporary file that nothing was written to for an hour. Windows refuses if the file is open.
func removeAbandoned(path string) {
	if info, err := os.Stat(path); err == nil && time.Since(info.ModTime()) > time.Hour {
		os.Remove(path)
	}
}

// publish closes f, which is synced, and gives it its name: Windows does not rename an open file.
func publish(f *os.File, path string) error {
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
