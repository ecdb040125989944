package train_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/dataset"
	"github.com/unroll-go/unroll/layers"
	"github.com/unroll-go/unroll/loss"
	"github.com/unroll-go/unroll/optim"
	"github.com/unroll-go/unroll/safetensors"
	"github.com/unroll-go/unroll/tensor"
	"github.com/unroll-go/unroll/train"
)

// parts are a part of every kind, and what is needed to change them.
type parts struct {
	params  *autograd.Params
	adam    *optim.Adam
	step    *train.Step
	history *train.History
	random  *rand.PCG
	name    string
	counts  map[string]int
	own     *tensor.Tensor
	all     train.Checkpoint
}

func newParts(width int) *parts {
	p := &parts{params: autograd.NewParams(3), random: rand.NewPCG(1, 2), name: "a", counts: map[string]int{"kept": 1}}
	head := layers.NewDense(p.params.In("head"), 2, width)
	p.adam = optim.NewAdam(p.params, 0.01)
	p.step = train.NewStep(p.params, func(t *autograd.Tape, b *dataset.Batch) *autograd.Node {
		return loss.SparseSoftmaxCrossEntropy(head.Forward(t.Input(b.X)), b.Labels)
	})
	p.history = train.NewHistory("epoch", "loss")
	p.own = tensor.Of([]float32{1, 2, 3}, 3)
	p.all = train.Checkpoint{"model": p.params, "optim": p.adam, "step": p.step, "history": p.history, "random": p.random,
		"name": &p.name, "counts": &p.counts, "own": p.own, "more": map[string]*tensor.Tensor{"x": tensor.New(1, 2)},
		"settings": train.Settings{"width": fmt.Sprint(width)}}
	return p
}

// change trains a step and changes all other parts.
func (p *parts) change(t *testing.T) {
	x := tensor.Of([]float32{1, 2, 3, 4}, 2, 2)
	_, err := p.step.Run(dataset.Rows{Source: &dataset.Tensors{X: x, Labels: []int32{0, 1}}, Index: []int{0, 1}})
	require.NoError(t, err)
	p.adam.Step(p.step.Grads())
	p.adam.LR = 1.0 / 3
	p.history.Add(0, math.NaN())
	p.history.Add(1, math.Inf(1))
	p.random.Uint64()
	p.name, p.counts = "b\n\"ü", map[string]int{"new": 2}
	p.own.Data()[1] = float32(math.Copysign(0, -1))
	p.params.Get("head.bias").Frozen = true
}

// saved returns the content of a file that holds all parts.
func saved(t *testing.T, all train.Checkpoint) []byte {
	var b bytes.Buffer
	require.NoError(t, all.SaveTo(&b))
	return b.Bytes()
}

func TestCheckpoint(t *testing.T) {
	path := filepath.Join(t.TempDir(), "checkpoint.safetensors")
	from, to := newParts(2), newParts(2)
	from.change(t)
	require.NoError(t, from.all.Save(path))
	version := to.params.Version()
	require.NoError(t, to.all.Load(path))
	assert.Equal(t, saved(t, from.all), saved(t, to.all))
	assert.Equal(t, uint64(1), to.step.Runs)
	assert.Equal(t, 1.0/3, to.adam.LR)
	assert.Equal(t, from.params.Get("head.weight").Value.Data(), to.params.Get("head.weight").Value.Data())
	assert.Greater(t, to.params.Version(), version, "packed copies of weights are stale")
	assert.True(t, to.params.Get("head.bias").Frozen)
	assert.Equal(t, from.random.Uint64(), to.random.Uint64())
	assert.Equal(t, "b\n\"ü", to.name)
	assert.Equal(t, map[string]int{"new": 2}, to.counts, "nothing of the old value stays")
	assert.Equal(t, 2, to.history.Len())
	assert.True(t, math.Signbit(float64(to.own.Data()[1])))
	from.change(t)
	to.change(t)
	assert.Equal(t, saved(t, from.all), saved(t, to.all), "both continue alike")

	// The weights alone are weights for other programs.
	model := newParts(2).params
	require.NoError(t, from.all.Save(path))
	_, err := safetensors.Loading{Prefix: "model."}.Load(path, model)
	require.NoError(t, err)
	assert.Equal(t, from.params.Get("head.bias").Value.Data(), model.Get("head.bias").Value.Data())
}

