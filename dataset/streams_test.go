package dataset

import (
	"fmt"
	"io"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/internal/label"
	"github.com/unroll-go/unroll/tensor"
)

// streamStep is a step of a stream as the definition has it: step number at of a document, whose numbers all follow from id.
type streamStep struct {
	id int32
	at int
}

// documentsOf returns documents of so many steps, with numbers that tell them apart: X is [T,2], the label and the target
// follow from the token.
func documentsOf(lengths []int) *Sequences {
	s := &Sequences{}
	id := int32(0)
	for _, n := range lengths {
		ids, labels := make([]int32, n), make([]int32, n)
		x, y := tensor.New(n, 2), tensor.New(n, 1)
		for t := range n {
			id++
			ids[t], labels[t] = id, 2*id
			x.Data()[2*t], x.Data()[2*t+1], y.Data()[t] = float32(id), -float32(id), 3*float32(id)
		}
		s.IDs, s.StepLabels = append(s.IDs, ids), append(s.StepLabels, labels)
		s.X, s.StepTargets = append(s.X, x), append(s.StepTargets, y)
	}
	return s
}

// pieces returns the sequences as documents that return steps in pieces of random length. A sequence may have no steps.
func pieces(s *Sequences, seed uint64) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		r := rand.New(rand.NewPCG(seed, 0))
		for i, ids := range s.IDs {
			at := 0
			if !yield(DocumentFunc(func(n int) (Steps, error) {
				if at == len(ids) {
					return Steps{}, io.EOF
				}
				lo, hi := at, at+1+r.IntN(min(n, len(ids)-at))
				at = hi
				return Steps{N: hi - lo, IDs: ids[lo:hi], Labels: s.StepLabels[i][lo:hi],
					X: s.X[i].Data()[2*lo : 2*hi], Target: s.StepTargets[i].Data()[lo:hi]}, nil
			}), nil) {
				return
			}
		}
	}
}

// streamsOf packs documents of so many steps into rows, step by step.
func streamsOf(lengths []int, rows int) [][]streamStep {
	all, next, id := make([][]streamStep, rows), 0, int32(0)
	left, at := make([]int, rows), make([]int, rows)
	first := make([]int32, rows)
	for {
		busy := false
		for b := range rows {
			for left[b] == 0 && next < len(lengths) {
				left[b], at[b], first[b] = lengths[next], 0, id+1
				id += int32(lengths[next])
				next++
			}
			if left[b] > 0 {
				all[b] = append(all[b], streamStep{first[b] + int32(at[b]), at[b]})
				left[b]--
				at[b]++
				busy = true
			}
		}
		if !busy {
			return all
		}
	}
}

// windowsByDefinition returns the windows as the comment of Streams defines them.
func windowsByDefinition(s Streams, all [][]streamStep) (windows []Batch) {
	longest := 0
	for _, row := range all {
		longest = max(longest, len(row))
	}
	k2 := s.K2
	if k2 == 0 {
		k2 = s.K1
	}
	start := func(t int) int { return max(0, t-max(k2, s.K1)) }
	for t := s.K1; t-s.K1 < longest; t += s.K1 {
		lo, hi := start(t), min(t, longest)
		b := Batch{X: tensor.New(hi-lo, s.Rows, 2), Target: tensor.New(hi-lo, s.Rows, 1)}
		begins := false
		for step := lo; step < hi; step++ {
			for _, steps := range all {
				b.IDs, b.Labels, b.Begins = append(b.IDs, 0), append(b.Labels, label.Ignore), append(b.Begins, false)
				i := len(b.IDs) - 1
				b.Target.Data()[i] = float32(math.NaN())
				if step >= len(steps) {
					continue
				}
				at := steps[step]
				b.IDs[i], b.Begins[i] = at.id, at.at == 0
				b.X.Data()[2*i], b.X.Data()[2*i+1] = float32(at.id), -float32(at.id)
				if step >= t-s.K1 && step >= hi-k2 && at.at >= s.BurnIn {
					b.Labels[i], b.Target.Data()[i] = 2*at.id, 3*float32(at.id)
				}
				begins = begins || at.at == 0
			}
		}
		if !begins {
			b.Begins = nil
		}
		short := false
		for _, steps := range all {
			b.Lengths = append(b.Lengths, max(0, min(len(steps), hi)-lo))
			short = short || len(steps) < hi
		}
		if !short {
			b.Lengths = nil
		}
		b.Overlap = max(0, hi-start(t+s.K1))
		for row := range s.Rows {
			b.Index = append(b.Index, len(windows)*s.Rows+row)
		}
		windows = append(windows, b)
	}
	return windows
}

