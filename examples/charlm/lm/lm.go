// Package lm is a language model of characters: it reads a text byte by byte and predicts the next byte.
//
// A byte is turned into a vector (an embedding), a stack of LSTM or GRU layers reads the vectors, and a dense layer turns each
// output of the stack into 256 logits, one for each byte that may follow. Bytes need no vocabulary and can write every text; a
// letter outside of ASCII is several of them.
//
// A model is trained on streams of documents by truncated backpropagation through time: see [Model.Loss]. It writes texts step by
// step: many at once by [Model.Step], or a single one by a [Stream], which is faster.
package lm

import (
	"fmt"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/dataset"
	"github.com/unroll-go/unroll/layers"
	"github.com/unroll-go/unroll/loss"
	"github.com/unroll-go/unroll/rnn"
)

// Characters is the number of different characters: all bytes.
const Characters = 256

// Config says what a model is made of.
type Config struct {
	Cell      string  `json:"cell"`      // "lstm" or "gru"
	Hidden    int     `json:"hidden"`    // units of each recurrent layer
	Layers    int     `json:"layers"`    // number of stacked recurrent layers
	Embedding int     `json:"embedding"` // features of a character
	Dropout   float32 `json:"dropout"`   // probability that a feature of an embedding or an output of a recurrent layer is dropped in training
	// Tied uses the matrix of the embedding for the logits, too (Press & Wolf 2017, "Using the output embedding to improve language
	// models", arXiv:1608.05859). If Embedding is not Hidden, a dense layer without a bias brings the outputs of the stack to its width.
	Tied bool `json:"tied"`
}

// check returns an error if no model can have the configuration.
func (c Config) check() error {
	const most = 1 << 14
	switch {
	case c.Cell != "lstm" && c.Cell != "gru":
		return fmt.Errorf(`cell is %q, want "lstm" or "gru"`, c.Cell)
	case c.Hidden < 1 || c.Hidden > most:
		return fmt.Errorf("hidden is %d, want 1 to %d", c.Hidden, most)
	case c.Layers < 1 || c.Layers > 64:
		return fmt.Errorf("layers is %d, want 1 to 64", c.Layers)
	case c.Embedding < 1 || c.Embedding > most:
		return fmt.Errorf("embedding is %d, want 1 to %d", c.Embedding, most)
	case !(c.Dropout >= 0 && c.Dropout < 1):
		return fmt.Errorf("dropout is %v, want 0 or more and less than 1", c.Dropout)
	}
	return nil
}

// weights returns the number of weights of a model.
func (c Config) weights() int64 {
	embedding, hidden, gates := int64(c.Embedding), int64(c.Hidden), int64(4)
	if c.Cell == "gru" {
		gates = 3
	}
	n := Characters*embedding + gates*hidden*(embedding+hidden+2) + int64(c.Layers-1)*gates*hidden*(2*hidden+2) + Characters
	switch {
	case !c.Tied:
		n += Characters * hidden
	case c.Embedding != c.Hidden:
		n += hidden * embedding
	}
	return n
}

// Model is a language model of characters. Its weights may be used by any number of goroutines at once.
type Model struct {
	Config Config           // not to be changed
	Params *autograd.Params // the weights

	embedding *layers.Embedding
	cell      rnn.Layer
	project   *layers.Dense // nil: the head reads the outputs of the stack
	head      *layers.Dense
}

// New returns a model whose weights are drawn by the seed, or an error if the configuration cannot be.
func New(c Config, seed uint64) (*Model, error) {
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("lm: %w", err)
	}
	m := &Model{Config: c, Params: autograd.NewParams(seed)}
	m.embedding = layers.NewEmbedding(m.Params.In("embedding"), Characters, c.Embedding)
	if in := m.Params.In("rnn"); c.Cell == "lstm" {
		m.cell = rnn.NewLSTM(in, rnn.LSTMConfig{Input: c.Embedding, Hidden: c.Hidden, Layers: c.Layers, Dropout: c.Dropout})
	} else {
		m.cell = rnn.NewGRU(in, rnn.GRUConfig{Input: c.Embedding, Hidden: c.Hidden, Layers: c.Layers, Dropout: c.Dropout})
	}
	width := c.Hidden
	if c.Tied {
		if c.Embedding != c.Hidden {
			m.project = layers.NewDenseWith(m.Params.In("project"), layers.DenseConfig{In: c.Hidden, Out: c.Embedding, NoBias: true})
			width = c.Embedding
		}
		m.Params.In("head").Tie("weight", m.embedding.Weight)
	}
	m.head = layers.NewDense(m.Params.In("head"), width, Characters)
	return m, nil
}

// NewState returns the state of so many texts before their first characters.
func (m *Model) NewState(texts int) *rnn.State { return m.cell.NewState(texts) }

// Loss returns the mean cross-entropy of the next characters, in nats, over the labels of a batch: a window of
// [dataset.Streams] over documents of bytes. The state has a row for each stream; the batch continues from it and leaves in it the state
// with which the next window begins. k2 is the number of steps that gradients go back; 0: to the beginning of the window.
func (m *Model) Loss(t *autograd.Tape, b *dataset.Batch, state *rnn.State, k2 int) *autograd.Node {
	x := autograd.Dropout(m.embedding.Forward(t, b), m.Config.Dropout)
	y, end := m.cell.Forward(x, rnn.Options{Start: state.Carry(t, b.First, b.Rows()), Lengths: b.Lengths, Resets: b.Begins,
		Overlap: b.Overlap, Truncate: k2})
	state.Set(end, b.First)
	return loss.SparseSoftmaxCrossEntropy(m.logits(autograd.Dropout(y, m.Config.Dropout)), b.Labels)
}

// logits returns the logits [..., Characters] of outputs [..., Hidden] of the stack.
func (m *Model) logits(y *autograd.Node) *autograd.Node {
	if m.project != nil {
		y = m.project.Forward(y)
	}
	return m.head.Forward(y)
}

// Step takes B texts one character further: row rows[i] of the state is the text that goes on with character ids[i]. It returns the
// logits [B,Characters] of the character after that. Each text gets the same bits as in a step of its own. A text begins with a row
// of zeros.
func (m *Model) Step(t *autograd.Tape, ids []int32, state *rnn.State, rows []int) *autograd.Node {
	x := autograd.Gather(t.Param(m.embedding.Weight), ids)
	y, next := m.cell.Step(x, state.CarryRows(t, rows))
	state.SetRows(next, rows)
	return m.logits(y)
}

// Stream is a single text that is written character by character. It owns its memory and is used by one goroutine at a time.
type Stream struct {
	m     *Model
	chain rnn.Chain
}

// NewStream returns a stream before its first character.
func (m *Model) NewStream() *Stream {
	s := &Stream{m: m, chain: rnn.Chain{m.cell.NewStream()}}
	if m.project != nil {
		s.chain = append(s.chain, m.project.NewStream())
	}
	s.chain = append(s.chain, m.head.NewStream())
	return s
}

// Step reads a character and returns the logits [Characters] of the next one, with the bits of [Model.Step]. They are good until the
// next Step. The weights must not change meanwhile.
func (s *Stream) Step(character byte) []float32 {
	return s.chain.Step(s.m.embedding.Weight.Value.Data()[int(character)*s.m.Config.Embedding:][:s.m.Config.Embedding])
}
