package autograd

import (
	"fmt"
	"slices"

	"github.com/unroll-go/unroll/internal/kernel"
	"github.com/unroll-go/unroll/tensor"
)

// MaxSteps returns the largest elements over the valid steps of each sequence: x [T,B,...] gives [B,...]. A row of length 0
// gives zeros. NaN, equal elements and their gradient are as in [Max]. lengths and panics are as in [MeanSteps].
func MaxSteps(x *Node, lengths []int) *Node {
	const where = "autograd.MaxSteps"
	t := TapeOf(where, x)
	checkSteps(where, x, lengths)
	return maxWindows(windowsOp{where, x, t.New(x.shape[1:]...), 1, 0, 0, lengths})
}

// MaxWindows returns the largest elements within windows of width steps that begin stride steps apart, PyTorch's max_pool1d: x
// [T,B,...] gives [T',B,...], T' = (T-width)/stride + 1, rounded down. Row b has the values that its first lengths[b] steps alone
// would give, (lengths[b]-width)/stride + 1 of them, and zeros after these. NaN, equal elements and their gradient are as in [Max].
// nil lengths mean that all are T. lengths is borrowed until Backward has run. MaxWindows panics with a [*ShapeError] if x has
// fewer than two dimensions or fewer than width steps, if width or stride is not positive or if the lengths do not fit x.
func MaxWindows(x *Node, width, stride int, lengths []int) *Node {
	return maxWindows(newWindows("autograd.MaxWindows", x, width, stride, lengths))
}

// MeanWindows returns the means within windows of steps, PyTorch's avg_pool1d, added in float32 and in order. Windows, lengths and
// panics are as in [MaxWindows].
func MeanWindows(x *Node, width, stride int, lengths []int) *Node {
	o := meanWindowsOp{newWindows("autograd.MeanWindows", x, width, stride, lengths)}
	clear(o.y.data)
	o.each(func(y, x, n, size, steps int) {
		kernel.AddColumns(o.y.data[y:y+n], o.x.data[x:], size, steps)
		kernel.Scale(o.y.data[y:y+n], 1/float32(steps))
	})
	if x.requires {
		Record(x.tape, o, o.y)
	}
	return o.y.moved(o.where, x)
}

type meanWindowsOp struct{ windowsOp }

func (o meanWindowsOp) Backward() {
	if o.y.grad == nil {
		return
	}
	dx := o.x.AccumulateGrad()
	o.each(func(y, x, n, size, steps int) {
		for k := range steps {
			kernel.AddScaled(dx[x+k*size:][:n], 1/float32(steps), o.y.grad[y:y+n])
		}
	})
}

// windowsOp is a sequence x [T,B,...] and y [out,B,...], which has one value for each window of steps of x.
type windowsOp struct {
	where              string
	x, y               *Node
	out, width, stride int // width 0: all valid steps
	lengths            []int
}

func newWindows(where string, x *Node, width, stride int, lengths []int) windowsOp {
	t := TapeOf(where, x)
	checkSteps(where, x, lengths)
	if width < 1 || stride < 1 || x.shape[0] < width {
		panic(&ShapeError{Where: where, Got: fmt.Sprintf("windows of width %d and stride %d over shape %v", width, stride, slices.Clone(x.shape)),
			Want: "a width from 1 to the steps of x, and a stride of at least 1"})
	}
	out := (x.shape[0]-width)/stride + 1
	var room [8]int
	return windowsOp{where, x, t.New(append(append(room[:0], out), x.shape[1:]...)...), out, width, stride, lengths}
}

func (o windowsOp) String() string { return o.where }

// each calls f for each window of each row with at least one step: n elements of y from index y on are computed from steps times n
// elements of x, which begin at x and size elements apart. Without lengths the whole batch counts as one row.
func (o windowsOp) each(f func(y, x, n, size, steps int)) {
	size, rows := tensor.Size(o.x.shape[1:]), max(1, len(o.lengths))
	n := size / rows
	for t := range o.out {
		for b := range rows {
			valid, steps := o.x.shape[0], o.width
			if o.lengths != nil {
				valid = o.lengths[b]
			}
			if steps == 0 {
				steps = valid
			}
			if n > 0 && steps > 0 && t*o.stride+steps <= valid {
				f(t*size+b*n, t*o.stride*size+b*n, n, size, steps)
			}
		}
	}
}

// maxWindows sets o.y to the largest elements of each window.
func maxWindows(o windowsOp) *Node {
	clear(o.y.data)
	o.each(func(y, x, n, size, steps int) {
		copy(o.y.data[y:y+n], o.x.data[x:])
		for k := 1; k < steps; k++ {
			kernel.Maximum(o.y.data[y:y+n], o.y.data[y:y+n], o.x.data[x+k*size:])
		}
	})
	if o.x.requires {
		Record(o.y.tape, maxWindowsOp{o}, o.y)
	}
	return o.y.nonlinear(o.where, o.x)
}

type maxWindowsOp struct{ windowsOp }

func (o maxWindowsOp) Backward() {
	if o.y.grad == nil {
		return
	}
	dx, left := o.x.AccumulateGrad(), o.y.tape.Scratch(len(o.y.grad))
	copy(left, o.y.grad)
	o.each(func(y, x, n, size, steps int) {
		for k := range steps {
			at := x + k*size
			kernel.TakeWhereEqual(dx[at:at+n], left[y:y+n], o.x.data[at:at+n], o.y.data[y:y+n])
		}
	})
}
