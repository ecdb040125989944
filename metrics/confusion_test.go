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
	assert.True(t, math.IsNaN(m.Accuracy()))
	p, r, f := m.Macro()
	assert.Equal(t, []float64{0, 0, 0}, []float64{p, r, f})
	m.AddGuesses(guesses, labels)
	assert.Equal(t, 9, m.Total())
	for i, row := range [][]int{{2, 0, 0, 0, 0}, {0, 2, 1, 0, 1}, {1, 0, 1, 0, 0}, {0, 0, 0, 0, 0}, {0, 1, 0, 0, 0}} {
		for j, want := range row {
			assert.Equal(t, want, m.Count(i, j), "%d, %d", i, j) // 4 is None
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
	assert.Zero(t, m.Precision(3))
	assert.Zero(t, m.Recall(3))
	assert.Zero(t, m.F1(3))
	assert.InDelta(t, 5.0/9, m.Accuracy(), 1e-15)
	p, r, f = m.Macro() // class 3 was not met
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
	for want, f := range map[string]func(){
		"metrics.ConfusionMatrix: 4 logits for 2 labels, want one for each of 3 classes in each row":  func() { m.Add(make([]float32, 4), make([]int32, 2)) },
		"metrics.ConfusionMatrix: 0 logits for 1 labels, want one for each of 0 classes in each row":  func() { new(ConfusionMatrix).Add(nil, make([]int32, 1)) },
		"metrics.ConfusionMatrix: 1 guesses for 2 labels of 3 classes, want as many, and Classes set": func() { m.AddGuesses(make([]int32, 1), make([]int32, 2)) },
		"metrics.ConfusionMatrix: 1 guesses for 1 labels of 0 classes, want as many, and Classes set": func() { new(ConfusionMatrix).AddGuesses(make([]int32, 1), make([]int32, 1)) },
		"metrics.ConfusionMatrix: merged with one of 3 classes, want 2":                               func() { two := ConfusionMatrix{Classes: 2}; two.Merge(m) },
	} {
		assert.PanicsWithError(t, want, f)
	}
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
	assert.True(t, math.IsNaN(far.MSE()), "a prediction that is NaN shows")
	assert.PanicsWithError(t, "metrics.Regression: 1 predictions for 2 targets", func() { m.Add(make([]float32, 1), make([]float32, 2)) })
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

func ExampleConfusionMatrix() {
	m := ConfusionMatrix{Classes: 3}
	m.AddGuesses([]int32{0, 0, 1, 2, 1, 2}, []int32{0, 0, 1, 1, 2, 2})
	fmt.Printf("accuracy %.2f\n%v", m.Accuracy(), &m)
	// Output:
	// accuracy 0.67
	//   label\guess  0  1  2  precision  recall      F1
	//             0  2  0  0     1.0000  1.0000  1.0000
	//             1  0  1  1     0.5000  0.5000  0.5000
	//             2  0  1  1     0.5000  0.5000  0.5000
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
