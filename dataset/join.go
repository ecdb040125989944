package dataset

import (
	"fmt"
	"slices"

	"github.com/unroll-go/unroll/internal/label"
	"github.com/unroll-go/unroll/tensor"
)

// Join returns a Source whose example i is example i of each of the sources: several inputs (two towers, numbers beside
// tokens), several sets of labels or targets (two tasks), each with lengths of its own. Batch.Parts[k] holds the rows of
// sources[k]; of the batch itself, only Index is filled. Its Lengths are nil, which a layer takes for rows of full length:
// hand a layer the lengths of the part that it reads.
//
//	s := dataset.Join(
//		&dataset.Sequences{IDs: questions},
//		&dataset.Sequences{IDs: answers},
//		&dataset.Tensors{Labels: matches})
//	...
//	question, answer, match := &b.Parts[0], &b.Parts[1], &b.Parts[2]
//
// A part with nothing but labels or targets is a [Tensors] or [Sequences] without inputs. For [Buckets], the length of an
// example is the sum of its lengths in the parts that are [Measured]. An error of a part tells
// its number.
//
// Join panics with a [*tensor.UsageError] if there are no sources, and with a [*tensor.ShapeError] if they have different
// numbers of examples.
func Join(sources ...Source) Source {
	if len(sources) == 0 {
		panic(&tensor.UsageError{Where: "dataset.Join", What: "no sources, want at least one"})
	}
	for i, s := range sources {
		if got, want := s.Len(), sources[0].Len(); got != want {
			panic(&tensor.ShapeError{Where: "dataset.Join", Got: fmt.Sprintf("source %d has %d examples", i, got),
				Want: fmt.Sprintf("%d, as source 0 has", want)})
		}
	}
	return joined(sources)
}

type joined []Source

func (j joined) Len() int { return j[0].Len() }

func (j joined) Gather(rows []int, into *Batch) error {
	if err := checkRows(rows, j.Len(), "examples"); err != nil {
		return err
	}
	into.start(rows)
	into.X, into.IDs, into.Labels, into.Target, into.Lengths = nil, nil, nil, nil, nil
	into.Parts = slices.Grow(into.Parts, len(j))[:len(j)]
	for k, s := range j {
		part := &into.Parts[k]
		part.First = into.First
		part.start(rows) // for a source of the user's own, which does not set Index
		if err := s.Gather(into.Index, part); err != nil {
			return fmt.Errorf("part %d of dataset.Join: %w", k, err)
		}
	}
	return nil
}

// Pairs returns a Source of pairs of a source sequence and a target sequence, for an encoder and a decoder: translation,
// summaries, captions of pictures. Example i of source goes into the encoder; it may be of any kind, such as [Sequences] of
// tokens or of numbers. The decoder learns targets[i]: its input at each step is the target's token of the step before
// (teacher forcing: Sutskever, Vinyals & Le 2014, "Sequence to Sequence Learning with Neural Networks", arXiv:1409.3215).
// With a target of n tokens y_1 to y_n:
//
//	b.Parts[0]           the batch of source
//	b.Parts[1].IDs       start, y_1, ..., y_n, padded with end
//	b.Parts[1].Labels    y_1, ..., y_n, end, padded with loss.Ignore (-100)
//	b.Parts[1].Lengths   n+1
//
// A target may be empty. Pairs borrows targets. It is a [Join] of source and the decoder's source, and panics as Join does.
func Pairs(source Source, targets [][]int32, start, end int32) Source {
	return Join(source, &decoder{targets, start, end})
}

// decoder is the source of a decoder's inputs and labels.
type decoder struct {
	targets    [][]int32
	start, end int32
}

func (d *decoder) Len() int { return len(d.targets) }

func (d *decoder) Length(i int) int { return len(d.targets[i]) + 1 }

// Gather need not check rows: Join does.
func (d *decoder) Gather(rows []int, into *Batch) error {
	into.start(rows)
	into.X, into.Target = nil, nil
	n, steps := len(rows), 0
	into.Lengths = into.Lengths[:0]
	for _, r := range rows {
		into.Lengths = append(into.Lengths, d.Length(r))
		steps = max(steps, d.Length(r))
	}
	into.IDs, into.Labels = sized(into.IDs, steps*n), sized(into.Labels, steps*n)
	for b, r := range rows {
		target := d.targets[r]
		into.IDs[b] = d.start
		column(into.IDs[n:], n, b, target, d.end)
		column(into.Labels, n, b, target, label.Ignore)
		into.Labels[len(target)*n+b] = d.end
	}
	return nil
}
