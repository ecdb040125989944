package metrics

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/unroll-go/unroll/internal/quote"
	"github.com/unroll-go/unroll/tensor"
)

// ConfusionMatrix counts rows by their label and by their guess, the class that the model takes them for. It gives
// precision, recall and F1 of each class and over all classes.
//
// The guess of a row of logits is the class of the largest logit, the first of them in a tie. A row with a NaN has no
// guess, and a label may be no class (negative or at least Classes, but for [Ignore]). Such rows are counted under [None],
// and as wrong.
type ConfusionMatrix struct {
	Classes int // number of classes, C. 0: as many as Names or, without Names, as the logits of the first Add
	// Names are the names of the classes, such as the Classes of a dataset.Table, for String and for pictures. nil: the
	// classes are called by their numbers.
	Names []string

	counts []int // [C+1,C+1]: a row for each label and a column for each guess, the last row and column for None
}

// None stands for a label that is no class, and for the guess of a row that has none.
const None = -1

const confusion = "metrics.ConfusionMatrix"

// Add counts the rows of logits [B,C], row-major, with one label for each row. Rows with the label [Ignore] do not count.
// Add panics with a [*tensor.ShapeError] if there are not C logits for each label, and with a [*tensor.UsageError] if Names
// has not one name for each class.
func (m *ConfusionMatrix) Add(logits []float32, labels []int32) {
	if len(labels) == 0 && len(logits) == 0 {
		return
	}
	found := 0
	if len(labels) > 0 {
		found = len(logits) / len(labels)
	}
	m.settle(found)
	if m.Classes < 1 || len(logits) != m.Classes*len(labels) {
		panic(&tensor.ShapeError{Where: confusion, Got: fmt.Sprintf("%d logits for %d labels", len(logits), len(labels)),
			Want: fmt.Sprintf("one for each of %d classes in each row", m.Classes)})
	}
	for b, label := range labels {
		m.add(label, argmax(logits[b*m.Classes:][:m.Classes]))
	}
}

// AddGuesses counts rows with one guess and one label each. A number that is no class counts as [None]. AddGuesses panics
// with a [*tensor.ShapeError] if there are not as many guesses as labels, and with a [*tensor.UsageError] if neither
// Classes nor Names is set.
func (m *ConfusionMatrix) AddGuesses(guesses, labels []int32) {
	m.settle(0)
	if m.Classes < 1 {
		panic(&tensor.UsageError{Where: confusion, What: "AddGuesses does not know the number of classes; set Classes or Names"})
	}
	if len(guesses) != len(labels) {
		panic(&tensor.ShapeError{Where: confusion, Got: fmt.Sprintf("%d guesses", len(guesses)), Want: fmt.Sprintf("one for each of %d labels", len(labels))})
	}
	for b, label := range labels {
		m.add(label, int(guesses[b]))
	}
}