// TestDifferences: one error tells every difference, and nothing is changed.
func TestDifferences(t *testing.T) {
	path := filepath.Join(t.TempDir(), "checkpoint.safetensors")
	from := newParts(2)
	from.change(t)
	require.NoError(t, from.all.Save(path))
	for _, c := range []struct {
		name   string
		change func(p *parts)
		width  int
		want   string
	}{
		{"other shapes", func(*parts) {}, 3, "model.head.bias: shape [2] in the file, want [3]; model.head.weight: shape [2 2] in the file, want [3 2]; " +
			"optim.head.weight.exp_avg: shape [4] in the file, want [6]; optim.head.weight.exp_avg_sq: shape [4] in the file, want [6]; " +
			"optim.head.bias.exp_avg: shape [2] in the file, want [3]; optim.head.bias.exp_avg_sq: shape [2] in the file, want [3]; " +
			`settings: width is "2" in the file, want "3"`},
		{"another optimizer", func(p *parts) { p.all["optim"] = optim.NewRMSProp(p.params, 0.1) }, 2,
			`optim: the file has the state of *optim.Adam, want *optim.RMSProp`},
		{"the same state, another rule", func(p *parts) { p.all["optim"] = optim.NewAdamW(p.params, 0.1) }, 2,
			`optim: the file has the state of *optim.Adam, want *optim.AdamW`},
		{"groups", func(p *parts) { p.all["optim"] = optim.Groups{p.adam} }, 2,
			"optim: the file has the state of *optim.Adam, want optim.Groups[1]"},
		{"other parts", func(p *parts) {
			delete(p.all, "name")
			delete(p.all, "own")
			p.all["new"] = new(int)
			p.all["newer"] = tensor.New(1)
		}, 2,
			"missing in the file: new, newer; in the file alone: name, own"},
		{"other columns", func(p *parts) { p.all["history"] = train.NewHistory("loss") }, 2,
			`history: its columns are [epoch loss] in the file, want [loss]; history: shape [2 2] in the file, want [-1 1]`},
		{"another kind", func(p *parts) { p.all["name"] = new(int); p.all["random"] = new(string); p.all["counts"] = p.random }, 2,
			"counts: illegal base64 data at input byte 0; name: json: cannot unmarshal string into Go value of type int; random: "},
		{"other shards", func(p *parts) { p.step.Shards = 4 }, 2, "step: Shards is 0 in the file, want 4"},
		{"another seed", func(p *parts) { p.all["step"] = train.NewStep(autograd.NewParams(4), nil) }, 2, "step: the seed of the weights is 3 in the file, want 4"},
		{"other settings", func(p *parts) { p.all["settings"] = train.Settings{"height": "1"} }, 2,
			"missing in the file: settings.height; in the file alone: settings.width"},
	} {
		to := newParts(c.width)
		c.change(to)
		before := saved(t, to.all)
		err := to.all.Load(path)
		require.Error(t, err, c.name)
		assert.Contains(t, err.Error(), "train: "+path+" does not fit: "+c.want, c.name)
		assert.NotContains(t, err.Error(), "\n", c.name)
		assert.Equal(t, before, saved(t, to.all), c.name)
	}

	groups := newParts(2)
	groups.all["optim"] = optim.Groups{optim.NewAdam(groups.params.In("head"), 0.1), optim.NewEMA(groups.params, 0.9)}
	require.NoError(t, groups.all.Save(path))
	assert.EqualError(t, newParts(2).all.Load(path), "train: "+path+" does not fit: optim: the file has the state of optim.Groups[2], want *optim.Adam")
	groups.all["optim"] = groups.all["optim"].(optim.Groups)[:1]
	assert.EqualError(t, groups.all.Load(path), "train: "+path+" does not fit: optim: the file has the state of optim.Groups[2], want optim.Groups[1]")
	require.NoError(t, from.all.Save(path))

	// At most 20 names of each kind.
	many := train.Checkpoint{}
	for i := range 30 {
		many[fmt.Sprintf("part%02d", i)] = new(int)
	}
	err := many.Load(path)
	assert.ErrorContains(t, err, "part18, part19, and 10 more; in the file alone: counts, ")
}

func TestNoCheckpoint(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	p := newParts(2)
	assert.ErrorIs(t, p.all.Load(path), os.ErrNotExist)
	err := p.all.Load(dir) // opens, and cannot be read
	assert.ErrorAs(t, err, new(*fs.PathError))
	assert.NotErrorIs(t, err, train.ErrDamaged)
	require.NoError(t, safetensors.Save(path, p.params, nil))
	assert.EqualError(t, p.all.Load(path), "train: "+path+" is no checkpoint, but a file of weights: load it by package safetensors")

	require.NoError(t, p.all.Save(path))
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	f, err := safetensors.Read(bytes.NewReader(content))
	require.NoError(t, err)
	f.Metadata["unroll.checkpoint"] = "2"
	require.NoError(t, train.WithChecksum(f))
	write(t, path, f)
	assert.EqualError(t, p.all.Load(path), "train: "+path+` has version "2" of the format, want 1: a newer version of this library wrote it`)
}

func write(t *testing.T, path string, f *safetensors.File) {
	var b bytes.Buffer
	require.NoError(t, safetensors.Write(&b, f))
	require.NoError(t, os.WriteFile(path, b.Bytes(), 0o666))
}

