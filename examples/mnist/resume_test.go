package main

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/dataset/digits"
	"github.com/unroll-go/unroll/train"
)

// TestContinues interrupts trainings of each recipe in the midst of an epoch and at its end. Each continues where it was.
func TestContinues(t *testing.T) {
	drawn := digits.New(3, 400, 100, 1)
	for _, recipe := range []string{"plain", "best"} {
		o := options{cell: "gru", dropout: 0.2, recipe: recipe, epochs: 2, batch: 40, hidden: 10, lr: 0.01, seed: 5, out: t.TempDir()}
		require.NoError(t, newModel(o).learn(t.Context(), o, drawn.Train, drawn.Valid))
		want := results(t, o.out)

		o.out, o.workers = t.TempDir(), 1
		for _, batches := range []int64{3, 7, 4} { // the second ends with the first epoch
			ctx, cancel := context.WithCancel(t.Context())
			source := &interrupted{Source: drawn.Train, batch: 2 * batches, cancel: cancel} // two shards a batch
			assert.ErrorIs(t, newModel(o).learn(ctx, o, source, drawn.Valid), context.Canceled)
		}
		o.workers = 3
		require.NoError(t, newModel(o).learn(t.Context(), o, drawn.Train, drawn.Valid))
		assert.Equal(t, want, results(t, o.out), recipe)
	}
}

// TestStopsEarly: a training that does not improve ends, with the weights of its best epoch, also after an interruption.
func TestStopsEarly(t *testing.T) {
	drawn := digits.New(3, 400, 100, 1)
	o := options{cell: "elman", epochs: 30, batch: 40, hidden: 10, lr: 0.02, seed: 5, patience: 2, workers: 1, out: t.TempDir()}
	ctx, cancel := context.WithCancel(t.Context())
	assert.ErrorIs(t, newModel(o).learn(ctx, o, &interrupted{Source: drawn.Train, batch: 70, cancel: cancel}, drawn.Valid), context.Canceled)
	m := newModel(o)
	require.NoError(t, m.learn(t.Context(), o, drawn.Train, drawn.Valid))
	f, err := os.Open(filepath.Join(o.out, "history.csv"))
	require.NoError(t, err)
	defer f.Close()
	history, err := train.ReadHistory(f)
	require.NoError(t, err)
	accuracies := history.Column("acc_valid")
	require.Less(t, len(accuracies), 30)
	best := slices.Max(accuracies)
	assert.Equal(t, len(accuracies)-3, slices.Index(accuracies, best))
	accuracy, err := m.accuracy(drawn.Valid)
	require.NoError(t, err)
	assert.Equal(t, best, accuracy)
}

// runFew runs the command on few pictures, in the process of the test.
func runFew(ctx context.Context, out string, args ...string) error {
	return run(ctx, append(strings.Fields("-data synthetic -pictures 200 -epochs 1 -hidden 10 -out "+out), args...))
}

func TestOtherSettings(t *testing.T) {
	out := t.TempDir()
	checkpoints := filepath.Join(out, "checkpoints")
	assert.EqualError(t, runFew(t.Context(), out, "-resume"), "-resume: there is no checkpoint in "+checkpoints)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, runFew(ctx, out), context.Canceled)
	err := runFew(t.Context(), out, "-batch", "20", "-cell", "lstm", "-seed", "7")
	require.Error(t, err)
	for _, text := range []string{`flags: -batch is "150" in the file, want "20"; flags: -cell is "elman" in the file, want "lstm"; flags: -seed is "42" in the file, want "7"`,
		`flags: pictures is "200, CRC`, "; to start anew, remove " + checkpoints + " or choose another folder by -out"} {
		assert.Contains(t, err.Error(), text)
	}
	require.NoError(t, runFew(t.Context(), out, "-workers", "1", "-save-every", "1h"), "these may differ")
	_, err = os.Stat(checkpoints)
	assert.ErrorIs(t, err, os.ErrNotExist, "nothing is left to continue")
}

// skipWithoutSignals skips a test of signals where there are none.
func skipWithoutSignals(t *testing.T) {
	if runtime.GOOS == "windows" || runtime.GOOS == "js" {
		t.Skip("no such signals here")
	}
}

// begin starts a process, waits until it prints a line with a prefix, and goes on reading what it prints.
func begin(t *testing.T, c *exec.Cmd, prefix string) (lines <-chan string) {
	out, err := c.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, c.Start())
	in := bufio.NewScanner(out)
	for in.Scan() && !strings.HasPrefix(in.Text(), prefix) {
	}
	require.Equal(t, prefix, in.Text()[:min(len(prefix), len(in.Text()))])
	more := make(chan string, 1)
	go func() {
		defer close(more)
		for in.Scan() {
			select {
			case more <- in.Text():
			default: // nobody waits for it
			}
		}
	}()
	return more
}

// TestSignals: after a signal, the training ends after its running batch, with a checkpoint.
func TestSignals(t *testing.T) {
	skipWithoutSignals(t)
	for _, signal := range signals() {
		out := t.TempDir()
		c := command(strings.Fields("-data synthetic -pictures 200 -hidden 10 -batch 20 -epochs 1000000 -out " + out)...)
		lines := begin(t, c, "test_x.shape")
		require.NoError(t, c.Process.Signal(signal))
		for range lines {
		}
		c.Wait()
		assert.Equal(t, 130, c.ProcessState.ExitCode(), "%v: %v", signal, c.ProcessState)
		files, err := filepath.Glob(filepath.Join(out, "checkpoints", "step-*"))
		require.NoError(t, err)
		assert.NotEmpty(t, files)
	}
}

// TestSecondSignal: a second signal ends the process in the midst of a batch.
func TestSecondSignal(t *testing.T) {
	skipWithoutSignals(t)
	for _, signal := range signals() {
		c := command()
		c.Env = append(c.Env, "RUN_MNIST=hangs")
		lines := begin(t, c, "running")
		require.NoError(t, c.Process.Signal(signal))
		assert.Equal(t, "canceled", <-lines, "and not ended")
		// The signals are given back to the system soon after.
		for c.Process.Signal(signal) == nil {
			select {
			case <-lines: // closed
				c.Wait()
			case <-time.After(time.Millisecond):
			}
		}
		assert.Equal(t, -1, c.ProcessState.ExitCode(), "%v: %v", signal, c.ProcessState)
	}
}
