package metrics

import (
	"fmt"
	"strings"
	"text/tabwriter"
)

// ConfusionMatrix counts rows by their class and by what was guessed, and tells precision, recall and F1 of each class
// and over all. Averages and what is divided by zero follow scikit-learn (zero_division=0).
//
// A guess is the first of the largest logits. A row with a NaN has none, and a label may be no class (negative or at
// least Classes, but for [Ignore]): such rows are kept beside the matrix, under [None], and count as wrong.
type ConfusionMatrix struct {
	Classes int // 0: as many as the first Add has

	counts []int // [Classes+1, Classes+1], a row a label, the last row and column for None
}

// None stands for a label that is no class, and for a guess that could not be made.
const None = -1

// Add takes in logits [B,C], row-major, with a label for each of the B rows. Rows with the label [Ignore] are passed
// over. It panics if the logits are not one for each of Classes in each row.
func (m *ConfusionMatrix) Add(logits []float32, labels []int32) {
	if len(labels) == 0 && len(logits) == 0 {
		return
	}
	if m.Classes == 0 && len(labels) > 0 {
		m.Classes = len(logits) / len(labels)
	}
	if m.Classes < 1 || len(logits) != m.Classes*len(labels) {
		panic(fmt.Errorf("metrics.ConfusionMatrix: %d logits for %d labels, want one for each of %d classes in each row",
			len(logits), len(labels), m.Classes))
	}
	for b, label := range labels {
		m.add(label, argmax(logits[b*m.Classes:][:m.Classes]))
	}
}

// AddGuesses takes in guesses and labels, one of each a row; what is no class is [None]. It panics if their numbers differ or
// Classes is not set.
func (m *ConfusionMatrix) AddGuesses(guesses, labels []int32) {
	if len(guesses) != len(labels) || m.Classes < 1 {
		panic(fmt.Errorf("metrics.ConfusionMatrix: %d guesses for %d labels of %d classes, want as many, and Classes set",
			len(guesses), len(labels), m.Classes))
	}
	for b, label := range labels {
		m.add(label, int(guesses[b]))
	}
}

func (m *ConfusionMatrix) add(label int32, guess int) {
	if label == Ignore {
		return
	}
	if m.counts == nil {
		m.counts = make([]int, (m.Classes+1)*(m.Classes+1))
	}
	m.counts[m.place(int(label))*(m.Classes+1)+m.place(guess)]++
}

// place is that of a class in the matrix, the last for what is none.
func (m *ConfusionMatrix) place(class int) int {
	if class < 0 || class >= m.Classes {
		return m.Classes
	}
	return class
}

// argmax returns the first of the largest, or None if one is NaN.
func argmax(row []float32) int {
	best := 0
	for i, v := range row {
		if v != v {
			return None
		}
		if v > row[best] {
			best = i
		}
	}
	return best
}

// Count returns the number of rows of that label that were guessed to be guess; each may be [None].
func (m *ConfusionMatrix) Count(label, guess int) int {
	if m.counts == nil {
		return 0
	}
	return m.counts[m.place(label)*(m.Classes+1)+m.place(guess)]
}

// Total returns the number of rows counted.
func (m *ConfusionMatrix) Total() (n int) {
	for _, c := range m.counts {
		n += c
	}
	return n
}

// Support returns the number of rows of that label.
func (m *ConfusionMatrix) Support(label int) (n int) {
	for guess := None; guess < m.Classes; guess++ {
		n += m.Count(label, guess)
	}
	return n
}

// guessed returns the number of rows that were guessed to be a class.
func (m *ConfusionMatrix) guessed(class int) (n int) {
	for label := None; label < m.Classes; label++ {
		n += m.Count(label, class)
	}
	return n
}

// Precision returns the share of rows guessed to be class that are: 0 if none was guessed.
func (m *ConfusionMatrix) Precision(class int) float64 {
	return share(m.Count(class, class), m.guessed(class))
}

// Recall returns the share of rows of class that were guessed: 0 if there are none.
func (m *ConfusionMatrix) Recall(class int) float64 {
	return share(m.Count(class, class), m.Support(class))
}

// F1 returns the harmonic mean of precision and recall of a class: 0 if there is neither.
func (m *ConfusionMatrix) F1(class int) float64 {
	return share(2*m.Count(class, class), m.guessed(class)+m.Support(class))
}

// Accuracy returns the share of rows that were guessed rightly, NaN if there are none.
func (m *ConfusionMatrix) Accuracy() float64 { return float64(m.right()) / float64(m.Total()) }

func (m *ConfusionMatrix) right() (n int) {
	for c := range m.Classes {
		n += m.Count(c, c)
	}
	return n
}

// Macro returns the means of precision, recall and F1 over the classes that were met, as a label or a guess:
// each class counts the same, however rare. They are 0 if none was.
func (m *ConfusionMatrix) Macro() (precision, recall, f1 float64) {
	met := 0
	for c := range m.Classes {
		if m.guessed(c)+m.Support(c) > 0 {
			precision, recall, f1 = precision+m.Precision(c), recall+m.Recall(c), f1+m.F1(c)
			met++
		}
	}
	n := float64(max(met, 1))
	return precision / n, recall / n, f1 / n
}

// Micro returns precision, recall and F1 over all rows together. They are the accuracy, all three, where no label
// and no guess is [None].
func (m *ConfusionMatrix) Micro() (precision, recall, f1 float64) {
	guesses, labels := 0, 0
	for c := range m.Classes {
		guesses, labels = guesses+m.guessed(c), labels+m.Support(c)
	}
	return share(m.right(), guesses), share(m.right(), labels), share(2*m.right(), guesses+labels)
}

func share(part, whole int) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

// Reset forgets all rows and keeps Classes.
func (m *ConfusionMatrix) Reset() { clear(m.counts) }

// Merge adds what o has counted, as if its rows had been added to m. It panics if o has another number of
// classes.
func (m *ConfusionMatrix) Merge(o ConfusionMatrix) {
	if o.counts == nil {
		return
	}
	if m.Classes == 0 {
		m.Classes = o.Classes
	}
	if m.Classes != o.Classes {
		panic(fmt.Errorf("metrics.ConfusionMatrix: merged with one of %d classes, want %d", o.Classes, m.Classes))
	}
	if m.counts == nil {
		m.counts = make([]int, len(o.counts))
	}
	for i, n := range o.counts {
		m.counts[i] += n
	}
}

// String returns a table: a line for each label, the guesses in columns, then recall, precision and F1. What is none has
// a line or a column only where it was met.
func (m *ConfusionMatrix) String() string {
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', tabwriter.AlignRight)
	unguessed := m.guessed(None) > 0
	fmt.Fprint(w, "label\\guess\t")
	for c := range m.Classes {
		fmt.Fprintf(w, "%d\t", c)
	}
	if unguessed {
		fmt.Fprint(w, "none\t")
	}
	fmt.Fprint(w, "precision\trecall\tF1\t\n")
	line := func(name string, label int) {
		fmt.Fprintf(w, "%s\t", name)
		for c := range m.Classes {
			fmt.Fprintf(w, "%d\t", m.Count(label, c))
		}
		if unguessed {
			fmt.Fprintf(w, "%d\t", m.Count(label, None))
		}
	}
	for c := range m.Classes {
		line(fmt.Sprint(c), c)
		fmt.Fprintf(w, "%.4f\t%.4f\t%.4f\t\n", m.Precision(c), m.Recall(c), m.F1(c))
	}
	if m.Support(None) > 0 {
		line("none", None)
		fmt.Fprint(w, "\n")
	}
	w.Flush()
	return out.String()
}
