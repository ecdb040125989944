package metrics

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
)

var (
	guesses = []int32{0, 1, 2, 2, 1, 0, 0, 7, 2, 1}
	labels  = []int32{0, 1, 2, 1, 1, 2, 0, 1, Ignore, -3}
)

func TestConfusionMatrix(t *testing.T) {
	m := ConfusionMatrix{Classes: 4}
	for _, over := range []func() (p, r, f float64){m.Macro, m.Micro, func() (p, r, f float64) {
		return m.Precision(1), m.Recall(1), m.F1(1)
	}, func() (p, r, f float64) { return m.Accuracy(), math.NaN(), math.NaN() }} {
		p, r, f := over()
		assert.True(t, math.IsNaN(p) && math.IsNaN(r) && math.IsNaN(f), "over nothing: %v, %v, %v", p, r, f)
	}
	assert.True(t, math.IsNaN(new(ConfusionMatrix).Recall(3)), "not even the number of classes is known")
	m.AddGuesses(guesses, labels)
	assert.Equal(t, 9, m.Total())
	classes := []int{0, 1, 2, 3, None}
	for i, row := range [][]int{{2, 0, 0, 0, 0}, {0, 2, 1, 0, 1}, {1, 0, 1, 0, 0}, {0, 0, 0, 0, 0}, {0, 1, 0, 0, 0}} {
		for j, want := range row {
			assert.Equal(t, want, m.Count(classes[i], classes[j]), "%d, %d", i, j)
		}
	}
	assert.Equal(t, 1, m.Count(1, None))
	assert.Equal(t, 1, m.Count(None, 1))
	assert.Equal(t, 4, m.Support(1))
	assert.InDelta(t, 2.0/3, m.Precision(1), 1e-15)
	assert.InDelta(t, 0.5, m.Recall(1), 1e-15)
	assert.InDelta(t, 4.0/7, m.F1(1), 1e-15)
	assert.InDelta(t, 2.0/3, m.Precision(0), 1e-15)
	assert.Equal(t, 1.0, m.Recall(0))
	assert.True(t, math.IsNaN(m.Precision(3)) && math.IsNaN(m.Recall(3)) && math.IsNaN(m.F1(3)))
	assert.InDelta(t, 5.0/9, m.Accuracy(), 1e-15)
	p, r, f := m.Macro() // class 3 was not met
	assert.InDelta(t, (2.0/3+2.0/3+1.0/2)/3, p, 1e-15)
	assert.InDelta(t, (1+0.5+0.5)/3, r, 1e-15)
	assert.InDelta(t, (0.8+4.0/7+0.5)/3, f, 1e-15)
	p, r, f = m.Micro()
	assert.InDelta(t, 5.0/8, p, 1e-15)
	assert.InDelta(t, 5.0/8, r, 1e-15)
	assert.InDelta(t, 10.0/16, f, 1e-15)
	m.Reset()
	assert.Zero(t, m.Total())
	assert.Equal(t, 4, m.Classes)
}

func TestConfusionMatrixOfLogits(t *testing.T) {
	var m ConfusionMatrix
	m.Add(nil, nil)
	m.Add([]float32{1, 2, 3, 3, 3, 1, 0, nan, 0, -inf, -inf, -inf, 5, 6, 7}, []int32{2, 1, 0, 0, Ignore})
	assert.Equal(t, 3, m.Classes)
	assert.Equal(t, 4, m.Total())
	assert.Equal(t, 1, m.Count(2, 2))
	assert.Equal(t, 1, m.Count(1, 0), "the first of those that tie")
	assert.Equal(t, 1, m.Count(0, None), "a NaN")
	assert.Equal(t, 1, m.Count(0, 0))
	steady := testing.AllocsPerRun(10, func() { m.Add([]float32{1, 2, 3}, []int32{2}) })
	assert.Zero(t, steady)
}

