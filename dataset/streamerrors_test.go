package dataset

import (
	"errors"
	"io"
	"iter"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/tensor"
)

// TestDocumentsThatFail: whatever a document does wrong, the window in which it does says so, and is the last.
func TestDocumentsThatFail(t *testing.T) {
	torn := errors.New("disk torn")
	const not = " values, want as many for each step, at most one token and one label, and at least one field"
	fine := Steps{N: 1, IDs: []int32{1}, Labels: []int32{2}}
	for want, wrong := range map[string]Steps{
		"Next returned 0 steps, want 1 to 4":                               {},
		"Next returned -1 steps, want 1 to 4":                              {N: -1},
		"Next returned 5 steps, want 1 to 4":                               {N: 5, IDs: make([]int32, 5)},
		"2 steps have X of 0, IDs of 3, Labels of 0 and Target of 0" + not: {N: 2, IDs: make([]int32, 3)},
		"2 steps have X of 0, IDs of 2, Labels of 4 and Target of 0" + not: {N: 2, IDs: make([]int32, 2), Labels: make([]int32, 4)},
		"2 steps have X of 3, IDs of 0, Labels of 0 and Target of 0" + not: {N: 2, X: make([]float32, 3)},
		"2 steps have X of 0, IDs of 2, Labels of 0 and Target of 1" + not: {N: 2, IDs: make([]int32, 2), Target: make([]float32, 1)},
		"2 steps have X of 0, IDs of 0, Labels of 0 and Target of 0" + not: {N: 2},
		"a step has X of 0, IDs of 1, Labels of 0 and Target of 0, want X of 0, IDs of 1, Labels of 1 and Target of 0, as the first step has": {N: 2, IDs: make([]int32, 2)},
	} {
		calls := 0
		d := DocumentFunc(func(n int) (Steps, error) {
			if calls++; calls <= 4 {
				return fine, nil
			}
			return wrong, nil
		})
		windows, err := gathered(Streams{Rows: 1, K1: 4}.Batches(one(d)))
		assert.Len(t, windows, 1)
		assert.EqualError(t, err, "document 0 of dataset.Streams: "+want)
	}

	_, err := gathered(Streams{Rows: 1, K1: 4}.Batches(one(nil)))
	assert.EqualError(t, err, "document 0 of dataset.Streams: document is nil")
	late := func(yield func(Document, error) bool) { yield(nil, torn) }
	_, err = gathered(Streams{Rows: 1, K1: 4}.Batches(late))
	assert.EqualError(t, err, "document 0 of dataset.Streams: disk torn")
	assert.ErrorIs(t, err, torn)

	short := &Sequences{IDs: [][]int32{{1, 2}, {}}}
	_, err = gathered(Streams{Rows: 1, K1: 4}.Batches(Documents(Batches(short, 1))))
	assert.EqualError(t, err, "document 1 of dataset.Streams: dataset: sequence 1 has no steps, want at least one")
	_, err = gathered(Streams{Rows: 1, K1: 4}.Batches(Documents(Batches(Join(short), 1))))
	assert.EqualError(t, err, "document 0 of dataset.Streams: dataset: example 0 is one of dataset.Join, want a source without parts")
	_, err = gathered(Streams{Rows: 1, K1: 4}.Batches(Documents(Batches(&Sequences{IDs: short.IDs, X: make([]*tensor.Tensor, 2)}, 1))))
	assert.EqualError(t, err, "document 0 of dataset.Streams: dataset: Sequences has 2 of X and 2 of IDs, want one of the two")
	for want, b := range map[string]Batch{
		"example 0 is gathered as 1 rows of 2 steps with Lengths [3], want one row and a length of 0 to the steps":  {IDs: []int32{1, 2}, Lengths: []int{3}},
		"example 0 is gathered as 1 rows of 2 steps with Lengths [-1], want one row and a length of 0 to the steps": {IDs: []int32{1, 2}, Lengths: []int{-1}},
		"example 0 is gathered as 2 rows of 2 steps with Lengths [], want one row and a length of 0 to the steps":   {X: tensor.New(2, 2, 3)},
		"example 0: 3 steps have X of 0, IDs of 3, Labels of 0 and Target of 2" + not:                               {IDs: make([]int32, 3), Lengths: []int{3}, Target: tensor.New(2, 1, 1)},
	} {
		_, err = gathered(Streams{Rows: 1, K1: 4}.Batches(Documents(Batches(wrongSource{short, b}, 1))))
		assert.EqualError(t, err, "document 0 of dataset.Streams: dataset: "+want)
	}
	outside := func(yield func(Rows) bool) { yield(Rows{Rows{short, []int{0}}, []int{1}}) }
	_, err = gathered(Streams{Rows: 1, K1: 4}.Batches(Documents(outside)))
	assert.EqualError(t, err, "document 0 of dataset.Streams: dataset: row 1 of a set of 1 rows")
}

