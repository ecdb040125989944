package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/examples/charlm/lm"
)

// texts makes a folder of documents, two of which are no text to learn.
func texts(t *testing.T) string {
	dir := t.TempDir()
	write := func(name, text string) {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o777))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o666))
	}
	for i := range 10 {
		write(fmt.Sprintf("folder%d/counting.txt", i), strings.Repeat("one, two, three;\n", 20+i))
	}
	write("folder1/other.bin", "\x00\x01")
	write(".hidden/counting.txt", "four")
	return dir
}

// small returns the flags of a small training.
func small(t *testing.T, text string, flags string) options {
	args := strings.Fields("-match *.txt -hidden 16 -embedding 8 -streams 4 -k1 10 -k2 15 -steps 60 -every 20 -held-out 50 -dropout 0.1 -lr 0.02 " + flags)
	o, err := parse(append(args, "-text", text, "-out", t.TempDir()))
	require.NoError(t, err)
	return o
}

// trained runs a training and returns the bytes of the model.
func trained(t *testing.T, ctx context.Context, o options) ([]byte, error) {
	train, heldOut, err := read(o.text, o.match)
	require.NoError(t, err)
	m, err := lm.New(o.model, o.seed)
	require.NoError(t, err)
	err = learn(ctx, m, o, train, heldOut)
	weights, readErr := os.ReadFile(filepath.Join(o.out, "model.safetensors"))
	require.NoError(t, readErr)
	return weights, err
}

func TestRead(t *testing.T) {
	dir := texts(t)
	train, heldOut, err := read(dir, "*.txt")
	require.NoError(t, err)
	assert.Equal(t, int64((20+29)*10/2*len("one, two, three;\n")), size(train)+size(heldOut))
	assert.NotEmpty(t, heldOut)
	for _, d := range append(train, heldOut...) {
		assert.LessOrEqual(t, d.size, int64(43))
	}

	file := filepath.Join(dir, "folder1", "counting.txt") // a file needs no match
	train, heldOut, err = read(file, "*.go")
	require.NoError(t, err)
	assert.Equal(t, int64(21*len("one, two, three;\n")), size(train)+size(heldOut))

	for n := range 200 { // whatever is there, there is something to learn and to measure, or an error
		require.NoError(t, os.WriteFile(file, make([]byte, n), 0o666))
		train, heldOut, err = read(file, "*")
		for _, d := range slices.Concat(train, heldOut) {
			assert.GreaterOrEqual(t, d.size, int64(2))
		}
		assert.Equal(t, n < 40, err != nil, n)
		assert.Equal(t, n < 40, len(train) == 0 || len(heldOut) == 0, n)
	}

	train, heldOut, err = read("", "")
	require.NoError(t, err)
	assert.Greater(t, len(train), 1000)
	assert.InEpsilon(t, len(train)/19, len(heldOut), 0.3)
	for _, a := range heldOut { // no piece of a file that is learned
		assert.False(t, slices.ContainsFunc(train, func(b document) bool { return a.path == b.path }))
	}

	link := filepath.Join(t.TempDir(), ".link") // a hidden folder and a link are read where they are asked for
	require.NoError(t, os.Symlink(filepath.Join(dir, "folder2"), link))
	train, heldOut, err = read(link, "*.txt")
	require.NoError(t, err)
	assert.Equal(t, int64(22*len("one, two, three;\n")), size(train)+size(heldOut))
	hidden := filepath.Join(dir, ".hidden")
	_, _, err = read(hidden, "*.txt")
	assert.ErrorContains(t, err, "has only 4 characters")
	_, _, err = read(dir, "*.bin")
	assert.ErrorContains(t, err, `has only 2 characters in files that match "*.bin"`)
	_, _, err = read(dir, "[")
	assert.ErrorContains(t, err, `-match is "["`)
	_, _, err = read(filepath.Join(dir, "none"), "*")
	assert.ErrorIs(t, err, os.ErrNotExist)
}

// stopping is a context that is canceled at the n-th look at it.
type stopping struct {
	context.Context
	left int
}

