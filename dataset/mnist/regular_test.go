//go:build unix

package mnist

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestFetchRefusesWhatIsNoFile: opening a named pipe would wait for a writer, whatever becomes of the context.
func TestFetchRefusesWhatIsNoFile(t *testing.T) {
	var asked []string
	f := smallFetcher(mirror(t, &asked))
	make := map[string]func(path string) error{
		"named pipe": func(path string) error { return syscall.Mkfifo(path, 0o666) },
		"folder":     func(path string) error { return os.Mkdir(path, 0o777) },
		"device":     func(path string) error { return os.Symlink("/dev/zero", path) },
	}
	for kind, make := range make {
		for _, name := range []string{"a-images.gz", "a-images"} {
			dir := t.TempDir()
			path := filepath.Join(dir, name)
			require.NoError(t, make(path))
			before, err := os.Lstat(path)
			require.NoError(t, err)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			assert.EqualError(t, f.fetch(ctx, dir), "mnist: "+path+": it is a "+kind+", want a regular file or none")
			after, err := os.Lstat(path)
			require.NoError(t, err)
			assert.True(t, os.SameFile(before, after))
		}
	}
	assert.Empty(t, asked)
}
