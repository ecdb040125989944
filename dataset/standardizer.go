package dataset

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"

	"github.com/unroll-go/unroll/internal/quote"
	"github.com/unroll-go/unroll/tensor"
)

// Standardizer shifts and scales columns of numbers to mean 0 and standard deviation 1, the range in which networks
// learn well: z = (x - Mean)/Scale, column by column. It is fitted on the training part alone ([FitInputs],
// [FitTargets]), applied to the numbers of all parts, and undone on predictions. It belongs to the model as the weights
// do: [Standardizer.String] is its text for the metadata of a file of weights, and [ParseStandardizer] reads the text.
//
//	train, test := dataset.Split(table, n)
//	inputs, err := dataset.FitInputs(train)
//	...
//	inputs.Apply(table.X) // train and test are parts of this memory
//	...
//	err = safetensors.Save(path, params, map[string]string{"inputs": inputs.String()})
//
// A column that should stay as it is, such as a flag of 0 and 1, is given Mean 0 and Scale 1 after the fit. Columns are
// counted from 0; errors give their names too where the source is a [Table].
type Standardizer struct {
	Mean []float64 `json:"mean"` // the mean of each column
	// Scale is the standard deviation of each column, with N in the divisor. The scale of a column whose numbers are
	// all the same is 1, so that the column becomes 0 (as in scikit-learn's StandardScaler).
	Scale []float64 `json:"scale"`
	// Missing is how many NaN values the fit passed over in each column. It is not part of the text.
	Missing []int `json:"-"`
}

// FitInputs returns the mean and the deviation of each column of Batch.X, its last dimension, over all examples of s: over
// the rows of a Tensors.X of shape [N,F], or over the examples and steps of [N,T,F]. s may be a part of a source, as
// [Split] returns it. The fit passes over NaN values and steps past the length of an example. A series [T,F] is fitted as
// a source of T rows, &Tensors{X: series}; in [Windows] a step would count once for each window that it is in.
//
// It is an error if s has no examples, if a column has no number, or if a value is infinite; an error of Gather is
// returned with context. FitInputs panics with a [*tensor.UsageError] if X is not a tensor [B,F] or [T,B,F] in a batch.
func FitInputs(s Source) (*Standardizer, error) {
	f := fit{where: "dataset.FitInputs", field: "X"}
	if table := tableOf(s); table != nil {
		f.names = table.FeatureNames
	}
	return f.over(s, func(b *Batch) *tensor.Tensor { return b.X })
}

// FitTargets is [FitInputs] for the columns of Batch.Target.
func FitTargets(s Source) (*Standardizer, error) {
	f := fit{where: "dataset.FitTargets", field: "Target"}
	if table := tableOf(s); table != nil {
		f.names = table.TargetNames
	}
	return f.over(s, func(b *Batch) *tensor.Tensor { return b.Target })
}

// tableOf returns the table that s is, or is a part of, or nil.
func tableOf(s Source) *Table {
	switch s := s.(type) {
	case *Table:
		return s
	case Rows:
		return tableOf(s.Source)
	}
	return nil
}

// fit is the state of fitting a Standardizer to a field of the batches of a source.
type fit struct {
	where, field string
	names        []string // of the columns, for errors; nil: only their numbers are known
	columns      []moments
}

// moments are the running mean and the sum of squared distances from the mean of the numbers of one column (Welford 1962,
// "Note on a method for calculating corrected sums of squares and products").
type moments struct {
	n, missing    int
	mean, squares float64
}

func (m *moments) add(x float64) {
	m.n++
	d := x - m.mean
	m.mean += d / float64(m.n)
	m.squares += float64(d * (x - m.mean)) // rounded here, so that every platform gives the same bits
}

