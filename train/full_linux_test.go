package train_test

import (
	"os/signal"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/tensor"
)

// TestFullDisk limits the size of files in the midst of a training, which a write meets as it meets a full disk: the loop ends
// with the system's error, the checkpoint from before is whole, and no temporary file stays.
func TestFullDisk(t *testing.T) {
	var before syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before))
	signal.Ignore(syscall.SIGXFSZ)
	limit := func(size uint64) {
		require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: size, Max: before.Max}))
	}
	defer limit(before.Cur)
	loop, order, _ := small(t.TempDir())
	large := tensor.New(100_000)
	loop.Every, loop.Parts["large"] = 1, large
	var failed error
	for _, err := range loop.Batches(t.Context(), 1, order) {
		if failed = err; err != nil {
			break
		}
		large.Data()[0]++
		if loop.Steps == 2 {
			limit(100_000)
		}
	}
	limit(before.Cur)
	require.ErrorIs(t, failed, syscall.EFBIG)
	assert.ErrorContains(t, failed, "writing "+loop.Dir)
	for _, name := range names(t, loop.Dir) {
		assert.Contains(t, name, "step-")
	}
	require.NoError(t, loop.Resume())
	assert.Positive(t, loop.Steps)
	assert.Equal(t, float32(loop.Steps), large.Data()[0])
}