// Classes that are never guessed, or are no label, count as 0 in the macro means: scikit-learn 1.9.1 gives these numbers for
// precision_recall_fscore_support([0, 0, 1], [0, 2, 0], average="macro", zero_division=0).
func TestConfusionMatrixMacroOfRareClasses(t *testing.T) {
	m := ConfusionMatrix{Classes: 4}
	m.AddGuesses([]int32{0, 2, 0}, []int32{0, 0, 1})
	assert.Equal(t, 0.5, m.Precision(0))
	assert.True(t, math.IsNaN(m.Precision(1)), "never guessed")
	assert.Equal(t, 0.0, m.Recall(1))
	assert.Equal(t, 0.0, m.F1(1))
	assert.Equal(t, 0.0, m.Precision(2))
	assert.True(t, math.IsNaN(m.Recall(2)), "no label")
	p, r, f := m.Macro()
	assert.InDelta(t, 1.0/6, p, 1e-15)
	assert.InDelta(t, 1.0/6, r, 1e-15)
	assert.InDelta(t, 1.0/6, f, 1e-15)
}

func TestConfusionMatrixNames(t *testing.T) {
	m := ConfusionMatrix{Names: []string{"cat", "dog", "a\tb"}}
	assert.Equal(t, "cat", m.Name(0), "before any row")
	m.Add([]float32{1, 2, 3, 3, 1, 0, nan, 0, 0}, []int32{2, 1, 7})
	assert.Equal(t, 3, m.Classes)
	assert.Equal(t, "dog", m.Name(1))
	assert.Equal(t, "none", m.Name(None))
	assert.Equal(t, `
  label\guess  cat  dog  "a\tb"  none  precision  recall      F1
          cat    0    0       0     0     0.0000     NaN  0.0000
          dog    1    0       0     0        NaN  0.0000  0.0000
       "a\tb"    0    0       1     0     1.0000  1.0000  1.0000
         none    0    0       0     1
`, "\n"+m.String())
	assert.Equal(t, m.String(), fmt.Sprint(m), "by value")
	assert.Equal(t, m.String(), fmt.Sprint(&m), "by pointer")
	numbered := ConfusionMatrix{}
	numbered.Add([]float32{1, 2}, []int32{0})
	assert.Equal(t, "1", numbered.Name(1))

	var all ConfusionMatrix
	all.Merge(m)
	all.Merge(m)
	assert.Equal(t, m.Names, all.Names)
	assert.Equal(t, 6, all.Total())
	all.Merge(ConfusionMatrix{Names: []string{"other"}}) // without rows: nothing
	m.Reset()
	assert.Equal(t, "cat", m.Name(0))
}

func TestMergeOfAnyCut(t *testing.T) {
	predicted, targets := make([]float32, 10), []float32{3, -1, nan, 4, 4, 100, 0, 2.5, 7, nan}
	for i := range predicted {
		predicted[i] = float32(i) - 4
	}
	whole, numbers := ConfusionMatrix{Classes: 3}, Regression{}
	whole.AddGuesses(guesses, labels)
	numbers.Add(predicted, targets)
	for cut := range len(labels) + 1 {
		a, b := ConfusionMatrix{Classes: 3}, ConfusionMatrix{Classes: 3}
		a.AddGuesses(guesses[:cut], labels[:cut])
		b.AddGuesses(guesses[cut:], labels[cut:])
		var all ConfusionMatrix
		all.Merge(a)
		all.Merge(b)
		assert.Equal(t, whole, all, "cut at %d", cut)

		var x, y Regression
		x.Add(predicted[:cut], targets[:cut])
		y.Add(predicted[cut:], targets[cut:])
		x.Merge(y)
		assert.Equal(t, numbers.Count(), x.Count())
		for name, pair := range map[string][2]float64{"MSE": {numbers.MSE(), x.MSE()}, "MAE": {numbers.MAE(), x.MAE()}, "RMSE": {numbers.RMSE(), x.RMSE()}, "R2": {numbers.R2(), x.R2()}} {
			assert.InEpsilon(t, pair[0], pair[1], 1e-14, "%s cut at %d", name, cut)
		}
	}
}