// TestDamaged: a file that is cut anywhere, or has one flipped bit anywhere, is not loaded, and nothing is changed.
func TestDamaged(t *testing.T) {
	p := newParts(2)
	p.change(t)
	content := saved(t, p.all)
	load := func(damaged []byte) error { return p.all.LoadFrom(bytes.NewReader(damaged)) }
	require.NoError(t, load(content))
	for n := range content {
		if err := load(content[:n]); !assert.ErrorIs(t, err, train.ErrDamaged, "%d bytes", n) {
			break
		}
	}
	require.ErrorIs(t, load(append(bytes.Clone(content), 0)), train.ErrDamaged)
	for bit := range 8 * len(content) {
		content[bit/8] ^= 1 << (bit % 8)
		if err := load(content); !assert.Error(t, err, "bit %d", bit) {
			break
		}
		content[bit/8] ^= 1 << (bit % 8)
	}
	require.NoError(t, load(content))
	assert.Equal(t, content, saved(t, p.all))
}

// TestWrongParts: a mistake of the caller's is told at once.
func TestWrongParts(t *testing.T) {
	p := newParts(2)
	for _, c := range []struct {
		all  train.Checkpoint
		want string
	}{
		{train.Checkpoint{"epoch": 3}, "train.Checkpoint: the part epoch is a int, want a pointer to it"},
		{train.Checkpoint{"": p.params}, `train.Checkpoint: a part is named "", which is reserved`},
		{train.Checkpoint{"unroll.x": p.params}, `train.Checkpoint: a part is named "unroll.x", which is reserved`},
		{train.Checkpoint{"w": p.params.Get("head.bias").Value}, "train.Checkpoint: the tensor w is the weight head.bias, want its Params as a part"},
	} {
		assert.PanicsWithError(t, c.want, func() { c.all.Save(filepath.Join(t.TempDir(), "file")) })
	}
	dir := t.TempDir()
	infinite := math.Inf(1)
	err := train.Checkpoint{"x": &infinite, "y": &infinite}.Save(filepath.Join(dir, "file"))
	assert.EqualError(t, err, "train: saving "+filepath.Join(dir, "file")+
		": x: json: unsupported value: +Inf\ny: json: unsupported value: +Inf")
	err = train.Checkpoint{"x": &struct{ Last error }{io.EOF}}.Save(filepath.Join(dir, "file"))
	assert.ErrorContains(t, err, "x: json: cannot unmarshal", "what could not be loaded again is not saved")
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Empty(t, entries)
}

// TestLoadAllocates loads a large checkpoint, and one that announces much more than it has.
func TestLoadAllocates(t *testing.T) {
	path := filepath.Join(t.TempDir(), "checkpoint.safetensors")
	large := train.Checkpoint{"x": tensor.New(2 << 20)}
	require.NoError(t, large.Save(path))
	allocated := func() uint64 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.TotalAlloc
	}
	before := allocated()
	require.NoError(t, large.Load(path))
	assert.Less(t, allocated()-before, uint64(18<<20))

	// Text is decoded, and costs more than its bytes: at most 100 times as much, as SECURITY.md says.
	texts := train.Checkpoint{}
	f := &safetensors.File{Metadata: map[string]string{"unroll.checkpoint": "1"}}
	for i := range 8 {
		name := fmt.Sprint("part", i)
		texts[name] = autograd.NewParams(1)
		f.Metadata[name] = `{"Frozen":["a"` + strings.Repeat(`,""`, 80_000) + "]}"
	}
	require.NoError(t, train.WithChecksum(f))
	write(t, path, f)
	before = allocated()
	require.NoError(t, texts.Load(path))
	assert.Less(t, allocated()-before, uint64(100*8*3*80_000))

	header := `{"__metadata__":{"unroll.checkpoint":"1"},"x":{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,4398046511104]}}`
	claim := append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...)
	require.NoError(t, os.WriteFile(path, claim, 0o666))
	before = allocated()
	require.ErrorIs(t, large.Load(path), train.ErrDamaged)
	assert.Less(t, allocated()-before, uint64(1<<20))
}

// FuzzLoadCheckpoint loads files of the right format and checksum, whatever they hold.
func FuzzLoadCheckpoint(f *testing.F) {
	var seed bytes.Buffer
	if err := newParts(2).all.SaveTo(&seed); err != nil {
		f.Fatal(err)
	}
	f.Add(seed.Bytes(), "unroll.checkpoint", "1")
	f.Add(seed.Bytes(), "optim", `*optim.Adam {"LR":1}`)
	f.Add(seed.Bytes(), "history", "[]")
	f.Add(seed.Bytes(), "settings", "null")
	f.Fuzz(func(t *testing.T, content []byte, key, text string) {
		f, err := safetensors.Read(bytes.NewReader(content))
		if err != nil {
			return
		}
		if f.Metadata == nil {
			f.Metadata = map[string]string{}
		}
		f.Metadata[key] = text
		var file bytes.Buffer
		if train.WithChecksum(f) != nil || safetensors.Write(&file, f) != nil {
			return
		}
		p := newParts(2)
		before := saved(t, p.all)
		if err := p.all.LoadFrom(&file); err != nil {
			assert.NotContains(t, err.Error(), "\x1b")
			assert.Equal(t, before, saved(t, p.all))
		}
	})
}