// over fits the tensors that field returns for the batches of s.
func (f *fit) over(s Source, field func(*Batch) *tensor.Tensor) (*Standardizer, error) {
	const size = 256
	var b Batch
	for rows := range Batches(s, size) {
		b.start(rows.Index) // for sources that do not number their examples themselves
		if err := rows.Source.Gather(rows.Index, &b); err != nil {
			return nil, fmt.Errorf("%s: %w", f.where, err)
		}
		if err := f.add(field(&b), &b); err != nil {
			return nil, fmt.Errorf("%s: %w", f.where, err)
		}
	}
	if f.columns == nil {
		return nil, fmt.Errorf("%s: the source has no examples, want at least one", f.where)
	}
	z := &Standardizer{}
	for i, c := range f.columns {
		if c.n == 0 {
			return nil, fmt.Errorf("%s: %s has no number in %d examples, want at least one", f.where, f.name(i), s.Len())
		}
		scale := 1.0
		if c.squares > 0 {
			scale = math.Sqrt(c.squares / float64(c.n))
		}
		z.Mean, z.Scale, z.Missing = append(z.Mean, c.mean), append(z.Scale, scale), append(z.Missing, c.missing)
	}
	return z, nil
}

// add adds the numbers of x, [B,F] or [T,B,F], from the batch b.
func (f *fit) add(x *tensor.Tensor, b *Batch) error {
	if x == nil || len(x.Shape()) < 2 || len(x.Shape()) > 3 {
		panic(&tensor.UsageError{Where: f.where, What: fmt.Sprintf("%s of a batch is %v, want a tensor [B,F] or [T,B,F]", f.field, x)})
	}
	shape := x.Shape()
	width, examples := shape[len(shape)-1], shape[len(shape)-2]
	if f.columns == nil {
		f.columns = make([]moments, width)
	}
	if width == 0 || width != len(f.columns) {
		return fmt.Errorf("%s of a batch has %d columns, want at least 1 and as many as the first batch, %d", f.field, width, len(f.columns))
	}
	for i := range x.Len() / width { // row i of x is step i/examples of example i%examples
		step, example := i/examples, i%examples
		if b.Lengths != nil && step >= b.Lengths[example] {
			continue
		}
		for c, v := range x.Data()[i*width:][:width] {
			switch {
			case v != v:
				f.columns[c].missing++
			case math.IsInf(float64(v), 0):
				return fmt.Errorf("%s of example %d is %v, want finite numbers", f.name(c), b.Index[example], v)
			default:
				f.columns[c].add(float64(v))
			}
		}
	}
	return nil
}

// name returns what errors call a column.
func (f *fit) name(column int) string {
	if column < len(f.names) {
		return fmt.Sprintf("column %d (%s)", column, quote.Name(f.names[column]))
	}
	return fmt.Sprintf("column %d", column)
}

// Apply standardizes tensors of shape [...,F] in place, F being the number of columns. A copy is made with
// [tensor.Tensor.Clone]. NaN stays NaN. Apply panics with a [*tensor.ShapeError] if a last dimension is another one,
// and with a [*tensor.UsageError] if Mean and Scale were set to what [ParseStandardizer] would refuse.
func (s *Standardizer) Apply(x ...*tensor.Tensor) {
	s.mustBeValid("dataset.Standardizer.Apply")
	width := len(s.Mean)
	for _, x := range x {
		if shape := x.Shape(); len(shape) == 0 || shape[len(shape)-1] != width {
			panic(&tensor.ShapeError{Where: "dataset.Standardizer.Apply", Got: fmt.Sprintf("shape %v", shape), Want: fmt.Sprintf("[...,%d]", width)})
		}
		for row := x.Data(); len(row) > 0; row = row[width:] {
			for f := range width {
				row[f] = float32((float64(row[f]) - s.Mean[f]) / s.Scale[f])
			}
		}
	}
}

