package bounded

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
)

func TestRead(t *testing.T) {
	content := make([]byte, 3*piece+7)
	for i := range content {
		content[i] = byte(i * 7)
	}
	for _, size := range []int{0, 1, piece - 1, piece, piece + 1, 2 * piece, len(content)} {
		r := bytes.NewReader(content)
		got, err := Read(iotest.HalfReader(r), size)
		assert.NoError(t, err)
		assert.True(t, bytes.Equal(content[:size], got), size)
		assert.Equal(t, len(content)-size, r.Len(), "it read on")
	}
	for _, have := range []int{0, 5, piece, piece + 1} {
		got, err := Read(bytes.NewReader(content[:have]), have+1)
		assert.Equal(t, io.ErrUnexpectedEOF, err)
		assert.True(t, bytes.Equal(content[:have], got), have)
	}
	torn := errors.New("disk torn")
	_, err := Read(io.MultiReader(bytes.NewReader(content[:9]), iotest.ErrReader(torn)), 10)
	assert.Equal(t, torn, err)
}

func TestMemoryFollowsWhatArrives(t *testing.T) {
	for _, have := range []int{0, 100, 20 << 20} {
		content := make([]byte, have)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		Read(bytes.NewReader(content), 1<<30)
		runtime.ReadMemStats(&after)
		assert.LessOrEqual(t, after.TotalAlloc-before.TotalAlloc, uint64(2*have+1<<20))
	}
}
