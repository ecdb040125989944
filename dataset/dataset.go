// Package dataset brings examples to a model: a [Source] keeps them, [Batches], [Shuffled] or [Buckets] say which
// examples make a batch, and a [Batch] holds their numbers.
//
// A Source keeps its examples in whatever form is smallest (MNIST stays bytes), and converts the examples of one batch
// when they are asked for. A batch is therefore named before it is gathered: [Rows] is a list of indices into a Source,
// and each shard of a training step gathers its own rows. Sequences are time-major, always: Batch.X is [T,B,F], for T
// steps, B rows and F features.
//
// # Which source
//
//   - [Tensors]: examples of one length that are in memory as float32, or a table without a time axis.
//   - [Sequences]: examples of different lengths, of numbers or of tokens, padded in each batch to its longest example.
//     Take their batches with [Buckets], so that little is padded.
//   - [CSV] reads a table of numbers and labels; the [Table] that it returns is a Tensors.
//   - [Windows]: windows over one or several series of numbers, to predict the numbers that follow.
//   - [NewText]: windows over the tokens of a text, which stand by themselves, to predict the next token. A [Vocabulary] makes
//     tokens of text.
//   - [Streams]: windows of documents of any length, from memory or read as they come, for a model that keeps its state from
//     window to window: see below.
//   - [Images]: grey pictures with a class each, kept as bytes. dataset/mnist and dataset/digits make them.
//   - [Pairs]: a source sequence and a target sequence, for an encoder and a decoder.
//   - [Join]: several sources side by side, for more than one input, set of labels or target.
//
// To predict a class, fill Labels; to predict numbers, fill Target: a value for each example, or for each step. A source
// of your own is a type with methods Len and Gather.
//
// # Streams
//
// A sequence may be too long for one run of a model, or for the memory, or have no end. [Streams] cuts it into the windows of
// truncated backpropagation through time, whose state a model hands on:
//
//	streams := dataset.Streams{Rows: 32, K1: 50, K2: 100} // a loss every 50 steps, whose gradient goes back 100
//	for window := range streams.Batches(documents) {
//		_, err := step.Run(window)
//		...
//		adam.Step(step.Grads())
//	}
//
// The rows of a window are parallel streams. A stream is one document after the other, without padding between them; a
// [Document] is a text, a recording, an episode or any other sequence. Documents come
//
//   - from memory: [Documents] hands out the examples of any source, in the order of [Batches] or of [Shuffled]. [NextTokens] makes
//     examples of texts, in which each token predicts the next, and [Sequences.Parts] cuts a long sequence into a part for
//     each stream.
//   - from files and other readers, as they are needed: [Files] opens one file after the other, and [Sections] cuts a large file
//     into a part for each stream. [TextDocument] reads characters, [BytesDocument] bytes, and [FramesDocument] float32 numbers.
//   - from a program: a [DocumentFunc] returns the next [Steps] of a document, with inputs, tokens, labels and targets.
//
// A model is the same whatever it learns. It predicts each step if all steps have a label or target; every n-th, if the others
// have the label -100 (loss.Ignore) or the target NaN; and the end of a document, if only the last step has one, as [Documents]
// arranges for a label of a whole example. A window in which no step has one is train.ErrNothingCounted, which is to be passed
// over. The model starts from the state that the window before has left; where a document begins, the layer resets the state:
//
//	y, end := layer.Forward(x, rnn.Options{Start: state.Carry(t, b.First, b.Rows()),
//		Lengths: b.Lengths, Resets: b.Begins, Overlap: b.Overlap})
//	state.Set(end, b.First)
//
// Every document begins with a reset, the first of a stream, too, so an epoch needs no other. The example of [Streams] named Training
// trains a model of the next character, and the example of package train named Documents classifies documents.
//
// # Training, validation and test
//
//   - [Split] divides any source in its order, and [SplitShuffled] at random.
//   - [SplitStratified] divides at random and keeps the proportions of the classes in both parts.
//   - [SplitSeries] cuts a series in time, before windows over its parts are made, so that no window of one part reads
//     steps of the other.
//
// # Preparing numbers
//
// [FitInputs] and [FitTargets] compute a [Standardizer] from the training part: the mean and the standard deviation of
// each column. Apply brings the inputs or targets of all parts to mean 0 and deviation 1, and Undo brings predictions back
// to the original unit. Its String goes into the metadata of a file of weights, and [ParseStandardizer] reads it. [FillGaps]
// fills short gaps, which are NaN values, in a series by straight lines; the losses do not count targets that stay NaN.
package dataset

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"

	"github.com/unroll-go/unroll/tensor"
)

// Source is a set of examples that can be gathered into batches. Gather may be called
// by many goroutines at once, each with a Batch of its own.
type Source interface {
	// Len returns the number of examples.
	Len() int
	// Gather fills into with the examples at rows, in that order, and reuses its memory. It does not change
	// into.First. The sources of this package set into.Index. A source of one's own need not, because [Rows], [Join]
	// and package train set into.Index to rows before they call Gather; it should, if its Gather is called directly,
	// for without Index a batch of tokens does not know its rows. After an error the batch must not be used.
	Gather(rows []int, into *Batch) error
}

// Rows is a batch not yet gathered: the examples of Source at Index. It is a Source itself, which holds these
// examples only.
type Rows struct {
	Source Source
	Index  []int
}

// Len returns the number of examples.
func (r Rows) Len() int { return len(r.Index) }

