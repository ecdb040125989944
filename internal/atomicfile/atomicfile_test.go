package atomicfile

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// text returns a function that writes s, for Write.
func text(s string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, s)
		return err
	}
}

// only asserts that the folder of path holds no other file, and that the file at path has the given content.
func only(t *testing.T, path, content string) {
	t.Helper()
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.True(t, content == string(got), "%d bytes, want %d", len(got), len(content))
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	assert.Len(t, entries, 1, "%v", entries)
}

func TestWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, Write(path, text("first")))
	only(t, path, "first")
	require.NoError(t, Write(path, text("")))
	only(t, path, "")
	large := strings.Repeat("0123456789abcdef", 100_000)
	require.NoError(t, Write(path, text(large)))
	only(t, path, large)
}

func TestWriteInTheWorkingFolder(t *testing.T) {
	t.Chdir(t.TempDir())
	require.NoError(t, Write("file", text("here")))
	only(t, "file", "here")
}

func TestFailureKeepsTheOldFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, Write(path, text("old")))
	mine := errors.New("the disk is full")
	half := func(w io.Writer) {
		_, err := w.Write(bytes.Repeat([]byte("new"), 100_000))
		require.NoError(t, err)
	}

	err := Write(path, func(w io.Writer) error { half(w); return mine })
	require.ErrorIs(t, err, mine)
	assert.ErrorContains(t, err, "writing "+path+": ")
	only(t, path, "old")

	assert.PanicsWithValue(t, "a bug", func() {
		Write(path, func(w io.Writer) error { half(w); panic("a bug") })
	})
	only(t, path, "old")

	left := make(chan struct{})
	go func() {
		defer close(left)
		Write(path, func(w io.Writer) error { half(w); runtime.Goexit(); return nil })
	}()
	<-left
	only(t, path, "old")
}

func TestFailureLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	require.Error(t, Write(filepath.Join(dir, "file"), func(io.Writer) error { return errors.New("no") }))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Empty(t, entries)
}

func TestBadPlaces(t *testing.T) {
	dir := t.TempDir()
	never := func(io.Writer) error { t.Error("write was called"); return nil }

	missing := filepath.Join(dir, "missing", "file")
	err := Write(missing, never)
	require.ErrorIs(t, err, fs.ErrNotExist)
	assert.ErrorContains(t, err, "writing "+missing+": ")

	// A folder cannot be replaced by a file.
	folder := filepath.Join(dir, "folder")
	require.NoError(t, os.MkdirAll(filepath.Join(folder, "inner"), 0o777))
	require.Error(t, Write(folder, text("text")))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, entries, 1)

	if runtime.GOOS == "windows" || os.Geteuid() == 0 {
		t.Log("the rest needs a user whom permissions can stop")
		return
	}
	locked := filepath.Join(dir, "locked")
	require.NoError(t, os.Mkdir(locked, 0o555))
	require.ErrorIs(t, Write(filepath.Join(locked, "file"), never), fs.ErrPermission)
}

func TestPermissions(t *testing.T) {
	if runtime.GOOS == "windows" || runtime.GOOS == "js" {
		t.Skip("no permission bits here")
	}
	mode := func(path string) fs.FileMode {
		info, err := os.Stat(path)
		require.NoError(t, err)
		return info.Mode().Perm()
	}
	dir := t.TempDir()
	path, usual := filepath.Join(dir, "file"), filepath.Join(dir, "usual")
	require.NoError(t, os.WriteFile(usual, nil, 0o666))
	require.NoError(t, Write(path, text("a new file")))
	assert.Equal(t, mode(usual), mode(path), "as os.Create makes it")
	for _, kept := range []fs.FileMode{0o600, 0o444, 0o666, 0o777} {
		require.NoError(t, os.Chmod(path, kept))
		require.NoError(t, Write(path, text("again")))
		assert.Equal(t, kept, mode(path))
	}
}

// TestAbandoned kills a process in the midst of a Write: the next Write, to another path, removes what it left. A file that
// another process still writes stays.
func TestAbandoned(t *testing.T) {
	if dir := os.Getenv("ATOMICFILE_WRITE_INTO"); dir != "" { // the process that is killed
		Write(filepath.Join(dir, "other"), func(w io.Writer) error {
			w.Write(make([]byte, 1<<20))
			os.Stdout.WriteString("writing\n")
			time.Sleep(time.Hour)
			return nil
		})
		return
	}
	if runtime.GOOS == "windows" || runtime.GOOS == "js" {
		t.Skip("no locks here: files are removed after an hour")
	}
	dir := t.TempDir()
	process := exec.Command(os.Args[0], "-test.run=^TestAbandoned$")
	process.Env = append(os.Environ(), "ATOMICFILE_WRITE_INTO="+dir)
	out, err := process.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, process.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "writing\n", line)

	temporary := func() []string {
		names, err := filepath.Glob(filepath.Join(dir, ".*"))
		require.NoError(t, err)
		return names
	}
	path := filepath.Join(dir, "file")
	require.NoError(t, Write(path, text("while the process lives")))
	assert.Len(t, temporary(), 1)
	require.NoError(t, process.Process.Kill())
	require.Error(t, process.Wait())
	assert.Len(t, temporary(), 1)

	foreign := filepath.Join(dir, ".file.tmp")
	require.NoError(t, os.WriteFile(foreign, nil, 0o600))
	require.NoError(t, Write(path, text("after its death")))
	assert.Equal(t, []string{foreign}, temporary())
}

func TestConcurrentWriters(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	const writers, size = 8, 200_000
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			for range 5 {
				assert.NoError(t, Write(path, text(strings.Repeat(string(rune('a'+i)), size))))
			}
		})
	}
	wg.Wait()
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Len(t, got, size)
	only(t, path, strings.Repeat(string(rune(got[0])), size))
}
