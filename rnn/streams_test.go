package rnn_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/layers"
	"github.com/unroll-go/unroll/rnn"
	"github.com/unroll-go/unroll/tensor"
)

// TestStreamIsStep: a stream gives the bits of Step, from zeros and from another state, and allocates nothing.
func TestStreamIsStep(t *testing.T) {
	for _, k := range kinds {
		for _, n := range []net{k.net, k.everything()} {
			params := autograd.NewParams(3)
			layer := n.make(params, 3, 5, 2)
			tape, state, stream := autograd.NewInference(params), layer.NewState(1), layer.NewStream()
			x := random(1, 20, 1, 3)
			for i := range 20 {
				if i == 10 { // another sequence begins
					*state = *randomState(7, layer, 1)
					copy(stream.State().H.Data(), state.H.Data())
					if state.C != nil {
						copy(stream.State().C.Data(), state.C.Data())
					}
				}
				step := x.Data()[i*3:][:3]
				tape.Reset()
				y, next := layer.Step(tape.Input(tensor.Of(step, 1, 3)), state.Carry(tape, 0, 1))
				state.Set(next, 0)
				bits(t, y.Data(), stream.Step(step), "%s, step %d", k.name, i)
				bits(t, state.H.Data(), stream.State().H.Data(), k.name)
			}
			assert.Zero(t, testing.AllocsPerRun(10, func() { stream.Step(x.Data()[:3]) }), k.name)
		}
	}
}

// TestChain: dense, recurrent and pointwise steps one after the other are the model on a tape.
func TestChain(t *testing.T) {
	params := autograd.NewParams(3)
	in, gru, out := layers.NewDense(params.In("in"), 3, 4), rnn.NewGRU(params.In("gru"), rnn.GRUConfig{Input: 4, Hidden: 6, Layers: 2}), layers.NewDense(params.In("out"), 6, 2)
	chain := rnn.Chain{in.NewStream(), rnn.Pointwise(rnn.Tanh), gru.NewStream(), out.NewStream(), rnn.Pointwise(rnn.Sigmoid)}
	x := random(1, 9, 1, 3)
	tape := autograd.NewInference(params)
	h, _ := gru.Forward(autograd.Tanh(in.Forward(tape.Input(x))), rnn.Options{})
	want := autograd.Sigmoid(out.Forward(h)).Data()
	for i := range 9 {
		assert.InDeltaSlice(t, want[i*2:][:2], chain.Step(x.Data()[i*3:][:3]), 1e-6)
	}
	assert.Zero(t, testing.AllocsPerRun(10, func() { chain.Step(x.Data()[:3]) }))
}

func TestMisuseOfStreams(t *testing.T) {
	params := autograd.NewParams(1)
	both := rnn.NewGRU(params.In("both"), rnn.GRUConfig{Input: 3, Hidden: 4, Bidirectional: true})
	one := rnn.NewGRU(params.In("one"), rnn.GRUConfig{Input: 3, Hidden: 4})
	dense := layers.NewDense(params.In("dense"), 3, 4)
	for _, c := range []struct {
		text string
		do   func()
	}{
		{"both: a bidirectional layer cannot go step by step: its reverse direction begins at the end", func() { both.NewStream() }},
		{"one: a step of 2 features, want 3", func() { one.NewStream().Step(make([]float32, 2)) }},
		{"dense.weight: input has 2 features, want 3", func() { dense.NewStream().Step(make([]float32, 2)) }},
	} {
		assert.EqualError(t, autograd.Try(c.do), c.text)
	}
}

// BenchmarkStream is one step of a stream of small layers.
func BenchmarkStream(b *testing.B) {
	for _, k := range kinds {
		for _, size := range [][2]int{{8, 16}, {8, 32}, {16, 64}, {28, 150}} {
			b.Run(fmt.Sprintf("%s/%d-%d", k.name, size[0], size[1]), func(b *testing.B) {
				stream, x := k.make(autograd.NewParams(1), size[0], size[1], 1).NewStream(), random(1, 1, size[0]).Data()
				b.ReportAllocs()
				for b.Loop() {
					stream.Step(x)
				}
			})
		}
	}
}
