package autograd

import (
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/unroll-go/unroll/tensor"
)

// ShapeError is the panic of an operation whose operands have shapes that do not fit together.
type ShapeError = tensor.ShapeError

// UsageError is the panic of the library when a caller breaks one of its rules: a node of an earlier run, a name that
// is given twice, a setting out of range.
type UsageError = tensor.UsageError

// PanicError holds a panic other than a [*ShapeError] or [*UsageError] that [Try] or a worker of a training step
// caught, with the stack of the goroutine in which the panic occurred.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v\n%s", e.Value, e.Stack) }

// Unwrap returns the value of the panic if it is an error, and nil otherwise.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// ErrNotFinite is wrapped by the error for a loss ([Node.Backward]) or a gradient ([Tape.NotFinite]) that is NaN or
// infinite.
var ErrNotFinite = errors.New("not finite")

// ErrNoGradient is wrapped by the error of [Node.Backward] for a loss that depends on nothing that needs a gradient:
// the model does not use its weights, or all weights that it uses are frozen.
var ErrNoGradient = errors.New("the loss depends on no weight that is trained")

// DataError is an error of a run ([Tape.Fail]) that one row of the data causes, such as a label out of range. A
// training step knows which examples its batch holds and adds the number of the example to the text.
type DataError struct {
	// Text names the operation and says what was found and what was expected.
	Text string
	// Row is the index, from 0 to Rows-1, of the row in the data that the operation was given. In a time-major sequence
	// [T,B,...], row t*B + b belongs to step t of row b of the batch. Rows is 0 if the data have no rows.
	Row, Rows int
}

func (e *DataError) Error() string {
	if e.Rows == 0 {
		return e.Text
	}
	return fmt.Sprintf("%s (row %d of %d)", e.Text, e.Row, e.Rows)
}

// Try calls f and returns a panic of f as an error: a [*ShapeError], a [*UsageError] or, for any other panic, a
// [*PanicError] with the stack. It is meant for the outermost function of a program that must survive a caller's
// mistake, such as the handler of a server. The tape that f used can be used again after Reset.
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