// Undo turns standardized numbers back into their own units in place: x = z*Scale + Mean. They are rows of one number for
// each column, such as a prediction [B,F] or [T,B,F]. Undo panics with a [*tensor.ShapeError] if values is not a whole
// number of rows.
func (s *Standardizer) Undo(values []float32) {
	s.mustBeValid("dataset.Standardizer.Undo")
	width := len(s.Mean)
	if len(values)%width != 0 {
		panic(&tensor.ShapeError{Where: "dataset.Standardizer.Undo", Got: fmt.Sprintf("%d values", len(values)), Want: fmt.Sprintf("rows of %d columns", width)})
	}
	for row := values; len(row) > 0; row = row[width:] {
		for f := range width {
			row[f] = float32(float64(float64(row[f])*s.Scale[f]) + s.Mean[f])
		}
	}
}

// Columns returns the standardizer of some of the columns, in this order: for predictions of a part of what was
// standardized, as the WindowConfig.Targets of a series. It panics with a [*tensor.UsageError] if there is no such column.
func (s *Standardizer) Columns(columns ...int) *Standardizer {
	const where = "dataset.Standardizer.Columns"
	s.mustBeValid(where)
	z := &Standardizer{}
	for _, f := range columns {
		if f < 0 || f >= len(s.Mean) {
			panic(&tensor.UsageError{Where: where, What: fmt.Sprintf("column %d, want 0 to %d", f, len(s.Mean)-1)})
		}
		z.Mean, z.Scale = append(z.Mean, s.Mean[f]), append(z.Scale, s.Scale[f])
		if len(s.Missing) == len(s.Mean) {
			z.Missing = append(z.Missing, s.Missing[f])
		}
	}
	return z
}

// String returns Mean and Scale as JSON, such as {"mean":[5.1,0.2],"scale":[1,0.5]}. [ParseStandardizer] reads the same
// bits from the text.
func (s *Standardizer) String() string {
	s.mustBeValid("dataset.Standardizer.String")
	text, _ := json.Marshal(s) // finite numbers alone: cannot fail
	return string(text)
}

// ParseStandardizer reads what [Standardizer.String] wrote. The error for any other text, such as that of a key which the
// metadata lacks, says what is wrong: no means and scales in equal numbers, or a scale that is not positive. It allocates at
// most 64 times the bytes of the text and 1 MiB, garbage included.
func ParseStandardizer(text string) (*Standardizer, error) {
	s := &Standardizer{}
	if err := json.Unmarshal([]byte(text), s); err != nil {
		return nil, fmt.Errorf("dataset: standardizer %s: %w", quote.Text(text), quote.Error(err))
	}
	return s, nil
}

// UnmarshalJSON implements [json.Unmarshaler] with the errors of [ParseStandardizer].
func (s *Standardizer) UnmarshalJSON(text []byte) error {
	var read struct{ Mean, Scale []*float64 } // pointers, so that null is not taken for 0
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&read); err != nil {
		return quote.Error(err)
	}
	number := func(p *float64) float64 {
		if p == nil {
			return math.NaN()
		}
		return *p
	}
	var z Standardizer
	for _, p := range read.Mean {
		z.Mean = append(z.Mean, number(p))
	}
	for _, p := range read.Scale {
		z.Scale = append(z.Scale, number(p))
	}
	if wrong := z.invalid(); wrong != "" {
		return fmt.Errorf("%s", wrong)
	}
	*s = z
	return nil
}

// invalid says why Mean and Scale cannot standardize, or returns "".
func (s *Standardizer) invalid() string {
	if len(s.Mean) == 0 || len(s.Mean) != len(s.Scale) {
		return fmt.Sprintf("%d means and %d scales, want one of each for every column, and at least one column", len(s.Mean), len(s.Scale))
	}
	for f, mean := range s.Mean {
		if scale := s.Scale[f]; mean-mean != 0 || !(scale > 0) || math.IsInf(scale, 0) {
			return fmt.Sprintf("column %d has mean %v and scale %v, want finite numbers and a positive scale", f, mean, scale)
		}
	}
	return ""
}

func (s *Standardizer) mustBeValid(where string) {
	if wrong := s.invalid(); wrong != "" {
		panic(&tensor.UsageError{Where: where, What: wrong})
	}
}
