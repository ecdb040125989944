package autograd

import (
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/unroll-go/unroll/tensor"
)

// ShapeError is what operations panic with when sizes do not fit together.
type ShapeError = tensor.ShapeError

// UsageError is what the library panics with when it is used in a way that its rules
// forbid: a node of an earlier run, a name given twice, a setting out of range.
type UsageError = tensor.UsageError

// PanicError is any other panic, caught by [Try] or in a worker of a training step,
// with the stack of the goroutine that it happened in.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v\n%s", e.Value, e.Stack) }

// Unwrap returns the panic's value if that is an error, and nil otherwise.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// ErrNotFinite is wrapped by the error of a run whose loss is NaN or infinite.
var ErrNotFinite = errors.New("loss is not finite")

// ErrNoGradient is wrapped by the error of a Backward whose loss depends on nothing that wants a gradient: the model does not
// use its weights, or all of them are frozen.
var ErrNoGradient = errors.New("the loss depends on no weight that is trained")

// DataError is the error of a run ([Tape.Fail]) for one row of its data, such as a label out of range. A training step, which
// knows the rows of its batch, adds the number of the example.
type DataError struct {
	// Text tells the operation, what was found and what was expected.
	Text string
	// Row is the row, from 0 to Rows-1, of the data that the operation was given. Of a sequence, time-major, it is
	// t*B + b for row b of the batch at step t. Rows is 0 if the data have no rows.
	Row, Rows int
}

func (e *DataError) Error() string {
	if e.Rows == 0 {
		return e.Text
	}
	return fmt.Sprintf("%s (row %d of %d)", e.Text, e.Row, e.Rows)
}

// Try runs f and returns its panic as an error: a [*ShapeError], a [*UsageError] or a
// [*PanicError] with the stack. It is for the edge of a program, such as a server's handler, that
// must outlive a caller's mistake. The tape that f ran on is good again after Reset.
func Try(f func()) (err error) {
	defer func() {
		switch v := recover().(type) {
		case nil:
		case *ShapeError:
			err = v
		case *UsageError:
			err = v
		case *PanicError:
			err = v
		default:
			err = &PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	f()
	return nil
}
