package dataset

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/tensor"
)

func TestFitInputs(t *testing.T) {
	nan := float32(math.NaN())
	long := tensor.New(1000, 2) // more than one batch of the fit
	for i := range 1000 {
		long.Data()[2*i], long.Data()[2*i+1] = float32(i), float32(1-2*(i%2))
	}
	train, _ := Split(&Tensors{X: long}, 500)
	odd := Rows{train, []int{1, 3, 5}}
	for _, c := range []struct {
		name        string
		s           Source
		mean, scale []float64
		missing     []int
	}{
		{"rows", &Tensors{X: tensor.Of([]float32{1, 10, 3, 10, nan, 10}, 3, 2)}, []float64{2, 10}, []float64{1, 1}, []int{1, 0}},
		{"as scikit-learn 1.9.1", &Tensors{X: tensor.Of([]float32{1, 10, nan, 3, 10, 2, 5, 10, 7.5}, 3, 3)},
			[]float64{3, 10, 4.75}, []float64{1.632993161855452, 1, 2.75}, []int{0, 0, 1}},
		{"steps", &Tensors{X: tensor.Of([]float32{1, 3, 5, 7}, 2, 2, 1)}, []float64{4}, []float64{math.Sqrt(5)}, []int{0}},
		{"steps past a length", &Tensors{X: tensor.Of([]float32{1, 3, 5, 100}, 2, 2, 1), Lengths: []int{2, 1}},
			[]float64{3}, []float64{math.Sqrt(8.0 / 3)}, []int{0}},
		{"sequences", &Sequences{X: []*tensor.Tensor{tensor.Of([]float32{1}, 1, 1), tensor.Of([]float32{3, 5, nan}, 3, 1)}},
			[]float64{3}, []float64{math.Sqrt(8.0 / 3)}, []int{1}},
		{"a long series", &Tensors{X: long}, []float64{499.5, 0}, []float64{math.Sqrt(999999.0 / 12), 1}, []int{0, 0}},
		{"its first half", train, []float64{249.5, 0}, []float64{math.Sqrt(249999.0 / 12), 1}, []int{0, 0}},
		{"some of its first half", odd, []float64{3, -1}, []float64{math.Sqrt(8.0 / 3), 1}, []int{0, 0}},
		{"the same numbers, inexact", &Tensors{X: tensor.Of([]float32{0.1, 0.1, 0.1, 0.1, 0.1}, 5, 1)},
			[]float64{float64(float32(0.1))}, []float64{1}, []int{0}},
		{"far from 0", &Tensors{X: tensor.Of([]float32{1 << 23, 1<<23 + 2}, 2, 1)}, []float64{1<<23 + 1}, []float64{1}, []int{0}},
		{"smallest", &Tensors{X: tensor.Of([]float32{0, 1e-44}, 2, 1)},
			[]float64{float64(float32(1e-44)) / 2}, []float64{float64(float32(1e-44)) / 2}, []int{0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			z, err := FitInputs(c.s)
			require.NoError(t, err)
			assert.Equal(t, c.missing, z.Missing)
			assert.InDeltaSlice(t, c.mean, z.Mean, 1e-12)
			require.Len(t, z.Scale, len(c.scale))
			for f := range c.scale {
				assert.InEpsilon(t, c.scale[f], z.Scale[f], 1e-12)
			}
		})
	}
}

func TestFitTargets(t *testing.T) {
	x := tensor.New(2, 3, 1)
	z, err := FitTargets(&Tensors{X: x, Target: tensor.Of([]float32{1, -1, 3, -1}, 2, 2)})
	require.NoError(t, err)
	assert.Equal(t, &Standardizer{Mean: []float64{2, -1}, Scale: []float64{1, 1}, Missing: []int{0, 0}}, z)
	z, err = FitTargets(&Tensors{X: x, Target: tensor.Of([]float32{1, 3, 9, 3, 1, 9}, 2, 3, 1), Lengths: []int{2, 2}})
	require.NoError(t, err)
	assert.Equal(t, &Standardizer{Mean: []float64{2}, Scale: []float64{1}, Missing: []int{0}}, z)
}

// torn gives batches of other widths, and an error from example 512 on.
type torn struct{}

var errTorn = errors.New("torn")

func (torn) Len() int { return 600 }