// Gather implements [Source]: rows count from 0 to Len()-1. The batch's Index gets the numbers of the innermost source.
func (r Rows) Gather(rows []int, into *Batch) error {
	if err := checkRows(rows, len(r.Index), "rows"); err != nil {
		return err
	}
	into.start(rows)
	for b, i := range into.Index {
		into.Index[b] = r.Index[i]
	}
	return r.Source.Gather(into.Index, into)
}

// Batches returns s in order, cut into batches of size rows; the last batch has the rows that are left.
// An Index is valid until the next batch. It panics with a [*tensor.UsageError] if size is not positive.
func Batches(s Source, size int) iter.Seq[Rows] {
	checkSize(size)
	return func(yield func(Rows) bool) {
		index := make([]int, min(size, s.Len()))
		for lo := 0; lo < s.Len(); lo += size {
			index = index[:min(size, s.Len()-lo)]
			for i := range index {
				index[i] = lo + i
			}
			if !yield(Rows{s, index}) {
				return
			}
		}
	}
}

// Shuffled returns the rows of s in an order that follows from (seed, epoch) alone, cut into
// max(1, floor(Len/size)) batches whose sizes differ by at most one, the larger batches
// first, as numpy's array_split cuts. 55,000 rows in batches of 150 are 366
// batches of 150 or 151 rows. An Index may be kept. It panics with a [*tensor.UsageError] if size is not positive.
func Shuffled(s Source, size int, seed, epoch uint64) iter.Seq[Rows] {
	checkSize(size)
	return func(yield func(Rows) bool) {
		n := s.Len()
		if n == 0 {
			return
		}
		order := rand.New(rand.NewPCG(seed, epoch)).Perm(n)
		batches := max(1, n/size)
		for i := range batches {
			lo, hi := Cut(n, batches, i)
			if !yield(Rows{s, order[lo:hi:hi]}) {
				return
			}
		}
	}
}

// Grouped returns the batches in groups of n, such as the batches that one Run of a train.Step takes together; the last
// group has the batches that are left. A group and the Index of its batches are valid until the next group. Grouped panics
// with a [*tensor.UsageError] if n is not positive.
func Grouped(batches iter.Seq[Rows], n int) iter.Seq[[]Rows] {
	if n < 1 {
		panic(&tensor.UsageError{Where: "dataset.Grouped", What: fmt.Sprintf("groups of %d batches, want at least 1", n)})
	}
	return func(yield func([]Rows) bool) {
		group, count := make([]Rows, n), 0
		for rows := range batches {
			group[count].Source = rows.Source
			group[count].Index = append(group[count].Index[:0], rows.Index...)
			if count++; count == n {
				if !yield(group) {
					return
				}
				count = 0
			}
		}
		if count > 0 {
			yield(group[:count])
		}
	}
}

// Cut returns the bounds of part i, counted from 0, of n rows that are cut into so many parts, as numpy's array_split
// cuts: the first n%parts parts have one row more than the others. It panics with a [*tensor.UsageError] if parts is not
// positive.
func Cut(n, parts, i int) (lo, hi int) {
	if parts < 1 {
		panic(&tensor.UsageError{Where: "dataset.Cut", What: fmt.Sprintf("%d parts, want at least 1", parts)})
	}
	size, larger := n/parts, n%parts
	lo = i*size + min(i, larger)
	hi = lo + size
	if i < larger {
		hi++
	}
	return lo, hi
}

// Split returns the first n examples of s and the rest, as Sources over the same memory. It
// panics with a [*tensor.UsageError] if n is not within 0 and s.Len().
func Split(s Source, n int) (first, rest Source) {
	if n < 0 || n > s.Len() {
		panic(&tensor.UsageError{Where: "dataset.Split",
			What: fmt.Sprintf("cut at %d, want within 0 and the source's %d examples", n, s.Len())})
	}
	index := make([]int, s.Len())
	for i := range index {
		index[i] = i
	}
	return Rows{s, index[:n:n]}, Rows{s, index[n:]}
}

func checkSize(size int) {
	if size <= 0 {
		panic(&tensor.UsageError{Where: "dataset", What: fmt.Sprintf("batch size is %d, want at least 1", size)})
	}
}

// checkRows returns an error that names the first of rows that is not within 0 and n-1. things is what the source holds.
func checkRows(rows []int, n int, things string) error {
	for _, r := range rows {
		if r < 0 || r >= n {
			return fmt.Errorf("dataset: row %d of a set of %d %s", r, n, things)
		}
	}
	return nil
}

// shaped gives t a shape, and makes a tensor if t is nil.
func shaped(t *tensor.Tensor, shape ...int) *tensor.Tensor {
	if t == nil {
		t = &tensor.Tensor{}
	}
	t.Resize(shape...)
	return t
}

// sized returns a slice of n elements of any value, in the memory of s where it is large enough.
func sized(s []int32, n int) []int32 {
	return slices.Grow(s[:0], n)[:n]
}

// timeMajor fills dst, [steps,B,width], with the examples at rows of src, [N,steps,width].
func timeMajor[E any](dst, src []E, rows []int, steps, width int) {
	for t := range steps {
		for _, r := range rows {
			copy(dst[:width], src[(r*steps+t)*width:])
			dst = dst[width:]
		}
	}
}

// column writes seq from the top into column at of dst, [T,columns], and fills the rest of the column with pad.
func column(dst []int32, columns, at int, seq []int32, pad int32) {
	for i := at; i < len(dst); i += columns {
		if len(seq) == 0 {
			dst[i] = pad
			continue
		}
		dst[i], seq = seq[0], seq[1:]
	}
}
