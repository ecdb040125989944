//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package atomicfile

import (
	"os"
	"syscall"
)

// A temporary file is locked while its process writes it. The system drops the lock when the process ends, however it ends.
// A number of a process would say less: another container has other numbers, and the next process may get the same.

// claim locks a file that was just created. It returns false if another process was faster and removes the file.
func claim(f *os.File) bool {
	if flock(f, syscall.LOCK_EX) != nil {
		return true // a file system without locks, where no process finds the file abandoned
	}
	return isNamed(f)
}

// isNamed reports whether f is still the file of its name.
func isNamed(f *os.File) bool {
	own, err := f.Stat()
	named, gone := os.Lstat(f.Name())
	return err == nil && gone == nil && os.SameFile(own, named)
}

// removeAbandoned removes a temporary file if no living process writes it. It holds the lock until the file is gone: a
// process that has just created the file and waits for the lock then finds in claim that it must create another one.
func removeAbandoned(path string) {
	f, err := os.OpenFile(path, os.O_RDWR, 0) // for writing, because NFS wants that of the owner of a lock
	if err != nil {
		return
	}
	defer f.Close()
	if flock(f, syscall.LOCK_EX|syscall.LOCK_NB) == nil && isNamed(f) {
		os.Remove(path)
	}
}

// publish gives f, which is synced, its name, and closes it afterwards, because the lock ends with the file.
func publish(f *os.File, path string) error {
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	f.Close()
	return nil
}

// flock calls the system's flock, again after a signal.
func flock(f *os.File, how int) error {
	for {
		if err := syscall.Flock(int(f.Fd()), how); err != syscall.EINTR {
			return err
		}
	}
}
