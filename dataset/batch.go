package dataset

import (
	"fmt"

	"github.com/unroll-go/unroll/tensor"
)

// Batch holds the examples that a model sees at once. A Source fills the fields that it has data for and sets the
// others to nil. B is the number of rows (examples) and T the number of steps; arrays with a step are
// time-major. Gather reuses the memory, so a Batch must not be filled again while a tape uses it.
type Batch struct {
	X       *tensor.Tensor // inputs: [T,B,F], or [B,F] where the examples have no time axis
	IDs     []int32        // tokens, [T,B]: the token of row b at step t is IDs[t*B+b]
	Labels  []int32        // one class a row, [B], or one class a step, [T,B] as IDs
	Target  *tensor.Tensor // numbers to predict: of each row, [B,K], or of each step, [T,B,K]
	Lengths []int          // number of valid steps of each row, [B]; nil: all steps are valid
	// Begins and Overlap are set by [Streams] alone, for Resets and Overlap of rnn.Options. Begins says at which step which
	// row begins a document, [T,B] as IDs; nil: none does. Overlap is the number of last steps that are in the next window, too.
	Begins  []bool
	Overlap int
	// Parts are the batches of a [Join]'s sources, with the same rows in the same order and the same First.
	Parts []Batch
	// Index holds the number of each row's example, [B], as the innermost source counts its examples: for a part of
	// a source, such as [Split] returns, the numbers in the whole source.
	Index []int
	// First is the number of the first row within the whole batch: a training step cuts a batch into shards, and
	// the rows of this shard are First to First+Rows()-1 of the whole batch.
	First int

	index  []int  // the batch's own memory for Index
	begins []bool // and for Begins
}

// start begins a new filling with the examples at rows: it sets Index, and empties Parts, Begins and Overlap. It copies rows,
// which may be Index itself.
func (b *Batch) start(rows []int) {
	b.Parts, b.Begins, b.Overlap = b.Parts[:0], nil, 0
	b.index = append(b.index[:0], rows...)
	b.Index = b.index
}

// Rows returns the number of rows, B. It panics with a [*tensor.ShapeError] if the fields do not fit together, or if
// there are IDs or Labels but none of Index, X, Lengths and Target, from which the number of rows follows.
func (b *Batch) Rows() int {
	rows, _ := b.size()
	return rows
}

// Steps returns the number of steps, T: 1 where the examples have no time axis, and for the batch of a [Join], whose Parts
// have steps of their own. It panics as [Batch.Rows] does.
func (b *Batch) Steps() int {
	_, steps := b.size()
	return steps
}

// Tokens returns IDs and the number of rows, as an embedding needs them. It panics as [Batch.Rows] does, and with a
// [*tensor.ShapeError] if there are no IDs.
func (b *Batch) Tokens() (ids []int32, rows int) {
	rows, steps := b.size()
	if b.IDs == nil && rows*steps > 0 {
		if len(b.Parts) > 0 {
			b.wrong("no IDs in a batch of dataset.Join", "the IDs of one of its Parts")
		}
		b.wrong("no IDs", "%d, for %d rows of %d steps", rows*steps, rows, steps)
	}
	return b.IDs, rows
}

// size returns the numbers of rows and steps, and panics if a field does not fit them.
func (b *Batch) size() (rows, steps int) {
	rows = b.countRows()
	if b.X != nil {
		if x := b.X.Shape(); rowsOf(x) != rows {
			b.wrong(fmt.Sprintf("X has shape %v", x), "%d rows, as Index has", rows)
		}
	}
	steps = b.countSteps(rows)
	if b.IDs != nil && len(b.IDs) != rows*steps {
		b.wrong(fmt.Sprintf("%d IDs", len(b.IDs)), "%d, for %d rows of %d steps", rows*steps, rows, steps)
	}
	if l := len(b.Lengths); b.Lengths != nil && l != rows {
		b.wrong(fmt.Sprintf("%d Lengths", l), "%d, one a row", rows)
	}
	if l := len(b.Labels); b.Labels != nil && l != rows && l != rows*steps {
		b.wrong(fmt.Sprintf("%d Labels", l), "%d, one a row, or %d, one a step", rows, rows*steps)
	}
	if l := len(b.Begins); b.Begins != nil && l != rows*steps {
		b.wrong(fmt.Sprintf("%d Begins", l), "%d, for %d rows of %d steps", rows*steps, rows, steps)
	}
	if b.Overlap < 0 || b.Overlap > steps {
		b.wrong(fmt.Sprintf("Overlap is %d", b.Overlap), "0 to %d, the number of steps", steps)
	}
	if b.Target != nil {
		y := b.Target.Shape()
		if perRow, perStep := len(y) > 0 && y[0] == rows, len(y) > 2 && y[1] == rows; !perRow && !perStep {
			b.wrong(fmt.Sprintf("Target has shape %v", y), "[%d,K], numbers of each row, or [T,%d,K], of each step", rows, rows)
		}
	}
	return rows, steps
}

// countRows returns the number of rows. It follows from the first field that is set among Index, X, Lengths and Target.
func (b *Batch) countRows() int {
	switch {
	case b.Index != nil:
		return len(b.Index)
	case b.X != nil:
		if len(b.X.Shape()) == 0 {
			b.wrong("X has shape []", "[T,B,F] or [B,F]")
		}
		return rowsOf(b.X.Shape())
	case b.Lengths != nil:
		return len(b.Lengths)
	case b.Target != nil:
		if len(b.Target.Shape()) == 0 {
			b.wrong("Target has shape []", "[B,K] or [T,B,K]")
		}
		return rowsOf(b.Target.Shape())
	case len(b.IDs) > 0:
		b.wrong(fmt.Sprintf("%d IDs and no Index", len(b.IDs)), "an Index with the number of each row's example")
	case len(b.Labels) > 0:
		b.wrong(fmt.Sprintf("%d Labels and no Index", len(b.Labels)), "an Index with the number of each row's example")
	}
	return 0
}

// countSteps returns the number of steps. It follows from the inputs or, if there are none, from Target and Labels.
func (b *Batch) countSteps(rows int) int {
	switch {
	case b.X != nil && len(b.X.Shape()) > 2:
		return b.X.Dim(0)
	case b.IDs != nil:
		return b.wholeSteps("IDs", len(b.IDs), rows)
	case b.X != nil:
		return 1
	case b.Target != nil && len(b.Target.Shape()) > 2:
		return b.Target.Dim(0)
	case b.Labels != nil:
		return b.wholeSteps("Labels", len(b.Labels), rows)
	}
	return 1
}

// wholeSteps returns n/rows, and panics if n is not divisible by rows.
func (b *Batch) wholeSteps(field string, n, rows int) int {
	if n == 0 {
		return 0
	}
	if rows == 0 || n%rows != 0 {
		b.wrong(fmt.Sprintf("%d %s", n, field), "a whole number of steps of %d rows", rows)
	}
	return n / rows
}

func (b *Batch) wrong(got, want string, args ...any) {
	panic(&tensor.ShapeError{Where: "dataset.Batch", Got: got, Want: fmt.Sprintf(want, args...)})
}

// rowsOf returns the number of rows of a shape [T,B,...] or [B,F] or [B]; -1 if the shape has no dimensions.
func rowsOf(shape []int) int {
	switch len(shape) {
	case 0:
		return -1
	case 1, 2:
		return shape[0]
	default:
		return shape[1]
	}
}
