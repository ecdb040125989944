package download

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The file is downloaded once, again if it is damaged, and never kept if it is another one.
func TestFile(t *testing.T) {
	content, served := []byte("the weights"), 0
	sum := sha256.Sum256(content)
	f := File{Name: "weights", SHA256: hex.EncodeToString(sum[:]), Size: int64(len(content)), Title: "the weights", Source: "in a parcel"}
	answer := content
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if served++; answer == nil {
			http.NotFound(rw, r)
			return
		}
		_, _ = rw.Write(answer)
	}))
	defer server.Close()
	f.URL = server.URL
	dir := filepath.Join(t.TempDir(), "new", "folder")
	for range 2 { // downloaded once
		path, err := f.in(dir, io.Discard)
		require.NoError(t, err)
		got, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.Equal(t, content, got)
		assert.Equal(t, 1, served)
	}
	path := filepath.Join(dir, "weights")
	require.NoError(t, os.WriteFile(path, []byte("the weightS"), 0o666))
	_, err := f.in(dir, io.Discard)
	require.NoError(t, err)
	assert.Equal(t, 2, served, "a damaged file")

	require.NoError(t, os.Remove(path))
	for want, a := range map[string][]byte{`the server says "404 Not Found"`: nil, "not the file that was asked for: 12 bytes": []byte("the weights, and more")} {
		answer = a
		_, err = f.in(dir, io.Discard)
		assert.ErrorContains(t, err, want)
		assert.ErrorContains(t, err, "Get weights, which is in a parcel and at\n")
		left, err := os.ReadDir(dir)
		require.NoError(t, err)
		assert.Empty(t, left)
	}
}