func (torn) Gather(rows []int, into *Batch) error {
	if rows[0] >= 512 {
		return errTorn
	}
	into.X = tensor.New(1, len(rows), 1+rows[0]/256)
	return nil
}

func TestFitErrors(t *testing.T) {
	read := func(text string) *Table {
		table, err := CSV{Header: true, Targets: []string{"y"}, EmptyIsNaN: true, NonFinite: true}.Read(strings.NewReader(text))
		require.NoError(t, err)
		return table
	}
	gap := read("a,b,y\n1,,\n2,,\n3,4,5\n6,-inf,inf\n")
	part := func(from, to int) Source {
		_, rest := Split(gap, from)
		first, _ := Split(rest, to-from)
		return first
	}
	for want, f := range map[string]func() (*Standardizer, error){
		"FitInputs: column 1 (b) has no number in 2 examples, want at least one":  func() (*Standardizer, error) { return FitInputs(part(0, 2)) },
		"FitTargets: column 0 (y) has no number in 2 examples, want at least one": func() (*Standardizer, error) { return FitTargets(part(0, 2)) },
		"FitInputs: column 1 (b) of example 3 is -Inf, want finite numbers":       func() (*Standardizer, error) { return FitInputs(part(2, 4)) },
		"FitTargets: column 0 (y) of example 3 is +Inf, want finite numbers":      func() (*Standardizer, error) { return FitTargets(gap) },
		"FitInputs: column 0 has no number in 1 examples, want at least one": func() (*Standardizer, error) {
			return FitInputs(&gapless{Tensors{X: tensor.Of([]float32{float32(math.NaN())}, 1, 1)}})
		},
		"FitInputs: the source has no examples, want at least one":                                 func() (*Standardizer, error) { return FitInputs(read("a,b,y\n")) },
		"FitInputs: X of a batch has 0 columns, want at least 1 and as many as the first batch, 0": func() (*Standardizer, error) { return FitInputs(read("y\n1\n")) },
		"FitInputs: X of a batch has 2 columns, want at least 1 and as many as the first batch, 1": func() (*Standardizer, error) { return FitInputs(torn{}) },
	} {
		z, err := f()
		assert.EqualError(t, err, "dataset."+want)
		assert.Nil(t, z)
	}
	_, rest := Split(torn{}, 512)
	_, err := FitInputs(rest)
	assert.ErrorIs(t, err, errTorn)
	assert.EqualError(t, err, "dataset.FitInputs: torn")
}

// gapless is a source of a type that the package does not know.
type gapless struct{ Tensors }

func TestStandardizer(t *testing.T) {
	nan := float32(math.NaN())
	x := tensor.Of([]float32{1, 7, 5, 7, nan, 7}, 3, 2)
	z, err := FitInputs(&Tensors{X: x})
	require.NoError(t, err)
	other := tensor.Of([]float32{7, 9}, 1, 1, 2)
	z.Apply(x, other)
	same(t, []float32{-1, 0, 1, 0, nan, 0}, x.Data())
	assert.Equal(t, []float32{2, 2}, other.Data())
	z.Undo(x.Data())
	same(t, []float32{1, 7, 5, 7, nan, 7}, x.Data())
	z.Apply() // nothing
	z.Undo(nil)

	part := z.Columns(1, 0, 1)
	assert.Equal(t, &Standardizer{Mean: []float64{7, 3, 7}, Scale: []float64{1, 2, 1}, Missing: []int{0, 1, 0}}, part)
	y := []float32{0, 1, 1, 0, -1, 2}
	part.Undo(y)
	assert.Equal(t, []float32{7, 5, 8, 7, 1, 9}, y)

	assert.Zero(t, testing.AllocsPerRun(10, func() {
		z.Apply(x)
		z.Undo(y)
	}))
}

// Standardized numbers, taken back, are the same to the last bits of a float32.
func TestStandardizerThereAndBack(t *testing.T) {
	x := tensor.New(1000, 1)
	for i := range x.Data() {
		x.Data()[i] = float32(1e4 + math.Sin(float64(i))*math.Exp(float64(i%7)))
	}
	z, err := FitInputs(&Tensors{X: x})
	require.NoError(t, err)
	y := x.Clone()
	z.Apply(y)
	again, err := FitInputs(&Tensors{X: y})
	require.NoError(t, err)
	assert.InDelta(t, 0, again.Mean[0], 1e-6)
	assert.InDelta(t, 1, again.Scale[0], 1e-6)
	z.Undo(y.Data())
	for i, want := range x.Data() {
		assert.InEpsilon(t, want, y.Data()[i], 1e-6)
	}
}