// wrongSource is a source of the user's own, which gathers one batch whatever it is asked for.
type wrongSource struct {
	*Sequences
	batch Batch
}

func (s wrongSource) Gather(_ []int, into *Batch) error {
	*into = s.batch
	return nil
}

// closing is a document that counts how often it is closed.
type closing struct {
	Document
	closed *int
	err    error
}

func (c closing) Close() error {
	*c.closed++
	return c.err
}

// TestDocumentsAreClosed: each document once, whether it ends, fails or is left.
func TestDocumentsAreClosed(t *testing.T) {
	for name, stop := range map[string]int{"end": 100, "left": 2} {
		var closed [5]int
		cleaned := false
		documents := func(yield func(Document, error) bool) {
			defer func() { cleaned = true }()
			for i := range closed {
				if !yield(closing{BytesDocument(strings.NewReader("abcdef")), &closed[i], nil}, nil) {
					return
				}
			}
		}
		windows := 0
		for range (Streams{Rows: 2, K1: 3}).Batches(documents) {
			if windows++; windows == stop {
				break
			}
		}
		want := [5]int{1, 1, 1, 1, 1}
		if stop == 2 {
			want = [5]int{1, 1, 1, 1, 0} // not begun
		}
		assert.Equal(t, want, closed, name)
		assert.True(t, cleaned, name)
	}
	closed, torn := 0, errors.New("disk torn")
	_, err := gathered(Streams{Rows: 1, K1: 9}.Batches(one(closing{BytesDocument(strings.NewReader("ab")), &closed, torn})))
	assert.EqualError(t, err, "document 0 of dataset.Streams: disk torn", "of Close")
	_, err = gathered(Streams{Rows: 1, K1: 9}.Batches(one(closing{DocumentFunc(func(int) (Steps, error) { return Steps{}, torn }), &closed, nil})))
	assert.ErrorIs(t, err, torn)
	assert.Equal(t, 2, closed)
}

// TestWindowsThatAreGone: a window that is used too late is an error, and no other window's numbers.
func TestWindowsThatAreGone(t *testing.T) {
	var all []Rows
	for rows := range (Streams{Rows: 2, K1: 2}).Batches(Documents(Batches(NextTokens(upTo(41)).Parts(2), 2))) {
		all = append(all, Rows{rows.Source, append([]int(nil), rows.Index...)})
	}
	require.Len(t, all, 10)
	var b Batch
	require.NoError(t, all[9].Gather([]int{1}, &b))
	assert.Equal(t, []int{19}, b.Index)
	assert.Equal(t, []int32{38, 39}, b.IDs)
	require.NoError(t, all[9].Gather(nil, &b))
	assert.Zero(t, b.Rows())
	assert.ErrorContains(t, all[7].Gather([]int{1}, &b), "dataset: row 15 of a window with the rows 18 to 19")
	assert.Equal(t, 20, all[9].Source.Len())
}

// endless returns the batches again and again.
func endless(batches iter.Seq[Rows]) iter.Seq[Rows] {
	var all []Rows
	for rows := range batches {
		all = append(all, Rows{rows.Source, append([]int(nil), rows.Index...)})
	}
	return func(yield func(Rows) bool) {
		for {
			for _, rows := range all {
				if !yield(rows) {
					return
				}
			}
		}
	}
}

// TestStreamsAllocateNothing: windows of streams that never end, of short documents in memory, gathered ones, and bytes.
func TestStreamsAllocateNothing(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var words []int32
	ragged := &Sequences{Labels: make([]int32, 50)}
	for i := range 50 {
		ragged.X = append(ragged.X, counted(1+i*7%23, 3))
		words = append(words, r.Int32N(100))
	}
	zeros := readerFunc(func(p []byte) (int, error) { return len(p), nil })
	for name, documents := range map[string]iter.Seq2[Document, error]{
		"tokens":   Documents(endless(Batches(NextTokens(words, words[:7], words[:30]), 2))),
		"labels":   Documents(endless(Batches(ragged, 7))),
		"gathered": Documents(endless(Batches(&Tensors{X: counted(9, 5, 2), Target: counted(9, 1), Lengths: []int{1, 5, 3, 2, 5, 4, 1, 2, 3}}, 9))),
		"bytes":    one(BytesDocument(zeros), BytesDocument(zeros), BytesDocument(zeros)),
		"frames":   one(FramesDocument(zeros, 3, 1), FramesDocument(zeros, 3, 1), FramesDocument(zeros, 3, 1)),
	} {
		for _, s := range []Streams{{Rows: 3, K1: 20}, {Rows: 3, K1: 10, K2: 25, BurnIn: 2}} {
			next, stop := iter.Pull(s.Batches(documents))
			var b Batch
			var errs error
			window := func() {
				rows, ok := next()
				if !ok {
					t.Error("ended")
					return
				}
				errs = errors.Join(errs, rows.Source.Gather(rows.Index, &b), rows.Source.Gather(rows.Index[1:2], &b))
			}
			for range 100 {
				window()
			}
			assert.Zero(t, testing.AllocsPerRun(100, window), name)
			assert.NoError(t, errs, name)
			stop()
		}
	}
}

