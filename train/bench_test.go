package train_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/dataset"
	"github.com/unroll-go/unroll/optim"
	"github.com/unroll-go/unroll/train"
)

// BenchmarkStep is a training step of the MNIST recipe: 150 pictures of 28 rows and columns, 150 units, Adam. An
// epoch is 366 of them.
func BenchmarkStep(b *testing.B) {
	pictures := &dataset.Images{Height: 28, Width: 28, Pixels: make([]uint8, 600*28*28), Labels: make([]uint8, 600)}
	for i := range pictures.Pixels {
		pictures.Pixels[i] = uint8(max(0, i*i%511-255))
	}
	for i := range pictures.Labels {
		pictures.Labels[i] = uint8(i % 10)
	}
	for _, cell := range []string{"elman", "lstm"} {
		for _, workers := range []int{1, 2} {
			b.Run(fmt.Sprintf("%s/workers=%d", cell, workers), func(b *testing.B) {
				m := newModel(cell == "lstm", 28, 150, 10)
				step, adam := train.NewStep(m.params, m.loss), optim.NewAdam(m.params, 1e-3)
				step.Workers = workers
				b.ReportAllocs()
				for b.Loop() {
					for rows := range dataset.Shuffled(pictures, 150, 1, 0) {
						_, err := step.Run(rows)
						require.NoError(b, err)
						adam.Step(step.Grads())
					}
				}
				b.ReportMetric(b.Elapsed().Seconds()/float64(4*b.N)*1e3, "ms/step")
			})
		}
	}
}

// BenchmarkSave saves 10 million weights with the state of Adam, 120 MB, and for comparison writes and syncs as many bytes.
// Training waits for the copy alone, because a Loop writes in the background.
func BenchmarkSave(b *testing.B) {
	params := autograd.NewParams(1)
	for i := range 10 {
		params.New(fmt.Sprint("w", i), autograd.Normal(1), 1000, 1000)
	}
	adam := optim.NewAdam(params, 1e-3)
	parts := train.Checkpoint{"model": params, "optim": adam}
	path := filepath.Join(b.TempDir(), "checkpoint")
	b.Run("copy", func(b *testing.B) {
		for b.Loop() {
			require.NoError(b, parts.Copy())
		}
	})
	b.Run("save", func(b *testing.B) {
		for b.Loop() {
			require.NoError(b, parts.Save(path))
		}
	})
	b.Run("load", func(b *testing.B) {
		for b.Loop() {
			require.NoError(b, parts.Load(path))
		}
	})
	b.Run("plain write", func(b *testing.B) {
		bytes := make([]byte, 3*4*10_000_000)
		for b.Loop() {
			f, err := os.Create(path)
			require.NoError(b, err)
			_, err = f.Write(bytes)
			require.NoError(b, err)
			require.NoError(b, f.Sync())
			require.NoError(b, f.Close())
		}
	})
}
