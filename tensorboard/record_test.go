package tensorboard

import (
	"encoding/hex"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestRecord compares a record with the bytes that tensorboard.summary.writer.record_writer of TensorBoard 2.21 writes.
func TestRecord(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "file"))
	require.NoError(t, err)
	w := &Writer{file: file}
	w.Scalar("loss", 3, 0.5)
	require.NoError(t, w.Close())
	written, err := os.ReadFile(file.Name())
	require.NoError(t, err)
	const time = 12 + 1 // the record's header and the number of the field come before the time
	copy(written[time:], []byte{0, 0, 0, 0, 0, 0, 0xf0, 0x3f})
	assert.Equal(t, "1a00000000000000129bd82d09000000000000f03f10032a0d0a0b0a046c6f7373150000003f", hex.EncodeToString(written[:len(written)-4]), "up to the checksum, which depends on the time")
	assert.Equal(t, uint32(0xc78ab0e5), masked([]byte("123456789")))
}

// TestDiskError checks that the first error stays and that nothing is written after it.
func TestDiskError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, nil, 0o666))
	file, err := os.Open(path) // for reading: writing fails
	require.NoError(t, err)
	w := &Writer{file: file}
	w.Scalar("loss", 0, 1)
	first := w.Err()
	require.ErrorContains(t, first, "tensorboard.Writer: ")
	w.file, err = os.Create(path)
	require.NoError(t, err)
	w.Scalar("loss", 1, 1)
	assert.Same(t, first, w.Close())
	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.Zero(t, info.Size())
	require.NoError(t, file.Close())
}

func TestLimits(t *testing.T) {
	middle := len(limits) / 2
	assert.Zero(t, limits[middle])
	assert.Equal(t, 1e-12, limits[middle+1])
	assert.Equal(t, math.MaxFloat64, limits[len(limits)-1])
	assert.Less(t, limits[len(limits)-2], 1e20)
	assert.GreaterOrEqual(t, limits[len(limits)-2]*1.1, 1e20)
	for i, limit := range limits {
		assert.Equal(t, limit, -limits[len(limits)-1-i])
	}
}

// TestBuckets checks that numbers at limits lie in the buckets that begin there.
func TestBuckets(t *testing.T) {
	zero := len(limits)/2 + 1 // the bucket [0, 1e-12)
	for _, c := range []struct {
		value  float32
		bucket int
	}{{0, zero}, {float32(math.Copysign(0, -1)), zero}, {1e-45, zero}, {-1e-45, zero - 1}, {1e25, len(limits) - 1},
		{-1e25, 1}, {-math.MaxFloat32, 1}} {
		h := newHistogram([]float32{c.value})
		assert.Equal(t, 1.0, h.counts[c.bucket], "%g", c.value)
	}
}

func BenchmarkHistogram(b *testing.B) {
	values := make([]float32, 1<<20)
	for i := range values {
		values[i] = float32(math.Sin(float64(i))) * 0.1
	}
	b.SetBytes(4 << 20)
	for b.Loop() {
		newHistogram(values)
	}
}