func TestRegression(t *testing.T) {
	var m Regression
	assert.True(t, math.IsNaN(m.MSE()) && math.IsNaN(m.MAE()) && math.IsNaN(m.R2()))
	// scikit-learn's own example: r2_score([3, -0.5, 2, 7], [2.5, 0.0, 2, 8]) = 0.948...
	m.Add([]float32{2.5, 0, 2, 8, 9}, []float32{3, -0.5, 2, 7, nan})
	assert.Equal(t, 4, m.Count())
	assert.InDelta(t, 0.375, m.MSE(), 1e-15)
	assert.InDelta(t, math.Sqrt(0.375), m.RMSE(), 1e-15)
	assert.InDelta(t, 0.5, m.MAE(), 1e-15)
	assert.InDelta(t, 0.9486081370449679, m.R2(), 1e-15)
	m.Reset()
	assert.Equal(t, Regression{}, m)

	m.Add([]float32{5}, []float32{5})
	assert.True(t, math.IsNaN(m.R2()), "one target")
	m.Add([]float32{5}, []float32{5})
	assert.Equal(t, 1.0, m.R2(), "constant and right")
	m.Add([]float32{6}, []float32{5})
	assert.Equal(t, 0.0, m.R2(), "constant and wrong")
	var far Regression // a large mean swallows no variance
	far.Add([]float32{1 << 23, 1<<23 + 1}, []float32{1 << 23, 1<<23 + 2})
	assert.InDelta(t, 0.5, far.R2(), 1e-12)
	far.Add([]float32{nan}, []float32{1})
	for name, v := range map[string]float64{"MSE": far.MSE(), "RMSE": far.RMSE(), "MAE": far.MAE(), "R2": far.R2()} {
		assert.True(t, math.IsNaN(v), "a prediction that is NaN shows in %s", name)
	}
	assert.Equal(t, 3, far.Count())
}

// Errors without bound must not pass for the errors of a model that is as good as the mean.
func TestRegressionInfinite(t *testing.T) {
	var prediction, target, merged Regression
	prediction.Add([]float32{1, inf, 3}, []float32{1, 2, 3})
	assert.Equal(t, math.Inf(-1), prediction.R2())
	assert.Equal(t, math.Inf(1), prediction.RMSE())
	target.Add([]float32{1, 2, 3}, []float32{1, inf, 3})
	assert.True(t, math.IsNaN(target.R2()), "%v", target.R2())
	merged.Add([]float32{1, 2}, []float32{1, 2})
	merged.Merge(target)
	assert.True(t, math.IsNaN(merged.R2()), "%v", merged.R2())
}

func TestPerplexity(t *testing.T) {
	var p, q Perplexity
	assert.True(t, math.IsNaN(p.Value()))
	p.Add(math.Log(10), 30)
	assert.InDelta(t, 10, p.Value(), 1e-12)
	q.Add(math.Log(1000), 15)
	p.Merge(q)
	assert.Equal(t, 45.0, p.Tokens())
	assert.InDelta(t, math.Pow(10*10*1000, 1.0/3), p.Value(), 1e-10)
	p.Reset()
	assert.Equal(t, Perplexity{}, p)
}

// Names are optional: without them the classes are called 0, 1 and 2. Two dogs of three are taken for another animal.
func ExampleConfusionMatrix() {
	m := ConfusionMatrix{Names: []string{"cat", "cow", "dog"}}
	m.AddGuesses([]int32{0, 0, 1, 2, 0, 1}, []int32{0, 0, 1, 2, 2, 2})
	fmt.Printf("accuracy %.2f\n%v", m.Accuracy(), &m)
	// Output:
	// accuracy 0.67
	//   label\guess  cat  cow  dog  precision  recall      F1
	//           cat    2    0    0     0.6667  1.0000  0.8000
	//           cow    0    1    0     0.5000  1.0000  0.6667
	//           dog    1    1    1     1.0000  0.3333  0.5000
}

func ExampleRegression() {
	var m Regression
	m.Add([]float32{2.5, 0, 2, 8}, []float32{3, -0.5, 2, 7})
	fmt.Printf("MAE %.2f, R2 %.3f\n", m.MAE(), m.R2())
	// Output: MAE 0.50, R2 0.949
}

func ExamplePerplexity() {
	var p Perplexity
	p.Add(2.3, 100) // a batch's mean loss and its tokens
	p.Add(1.9, 300)
	fmt.Printf("%.2f\n", p.Value())
	// Output: 7.39
}
