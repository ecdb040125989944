package mnist

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The content of two files of a small set, and the packed files that a mirror serves.
var (
	smallContent = map[string][]byte{
		"a-images": append(header(2, 2, 2), "abcdefgh"...),
		"b-labels": append(header(2), "\x01\x02"...),
	}
	smallServed = map[string][]byte{
		"a-images.gz": pack(smallContent["a-images"]),
		"b-labels.gz": pack(smallContent["b-labels"]),
	}
)

func smallFetcher(mirrors ...string) *fetcher {
	f := &fetcher{mirrors: mirrors, client: &http.Client{}, limits: mirrorLimits}
	for _, name := range slices.Sorted(maps.Keys(smallContent)) {
		content := smallContent[name]
		x, err := ReadIDX(bytes.NewReader(content))
		if err != nil {
			panic(err)
		}
		f.files = append(f.files, file{name, x.Shape, fmt.Sprintf("%x", sha256.Sum256(content)), ""})
	}
	return f
}

// mirror serves the small set from /data/. It appends the path of each request to *asked.
func mirror(t *testing.T, asked *[]string) string {
	return serve(t, asked, func(w http.ResponseWriter, r *http.Request) {
		content, ok := smallServed[strings.TrimPrefix(r.URL.Path, "/data/")]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Write(content)
	})
}

func serve(t *testing.T, asked *[]string, handler http.HandlerFunc) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*asked = append(*asked, r.URL.Path)
		handler(w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL + "/data/"
}

// content returns the content of all files in a folder, by name.
func content(t *testing.T, dir string) map[string][]byte {
	found := map[string][]byte{}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		found[e.Name()], err = os.ReadFile(filepath.Join(dir, e.Name()))
		require.NoError(t, err)
	}
	return found
}

func TestFetch(t *testing.T) {
	var asked, second []string
	f := smallFetcher(mirror(t, &asked), mirror(t, &second))
	var progress []string
	last := map[string][2]int64{}
	f.progress = func(name string, done, total int64) {
		progress = append(progress, name)
		assert.Greater(t, done, last[name][0])
		last[name] = [2]int64{done, total}
	}
	dir := filepath.Join(t.TempDir(), "not", "there", "yet")
	require.NoError(t, f.fetch(t.Context(), dir))
	assert.Equal(t, smallServed, content(t, dir))
	assert.Equal(t, []string{"/data/a-images.gz", "/data/b-labels.gz"}, asked)
	assert.Empty(t, second)
	assert.Equal(t, []string{"a-images.gz", "b-labels.gz"}, slices.Compact(progress))
	for name, served := range smallServed {
		assert.Equal(t, [2]int64{int64(len(served)), int64(len(served))}, last[name])
	}

	require.NoError(t, f.fetch(t.Context(), dir))
	assert.Len(t, asked, 2, "intact files are not asked for again")
}