// settle sets Classes where it is 0, to found where there are no Names, and checks it.
func (m *ConfusionMatrix) settle(found int) {
	if m.Classes == 0 {
		m.Classes = len(m.Names)
	}
	if m.Classes == 0 {
		m.Classes = found
	}
	if m.Names != nil && len(m.Names) != m.Classes {
		panic(&tensor.UsageError{Where: confusion, What: fmt.Sprintf("%d Names for %d classes", len(m.Names), m.Classes)})
	}
	if side := m.Classes + 1; m.counts != nil && len(m.counts) != side*side {
		panic(&tensor.UsageError{Where: confusion, What: "Classes was changed after rows were added"})
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

// place returns the row or column of a class in counts: the last one for a number that is no class.
func (m *ConfusionMatrix) place(class int) int {
	if class < 0 || class >= m.Classes {
		return m.Classes
	}
	return class
}

// argmax returns the index of the largest value, the first of them in a tie, or None if a value is NaN.
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

// Count returns the number of rows with a label and a guess, each of which may be [None]. Count, and the methods below that
// take a class, panic with a [*tensor.UsageError] for a number that is neither None nor one of the classes.
func (m *ConfusionMatrix) Count(label, guess int) int {
	m.mustBeClass(label)
	m.mustBeClass(guess)
	if m.counts == nil {
		return 0
	}
	return m.counts[m.place(label)*(m.Classes+1)+m.place(guess)]
}

// mustBeClass lets any class pass while the number of classes is not known, so that a matrix without rows has results.
func (m *ConfusionMatrix) mustBeClass(class int) {
	if class < None || class >= m.Classes && m.Classes > 0 {
		panic(&tensor.UsageError{Where: confusion, What: fmt.Sprintf("class %d, want None or 0 to %d", class, m.Classes-1)})
	}
}

// Name returns the name of a class: "none" for [None], and its number where there are no Names.
func (m *ConfusionMatrix) Name(class int) string {
	m.mustBeClass(class)
	switch {
	case class == None:
		return "none"
	case class < len(m.Names):
		return m.Names[class]
	}
	return strconv.Itoa(class)
}

// Total returns the number of rows counted.
func (m *ConfusionMatrix) Total() (n int) {
	for _, c := range m.counts {
		n += c
	}
	return n
}

// Support returns the number of rows with a label.
func (m *ConfusionMatrix) Support(label int) (n int) {
	for guess := None; guess < m.Classes; guess++ {
		n += m.Count(label, guess)
	}
	return n
}

// guessed returns the number of rows with a guess.
func (m *ConfusionMatrix) guessed(guess int) (n int) {
	for label := None; label < m.Classes; label++ {
		n += m.Count(label, guess)
	}
	return n
}

// Precision returns the share of the rows guessed as a class that have its label, or NaN if no row was guessed as it.
func (m *ConfusionMatrix) Precision(class int) float64 {
	return share(m.Count(class, class), m.guessed(class))
}

// Recall returns the share of the rows with the label of a class that were guessed as it, or NaN if no row has the label.
func (m *ConfusionMatrix) Recall(class int) float64 {
	return share(m.Count(class, class), m.Support(class))
}

// F1 returns the harmonic mean of precision and recall of a class, 2*right/(guessed+labelled): 0 if no row of the class was
// guessed rightly, or NaN if the class is neither the label nor the guess of any row.
func (m *ConfusionMatrix) F1(class int) float64 {
	return share(2*m.Count(class, class), m.guessed(class)+m.Support(class))
}

// Accuracy returns the share of rows whose guess is their label, or NaN if there are no rows.
func (m *ConfusionMatrix) Accuracy() float64 { return share(m.right(), m.Total()) }

// right returns the number of rows whose guess is their label.
func (m *ConfusionMatrix) right() (n int) {
	for c := range m.Classes {
		n += m.Count(c, c)
	}
	return n
}

// Macro returns the means of precision, recall and F1 over the classes that are the label or the guess of any row: each
// class counts the same, however rare. A class without a guess has a precision of 0 in the mean, and a class without a
// label a recall of 0, as in scikit-learn (zero_division=0). The means are NaN if there is no such class.
func (m *ConfusionMatrix) Macro() (precision, recall, f1 float64) {
	met := 0.0
	for c := range m.Classes {
		guessed, support := m.guessed(c), m.Support(c)
		if guessed+support == 0 {
			continue
		}
		met++
		f1 += m.F1(c)
		if guessed > 0 {
			precision += m.Precision(c)
		}
		if support > 0 {
			recall += m.Recall(c)
		}
	}
	return precision / met, recall / met, f1 / met
}

// Micro returns precision, recall and F1 over all rows together, or NaN where there are no rows. All three are the accuracy
// where no label and no guess is [None].
func (m *ConfusionMatrix) Micro() (precision, recall, f1 float64) {
	guesses, labels := 0, 0
	for c := range m.Classes {
		guesses, labels = guesses+m.guessed(c), labels+m.Support(c)
	}
	return share(m.right(), guesses), share(m.right(), labels), share(2*m.right(), guesses+labels)
}

// share returns part/whole, NaN for a whole of 0.
func share(part, whole int) float64 {
	if whole == 0 {
		return math.NaN()
	}
	return float64(part) / float64(whole)
}

// Reset forgets all rows and keeps Classes and Names.
func (m *ConfusionMatrix) Reset() { clear(m.counts) }

// Merge adds the counts of o, as if its rows had been added to m, and takes its Names if m has none. It panics with a
// [*tensor.UsageError] if o has another number of classes or other Names. A matrix without rows adds nothing.
func (m *ConfusionMatrix) Merge(o ConfusionMatrix) {
	if o.counts == nil {
		return
	}
	m.settle(o.Classes)
	if m.Classes != o.Classes {
		panic(&tensor.UsageError{Where: confusion, What: fmt.Sprintf("merged with a matrix of %d classes, want %d", o.Classes, m.Classes)})
	}
	if m.Names != nil && o.Names != nil && !slices.Equal(m.Names, o.Names) {
		panic(&tensor.UsageError{Where: confusion, What: fmt.Sprintf("merged with a matrix of the classes %s, want %s", quote.Texts(o.Names), quote.Texts(m.Names))})
	}
	if m.Names == nil {
		m.Names = o.Names
	}
	if m.counts == nil {
		m.counts = make([]int, len(o.counts))
	}
	for i, n := range o.counts {
		m.counts[i] += n
	}
}

// String returns a table with a line for each label and a column for each guess, then the precision, recall and F1 of each
// class. There is a line for labels that are no class, and a column for rows without a guess, only where there are any. A matrix
// prints as this table, whether fmt is given it or a pointer to it.
func (m ConfusionMatrix) String() string {
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', tabwriter.AlignRight)
	unguessed := m.guessed(None) > 0
	fmt.Fprint(w, "label\\guess\t")
	for c := range m.Classes {
		fmt.Fprintf(w, "%s\t", m.cell(c))
	}
	if unguessed {
		fmt.Fprintf(w, "%s\t", m.cell(None))
	}
	fmt.Fprint(w, "precision\trecall\tF1\t\n")
	line := func(label int) {
		fmt.Fprintf(w, "%s\t", m.cell(label))
		for c := range m.Classes {
			fmt.Fprintf(w, "%d\t", m.Count(label, c))
		}
		if unguessed {
			fmt.Fprintf(w, "%d\t", m.Count(label, None))
		}
	}
	for c := range m.Classes {
		line(c)
		fmt.Fprintf(w, "%.4f\t%.4f\t%.4f\t\n", m.Precision(c), m.Recall(c), m.F1(c))
	}
	if m.Support(None) > 0 {
		line(None)
		fmt.Fprint(w, "\n")
	}
	w.Flush()
	return out.String()
}

// cell returns the name of a class as a cell of a table: quoted where it would break the table.
func (m *ConfusionMatrix) cell(class int) string {
	name := m.Name(class)
	if strings.ContainsFunc(name, unicode.IsControl) {
		return strconv.Quote(name)
	}
	return name
}
