package safetensors

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/autograd"
)

// filled returns a file tensor whose numbers are all v.
func filled(name string, v float32, shape ...int) Tensor {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return From(name, slices.Repeat([]float32{v}, n), shape...)
}

func writeFile(t *testing.T, tensors ...Tensor) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "m.safetensors")
	var b bytes.Buffer
	require.NoError(t, Write(&b, &File{Metadata: map[string]string{"epoch": "3"}, Tensors: tensors}))
	require.NoError(t, os.WriteFile(path, b.Bytes(), 0o600))
	return path
}

// twoPart returns the weights of an encoder and of a head. All their numbers are -1.
func twoPart() *autograd.Params {
	p := autograd.NewParams(1)
	p.In("encoder").New("w", autograd.Zeros, 2, 2)
	p.In("encoder").New("b", autograd.Zeros, 2)
	p.In("head").New("w", autograd.Zeros, 3, 2)
	p.In("head").New("b", autograd.Zeros, 3)
	p.Update(func() {
		for w := range p.All() {
			for i := range w.Value.Data() {
				w.Value.Data()[i] = -1
			}
		}
	})
	return p
}

// firsts returns the first number of each weight.
func firsts(p *autograd.Params) map[string]float32 {
	got := map[string]float32{}
	for w := range p.All() {
		got[w.Name] = w.Value.Data()[0]
	}
	return got
}

// wholeModel returns the tensors of a model like twoPart, with a prefix and a head of another size. The numbers of each
// weight are 1, 2, 3 or 4.
func wholeModel(prefix string) []Tensor {
	return []Tensor{filled(prefix+"encoder.w", 1, 2, 2), filled(prefix+"encoder.b", 2, 2),
		filled(prefix+"head.w", 3, 7, 2), filled(prefix+"head.b", 4, 7)}
}

func TestLoading(t *testing.T) {
	const kept = -1
	for _, c := range []struct {
		name    string
		loading Loading
		file    []Tensor
		view    string
		report  Report
		want    map[string]float32
	}{
		{"a part by its prefix", Loading{Prefix: "model.encoder."}, wholeModel("model."), "encoder",
			Report{Used: []string{"b", "w"}, Unused: []string{"model.head.b", "model.head.w"}},
			map[string]float32{"encoder.w": 1, "encoder.b": 2, "head.w": kept, "head.b": kept}},
		{"a part without a prefix", Loading{}, []Tensor{filled("b", 2, 2), filled("w", 1, 2, 2)}, "encoder",
			Report{Used: []string{"b", "w"}},
			map[string]float32{"encoder.w": 1, "encoder.b": 2, "head.w": kept, "head.b": kept}},
		{"all but the head", Loading{Except: []string{"head"}}, wholeModel(""), "",
			Report{Used: []string{"encoder.b", "encoder.w"}, Missing: []string{"head.b", "head.w"}, Unused: []string{"head.b", "head.w"}},
			map[string]float32{"encoder.w": 1, "encoder.b": 2, "head.w": kept, "head.b": kept}},
		{"all but the head that the file lacks", Loading{Except: []string{"head."}}, wholeModel("")[:2], "",
			Report{Used: []string{"encoder.b", "encoder.w"}, Missing: []string{"head.b", "head.w"}},
			map[string]float32{"encoder.w": 1, "encoder.b": 2, "head.w": kept, "head.b": kept}},
		{"a tensor of the file that the model lacks", Loading{Except: []string{"more", "w"}},
			[]Tensor{filled("b", 2, 2), filled("w", 1, 9), filled("more.w", 5, 1)}, "encoder",
			Report{Used: []string{"b"}, Missing: []string{"w"}, Unused: []string{"more.w", "w"}},
			map[string]float32{"encoder.w": kept, "encoder.b": 2, "head.w": kept, "head.b": kept}},
		{"other names", Loading{Rename: strings.NewReplacer("enc.", "encoder.", "fc.", "head.", "gamma", "w").Replace},
			[]Tensor{filled("enc.gamma", 1, 2, 2), filled("enc.b", 2, 2), filled("fc.w", 3, 3, 2), filled("fc.b", 4, 3)}, "",
			Report{Used: []string{"encoder.b", "encoder.w", "head.b", "head.w"}},
			map[string]float32{"encoder.w": 1, "encoder.b": 2, "head.w": 3, "head.b": 4}},
		{"other names under a prefix, one of them dropped", Loading{Prefix: "m.", Rename: func(name string) string {
			return map[string]string{"gamma": "w", "beta": "b", "steps": ""}[name]
		}}, []Tensor{filled("m.gamma", 1, 2, 2), filled("m.beta", 2, 2), filled("m.steps", 9), filled("w", 8, 2, 2)}, "encoder",
			Report{Used: []string{"b", "w"}, Unused: []string{"m.steps", "w"}},
			map[string]float32{"encoder.w": 1, "encoder.b": 2, "head.w": kept, "head.b": kept}},
		{"what both sides have", Loading{Partial: true}, []Tensor{filled("encoder.b", 2, 2), filled("other", 5, 5)}, "",
			Report{Used: []string{"encoder.b"}, Missing: []string{"encoder.w", "head.b", "head.w"}, Unused: []string{"other"}},
			map[string]float32{"encoder.w": kept, "encoder.b": 2, "head.w": kept, "head.b": kept}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := twoPart()
			view := p
			if c.view != "" {
				view = p.In(c.view)
			}
			version := p.Version()
			report, err := c.loading.Load(writeFile(t, c.file...), view)
			require.NoError(t, err)
			c.report.Metadata = map[string]string{"epoch": "3"}
			assert.Equal(t, c.report, report)
			assert.Equal(t, c.want, firsts(p))
			assert.Equal(t, version+1, p.Version())
		})
	}
}

