package train

import (
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/unroll-go/unroll/autograd"
)

// History is what was measured, a row an epoch (or whatever the caller counts), in named columns.
type History struct {
	columns []string
	rows    [][]float64
}

// NewHistory returns an empty history with the given columns.
func NewHistory(columns ...string) *History { return &History{columns: slices.Clone(columns)} }

// Add appends a row. It panics with a [*autograd.ShapeError] if there is not one value a column.
func (h *History) Add(values ...float64) {
	if len(values) != len(h.columns) {
		panic(&autograd.ShapeError{Where: "train.History.Add", Got: fmt.Sprintf("%d values", len(values)),
			Want: fmt.Sprintf("%d, one each for %v", len(h.columns), h.columns)})
	}
	h.rows = append(h.rows, slices.Clone(values))
}

// Len returns the number of rows.
func (h *History) Len() int { return len(h.rows) }

// Column returns the values of a column, a copy. It panics with a [*autograd.UsageError] if there is none of
// that name.
func (h *History) Column(name string) []float64 {
	i := slices.Index(h.columns, name)
	if i < 0 {
		panic(&autograd.UsageError{Where: "train.History.Column", What: fmt.Sprintf("no column %q among %v", name, h.columns)})
	}
	values := make([]float64, len(h.rows))
	for r, row := range h.rows {
		values[r] = row[i]
	}
	return values
}

// WriteCSV writes a line of names and a line a row, numbers with nine significant digits: enough to tell
// any two float32 apart.
func (h *History) WriteCSV(w io.Writer) error {
	out := csv.NewWriter(w)
	line := slices.Clone(h.columns)
	out.Write(line)
	for _, row := range h.rows {
		for i, v := range row {
			line[i] = strconv.FormatFloat(v, 'g', 9, 64)
		}
		out.Write(line)
	}
	out.Flush()
	return out.Error()
}
