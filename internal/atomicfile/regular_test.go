//go:build unix

package atomicfile

import (
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestWriteRefusesWhatIsNoFile: a pipe, a socket, a device and a folder stay, and so do symbolic links to them.
func TestWriteRefusesWhatIsNoFile(t *testing.T) {
	t.Chdir(t.TempDir()) // the name of a socket is short
	require.NoError(t, syscall.Mkfifo("pipe", 0o666))
	listener, err := net.Listen("unix", "socket")
	require.NoError(t, err)
	defer listener.Close()
	require.NoError(t, os.Mkdir("folder", 0o777))
	for link, to := range map[string]string{"device": os.DevNull, "to pipe": "pipe", "to folder": "folder", "to link": "to pipe"} {
		require.NoError(t, os.Symlink(to, link))
	}
	kinds := map[string]string{"pipe": "named pipe", "socket": "socket", "folder": "folder", "device": "device",
		"to pipe": "named pipe", "to folder": "folder", "to link": "named pipe"}
	for name, kind := range kinds {
		before, err := os.Lstat(name)
		require.NoError(t, err)
		err = Write(name, func(io.Writer) error { t.Error("write was called"); return nil })
		assert.EqualError(t, err, "writing "+name+": it is a "+kind+", want a regular file or none")
		after, err := os.Lstat(name)
		require.NoError(t, err)
		assert.True(t, os.SameFile(before, after), name)
	}
	entries, err := os.ReadDir(".")
	require.NoError(t, err)
	assert.Len(t, entries, len(kinds), "no temporary file is left: %v", entries)
	assert.EqualError(t, Regular(os.DevNull), "it is a device, want a regular file or none")
}

// TestWriteReplacesLinks: a symbolic link to a file, or to nothing, is replaced, and what it leads to stays as it is.
func TestWriteReplacesLinks(t *testing.T) {
	dir := t.TempDir()
	path, target := filepath.Join(dir, "link"), filepath.Join(dir, "target")
	require.NoError(t, os.WriteFile(target, []byte("old"), 0o600))
	for _, to := range []string{target, filepath.Join(dir, "nothing")} {
		os.Remove(path)
		require.NoError(t, os.Symlink(to, path))
		require.NoError(t, Regular(path))
		require.NoError(t, Write(path, text("new")))
		info, err := os.Lstat(path)
		require.NoError(t, err)
		assert.True(t, info.Mode().IsRegular())
		got, err := os.ReadFile(target)
		require.NoError(t, err)
		assert.Equal(t, "old", string(got))
		assert.NoFileExists(t, filepath.Join(dir, "nothing"))
	}

	require.NoError(t, os.Symlink("loop", filepath.Join(dir, "loop")))
	assert.Error(t, Write(filepath.Join(dir, "loop"), text("new")))
	assert.NoError(t, Regular(target))
	assert.NoError(t, Regular(filepath.Join(dir, "missing", "file")))
	assert.ErrorIs(t, Write(filepath.Join(dir, "missing", "file"), text("new")), fs.ErrNotExist)
}
