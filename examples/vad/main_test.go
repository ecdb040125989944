package main

import (
	"bytes"
	"encoding/binary"
	"encoding/csv"
	"encoding/json"
	"flag"
	"fmt"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/dataset/wav"
	"github.com/unroll-go/unroll/safetensors"
	"github.com/unroll-go/unroll/vad"
)

func TestCommandLine(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"", "0 files, want one WAV file, or - for standard input"},
		{"a.wav b.wav", "2 files, want one WAV file"},
		{"-threshold 0 a.wav", "-threshold is 0, want above 0 and at most 1"},
		{"-threshold NaN a.wav", "-threshold is NaN"},
		{"-release 0.6 a.wav", "-release is 0.6, want 0 to the threshold of 0.5"},
		{"-pad -1s a.wav", "a duration is negative"},
		{"-pad 30 a.wav", `invalid value "30" for flag -pad`},
	} {
		_, err := parse(strings.Fields(c.args))
		assert.ErrorAs(t, err, new(usageError), c.args)
		assert.ErrorContains(t, err, c.want)
	}
	_, err := parse([]string{"-h"})
	require.Equal(t, flag.ErrHelp, err)
	o, err := parse([]string{"-threshold", "0.6", "-"})
	require.NoError(t, err)
	assert.InDelta(t, 0.45, o.segments.Release, 1e-6)
	assert.Equal(t, "-", o.input)
}

// usual is the command line for a file with weights from a file.
func usual(model, input string, more ...string) options {
	o, err := parse(append(append([]string{"-model", model, "-out="}, more...), input))
	if err != nil {
		panic(err)
	}
	return o
}

// TestErrors: a wrong file is one clear error.
func TestErrors(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	model := in("model.safetensors")
	require.NoError(t, safetensors.Save(model, vad.New(autograd.NewParams(1)).Params, nil))
	var sound bytes.Buffer
	require.NoError(t, wav.Write(&sound, 16000, make([]float32, 2000)))
	for name, content := range map[string][]byte{"good.wav": sound.Bytes(), "cut.wav": sound.Bytes()[:1001], "text.wav": []byte("not a sound, but words")} {
		require.NoError(t, os.WriteFile(in(name), content, 0o666))
	}
	require.NoError(t, wav.Write(&sound, 500, nil))
	slow := sound.Bytes()[4044:]
	require.NoError(t, os.WriteFile(in("slow.wav"), slow, 0o666))
	for want, o := range map[string]options{
		"no such file": usual(model, in("none.wav")),
		"cut.wav: wav: the file is cut: 3043 bytes of samples are missing": usual(model, in("cut.wav")),
		"text.wav: wav: not a WAV file: it begins with":                    usual(model, in("text.wav")),
		"slow.wav: wav: cannot convert 500 to 16000 samples a second":      usual(model, in("slow.wav")),
		"good.wav: safetensors: header of":                                 usual(in("good.wav"), in("good.wav")),
		"standard input: wav: a rate of -1 samples a second":               usual(model, "-", "-rate", "-1"),
	} {
		err := run(o, strings.NewReader("\x00\x00"), io.Discard)
		assert.ErrorContains(t, err, want)
		assert.NotContains(t, err.Error(), "\n")
	}
	var out bytes.Buffer
	require.NoError(t, run(usual(model, in("good.wav"), "-threshold", "1"), nil, &out))
	assert.Equal(t, "nobody speaks in 0.12 s\n", out.String())
}

// TestSpeech: every chunk has the probability that PyTorch computed, and speech is found in files of other kinds and live, too.
func TestSpeech(t *testing.T) {
	data := os.Getenv("UNROLL_SILERO")
	if data == "" {
		t.Skip("UNROLL_SILERO is not set: the folder with silero_vad_16k.safetensors, dev.wav and dev-safetensors.json")
	}
	model, input, dir := filepath.Join(data, "silero_vad_16k.safetensors"), filepath.Join(data, "dev.wav"), t.TempDir()
	table := filepath.Join(dir, "dev.csv")
	o := usual(model, input, "-csv", table)
	o.out = filepath.Join(dir, "out")
	var out bytes.Buffer
	require.NoError(t, run(o, nil, &out))
	assert.Equal(t, "     1.47 s to      5.89 s\n     7.71 s to     12.35 s\n", out.String())

	f, err := os.Open(table)
	require.NoError(t, err)
	defer f.Close()
	lines, err := csv.NewReader(f).ReadAll()
	require.NoError(t, err)
	var want struct{ Probabilities []float64 }
	text, err := os.ReadFile(filepath.Join(data, "dev-safetensors.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &want))
	require.Len(t, lines, 1+len(want.Probabilities))
	assert.Equal(t, []string{"seconds", "probability"}, lines[0])
	for i, line := range lines[1:] {
		assert.Equal(t, fmt.Sprintf("%.3f", float64(i)*0.032), line[0])
		p, err := strconv.ParseFloat(line[1], 64)
		require.NoError(t, err)
		require.InDelta(t, want.Probabilities[i], p, 1e-5)
	}
	picture, err := os.Open(filepath.Join(o.out, "speech.png"))
	require.NoError(t, err)
	defer picture.Close()
	_, err = png.Decode(picture)
	require.NoError(t, err)

	out.Reset()
	require.NoError(t, run(usual(filepath.Join(data, "silero_vad_16k_op15.onnx"), input), nil, &out))
	assert.Regexp(t, `^ +1\.\d\d s to .*\n`, out.String(), "the other file")

	raw, err := os.ReadFile(input)
	require.NoError(t, err)
	const heard = "     1.47 s: speech begins\n     5.89 s: speech ends\n     7.71 s: speech begins\n    12.35 s: speech ends\n"
	for _, stdin := range [][]byte{raw, raw[44:]} {
		out.Reset()
		require.NoError(t, run(usual(model, "-"), bytes.NewReader(stdin), &out))
		assert.Equal(t, heard, out.String())
	}

	// Another rate, two channels and 24 bits.
	sound, err := wav.NewReader(bytes.NewReader(raw))
	require.NoError(t, err)
	samples := make([]float32, sound.Samples)
	for n := 0; n < len(samples); {
		k, err := sound.ReadMono(samples[n:])
		require.NoError(t, err)
		n += k
	}
	convert, err := wav.NewResampler(16000, 44100)
	require.NoError(t, err)
	samples = convert.Flush(convert.Write(nil, samples))
	other := append([]byte(nil), raw[:44]...)
	le := binary.LittleEndian
	le.PutUint16(other[22:], 2)
	le.PutUint32(other[24:], 44100)
	le.PutUint16(other[32:], 6)
	le.PutUint16(other[34:], 24)
	le.PutUint32(other[40:], uint32(6*len(samples)))
	for _, v := range samples {
		n := uint32(int32(math.Round(float64(v) * (1 << 23))))
		for range 2 {
			other = append(other, byte(n), byte(n>>8), byte(n>>16))
		}
	}
	path := filepath.Join(dir, "other.wav")
	require.NoError(t, os.WriteFile(path, other, 0o666))
	out.Reset()
	require.NoError(t, run(usual(model, path), nil, &out))
	var start, end [2]float64
	_, err = fmt.Sscanf(out.String(), "%f s to %f s\n%f s to %f s\n", &start[0], &end[0], &start[1], &end[1])
	require.NoError(t, err, out.String())
	for i, want := range [2][2]float64{{1.47, 5.89}, {7.71, 12.35}} {
		assert.InDelta(t, want[0], start[i], 0.1)
		assert.InDelta(t, want[1], end[i], 0.1)
	}
}