func TestFetchKeepsWhatIsIntact(t *testing.T) {
	plain, packed := smallContent["a-images"], smallServed["a-images.gz"]
	var other bytes.Buffer // packed in another way
	other.Write(changed(packed, 9, packed[9]^1))
	damaged := changed(packed, -9, packed[len(packed)-9]^1)
	for _, c := range []struct {
		name   string
		dir    map[string][]byte
		intact bool
	}{
		{"packed", map[string][]byte{"a-images.gz": packed}, true},
		{"packed otherwise", map[string][]byte{"a-images.gz": other.Bytes()}, true},
		{"unpacked", map[string][]byte{"a-images": plain}, true},
		{"intact one is read", map[string][]byte{"a-images.gz": packed, "a-images": []byte("?")}, true},
		{"damaged one is read", map[string][]byte{"a-images.gz": damaged, "a-images": plain}, false},
		{"damaged", map[string][]byte{"a-images.gz": damaged}, false},
		{"truncated", map[string][]byte{"a-images.gz": packed[:len(packed)-1]}, false},
		{"empty", map[string][]byte{"a-images.gz": nil}, false},
		{"longer", map[string][]byte{"a-images.gz": join(packed, []byte{0})}, false},
		{"bomb", map[string][]byte{"a-images.gz": pack(make([]byte, 1<<20))}, false},
		{"other content", map[string][]byte{"a-images.gz": pack(changed(plain, -1, 'x'))}, false},
		{"unpacked and short", map[string][]byte{"a-images": plain[:len(plain)-1]}, false},
		{"unpacked and long", map[string][]byte{"a-images": join(plain, []byte{0})}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, content := range c.dir {
				write(t, dir, name, content)
			}
			var asked []string
			require.NoError(t, smallFetcher(mirror(t, &asked)).fetch(t.Context(), dir))
			want := maps.Clone(c.dir)
			want["b-labels.gz"] = smallServed["b-labels.gz"]
			if !c.intact {
				want["a-images.gz"] = packed
			}
			for name, found := range content(t, dir) {
				assert.Equal(t, string(want[name]), string(found), name)
			}
			assert.Len(t, content(t, dir), len(want))
			assert.Equal(t, !c.intact, slices.Contains(asked, "/data/a-images.gz"))
		})
	}
}

func TestFetchFromSecondMirror(t *testing.T) {
	// Each handler answers every request in a wrong way.
	packed := smallServed["a-images.gz"]
	bytesOf := func(status int, b []byte) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(status); w.Write(b) }
	}
	// A gzip header with an extra field of 65,535 bytes.
	longHeader := join([]byte{0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, make([]byte, 1<<16))
	const size = 16 + 8
	for _, c := range []struct {
		name    string
		handler http.HandlerFunc
		want    string
	}{
		{"not found", http.NotFound, "status 404 Not Found"},
		{"forbidden", bytesOf(403, packed), "status 403 Forbidden"},
		{"partial", bytesOf(206, packed), "status 206 Partial Content"},
		{"web page", bytesOf(200, []byte("<!DOCTYPE html>")), `gzip: not gzip: begins with "<!", want "\x1f\x8b"`},
		{"nothing", bytesOf(200, nil), `gzip: not gzip: begins with "", want "\x1f\x8b"`},
		{"unpacked", bytesOf(200, smallContent["a-images"]), `gzip: not gzip: begins with "\x00\x00", want "\x1f\x8b"`},
		{"other content", bytesOf(200, pack(make([]byte, size))),
			"unpacked, its SHA-256 is 9d908ecfb6b256def8b49a7c504e6c889c4b0e41fe6ce3e01863dd7b61a20aa0 (24 bytes), want "},
		{"less content", bytesOf(200, pack(make([]byte, size-1))),
			"unpacked, its SHA-256 is 015275e61fa0d0751c1d9f45541c7804c895404455470710ade3786f282f2da0 (23 bytes), want "},
		{"bomb", bytesOf(200, pack(make([]byte, 1<<17))), "unpacked, it has more than 24 bytes"},
		{"one byte more", bytesOf(200, pack(make([]byte, size+1))), "unpacked, it has more than 24 bytes"},
		{"long gzip header", bytesOf(200, longHeader), "more than 1048 bytes"},
		{"bytes after it", bytesOf(200, join(packed, []byte("more"))), "gzip: bytes after the end"},
		{"members", bytesOf(200, join(packed, packed)), "gzip: several members, want one"},
		{"truncated", bytesOf(200, packed[:len(packed)-3]), "gzip: truncated: unexpected EOF"},
		{"connection lost", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(len(packed)))
			w.Write(packed[:len(packed)-3])
		}, "gzip: truncated: unexpected EOF"},
		{"damaged", bytesOf(200, changed(packed, -1, 1)), "gzip: CRC or length at the end does not fit the content"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var first, second []string
			bad := serve(t, &first, c.handler)
			dir := t.TempDir()
			err := smallFetcher(bad, bad).fetch(t.Context(), dir)
			require.Error(t, err)
			assert.Empty(t, content(t, dir), "nothing is left")
			assert.Equal(t, []string{"/data/a-images.gz", "/data/a-images.gz"}, first, "it gives up at the first file")
			lines := strings.Split(err.Error(), "\n")
			require.Len(t, lines, 3)
			assert.Equal(t, "mnist: fetching a-images.gz: no mirror served it:", lines[0])
			for _, line := range lines[1:] {
				assert.Contains(t, line, bad+"a-images.gz: "+c.want)
			}

			require.NoError(t, smallFetcher(bad, mirror(t, &second)).fetch(t.Context(), dir))
			assert.Equal(t, smallServed, content(t, dir))
			assert.Equal(t, []string{"/data/a-images.gz", "/data/b-labels.gz"}, second)

			// A damaged file stays if it cannot be replaced.
			write(t, dir, "a-images.gz", []byte("damaged"))
			require.Error(t, smallFetcher(bad).fetch(t.Context(), dir))
			assert.Equal(t, "damaged", string(content(t, dir)["a-images.gz"]))
			assert.Len(t, content(t, dir), 2)
		})
	}
}

