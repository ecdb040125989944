package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/dataset/npy"
	"github.com/unroll-go/unroll/decode"
	"github.com/unroll-go/unroll/rnn"
	"github.com/unroll-go/unroll/safetensors"
)

// golden is what g2p_en itself computes.
type golden struct {
	Graphemes, Phonemes []string
	Words               map[string][]string
}

// trained returns the model with its weights, and what it should compute.
func trained(t *testing.T) (path string, m *model, want golden) {
	data := os.Getenv("UNROLL_G2P")
	if data == "" {
		t.Skip("UNROLL_G2P is not set: the folder with checkpoint20.npz and golden.json")
	}
	path = filepath.Join(data, weights.Name)
	m, err := load(path)
	require.NoError(t, err)
	text, err := os.ReadFile(filepath.Join(data, "golden.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &want))
	require.NotEmpty(t, want.Words)
	return path, m, want
}

// Every phoneme of every word is that of g2p_en.
func TestGolden(t *testing.T) {
	path, m, want := trained(t)
	assert.Equal(t, want.Phonemes, phonemes)
	assert.Len(t, want.Graphemes, letterCount)
	for i, letter := range want.Graphemes[firstLetter:] {
		got, err := spell(letter)
		require.NoError(t, err)
		assert.Equal(t, []int32{int32(firstLetter + i), afterLast}, got)
	}
	assert.Equal(t, "</s>", want.Graphemes[afterLast])
	for word, spoken := range want.Words {
		found, err := m.pronounce(word, 1, 1)
		require.NoError(t, err)
		require.Len(t, found, 1)
		assert.Equal(t, spoken, names(found[0].Tokens), word)
		assert.True(t, found[0].Ended)
	}

	words := slices.Sorted(maps.Keys(want.Words))
	lines := ""
	for _, word := range words {
		lines += word + "  " + strings.Join(want.Words[word], " ") + "\n"
	}
	var out bytes.Buffer
	require.NoError(t, run(options{model: path, beam: 1, best: 1, words: words}, nil, &out))
	assert.Equal(t, lines, out.String())
	out.Reset()
	require.NoError(t, run(options{model: path, beam: 1, best: 1}, strings.NewReader(strings.Join(words, "\n")), &out))
	assert.Equal(t, lines, out.String(), "from standard input")
	out.Reset()
	require.NoError(t, run(options{model: path, beam: 5, best: 2, words: []string{"read"}}, nil, &out))
	assert.Regexp(t, `^read  R IY1 D  \(0\.5\d\d\)\nread  R EH1 D  \(0\.3\d\d\)\n$`, out.String())
}

// A beam of one is the most likely phoneme at each step of a stream, and a wider beam finds a pronunciation that is as likely or likelier.
func TestBeam(t *testing.T) {
	_, m, want := trained(t)
	for word := range want.Words {
		greedy, err := m.pronounce(word, 1, 1)
		require.NoError(t, err)
		assert.Equal(t, m.greedy(t, word), greedy[0].Tokens, word)
		wide, err := m.pronounce(word, 5, 5)
		require.NoError(t, err)
		require.Len(t, wide, 5)
		assert.GreaterOrEqual(t, wide[0].Score, greedy[0].Score-1e-5, word)
		for i := 1; i < 5; i++ {
			assert.GreaterOrEqual(t, wide[i-1].Score, wide[i].Score)
		}
	}
}

// greedy decodes a word by streams.
func (m *model) greedy(t *testing.T, word string) (tokens []int32) {
	letters, err := spell(word)
	require.NoError(t, err)
	vector := func(of *autograd.Param, i int32) []float32 { return of.Value.Data()[i*hidden:][:hidden] }
	encoder, decoder := m.encoder.NewStream(), m.decoder.NewStream()
	for _, letter := range letters {
		encoder.Step(vector(m.letters.Weight, letter))
	}
	copy(decoder.State().H.Data(), encoder.State().H.Data())
	chain := rnn.Chain{decoder, m.head.NewStream()}
	for token := int32(start); ; tokens = append(tokens, token) {
		if token, err = decode.Argmax(chain.Step(vector(m.phonemes.Weight, token))); token == end || len(tokens) == maxPhonemes {
			require.NoError(t, err)
			return tokens
		}
	}
}

func TestCommandLine(t *testing.T) {
	for args, want := range map[string]string{
		"-beam 0 word":      "-beam is 0 and -best 1, want 1 to 1000",
		"-best -1 word":     "-beam is 1 and -best -1, want 1 to 1000",
		"-beam 1001 word":   "-beam is 1001 and -best 1, want 1 to 1000",
		"-beam two word":    `invalid value "two" for flag -beam`,
		"-pronounce a word": "flag provided but not defined: -pronounce",
	} {
		_, err := parse(strings.Fields(args))
		assert.ErrorAs(t, err, new(usageError), args)
		assert.ErrorContains(t, err, want)
	}
	_, err := parse([]string{"-h"})
	require.Equal(t, flag.ErrHelp, err)
	o, err := parse([]string{"-beam", "5", "-best", "3", "-model", "file", "two", "words"})
	require.NoError(t, err)
	assert.Equal(t, options{"file", 5, 3, []string{"two", "words"}}, o)
}

// A model of random weights, saved under the names of the file: words and files that are wrong are errors, and a pronunciation may have no end.
func TestErrors(t *testing.T) {
	m := newModel(autograd.NewParams(1))
	m.params.Update(func() { m.head.Bias.Value.Data()[end] = -1000 })
	var file safetensors.File
	back := strings.NewReplacer("letters.weight", "enc_emb", "phonemes.weight", "dec_emb", "encoder.", "enc_", "decoder.", "dec_", "head.weight", "fc_w", "head.bias", "fc_b",
		"weight_ih_l0", "w_ih", "weight_hh_l0", "w_hh", "bias_ih_l0", "b_ih", "bias_hh_l0", "b_hh").Replace
	for name, p := range m.params.Named() {
		file.Tensors = append(file.Tensors, safetensors.From(back(name), p.Value.Data(), p.Value.Shape()...))
	}
	path := filepath.Join(t.TempDir(), "whole.npz")
	require.NoError(t, npy.Save(path, &file))
	var out bytes.Buffer
	require.NoError(t, run(options{model: path, beam: 1, best: 1, words: []string{"Word"}}, nil, &out))
	assert.Regexp(t, `^Word  ([A-Z<][^ ]* ){20}\.\.\.\n$`, out.String())

	for word, want := range map[string]string{"naïve": `the word "naïve" has the letter 'ï', want a to z`, "co-op": `the letter '-'`, "": "a word without letters"} {
		assert.ErrorContains(t, run(options{model: path, beam: 1, best: 1, words: []string{word}}, nil, io.Discard), want)
		if word != "" {
			assert.ErrorContains(t, run(options{model: path, beam: 1, best: 1}, strings.NewReader(word), io.Discard), want)
		}
	}
	file.Tensors = file.Tensors[1:]
	cut := filepath.Join(t.TempDir(), "cut.npz")
	require.NoError(t, npy.Save(cut, &file))
	assert.ErrorContains(t, run(options{model: cut, beam: 1, best: 1}, nil, io.Discard), "letters.weight")
	assert.ErrorIs(t, run(options{model: filepath.Join(t.TempDir(), "none")}, nil, io.Discard), os.ErrNotExist)
}
