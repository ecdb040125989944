package mnist

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/tensor"
)

func TestSets(t *testing.T) {
	for s, want := range map[Set]struct {
		name, first, last string
	}{
		MNIST:        {"mnist", "0", "9"},
		FashionMNIST: {"fashion-mnist", "T-shirt/top", "Ankle boot"},
		KMNIST:       {"kmnist", "o", "wo"},
	} {
		assert.Equal(t, want.name, s.String())
		names := s.Classes()
		require.Len(t, names, classes)
		assert.Equal(t, []string{want.first, want.last}, []string{names[0], names[9]})
		names[0] = "changed"
		assert.Equal(t, want.first, s.Classes()[0])

		for i, f := range s.files() {
			assert.Equal(t, files[i].name, f.name)
			if s == MNIST {
				assert.Equal(t, files[i], f)
				continue
			}
			assert.Empty(t, f.sum)
			sum, err := hex.DecodeString(f.packed)
			require.NoError(t, err)
			assert.Len(t, sum, md5.Size)
		}
		assert.NotEmpty(t, sets[s].mirrors)

		base, err := os.UserCacheDir()
		if err != nil {
			continue
		}
		dir, err := s.CacheDir()
		require.NoError(t, err)
		assert.Equal(t, filepath.Join(base, "unroll", want.name), dir)
	}
	assert.Len(t, sets, 3)
}

func TestUnknownSet(t *testing.T) {
	for _, s := range []Set{-1, 3} {
		assert.Equal(t, fmt.Sprintf("Set(%d)", int(s)), s.String())
		want := fmt.Sprintf("mnist.Set: %d is not one of MNIST, FashionMNIST and KMNIST", int(s))
		for _, f := range []func(){
			func() { s.Classes() },
			func() { s.CacheDir() },
			func() { s.Fetch(t.Context(), t.TempDir(), nil) },
		} {
			err := panicOf(f)
			var wrong *tensor.UsageError
			require.ErrorAs(t, err, &wrong)
			assert.EqualError(t, err, want)
		}
	}
}

// panicOf returns the error that f panics with.
func panicOf(f func()) (err error) {
	defer func() { err, _ = recover().(error) }()
	f()
	return nil
}

// If only the sum of the packed file is known, no other file is intact.
func TestFetchByPackedSum(t *testing.T) {
	packed := smallServed["a-images.gz"]
	repacked := changed(packed, 9, packed[9]^1)
	var asked []string
	newFetcher := func(mirrors ...string) *fetcher {
		f := smallFetcher(mirrors...)
		for i := range f.files {
			f.files[i].sum = ""
			f.files[i].packed = fmt.Sprintf("%x", md5.Sum(smallServed[f.files[i].name+".gz"]))
		}
		return f
	}
	good := mirror(t, &asked)
	dir := t.TempDir()
	require.NoError(t, newFetcher(good).fetch(t.Context(), dir))
	assert.Equal(t, smallServed, content(t, dir))
	require.NoError(t, newFetcher(good).fetch(t.Context(), dir))
	assert.Len(t, asked, 2, "intact files are not asked for again")

	for name, damaged := range map[string][]byte{
		"packed otherwise": repacked,
		"unpacked":         smallContent["a-images"],
		"cut short":        packed[:len(packed)-1],
		"longer":           join(packed, []byte{0}),
	} {
		asked = nil
		write(t, dir, "a-images.gz", damaged)
		require.NoError(t, newFetcher(good).fetch(t.Context(), dir))
		assert.Equal(t, smallServed, content(t, dir), name)
		assert.Equal(t, []string{"/data/a-images.gz"}, asked, name)
	}

	dir = t.TempDir()
	from := serve(t, &asked, func(w http.ResponseWriter, r *http.Request) { w.Write(repacked) })
	err := newFetcher(from).fetch(t.Context(), dir)
	require.Error(t, err)
	assert.ErrorContains(t, err, fmt.Sprintf("a-images.gz: its MD5 is %x, want %x", md5.Sum(repacked), md5.Sum(packed)))
	assert.Empty(t, content(t, dir), "nothing is left")
}

// The files of MNIST are not intact files of KMNIST, although Load would read them.
func TestGenuineFilesAreNotAnotherSets(t *testing.T) {
	dir := genuine(t)
	for _, f := range KMNIST.files() {
		assert.False(t, f.intact(dir))
	}
	for _, f := range MNIST.files() {
		assert.True(t, f.intact(dir))
	}
}

func TestSetFetchCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, s := range []Set{MNIST, FashionMNIST, KMNIST} {
		dir := t.TempDir()
		assert.ErrorIs(t, s.Fetch(ctx, dir, nil), context.Canceled)
		assert.Empty(t, content(t, dir))
	}
}
