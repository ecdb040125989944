package rnn_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/rnn"
	"github.com/unroll-go/unroll/tensor"
)

// stateRow returns a row of a state, of all layers, H before C.
func stateRow(s *rnn.State, row int) (all []float32) {
	for _, v := range []*tensor.Tensor{s.H, s.C} {
		if v != nil {
			for l := range v.Dim(0) {
				all = append(all, v.Data()[(l*v.Dim(1)+row)*v.Dim(2):][:v.Dim(2)]...)
			}
		}
	}
	return all
}

func TestAnyRowsOfAState(t *testing.T) {
	for _, k := range kinds {
		params := autograd.NewParams(1)
		s := randomState(1, k.make(params, 3, 4, 2), 6)
		var before [6][]float32
		for row := range before {
			before[row] = stateRow(s, row)
		}
		tape := autograd.NewInference(params)
		rows := []int{4, 0, 4, 5}
		c := s.CarryRows(tape, rows)
		for i, row := range rows {
			assert.Equal(t, before[row], append(stateOf(c.H, i), stateOf(c.C, i)...), k.name)
		}
		s.SetRows(c, []int{1, 5, 3, 0})
		for row, from := range []int{5, 4, 2, 4, 4, 0} {
			assert.Equal(t, before[from], stateRow(s, row), k.name)
		}
		// Consecutive rows are the same by either pair of methods.
		one, other := s.Carry(tape, 2, 3), s.CarryRows(tape, []int{2, 3, 4})
		assert.Equal(t, one.H.Data(), other.H.Data())
		assert.Equal(t, one.C == nil, other.C == nil)
	}
}

func TestResizeKeepsRows(t *testing.T) {
	for _, k := range kinds {
		params := autograd.NewParams(1)
		layer := k.make(params, 3, 4, 2)
		s := randomState(1, layer, 3)
		before := [][]float32{stateRow(s, 0), stateRow(s, 1), stateRow(s, 2)}
		s.Resize(5)
		zeros := make([]float32, len(before[0]))
		for row, want := range append(before, zeros, zeros) {
			assert.Equal(t, want, stateRow(s, row), k.name)
		}
		tape := autograd.NewInference(params)
		layer.Step(tape.Input(random(2, 5, 3)), s.Carry(tape, 0, 5))
		s.Resize(2)
		assert.Equal(t, []int{2, 2, k.out(4)}, s.H.Shape())
		for row := range 2 {
			assert.Equal(t, before[row], stateRow(s, row), k.name)
		}
	}
}

// TestABatchOfSessionsIsEachAlone: sessions that are advanced together, as they come, many or few, are the same bits as
// sessions of which each has a state, a tape and all steps to itself.
func TestABatchOfSessionsIsEachAlone(t *testing.T) {
	const sessions, input, rounds = 70, 3, 12
	for _, k := range kinds {
		for _, n := range []net{k.net, k.everything()} { // of what is random in training, zoneout acts in inference too
			for _, hidden := range []int{5, 16, 37} {
				params := autograd.NewParams(3)
				layer := n.make(params, input, hidden, 2)
				r := rand.New(rand.NewPCG(uint64(hidden), 1))
				state, tape := layer.NewState(sessions), autograd.NewInference(params)
				alone, own := make([]*rnn.State, sessions), autograd.NewInference(params)
				for i := range alone {
					alone[i] = layer.NewState(1)
				}
				for round := range rounds {
					rows := r.Perm(sessions)[:[]int{1, 2, 3, 4, 5, 7, 8, 9, 16, 31, 33, sessions}[round]]
					x := random(uint64(round), len(rows), input)
					tape.Reset()
					y, next := layer.Step(tape.Input(x), state.CarryRows(tape, rows))
					state.SetRows(next, rows)
					for i, row := range rows {
						own.Reset()
						want, next := layer.Step(own.Input(tensor.Of(x.Data()[i*input:][:input], 1, input)), alone[row].Carry(own, 0, 1))
						alone[row].Set(next, 0)
						width := n.out(hidden)
						bits(t, want.Data(), y.Data()[i*width:][:width], "%s: %d rows, row %d", k.name, len(rows), i)
					}
				}
				for i := range alone {
					bits(t, stateRow(alone[i], 0), stateRow(state, i), k.name)
				}
			}
		}
	}
}

func TestRowsOfAStateAllocateNothing(t *testing.T) {
	for _, k := range kinds {
		params := autograd.NewParams(1)
		layer := k.make(params, 3, 8, 2)
		state, tape, x, rows := layer.NewState(9), autograd.NewInference(params), random(1, 4, 3), []int{7, 0, 3, 8}
		step := func() {
			tape.Reset()
			_, next := layer.Step(tape.Input(x), state.CarryRows(tape, rows))
			state.SetRows(next, rows)
			state.ZeroRow(2)
		}
		for range 5 {
			step()
		}
		assert.Zero(t, testing.AllocsPerRun(10, step), k.name)
	}
}

