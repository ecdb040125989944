package vad

import (
	"fmt"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/kernel"
	"github.com/unroll-go/unroll/rnn"
)

// Stream is one sound that the model hears chunk by chunk. It owns its state and all memory (some 37 KB), allocates nothing and
// records nothing. Its probabilities have the bits of [Model.Forward].
//
// A Stream is used by one goroutine at a time; any number of them may share the model. It reads the weights as they are at each
// step, so an update of the weights must not run beside a Step.
type Stream struct {
	window  []float32 // [context+Chunk]
	network rnn.Chain
	lstm    *rnn.Stream
	waiting int // samples of Write at the place of the next chunk
}

// NewStream returns a stream at the start of a sound.
func (m *Model) NewStream() *Stream {
	s := &Stream{window: kernel.Alloc(context + Chunk), lstm: m.LSTM.NewStream()}
	relu := func() rnn.Stepper { return rnn.Pointwise(kernel.ReLU) }
	stft := m.STFT.NewWindow(context + Chunk)
	steps := m.STFT.Steps(context + Chunk)
	s.network = rnn.Chain{stft, &magnitudes{kernel.Alloc(steps * bins)}}
	for _, c := range m.Conv {
		s.network = append(s.network, c.NewWindow(steps), relu())
		steps = c.Steps(steps)
	}
	s.network = append(s.network, s.lstm, relu(), m.Final.NewWindow(1), rnn.Pointwise(kernel.Sigmoid))
	return s
}

// magnitudes is [magnitude] as a part of a chain.
type magnitudes struct{ y []float32 }

func (s *magnitudes) Step(x []float32) []float32 {
	for row := 0; row < len(s.y); row += bins {
		kernel.Magnitude(s.y[row:row+bins], x[2*row:], x[2*row+bins:])
	}
	return s.y
}

// Step returns the probability that somebody speaks in the next 512 samples. It panics with a [*autograd.ShapeError] if the chunk
// has another length.
func (s *Stream) Step(chunk []float32) float32 {
	if len(chunk) != Chunk {
		panic(&autograd.ShapeError{Where: "vad.Stream.Step", Got: fmt.Sprintf("%d samples", len(chunk)), Want: fmt.Sprint(Chunk)})
	}
	copy(s.window[context:], chunk)
	return s.step()
}

// step is Step of the chunk in the window.
func (s *Stream) step() float32 {
	p := s.network.Step(s.window)[0]
	copy(s.window[:context], s.window[Chunk:])
	return p
}

// Write hears any number of samples, and calls each with the probability of each chunk that they complete. The rest waits for the
// next Write.
func (s *Stream) Write(samples []float32, each func(p float32)) {
	for len(samples) > 0 {
		n := copy(s.window[context+s.waiting:], samples)
		samples, s.waiting = samples[n:], s.waiting+n
		if s.waiting == Chunk {
			s.waiting = 0
			each(s.step())
		}
	}
}

// Flush ends a sound: if samples wait for a chunk, zeros complete it, and each is called with its probability.
func (s *Stream) Flush(each func(p float32)) {
	if s.waiting > 0 {
		clear(s.window[context+s.waiting:])
		s.waiting = 0
		each(s.step())
	}
}

// Reset goes back to the start of a sound.
func (s *Stream) Reset() {
	clear(s.window)
	s.lstm.State().Zero()
	s.waiting = 0
}

// Save copies the state of the stream into a row of to. Samples that wait in Write are not part of it. It panics with a
// [*autograd.ShapeError] if there is no such row.
func (s *Stream) Save(to *State, row int) {
	to.check(row)
	copy(to.Context.Data()[row*context:], s.window[:context])
	from := s.lstm.State()
	copy(to.LSTM.H.Data()[row*hidden:], from.H.Data())
	copy(to.LSTM.C.Data()[row*hidden:], from.C.Data())
}

// Restore continues from a row of a state. It panics as Save does.
func (s *Stream) Restore(from *State, row int) {
	from.check(row)
	s.waiting = 0
	copy(s.window[:context], from.Context.Data()[row*context:])
	to := s.lstm.State()
	copy(to.H.Data(), from.LSTM.H.Data()[row*hidden:])
	copy(to.C.Data(), from.LSTM.C.Data()[row*hidden:])
}

func (s *State) check(row int) {
	if n := s.Context.Dim(0); row < 0 || row >= n {
		panic(&autograd.ShapeError{Where: "vad.State", Got: fmt.Sprintf("row %d", row), Want: fmt.Sprintf("0 to %d", n-1)})
	}
}