// TestStreamsByDefinition compares the windows with the definition, for documents in memory, gathered, and in pieces.
func TestStreamsByDefinition(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for trial := range 400 {
		lengths := make([]int, r.IntN(12))
		for i := range lengths {
			lengths[i] = 1 + r.IntN(1+r.IntN(20))
		}
		s := Streams{Rows: 1 + r.IntN(5), K1: 1 + r.IntN(7), K2: r.IntN(16), BurnIn: max(0, r.IntN(5)-2)}
		documents := documentsOf(lengths)
		want := windowsByDefinition(s, streamsOf(lengths, s.Rows))
		name := fmt.Sprintf("%d: %+v, documents of %v", trial, s, lengths)
		sameWindows(t, name, want, s.Batches(pieces(documents, uint64(trial))))
		sameWindows(t, name, want, s.Batches(Documents(Batches(own{documents}, 3))))
		tokens, numbers := *documents, *documents
		tokens.X, numbers.IDs = nil, nil
		var wantTokens, wantNumbers []Batch
		for _, b := range want {
			x := b.X
			b.X = nil
			wantTokens = append(wantTokens, b)
			b.X, b.IDs = x, nil
			wantNumbers = append(wantNumbers, b)
		}
		sameWindows(t, name, wantTokens, s.Batches(Documents(Batches(&tokens, 3))))
		_, all := Split(&numbers, 0)
		sameWindows(t, name, wantNumbers, s.Batches(Documents(Batches(all, 3))))
	}
}

// own is a source of the user's own, of which a document is gathered. A batch has one row, and a step of padding.
type own struct{ *Sequences }

func (s own) Gather(rows []int, into *Batch) error {
	i := rows[0]
	n := len(s.IDs[i])
	*into = Batch{IDs: append(slices.Clone(s.IDs[i]), 99), Labels: append(slices.Clone(s.StepLabels[i]), 99), Lengths: []int{n},
		X:      tensor.Of(append(slices.Clone(s.X[i].Data()), 99, 99), n+1, 1, 2),
		Target: tensor.Of(append(slices.Clone(s.StepTargets[i].Data()), 99), n+1, 1, 1)}
	return nil
}

func upToInts(n int) (all []int) {
	for i := range n {
		all = append(all, i)
	}
	return all
}

// sameWindows asserts that the windows are those wanted, when each is gathered after the next was made, as train.Loop does,
// whole and in shards of which one is in another order.
func sameWindows(t *testing.T, name string, want []Batch, windows iter.Seq[Rows]) {
	t.Helper()
	var held Rows
	n := 0
	check := func() {
		var b Batch
		require.NoError(t, held.Gather(upToInts(held.Len()), &b), name)
		require.Less(t, n, len(want), name)
		if n == len(want)-1 {
			want[n].Overlap, b.Overlap = 0, 0 // there is no further window
		}
		require.Equal(t, contents(&want[n]), contents(&b), "window %d of %s", n, name)
		require.Equal(t, len(want[n].Index), b.Rows(), name)
		rows := []int{held.Len() - 1, 0}
		require.NoError(t, held.Gather(rows, &b), name)
		for i := range 2 * b.Steps() {
			if b.IDs != nil {
				require.Equal(t, want[n].IDs[i/2*held.Len()+rows[i%2]], b.IDs[i], name)
			}
			if b.X != nil {
				require.Equal(t, want[n].X.Data()[2*(i/2*held.Len()+rows[i%2])], b.X.Data()[2*i], name)
			}
			require.Equal(t, want[n].Begins != nil && want[n].Begins[i/2*held.Len()+rows[i%2]], b.Begins != nil && b.Begins[i], name)
		}
		n++
	}
	for rows := range windows {
		if held.Source != nil {
			check()
		}
		held = Rows{rows.Source, slices.Clone(rows.Index)}
	}
	if held.Source != nil {
		check()
	}
	require.Equal(t, len(want), n, name)
}