func TestMisuseOfState(t *testing.T) {
	const huge = math.MaxInt
	params := autograd.NewParams(1)
	elman := rnn.NewElman(params.In("elman"), rnn.ElmanConfig{Input: 2, Hidden: 4})
	lstm := rnn.NewLSTM(params.In("lstm"), rnn.LSTMConfig{Input: 2, Hidden: 4})
	start := rnn.NewStart(params.In("start"), lstm)
	tape := autograd.NewInference(params)
	in := func(shape ...int) *autograd.Node { return tape.Input(random(1, shape...)) }
	elmans, lstms := elman.NewState(3), lstm.NewState(3)
	const range3 = "want at least one, within the state's 3"
	const overflow = "dimensions of at least 0 whose product fits an int"
	for _, c := range []struct {
		text string
		do   func()
	}{
		{fmt.Sprintf("rnn.State.Carry: %d rows from row 1 on, %s", huge, range3), func() { elmans.Carry(tape, 1, huge) }},
		{fmt.Sprintf("rnn.State.Carry: %d rows from row 2 on, %s", huge-1, range3), func() { elmans.Carry(tape, 2, huge-1) }},
		{fmt.Sprintf("rnn.State.Carry: 1 rows from row %d on, %s", huge, range3), func() { elmans.Carry(tape, huge, 1) }},
		{fmt.Sprintf("rnn.State.Carry: %d rows from row %d on, %s", huge, huge, range3), func() { elmans.Carry(tape, huge, huge) }},
		{fmt.Sprintf("rnn.State.Carry: 1 rows from row %d on, %s", math.MinInt, range3), func() { elmans.Carry(tape, math.MinInt, 1) }},
		{fmt.Sprintf("rnn.State.Carry: %d rows from row 0 on, %s", math.MinInt, range3), func() { elmans.Carry(tape, 0, math.MinInt) }},
		{fmt.Sprintf("rnn.State.ZeroRow: 1 rows from row %d on, %s", huge, range3), func() { elmans.ZeroRow(huge) }},
		{fmt.Sprintf("rnn.State.Set: 2 rows from row %d on, %s", huge, range3), func() { elmans.Set(rnn.Carry{H: in(1, 2, 4)}, huge) }},
		{fmt.Sprintf("rnn.State.CarryRows: row %d, want 0 to 2, the state's last", huge), func() { elmans.CarryRows(tape, []int{0, huge}) }},
		{"rnn.State.CarryRows: row -1, want 0 to 2, the state's last", func() { elmans.CarryRows(tape, []int{-1, 2}) }},
		{"rnn.State.CarryRows: 0 rows from row 0 on, " + range3, func() { elmans.CarryRows(tape, nil) }},
		{"rnn.State.CarryRows: 0 rows from row 0 on, " + range3, func() { elmans.CarryRows(tape, []int{}) }},
		{"rnn.State.SetRows: row 3, want 0 to 2, the state's last", func() { elmans.SetRows(rnn.Carry{H: in(1, 2, 4)}, []int{0, 3}) }},
		{"rnn.State.SetRows: 1 rows, want 2, one for each row of the carry", func() { elmans.SetRows(rnn.Carry{H: in(1, 2, 4)}, []int{0}) }},
		{"rnn.State.SetRows: carry of shape [1 2 5], want [1, rows, 4]", func() { elmans.SetRows(rnn.Carry{H: in(1, 2, 5)}, []int{0, 1}) }},
		{"rnn.State.SetRows: row 2 is named twice; a row can be set to one row of the carry", func() {
			elmans.SetRows(rnn.Carry{H: in(1, 3, 4)}, []int{2, 1, 2})
		}},
		{"rnn.State.SetRows: the carry is that of another kind of layer: one has a C, the other has none", func() {
			lstms.SetRows(rnn.Carry{H: in(1, 2, 4)}, []int{0, 1})
		}},
		{"rnn.State.Set: carry of shape [1 3 4], want [1, 2, 4]", func() { lstms.Set(rnn.Carry{H: in(1, 2, 4), C: in(1, 3, 4)}, 0) }},
		{"rnn.State.Resize: 0 rows, want at least 1", func() { elmans.Resize(0) }},
		{fmt.Sprintf("tensor: shape [1 %d 4], want %s", huge, overflow), func() { elmans.Resize(huge) }},
		{fmt.Sprintf("tensor: shape [1 %d 4], want %s", huge/2, overflow), func() { elman.NewState(huge / 2) }},
		{fmt.Sprintf("tensor: shape [1 %d 4], want %s", huge, overflow), func() { start.Carry(tape, huge) }},
		{fmt.Sprintf("tensor: shape [1 %d 4], want %s", huge/2, overflow), func() { start.Carry(tape, huge/2) }},
	} {
		assert.EqualError(t, autograd.Try(c.do), c.text)
	}
	// What failed has changed nothing.
	for _, s := range []*rnn.State{elmans, lstms} {
		for row := range 3 {
			assert.Equal(t, make([]float32, len(stateRow(s, row))), stateRow(s, row))
		}
	}
}