// TestLabelsOfDocuments: a label or target of a whole document is at its last step.
func TestLabelsOfDocuments(t *testing.T) {
	const no = -100
	s := &Sequences{IDs: [][]int32{{1, 2, 3}, {4}, {5, 6}}, Labels: []int32{7, 8, 9}, Target: tensor.Of([]float32{1, 2, 3, 4, 5, 6}, 3, 2)}
	for _, k1 := range []int{6, math.MaxInt} {
		var b Batch
		for rows := range (Streams{Rows: 1, K1: k1}).Batches(Documents(Batches(s, 3))) {
			require.NoError(t, rows.Gather([]int{0}, &b))
		}
		assert.Equal(t, []int32{no, no, 7, 8, no, 9}, b.Labels)
		assert.Equal(t, []int{6, 1, 2}, b.Target.Shape())
		assert.Equal(t, "[NaN NaN NaN NaN 1 2 3 4 NaN NaN 5 6]", strings.ReplaceAll(contents(&Batch{Target: b.Target})[len("<nil> tensor[6 1 2] [] [] [] true [] 0 []"):], "\n", ""))
	}
	table := &Tensors{X: counted(3, 2), Labels: []int32{7, 8, 9}}
	for rows := range (Streams{Rows: 2, K1: 2}).Batches(Documents(Batches(table, 3))) {
		var b Batch
		require.NoError(t, rows.Source.Gather(rows.Index, &b))
		assert.Equal(t, []int32{7, 8, 9, no}, b.Labels)
		assert.Equal(t, []bool{true, true, true, false}, b.Begins)
		assert.Equal(t, []int{2, 1}, b.Lengths)
	}
}

func TestParts(t *testing.T) {
	parts := NextTokens(upTo(9), nil, upTo(1), upTo(3)).Parts(2)
	assert.Equal(t, &Sequences{IDs: [][]int32{{0, 1, 2, 3}, {4, 5, 6, 7}, {0}, {1}},
		StepLabels: [][]int32{{1, 2, 3, 4}, {5, 6, 7, 8}, {1}, {2}}}, parts)
	series := &Sequences{X: []*tensor.Tensor{counted(7, 2)}, StepTargets: []*tensor.Tensor{counted(7, 1)}}
	parts = series.Parts(3)
	require.Len(t, parts.X, 3)
	assert.Equal(t, counted(7, 2).Data()[8:12], parts.X[2].Data())
	assert.Equal(t, counted(7, 1).Data()[2:4], parts.StepTargets[1].Data())
	assert.Zero(t, series.Parts(8).Len(), "too short")

	for want, f := range map[string]func(){
		"0 parts, want at least 1": func() { series.Parts(0) },
		"Labels or Target of whole sequences, which cannot be cut; want StepLabels or StepTargets": func() {
			(&Sequences{IDs: [][]int32{{1}}, Labels: []int32{1}}).Parts(1)
		},
		"dataset: sequence 0 has 1 labels, want 2, one a step": func() { (&Sequences{IDs: [][]int32{{1, 2}}, StepLabels: [][]int32{{1}}}).Parts(1) },
		"dataset: step labels of 2 examples, want 1":           func() { (&Sequences{IDs: [][]int32{{1, 2}}, StepLabels: make([][]int32, 2)}).Parts(1) },
	} {
		panicsWith[*tensor.UsageError](t, "dataset.Sequences.Parts: "+want, f)
	}
}

func TestPanicsOfStreams(t *testing.T) {
	const want = ", want at least 1 row and step, and nothing negative"
	for text, s := range map[string]Streams{
		"Rows 0, K1 1, K2 0, BurnIn 0":  {K1: 1},
		"Rows 1, K1 0, K2 0, BurnIn 0":  {Rows: 1},
		"Rows 1, K1 1, K2 -1, BurnIn 0": {Rows: 1, K1: 1, K2: -1},
		"Rows 1, K1 1, K2 0, BurnIn -1": {Rows: 1, K1: 1, BurnIn: -1},
	} {
		panicsWith[*tensor.UsageError](t, "dataset.Streams: "+text+want, func() { s.Batches(nil) })
	}
	for range (Streams{Rows: 3, K1: 2}).Batches(one(BytesDocument(strings.NewReader("a")), DocumentFunc(func(int) (Steps, error) { return Steps{}, io.EOF }))) {
		t.Error("a window without steps")
	}
}