func TestFetchFromMirrorThatIsDown(t *testing.T) {
	down := httptest.NewServer(nil)
	down.Close()
	dir := t.TempDir()
	err := smallFetcher(down.URL+"/", down.URL+"/").fetch(t.Context(), dir)
	require.Error(t, err)
	assert.Equal(t, 2, strings.Count(err.Error(), down.URL+"/a-images.gz: dial tcp "), "%v", err)
	assert.Empty(t, content(t, dir))

	var asked []string
	require.NoError(t, smallFetcher(down.URL+"/", mirror(t, &asked)).fetch(t.Context(), dir))
	assert.Equal(t, smallServed, content(t, dir))
}

// A client that unpacks an answer with Content-Encoding: gzip by itself would store another file.
func TestFetchAsksForTheFileAsItIs(t *testing.T) {
	var asked []string
	from := serve(t, &asked, func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "identity", r.Header.Get("Accept-Encoding"))
		w.Header().Set("Content-Encoding", "gzip")
		w.Write(smallServed[strings.TrimPrefix(r.URL.Path, "/data/")])
	})
	dir := t.TempDir()
	require.NoError(t, smallFetcher(from).fetch(t.Context(), dir))
	assert.Equal(t, smallServed, content(t, dir))
}

func TestFetchCancelled(t *testing.T) {
	var first, second []string
	packed := smallServed["a-images.gz"]
	from := serve(t, &first, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(packed)))
		w.Write(packed[:10])
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	f := smallFetcher(from, mirror(t, &second))
	ctx, cancel := context.WithCancel(t.Context())
	f.progress = func(string, int64, int64) { cancel() }
	dir := t.TempDir()
	err := f.fetch(ctx, dir)
	assert.ErrorIs(t, err, context.Canceled)
	assert.EqualError(t, err, "mnist: fetching a-images.gz: context canceled")
	assert.Empty(t, content(t, dir))
	assert.Empty(t, second, "the second mirror is not asked")

	stop := errors.New("told to stop")
	ctx, why := context.WithCancelCause(t.Context())
	why(stop)
	assert.ErrorIs(t, smallFetcher(mirror(t, &second)).fetch(ctx, dir), stop)
	assert.Empty(t, second)
}

func TestFetchIntoWhatIsNoFolder(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "file", nil)
	var asked []string
	err := smallFetcher(mirror(t, &asked)).fetch(t.Context(), filepath.Join(dir, "file"))
	var pathError *fs.PathError
	require.ErrorAs(t, err, &pathError)
	assert.Equal(t, filepath.Join(dir, "file"), pathError.Path)
	assert.Empty(t, asked)
}
