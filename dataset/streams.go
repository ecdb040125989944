package dataset

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"math"

	"github.com/unroll-go/unroll/tensor"
)

// Streams cuts documents into the windows of truncated backpropagation through time, for a model that keeps its state from
// window to window. There are as many parallel streams as Rows; a stream is one document after the other, without padding
// between them. Whichever stream is free first takes the next document; of several, the one with the lowest number.
//
// Window n, counted from 1, ends after step t = n*K1 of each stream. The loss of the window is over the K1 steps up to t, the
// gradient goes back through the K2 steps up to t, and the state before these is a constant, which the run of the window
// before has computed. This is BPTT(h; h') of Williams & Peng 1990 ("An efficient gradient-based algorithm for on-line training of
// recurrent network trajectories") with h = K2 and h' = K1:
//
//   - K2 = K1, or 0: a window has the K1 steps up to t.
//   - K2 > K1: a window has the steps t-K2+1 to t. The first K2-K1 of them have been in the window before, and have no label
//     here. So each label reaches back through K2-K1+1 to K2 steps. Batch.Overlap is the number of last steps that are
//     in the next window, too.
//   - K2 < K1: a window has the K1 steps up to t, of which the first K1-K2 have no label, and the model cuts the gradient, with
//     Truncate: K2 in rnn.Options.
//
// The windows at the beginning of the streams have the steps that there are. At the end, the last window ends with the longest
// stream; streams that ended before have fewer steps, or none (Batch.Lengths). Where windows begin and end, and which stream has
// which document, does not depend on how many steps a document returns at a time; and the streams are the same for all K1
// and K2.
type Streams struct {
	Rows   int // number of parallel streams, B
	K1     int // number of steps from the end of a window to the end of the next
	K2     int // number of steps that a gradient goes back; 0 means K1
	BurnIn int // number of steps at the beginning of each document that have no label: the state settles there
}

// Batches returns the windows in their order, to be run one after the other. A window is valid until the second window
// after it is made. The documents are read while a window is made, and not while a model runs. An example is a row of a window:
// row b of window n, counted from 0, has the number n*B+b. [Split] takes some of the rows.
//
// Gather fills the fields that the documents have, each [T,B], and Batch.Begins, Batch.Overlap and Batch.Lengths. Without
// documents there is no window. The error of a document, or of documents, is that of the Gather of the window in which it
// occurs, which is the last window, and therefore the error of the Run of a train.Step.
//
// For train.Loop, documents must be the same whenever an epoch begins. It panics with a [*tensor.UsageError] if Rows or K1
// is not positive or K2 or BurnIn is negative.
func (s Streams) Batches(documents iter.Seq2[Document, error]) iter.Seq[Rows] {
	if s.Rows < 1 || s.K1 < 1 || s.K2 < 0 || s.BurnIn < 0 {
		panic(&tensor.UsageError{Where: "dataset.Streams",
			What: fmt.Sprintf("Rows %d, K1 %d, K2 %d, BurnIn %d, want at least 1 row and step, and nothing negative", s.Rows, s.K1, s.K2, s.BurnIn)})
	}
	return func(yield func(Rows) bool) {
		next, stop := iter.Pull2(documents)
		defer stop()
		p := &packer{Streams: s, next: next, rows: make([]stream, s.Rows)}
		defer p.close()
		w, before := p.window(), p.window()
		for n := 0; ; n = (n + 1) % (math.MaxInt / s.Rows) { // the numbers of examples do not overflow
			w, before = before, w
			w.follow(before, n)
			w.err = p.fill(w)
			if w.err == nil && w.steps == w.seen {
				return
			}
			w.finish(s)
			if !yield(Rows{w, w.index}) || w.err != nil {
				return
			}
		}
	}
}

// packer hands documents to streams and writes their steps into windows.
type packer struct {
	Streams
	next   func() (Document, error, bool)
	count  int  // number of documents so far
	dry    bool // there are no further documents
	rows   []stream
	widths widths // of the first steps, and of all
	known  bool   // widths is set
}

// stream is one of the parallel streams.
type stream struct {
	document Document // nil: it has ended
	number   int      // of the document, counted from 0
	at       int      // number of the document's steps so far, counted no further than BurnIn, or 1
}

// window returns an empty window.
func (p *packer) window() *window {
	return &window{widths: &p.widths, begin: -1, index: make([]int, p.Rows), lengths: make([]int, p.Rows)}
}

// fill writes K1 further steps of each stream into a window, or as many as there are.
func (p *packer) fill(w *window) error {
	for b := range p.rows {
		if err := p.read(w, b); err != nil {
			return err
		}
	}
	for b := p.free(w); b >= 0 && !p.dry; b = p.free(w) {
		d, err, ok := p.next()
		if !ok {
			p.dry = true
			break
		}
		p.rows[b] = stream{document: d, number: p.count}
		p.count++
		if err == nil && d == nil {
			err = errors.New("document is nil")
		}
		if err != nil {
			return p.rows[b].wrong(err)
		}
		if err := p.read(w, b); err != nil {
			return err
		}
	}
	return nil
}

// free returns the stream that is the first to need a document in the window, -1 if none does.
func (p *packer) free(w *window) int {
	first := -1
	for b, s := range p.rows {
		if s.document == nil && w.lengths[b]-w.seen < p.K1 && (first < 0 || w.lengths[b] < w.lengths[first]) {
			first = b
		}
	}
	return first
}

// piece is the largest number of steps that a document is asked for.
const piece = 1024

// read writes the steps of row b's document into a window, until the document or the window ends.
func (p *packer) read(w *window, b int) error {
	s := &p.rows[b]
	for s.document != nil {
		left := p.K1 - (w.lengths[b] - w.seen)
		if left == 0 {
			return nil
		}
		n := min(left, piece)
		steps, err := s.document.Next(n)
		if err == io.EOF {
			err = s.close()
		} else if err == nil {
			if err = p.check(&steps, n); err == nil {
				w.add(b, &steps, s.at == 0, p.BurnIn-s.at)
				s.at = min(s.at+steps.N, max(p.BurnIn, 1))
			}
		}
		if err != nil {
			return s.wrong(err)
		}
	}
	return nil
}

// check returns an error if the steps are not from 1 to n, or have other fields than the first steps had.
func (p *packer) check(steps *Steps, n int) error {
	if steps.N < 1 || steps.N > n {
		return fmt.Errorf("Next returned %d steps, want 1 to %d", steps.N, n)
	}
	c, err := steps.widths()
	switch {
	case err != nil:
		return err
	case !p.known:
		p.widths, p.known = c, true
	case c != p.widths:
		return fmt.Errorf("a step has %v, want %v, as the first step has", c, p.widths)
	}
	return nil
}

// wrong adds the number of the stream's document to an error.
func (s *stream) wrong(err error) error {
	return fmt.Errorf("document %d of dataset.Streams: %w", s.number, err)
}

// close closes the stream's document.
func (s *stream) close() (err error) {
	if c, ok := s.document.(io.Closer); ok {
		err = c.Close()
	}
	s.document = nil
	return err
}

// close closes all documents.
func (p *packer) close() {
	for b := range p.rows {
		p.rows[b].close()
	}
}
