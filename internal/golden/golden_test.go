package golden

import (
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEveryCaseLoads(t *testing.T) {
	names := Names("*")
	assert.Len(t, names, 3*(3*2+1)+48+12+20+2+4+8+3+12+8+8+40)
	for _, name := range names {
		f, err := Load(name)
		require.NoError(t, err)
		assert.Equal(t, name, f.Name)
		assert.NotEmpty(t, f.About, name)
	}
}

// What goes into float32 code must be what went into PyTorch. No result is all zeros, which would test little.
func TestGivenValuesFitFloat32(t *testing.T) {
	result := regexp.MustCompile(`^(y|hn|cn|loss|losses|norm|after|context|attention)$|^(grad|after|clipped)\.`)
	given := 0
	for _, name := range Names("*") {
		f, err := Load(name)
		require.NoError(t, err)
		for key, tensor := range f.Tensors {
			if result.MatchString(key) {
				some := slices.ContainsFunc(tensor.Data, func(v float64) bool { return v != 0 })
				assert.True(t, some, "%s: %s is zero", name, key)
				continue
			}
			given++
			for i, v := range tensor.Float32() {
				require.Equal(t, tensor.Data[i], float64(v), "%s: %s[%d]", name, key, i)
			}
		}
	}
	assert.Equal(t, 279+708+178+184+19+9+44+156, given)
}

func TestGet(t *testing.T) {
	f, err := Load("cross_entropy")
	require.NoError(t, err)
	assert.Equal(t, []int32{3, -100, 0, 4, -100, 3}, f.Get("labels").Int32())
	assert.Equal(t, []int{6, 5}, f.Get("logits").Shape)
	assert.Empty(t, f.Get("loss").Shape)
	assert.Len(t, f.Get("loss").Float32(), 1)
	assert.Panics(t, func() { f.Get("logit") })

	f, err = Load("train_lstm")
	require.NoError(t, err)
	assert.Equal(t, f.Get("after.head.bias"), f.Under("after.")["head.bias"])
	assert.Len(t, f.Under("after."), 6)
	assert.Panics(t, func() { f.Under("between.") })
}

func TestNames(t *testing.T) {
	assert.Equal(t, []string{"train_elman_tanh", "train_lstm"}, Names("train_*"))
	assert.Panics(t, func() { Names("transformer_*") })
	assert.Panics(t, func() { Names("[") })
}

func TestErrors(t *testing.T) {
	_, err := Load("no_such_case")
	require.ErrorContains(t, err, "no_such_case")

	for _, c := range []struct{ text, want string }{
		{`{"tensors": {"x": {"shape": [2, 3], "data": [1, 2, 3, 4, 5, 6]}}}`, ""},
		{`{"tensors": {"x": {"shape": [], "data": [1]}}}`, ""},
		{`{"tensors": {"x": {"shape": [2, 3], "data": [1, 2, 3, 4, 5]}}}`, "x: 5 values for shape [2 3]"},
		{`{"tensors": {"x": {"shape": [-1, -2], "data": [1, 2]}}}`, "x: 2 values for shape [-1 -2]"},
		{`{"tensors": {"x": {"shape": [0], "data": []}}}`, "x: 0 values for shape [0]"},
		{`{"tensors": {}}`, "no tensors"},
		{`{"tensors": {"x": {"shape": [1], "data": [1]}}`, "unexpected end"},
		{`{"tensors": {"x": {"shape": [1], "data": [NaN]}}}`, "invalid character"},
	} {
		_, err := parse([]byte(c.text))
		if c.want == "" {
			assert.NoError(t, err, c.text)
		} else {
			assert.ErrorContains(t, err, c.want, c.text)
		}
	}
}
