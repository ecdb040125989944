package decode_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/decode"
	"github.com/unroll-go/unroll/layers"
	"github.com/unroll-go/unroll/rnn"
)

// writer is a model that writes tokens.
type writer struct {
	tape    *autograd.Tape
	tokens  *layers.Embedding
	decoder rnn.Layer
	head    *layers.Dense
}

const vocabulary, features = 7, 5

func newWriter(p *autograd.Params, layer rnn.Layer) *writer {
	m := &writer{nil, layers.NewEmbedding(p.In("tokens"), vocabulary, features), layer, layers.NewDense(p.In("head"), layer.Out(), vocabulary)}
	m.tape = autograd.NewInference(p) // after all weights were made
	return m
}

// step returns the step of a search of the given width.
func (m *writer) step(width int) decode.Step {
	state := m.decoder.NewState(width)
	return func(tokens []int32, parents []int) ([]float32, error) {
		m.tape.Reset()
		h, next := m.decoder.Step(autograd.Gather(m.tape.Param(m.tokens.Weight), tokens), state.CarryRows(m.tape, parents))
		state.Set(next, 0)
		return m.head.Forward(h).Data(), nil
	}
}

// The log-probability of each sequence is that of the same tokens in one call of Forward: the states followed the hypotheses.
func TestBeamOfLayers(t *testing.T) {
	for name, layer := range map[string]func(p *autograd.Params) rnn.Layer{
		"gru": func(p *autograd.Params) rnn.Layer { return rnn.NewGRU(p, rnn.GRUConfig{Input: features, Hidden: 8}) },
		"lstm": func(p *autograd.Params) rnn.Layer {
			return rnn.NewLSTM(p, rnn.LSTMConfig{Input: features, Hidden: 9, Layers: 2})
		},
	} {
		p := autograd.NewParams(5)
		m := newWriter(p, layer(p.In("decoder")))
		p.Update(func() { // so that the beam has something to choose from
			for _, v := range []*autograd.Param{m.head.Weight, m.tokens.Weight} {
				for i := range v.Value.Data() {
					v.Value.Data()[i] *= 6
				}
			}
		})
		found, err := decode.Beam(decode.BeamConfig{Width: 5, Start: 1, End: 2, MaxSteps: 8, Best: 5}, m.step(5))
		require.NoError(t, err)
		require.Len(t, found, 5)
		for _, h := range found {
			m.tape.Reset()
			read, written := append([]int32{1}, h.Tokens...), append(h.Tokens, 2)
			if !h.Ended {
				read, written = read[:len(read)-1], h.Tokens
			}
			y, _ := m.decoder.Forward(m.tokens.Lookup(m.tape, read, 1), rnn.Options{})
			logs, sum := autograd.LogSoftmax(m.head.Forward(y)).Data(), 0.0
			for i, token := range written {
				sum += float64(logs[i*vocabulary+int(token)])
			}
			assert.InDelta(t, sum, h.LogProb, 1e-5, "%s: %v", name, h)
		}
	}
}

// A GRU, which is not trained here, writes its most likely sequences. The hypotheses of a step are rows of one batch; CarryRows gives each the state of its parent.
func ExampleBeam() {
	params := autograd.NewParams(9)
	embedding := layers.NewEmbedding(params.In("embedding"), 6, 4)
	gru := rnn.NewGRU(params.In("gru"), rnn.GRUConfig{Input: 4, Hidden: 8})
	head := layers.NewDense(params.In("head"), 8, 6)

	const width = 3
	tape, state := autograd.NewInference(params), gru.NewState(width)
	best, err := decode.Beam(decode.BeamConfig{Width: width, Start: 0, End: 1, MaxSteps: 5, Best: 2}, func(tokens []int32, parents []int) ([]float32, error) {
		tape.Reset()
		h, next := gru.Step(autograd.Gather(tape.Param(embedding.Weight), tokens), state.CarryRows(tape, parents))
		state.Set(next, 0)
		return head.Forward(h).Data(), nil
	})
	if err != nil {
		panic(err)
	}
	for _, h := range best {
		fmt.Printf("%v %.2f %v\n", h.Tokens, h.LogProb, h.Ended)
	}
	// Output:
	// [] -1.47 true
	// [2] -2.49 true
}

// A stream writes tokens at random: the likely ones of its own distribution.
func ExampleSampler() {
	params := autograd.NewParams(1)
	gru := rnn.NewGRU(params.In("gru"), rnn.GRUConfig{Input: 4, Hidden: 8})
	head := layers.NewDense(params.In("head"), 8, 4)
	chain := rnn.Chain{gru.NewStream(), head.NewStream()}

	sampler := decode.NewSampler(decode.SamplerConfig{Temperature: 0.8, TopP: 0.95}, rand.New(rand.NewPCG(7, 0)))
	x, token := make([]float32, 4), int32(0)
	for range 10 {
		clear(x)
		x[token] = 1 // one-hot
		var err error
		if token, err = sampler.Next(chain.Step(x)); err != nil {
			panic(err)
		}
		fmt.Print(token, " ")
	}
	// Output: 0 0 3 2 2 2 0 1 0 1
}

// The fewest tokens whose probabilities add up to 0.7 are the two likeliest.
func ExampleSamplerConfig() {
	logits := []float32{1, 3, 0, 2.5}
	sampler := decode.NewSampler(decode.SamplerConfig{Temperature: 1, TopP: 0.7}, rand.New(rand.NewPCG(1, 0)))
	counts := make([]int, 4)
	for range 1000 {
		token, err := sampler.Next(logits)
		if err != nil {
			panic(err)
		}
		counts[token]++
	}
	fmt.Println(counts[0], counts[1] > counts[3], counts[2], counts[3] > 0)
	// Output: 0 true 0 true
}