func (s *stopping) Err() error {
	if s.left--; s.left < 0 {
		return context.Canceled
	}
	return nil
}

// TestResume: a training that is interrupted again and again ends with the bits of one that is not, for any number of workers.
func TestResume(t *testing.T) {
	text := texts(t)
	for _, flags := range []string{"", "-cell lstm -tied=false -layers 2"} {
		want, err := trained(t, context.Background(), small(t, text, flags))
		require.NoError(t, err)
		o := small(t, text, flags)
		interruptions := 0
		for n := 7; ; n += 3 {
			o.workers = 1 + n%3
			got, err := trained(t, &stopping{context.Background(), n}, o)
			if err == nil {
				assert.True(t, bytes.Equal(want, got))
				break
			}
			require.ErrorIs(t, err, context.Canceled)
			assert.False(t, bytes.Equal(want, got))
			interruptions++
		}
		assert.Greater(t, interruptions, 1)

		o = small(t, text, flags+" -hidden 17")
		_, err = trained(t, &stopping{context.Background(), 5}, o)
		require.ErrorIs(t, err, context.Canceled)
		o.settings["-hidden"] = "18"
		_, err = trained(t, context.Background(), o)
		assert.ErrorContains(t, err, "-hidden")
		assert.ErrorContains(t, err, "to start anew, remove "+filepath.Join(o.out, "checkpoints"))
	}
}

// TestRun trains by the command, and samples from its file: the same seed writes the same text.
func TestRun(t *testing.T) {
	o := small(t, texts(t), "")
	require.NoError(t, run(context.Background(), strings.Fields("-match *.txt -hidden 32 -embedding 8 -streams 4 -k1 20 -steps 150 -lr 0.02 -sample 10 -out "+
		o.out+" -text "+o.text)))
	path := filepath.Join(o.out, "model.safetensors")
	m, err := lm.Load(path)
	require.NoError(t, err)
	assert.NoDirExists(t, filepath.Join(o.out, "checkpoints"))

	write := func(flags string) string {
		o, err := parse(strings.Fields(flags))
		require.NoError(t, err)
		var text bytes.Buffer
		require.NoError(t, sample(&text, m, o))
		return text.String()
	}
	assert.Equal(t, "one, two, three;\n", write("-prompt one, -temperature 0 -sample 12"))
	assert.Equal(t, write("-temperature 3 -seed 1"), write("-temperature 3 -seed 1"))
	assert.NotEqual(t, write("-temperature 3 -seed 1"), write("-temperature 3 -seed 2"))
	assert.Len(t, write("-prompt abc -sample 20 -top-k 3 -top-p 0.9"), 3+20+1)

	require.NoError(t, run(context.Background(), []string{"-load", path}))
	require.NoError(t, os.Truncate(path, 500))
	assert.ErrorContains(t, run(context.Background(), []string{"-load", path}), path)
}

func TestFlagErrors(t *testing.T) {
	dir := texts(t)
	for args, text := range map[string]string{
		"-steps x":                `invalid value "x"`,
		"more":                    `unexpected argument "more"`,
		"-streams 0":              "-streams is 0, want 1 to 4096",
		"-k1 0":                   "-k1 is 0, want 1 to 65536",
		"-k2 -1":                  "-k2 is -1, want 0 to 65536",
		"-lr 0":                   "-lr is 0, want a positive number",
		"-temperature -1":         "-temperature is -1, want 0 or more",
		"-top-p 0":                "-top-p is 0, want more than 0 and at most 1",
		"-prompt=":                `-prompt is "", want at least one character`,
		"-cell rnn -text " + dir:  `cell is "rnn", want "lstm" or "gru"`,
		"-dropout 1 -text " + dir: "dropout is 1, want 0 or more and less than 1",
		"-match [ -text " + dir:   `-match is "["`,
	} {
		err := run(context.Background(), append(strings.Fields(args), "-out", filepath.Join(dir, "out")))
		require.ErrorContains(t, err, text, args)
		assert.True(t, errors.As(err, new(usageError)), args)
	}
}