func TestLoadingRefuses(t *testing.T) {
	encoder := wholeModel("")[:2]
	rename := func(pairs ...string) func(string) string { return strings.NewReplacer(pairs...).Replace }
	for _, c := range []struct {
		name    string
		loading Loading
		file    []Tensor
		text    string
	}{
		{"shapes are not skipped", Loading{Partial: true}, wholeModel(""),
			"head.b: shape [7] in the file, want [3]; head.w: shape [7 2] in the file, want [3 2]"},
		{"types are not skipped", Loading{Partial: true}, append([]Tensor{From("head.b", []int32{1, 2, 3}, 3)}, encoder...),
			"head.b: its numbers are I32, want F32, F16, BF16 or F64"},
		{"a shape under another name", Loading{Prefix: "m.", Partial: true, Rename: rename("fc", "head")}, []Tensor{filled("m.fc.b", 4, 7)},
			"head.b (m.fc.b in the file): shape [7] in the file, want [3]"},
		{"missing weights", Loading{Except: []string{"head.w"}}, encoder, "missing in the file: head.b"},
		{"more tensors", Loading{Except: []string{"head"}}, append([]Tensor{filled("header", 1), filled("a\x1b[31m", 1)}, encoder...),
			`in the file alone: "a\x1b[31m", header`},
		{"a prefix that nothing has", Loading{Prefix: "modle."}, wholeModel("model."),
			`no name in the file begins with "modle."; its first names are model.encoder.b, model.encoder.w, model.head.b`},
		{"other names", Loading{}, wholeModel("m.")[:2], "missing in the file: encoder.b, encoder.w, head.b, head.w; in the file alone: m.encoder.b, m.encoder.w"},
		{"an empty file", Loading{Prefix: "m.", Partial: true}, nil, "no tensor of the file goes to a weight"},
		{"an exception that names nothing", Loading{Except: []string{"head", "haed", "enc", "encoder.w.x"}}, encoder,
			`Except has "enc", which names no weight and no tensor of the file; Except has "encoder.w.x", which names no weight and no tensor of the file; ` +
				`Except has "haed", which names no weight and no tensor of the file`},
		{"two tensors to one weight", Loading{Partial: true, Rename: rename("old", "encoder")}, append([]Tensor{filled("old.w", 9, 2, 2)}, encoder...),
			"encoder.w: Rename returns this name for both encoder.w and old.w of the file"},
		{"three tensors to one weight", Loading{Partial: true, Rename: rename("old", "encoder", "new", "encoder")},
			append([]Tensor{filled("old.w", 9, 2, 2), filled("new.w", 9, 2, 2)}, encoder...),
			"encoder.w: Rename returns this name for both encoder.w and new.w of the file; encoder.w: Rename returns this name for both encoder.w and old.w of the file"},
		{"a new name that is no weight", Loading{Partial: true, Rename: rename("encoder.w", "encoder.weight")}, encoder,
			"encoder.weight: no weight has this name, which Rename returns for encoder.w of the file"},
		{"nothing in common", Loading{Partial: true}, []Tensor{filled("a", 1)}, "no tensor of the file goes to a weight"},
		{"everything excepted", Loading{Except: []string{"encoder", "head"}}, encoder, "no tensor of the file goes to a weight"},
		{"everything dropped", Loading{Partial: true, Rename: func(string) string { return "" }}, encoder, "no tensor of the file goes to a weight"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := twoPart()
			before, version := firsts(p), p.Version()
			path := writeFile(t, c.file...)
			report, err := c.loading.Load(path, p)
			assert.EqualError(t, err, path+" does not fit: "+c.text)
			assert.Zero(t, report)
			assert.Equal(t, before, firsts(p))
			assert.Equal(t, version, p.Version())
		})
	}
	_, err := Loading{Partial: true}.Load(filepath.Join(t.TempDir(), "none"), twoPart())
	assert.ErrorIs(t, err, os.ErrNotExist)
}

// A tied weight has two names. A file may have a tensor for one of them only: safetensors.torch.save_model drops the second.
func TestLoadingTiedWeights(t *testing.T) {
	for _, c := range []struct {
		loading Loading
		report  Report
		want    float32
	}{
		{Loading{}, Report{Used: []string{"bias", "weight"}}, 5},
		{Loading{Partial: true}, Report{Used: []string{"bias", "weight"}}, 5},
		{Loading{Except: []string{"tied"}}, Report{Used: []string{"bias", "weight"}}, 5},
		{Loading{Except: []string{"weight", "tied"}}, Report{Used: []string{"bias"}, Missing: []string{"tied", "weight"}, Unused: []string{"weight"}}, 0},
	} {
		_, view := model(1)
		view.Update(func() { clear(view.Get("weight").Value.Data()) })
		path := writeFile(t, filled("weight", 5, 2, 3), filled("bias", 6, 3))
		report, err := c.loading.Load(path, view)
		require.NoError(t, err)
		c.report.Metadata = report.Metadata
		assert.Equal(t, c.report, report)
		assert.Equal(t, map[string]float32{"m.weight": c.want, "m.bias": 6}, firsts(view))
		_, err = Loading{Except: []string{"weight"}}.Load(path, view)
		assert.EqualError(t, err, path+" does not fit: missing in the file: tied")
	}
}
