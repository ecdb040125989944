package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/dataset/npy"
	"github.com/unroll-go/unroll/decode"
	"github.com/unroll-go/unroll/layers"
	"github.com/unroll-go/unroll/rnn"
	"github.com/unroll-go/unroll/safetensors"
)

const (
	hidden      = 256  // features of a letter, of a phoneme and of the state
	start, end  = 2, 3 // the phonemes before and after a word
	afterLast   = 2    // the letter after a word
	maxPhonemes = 20
	firstLetter = 3                // the number of the letter a
	letterCount = firstLetter + 26 // with padding, an unknown letter and afterLast, which come first
)

// phonemes are the names of the phonemes, by their numbers.
var phonemes = strings.Fields(`<pad> <unk> <s> </s> AA0 AA1 AA2 AE0 AE1 AE2 AH0 AH1 AH2 AO0 AO1 AO2 AW0 AW1 AW2 AY0 AY1 AY2 B CH D DH EH0 EH1 EH2
	ER0 ER1 ER2 EY0 EY1 EY2 F G HH IH0 IH1 IH2 IY0 IY1 IY2 JH K L M N NG OW0 OW1 OW2 OY0 OY1 OY2 P R S SH T TH UH0 UH1 UH2 UW UW0 UW1 UW2 V W Y Z ZH`)

// names returns the names of some phonemes.
func names(tokens []int32) []string {
	all := make([]string, len(tokens))
	for i, token := range tokens {
		all[i] = phonemes[token]
	}
	return all
}

// model is an encoder that reads letters and a decoder that writes phonemes (Sutskever, Vinyals & Le 2014, "Sequence to sequence learning with neural
// networks", arXiv:1409.3215). All that the decoder knows of a word is the encoder's last state, with which it starts.
type model struct {
	params            *autograd.Params
	letters, phonemes *layers.Embedding
	encoder, decoder  *rnn.GRU
	head              *layers.Dense
	tape              *autograd.Tape
}

func newModel(p *autograd.Params) *model {
	m := &model{
		params:   p,
		letters:  layers.NewEmbedding(p.In("letters"), letterCount, hidden),
		encoder:  rnn.NewGRU(p.In("encoder"), rnn.GRUConfig{Input: hidden, Hidden: hidden}),
		phonemes: layers.NewEmbedding(p.In("phonemes"), len(phonemes), hidden),
		decoder:  rnn.NewGRU(p.In("decoder"), rnn.GRUConfig{Input: hidden, Hidden: hidden}),
		head:     layers.NewDense(p.In("head"), hidden, len(phonemes)),
	}
	m.tape = autograd.NewInference(p)
	return m
}

// rename turns the names of the file, such as dec_w_ih, into those of the model, such as decoder.weight_ih_l0.
var rename = strings.NewReplacer("enc_emb", "letters.weight", "dec_emb", "phonemes.weight", "enc_", "encoder.", "dec_", "decoder.", "fc_w", "head.weight", "fc_b", "head.bias",
	"w_ih", "weight_ih_l0", "w_hh", "weight_hh_l0", "b_ih", "bias_ih_l0", "b_hh", "bias_hh_l0").Replace

// load returns a model with the weights of g2p_en.
func load(path string) (*model, error) {
	file, err := npy.Load(path)
	if err != nil {
		return nil, err
	}
	m := newModel(autograd.NewParams(1))
	if _, err := (safetensors.Loading{Rename: rename}).Apply(file, m.params); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

// spell returns the numbers of the letters of a word, with afterLast.
func spell(word string) (letters []int32, err error) {
	for _, letter := range strings.ToLower(word) {
		if letter < 'a' || letter > 'z' {
			return nil, fmt.Errorf("the word %q has the letter %q, want a to z", word, letter)
		}
		letters = append(letters, firstLetter+letter-'a')
	}
	if letters == nil {
		return nil, errors.New("a word without letters")
	}
	return append(letters, afterLast), nil
}

// pronounce returns the best pronunciations of a word that a beam of the given width finds, the best first.
func (m *model) pronounce(word string, width, best int) ([]decode.Hypothesis, error) {
	letters, err := spell(word)
	if err != nil {
		return nil, err
	}
	m.tape.Reset()
	_, read := m.encoder.Last(m.letters.Lookup(m.tape, letters, 1), rnn.Options{})
	state := m.decoder.NewState(width)
	state.Set(read, 0)
	c := decode.BeamConfig{Width: width, Start: start, End: end, MaxSteps: maxPhonemes, Best: best}
	return decode.Beam(c, func(tokens []int32, parents []int) ([]float32, error) {
		m.tape.Reset()
		h, next := m.decoder.Step(autograd.Gather(m.tape.Param(m.phonemes.Weight), tokens), state.CarryRows(m.tape, parents))
		state.Set(next, 0)
		return m.head.Forward(h).Data(), nil
	})
}
