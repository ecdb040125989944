package main

import (
	"bytes"
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/safetensors"
	"github.com/unroll-go/unroll/train"
)

var kills = flag.Int("kills", 30, "number of processes that TestKill kills")

// TestMain runs the command instead of the tests in the processes that TestKill and TestSignals start.
func TestMain(m *testing.M) {
	switch os.Getenv("RUN_MNIST") {
	case "":
		os.Exit(m.Run())
	case "hangs":
		hangs()
	default:
		main()
	}
}

// hangs is the command in a batch that never ends.
func hangs() {
	ctx := interruptible()
	fmt.Println("running")
	<-ctx.Done()
	fmt.Println("canceled")
	for {
		time.Sleep(time.Hour)
	}
}

// command returns the command as a process of its own.
func command(args ...string) *exec.Cmd {
	c := exec.Command(os.Args[0], args...)
	c.Env = append(os.Environ(), "RUN_MNIST=1")
	return c
}

// results returns the files that a finished training leaves: the weights, and the history without the seconds.
func results(t *testing.T, out string) string {
	weights, err := os.ReadFile(filepath.Join(out, "model.safetensors"))
	require.NoError(t, err)
	text, err := os.ReadFile(filepath.Join(out, "history.csv"))
	require.NoError(t, err)
	rows, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	require.NoError(t, err)
	for _, row := range rows {
		weights = append(weights, strings.Join(row[:4], ",")+"\n"...)
	}
	return string(weights)
}

// TestKill kills the command by SIGKILL at random moments and starts it again, until so many processes are killed. Whenever a
// training ends, it has the weights and the history of one that was never killed, bit for bit, although each process has
// another number of workers, and one in two has no AVX-512. No checkpoint is ever torn, no temporary file stays after the end,
// and the folder does not grow.
func TestKill(t *testing.T) {
	if testing.Short() {
		t.Skip("takes many processes")
	}
	args := func(out string) []string {
		return strings.Fields("-data synthetic -pictures 400 -epochs 3 -hidden 16 -batch 20 -layers 2 -cell gru -dropout 0.2 -save-every 5ms -out " + out)
	}
	began, whole := time.Now(), t.TempDir()
	text, err := command(args(whole)...).CombinedOutput()
	require.NoError(t, err, "%s", text)
	duration, want := time.Since(began), results(t, whole)
	size, _, _ := used(t, whole)

	out := t.TempDir()
	killed, ended, continued := 0, 0, 0
	var largest, checkpoint int64
	for killed < *kills || ended == 0 {
		c := command(append(args(out), "-workers", strconv.Itoa(1+rand.IntN(3)))...)
		if rand.IntN(2) == 0 {
			c.Env = append(c.Env, "GODEBUG=cpu.avx512f=off")
		}
		var output bytes.Buffer
		c.Stdout, c.Stderr = &output, &output
		require.NoError(t, c.Start())
		if killed < *kills {
			timer := time.AfterFunc(rand.N(duration), func() { c.Process.Kill() })
			err = c.Wait()
			timer.Stop()
		} else {
			err = c.Wait()
		}
		if strings.Contains(output.String(), "continuing") {
			continued++
		}
		now, one, temporary := used(t, out)
		largest, checkpoint = max(largest, now), max(checkpoint, one)
		if err != nil {
			require.NotContains(t, output.String(), "error:")
			require.Contains(t, []int{-1, 1}, c.ProcessState.ExitCode(), "%s", output.String()) // 1 on Windows
			killed++
			continue
		}
		ended++
		require.True(t, want == results(t, out), "the weights and the history are others than those of the training that was not killed")
		if runtime.GOOS != "windows" { // where temporary files stay for an hour
			require.Empty(t, temporary)
		}
	}
	t.Logf("%d processes killed, %d continued, %d trainings ended; one takes %v; at most %d bytes in the folder, %d after the end",
		killed, continued, ended, duration.Round(time.Millisecond), largest, size)
	if runtime.GOOS == "windows" {
		return
	}
	assert.LessOrEqual(t, largest, size+4*checkpoint) // the two that are kept, a new one, and one that is being written
}

// used returns the number of bytes of all files under a folder and of the largest checkpoint, and the paths of the temporary
// files. All checkpoints and weights must be whole.
func used(t *testing.T, out string) (size, checkpoint int64, temporary []string) {
	require.NoError(t, filepath.WalkDir(out, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		size += info.Size()
		switch name := e.Name(); {
		case strings.HasPrefix(name, "."):
			temporary = append(temporary, path)
		case strings.HasPrefix(name, "step-"):
			checkpoint = max(checkpoint, info.Size())
			assert.False(t, errors.Is(train.Checkpoint{}.Load(path), train.ErrDamaged), path)
		case name == "model.safetensors":
			f, err := os.Open(path)
			if err != nil {
				return err
			}
			_, err = safetensors.Read(f)
			return errors.Join(err, f.Close())
		}
		return nil
	}))
	return size, checkpoint, temporary
}
