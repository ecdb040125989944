package train

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/bounded"
	"github.com/unroll-go/unroll/internal/quote"
)

// History is a table of measurements with named columns, such as the loss of each epoch. A row is usually an epoch, but
// the caller may add a row at any time.
type History struct {
	columns []string
	rows    [][]float64
}

// NewHistory returns an empty history with the given columns. It panics with a [*autograd.UsageError] if there are no
// columns, or if a name is empty, occurs twice or has a line break.
func NewHistory(columns ...string) *History {
	if err := checkColumns(columns); err != nil {
		panic(&autograd.UsageError{Where: "train.NewHistory", What: err.Error()})
	}
	return &History{columns: slices.Clone(columns)}
}

// checkColumns returns an error if the names of the columns of a history are not valid.
func checkColumns(columns []string) error {
	if len(columns) == 0 {
		return errors.New("no columns, want at least one")
	}
	seen := make(map[string]bool, len(columns))
	for _, name := range columns {
		switch {
		case name == "" || strings.ContainsAny(name, "\r\n"):
			return fmt.Errorf("a column is named %s, want a name without line breaks that is not empty", quote.Text(name))
		case seen[name]:
			return fmt.Errorf("two columns are named %s", quote.Text(name))
		}
		seen[name] = true
	}
	return nil
}

// Add appends a row. It panics with a [*autograd.ShapeError] if the number of values is not the number of columns.
func (h *History) Add(values ...float64) {
	if len(values) != len(h.columns) {
		panic(&autograd.ShapeError{Where: "train.History.Add", Got: fmt.Sprintf("%d values", len(values)),
			Want: fmt.Sprintf("%d, one each for %s", len(h.columns), quote.Names(h.columns))})
	}
	h.rows = append(h.rows, slices.Clone(values))
}

// Len returns the number of rows.
func (h *History) Len() int { return len(h.rows) }

// Columns returns a copy of the names of the columns, in order.
func (h *History) Columns() []string { return slices.Clone(h.columns) }

// Column returns a copy of the values of a column, one for each row. It panics with a [*autograd.UsageError] if no column
// has that name.
func (h *History) Column(name string) []float64 {
	i := slices.Index(h.columns, name)
	if i < 0 {
		panic(&autograd.UsageError{Where: "train.History.Column", What: fmt.Sprintf("no column %s among %s", quote.Text(name), quote.Names(h.columns))})
	}
	values := make([]float64, len(h.rows))
	for r, row := range h.rows {
		values[r] = row[i]
	}
	return values
}

// WriteCSV writes a line with the names of the columns and a line for each row. Each number has as many digits as
// [ReadHistory] needs to read the same float64; NaN and infinities are written as NaN, +Inf and -Inf. A float32 that
// the caller converted to float64 therefore has up to 17 digits: 0.1 becomes 0.10000000149011612.
func (h *History) WriteCSV(w io.Writer) error {
	out := csv.NewWriter(w)
	line := slices.Clone(h.columns)
	out.Write(line)
	for _, row := range h.rows {
		for i, v := range row {
			line[i] = formatFloat(v)
		}
		out.Write(line)
	}
	out.Flush()
	return out.Error()
}

// formatFloat returns the shortest text that reads back as v, with an exponent for very small and very large numbers.
func formatFloat(v float64) string {
	format := byte('f')
	if size := math.Abs(v); size != 0 && size < 1e-5 || size >= 1e15 {
		format = 'e' // infinities look the same in both formats
	}
	return strconv.FormatFloat(v, format, -1, 64)
}

// ReadHistory reads a history that [History.WriteCSV] wrote, up to the end of r. Every number is the same as before,
// except that all NaN have the same bits. An error that the content causes names the line. A file may have at most 100,000
// columns, and ReadHistory allocates at most 48 times the bytes that it reads and 48 MiB, garbage included.
func ReadHistory(r io.Reader) (*History, error) {
	h, err := readHistory(r)
	if err != nil {
		return nil, fmt.Errorf("train.ReadHistory: %w", err)
	}
	return h, nil
}

// readHistory is ReadHistory without the prefix of the error.
func readHistory(r io.Reader) (*History, error) {
	in := csv.NewReader(bounded.Columns(r, ','))
	in.FieldsPerRecord = -1 // checked here, with an error that names the columns
	in.ReuseRecord = true
	fields, err := in.Read()
	if err == io.EOF {
		return nil, errors.New("nothing to read, want a line with the names of the columns")
	} else if err != nil {
		return nil, csvError(err)
	}
	h := &History{columns: slices.Clone(fields)}
	if err := checkColumns(h.columns); err != nil {
		return nil, fmt.Errorf("line 1: %w", err)
	}
	var values []float64 // of all rows; a slice for each row would take eight times as much while they are read
	for {
		fields, err := in.Read()
		if err == io.EOF {
			h.rows = slices.AppendSeq(make([][]float64, 0, len(values)/len(h.columns)), slices.Chunk(values, len(h.columns)))
			return h, nil
		} else if err != nil {
			return nil, csvError(err)
		}
		if len(fields) != len(h.columns) {
			line, _ := in.FieldPos(0)
			return nil, fmt.Errorf("line %d: %d values, want %d, one for each column", line, len(fields), len(h.columns))
		}
		for i, text := range fields {
			v, err := strconv.ParseFloat(text, 64)
			if err != nil {
				line, _ := in.FieldPos(i)
				return nil, fmt.Errorf("line %d, column %s: %s is no number that a float64 can hold", line, quote.Text(h.columns[i]), quote.Text(text))
			}
			values = append(values, v)
		}
	}
}

// csvError returns an error of package csv in the form of readHistory's own errors, which begin with the line.
func csvError(err error) error {
	var e *csv.ParseError
	if errors.As(err, &e) {
		return fmt.Errorf("line %d: %w", e.Line, e.Err)
	}
	return err
}