func TestStandardizerText(t *testing.T) {
	z := &Standardizer{
		Mean:  []float64{0, math.Copysign(0, -1), 1.0 / 3, -math.MaxFloat64, math.SmallestNonzeroFloat64, 1e21},
		Scale: []float64{1, math.SmallestNonzeroFloat64, math.Pi, math.MaxFloat64, 1e-7, math.Nextafter(1, 2)},
	}
	read, err := ParseStandardizer(z.String())
	require.NoError(t, err)
	for f := range z.Mean {
		assert.Equal(t, math.Float64bits(z.Mean[f]), math.Float64bits(read.Mean[f]))
		assert.Equal(t, math.Float64bits(z.Scale[f]), math.Float64bits(read.Scale[f]))
	}
	assert.Equal(t, `{"mean":[0.5,-2],"scale":[1,3]}`, (&Standardizer{Mean: []float64{0.5, -2}, Scale: []float64{1, 3}, Missing: []int{4, 0}}).String())

	// As a part of other JSON.
	type model struct{ Inputs *Standardizer }
	text, err := json.Marshal(model{z})
	require.NoError(t, err)
	var m model
	require.NoError(t, json.Unmarshal(text, &m))
	assert.Equal(t, z, m.Inputs)
	assert.ErrorContains(t, json.Unmarshal([]byte(`{"Inputs":{"mean":[1],"scale":[-1]}}`), &m), "column 0 has mean 1 and scale -1")
	assert.Equal(t, z, m.Inputs, "unchanged")

	for text, want := range map[string]string{
		"":                                 `standardizer "": unexpected end of JSON input`,
		"null":                             `standardizer "null": 0 means and 0 scales, want one of each for every column, and at least one column`,
		"{}":                               `standardizer "{}": 0 means and 0 scales, want one of each for every column, and at least one column`,
		"[1]":                              "cannot unmarshal array",
		`{"mean":[1,2],"scale":[1]}`:       "2 means and 1 scales, want one of each for every column, and at least one column",
		`{"mean":[1],"scale":[0]}`:         "column 0 has mean 1 and scale 0, want finite numbers and a positive scale",
		`{"mean":[1,2],"scale":[1,-1]}`:    "column 1 has mean 2 and scale -1, want finite numbers and a positive scale",
		`{"mean":[null],"scale":[1]}`:      "column 0 has mean NaN and scale 1, want finite numbers and a positive scale",
		`{"mean":[1],"scale":[null]}`:      "column 0 has mean 1 and scale NaN, want finite numbers and a positive scale",
		`{"mean":[1],"scale":[1e999]}`:     "cannot unmarshal number 1e999",
		`{"mean":[NaN],"scale":[1]}`:       "invalid character 'N'",
		`{"mean":[1],"scale":[1]} {}`:      "invalid character '{' after top-level value",
		`{"mean":[1],"scale":[1],"max":1}`: `unknown field "max"`,
		`{"mean":["1"],"scale":[1]}`:       "cannot unmarshal string",
	} {
		z, err := ParseStandardizer(text)
		assert.ErrorContains(t, err, want)
		assert.ErrorContains(t, err, "dataset: standardizer ")
		assert.Nil(t, z)
	}
}

func FuzzParseStandardizer(f *testing.F) {
	for _, seed := range []string{"", "null", `{"mean":[1,2],"scale":[1,1e-9]}`, `{"mean":[null],"scale":[1]}`, `{"mean":[1],"scale":[0]}`, `{"MEAN":[1],"scale":[1]}x`,
		"{\"\u202e\":1}", `{"mean":[1e999]}`, "{\"mean\":[\x1b]}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		z, err := ParseStandardizer(text)
		if err != nil {
			isShort(t, err)
			return
		}
		again, err := ParseStandardizer(z.String())
		require.NoError(t, err)
		require.Equal(t, z, again)
		z.Apply(tensor.New(2, len(z.Mean)))
	})
}
