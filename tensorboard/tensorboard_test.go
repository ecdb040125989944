package tensorboard_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/tensorboard"
)

// read is what the reader of TensorBoard, in Python, finds in a folder.
type read struct {
	Scalars    map[string][]scalar
	Histograms map[string][]histogram
	Images     map[string][]picture
	Texts      map[string][]text
}

type scalar struct {
	Step  int
	Time  float64
	Value string // as Python prints it
}

type histogram struct {
	Step                           int
	Least, Most, Num, Sum, Squares float64
	Limits, Counts                 []float64
	Shown                          [][3]float64 // left, right and count of each bucket, as TensorBoard draws them
}

type picture struct {
	Step, Width, Height int
	PNG                 []byte
}

type text struct {
	Step int
	Text string
}

// readBack has TensorBoard's own reader read a folder. It skips the test where there is none.
func readBack(t *testing.T, dir string) (r read) {
	t.Helper()
	python := os.Getenv("UNROLL_TENSORBOARD_PYTHON")
	if python == "" {
		t.Skip("UNROLL_TENSORBOARD_PYTHON is not set: it names a Python that has the package tensorboard")
	}
	command := exec.Command(python, "testdata/read.py", dir)
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	require.NoError(t, command.Run(), "%s", &stderr)
	require.NoError(t, json.Unmarshal(stdout.Bytes(), &r))
	return r
}

// values returns the steps and values of a curve.
func values(curve []scalar) (s []string) {
	for _, point := range curve {
		s = append(s, fmt.Sprintf("%d: %s", point.Step, point.Value))
	}
	return s
}

// files returns the paths of the event files of a folder in the order of their names.
func files(t *testing.T, dir string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "events.out.tfevents.*"))
	require.NoError(t, err)
	return paths
}

func checker(width, height int) image.Image {
	picture := image.NewRGBA(image.Rect(10, 20, 10+width, 20+height))
	for y := 20; y < 20+height; y++ {
		for x := 10; x < 10+width; x++ {
			picture.Set(x, y, color.RGBA{uint8(255 * ((x + y) % 2)), 0x80, 0, 0xff})
		}
	}
	return picture
}

func TestPythonReadsWhatWasWritten(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "run")
	w, err := tensorboard.Create(dir)
	require.NoError(t, err)
	for step, v := range []float64{0.5, -0.1, math.NaN(), math.Inf(1), math.Inf(-1), 1e300, 0} {
		w.Scalar("loss/train", 10*step, v)
	}
	w.Scalar("größe/学习", -1, 1)
	w.Scalar("late", 1<<31-1, 2)
	weights := []float32{-3, -1e-12, 0, 0, float32(math.Copysign(0, -1)), 1e-13, 0.25, 1, 1, math.MaxFloat32, 1e-45}
	w.Histogram("weights/rnn", 7, weights)
	w.Histogram("weights/rnn", 8, []float32{2})
	w.Histogram("gradients/rnn", 7, []float32{1, float32(math.NaN()), float32(math.Inf(-1)), -2})
	w.Histogram("gradients/rnn", 8, []float32{float32(math.NaN())})
	w.Histogram("empty", 7, nil)
	w.Image("mistakes", 3, checker(5, 4))
	w.Image("mistakes", 4, image.NewGray(image.Rect(0, 0, 2, 300)))
	w.Text("settings", 0, "| lr | 0.1 |\n|---|---|\nä \xff")
	require.NoError(t, w.Close())

	r := readBack(t, dir)
	assert.Equal(t, []string{"0: 0.5", "10: -0.10000000149011612", "20: nan", "30: inf", "40: -inf", "50: inf", "60: 0.0"}, values(r.Scalars["loss/train"]))
	assert.Equal(t, []string{"-1: 1.0"}, values(r.Scalars["größe/学习"]))
	assert.Equal(t, []string{"2147483647: 2.0"}, values(r.Scalars["late"]))
	info, err := os.Stat(files(t, dir)[0])
	require.NoError(t, err)
	assert.InDelta(t, info.ModTime().Unix(), r.Scalars["late"][0].Time, 60, "seconds since 1970")

	require.Len(t, r.Histograms["weights/rnn"], 2)
	h := r.Histograms["weights/rnn"][0]
	want := histogram{Step: 7, Least: math.Inf(1), Most: math.Inf(-1)}
	for _, value := range weights {
		v := float64(value)
		want.Least, want.Most, want.Num = min(want.Least, v), max(want.Most, v), want.Num+1
		want.Sum, want.Squares = want.Sum+v, want.Squares+v*v
	}
	assert.Equal(t, want, histogram{Step: h.Step, Least: h.Least, Most: h.Most, Num: h.Num, Sum: h.Sum, Squares: h.Squares})
	assertCounts(t, h, weights)
	assert.Equal(t, -3.0, h.Shown[0][0], "the first bucket that is drawn begins at the least number")
	assert.Equal(t, float64(float32(math.MaxFloat32)), h.Shown[len(h.Shown)-1][1], "the last one ends at the greatest")
	assert.Equal(t, [][3]float64{{2, 2, 1}}, r.Histograms["weights/rnn"][1].Shown)

	require.Len(t, r.Histograms["gradients/rnn"], 1)
	assert.Equal(t, 2.0, r.Histograms["gradients/rnn"][0].Num)
	assert.Equal(t, -1.0, r.Histograms["gradients/rnn"][0].Sum)
	assert.Equal(t, []string{"7: 2.0", "8: 1.0"}, values(r.Scalars["gradients/rnn/not_finite"]))
	assert.NotContains(t, r.Histograms, "empty")
	assert.NotContains(t, r.Scalars, "weights/rnn/not_finite")

	require.Len(t, r.Images["mistakes"], 2)
	first, second := r.Images["mistakes"][0], r.Images["mistakes"][1]
	assert.Equal(t, []int{3, 5, 4, 4, 2, 300}, []int{first.Step, first.Width, first.Height, second.Step, second.Width, second.Height})
	decoded, err := png.Decode(bytes.NewReader(first.PNG))
	require.NoError(t, err)
	for y := range 4 {
		for x := range 5 {
			assert.Equal(t, checker(5, 4).At(10+x, 20+y), color.RGBAModel.Convert(decoded.At(x, y)))
		}
	}
	assert.Equal(t, []text{{0, "| lr | 0.1 |\n|---|---|\nä \ufffd"}}, r.Texts["settings"])
}

// assertCounts checks that each bucket holds as many values as lie in it, and that no value lies in none.
func assertCounts(t *testing.T, h histogram, all []float32) {
	t.Helper()
	require.Equal(t, len(h.Limits), len(h.Counts))
	require.True(t, slices.IsSorted(h.Limits))
	counted := 0.0
	for i, limit := range h.Limits {
		lower := math.Inf(-1)
		if i > 0 {
			lower = h.Limits[i-1]
		}
		n := 0.0
		for _, v := range all {
			if lower <= float64(v) && float64(v) < limit {
				n++
			}
		}
		assert.Equal(t, n, h.Counts[i], "[%g, %g)", lower, limit)
		counted += n
		if lower > 1e-12 && limit < 1e20 {
			assert.InEpsilon(t, 1.1, limit/lower, 1e-12)
		}
	}
	assert.Equal(t, float64(len(all)), counted)
	assert.NotZero(t, h.Counts[0])
	assert.NotZero(t, h.Counts[len(h.Counts)-1])
}

// TestRunsGoOn checks that files of one folder are one run, also if the first was cut in the middle of a record.
func TestRunsGoOn(t *testing.T) {
	dir := t.TempDir()
	w, err := tensorboard.Create(dir)
	require.NoError(t, err)
	for step := range 6 {
		w.Scalar("loss", step, float64(step))
		w.Scalar("other", step, 9)
	}
	path := files(t, dir)[0]
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	closed, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, whole, closed, "all was in the file before Close")
	require.NoError(t, os.WriteFile(path, whole[:len(whole)-1], 0o666))

	w, err = tensorboard.Resume(dir, 4)
	require.NoError(t, err)
	w.Scalar("loss", 4, 40)
	require.NoError(t, w.Close())
	w, err = tensorboard.Create(dir)
	require.NoError(t, err)
	w.Scalar("loss", 5, 50)
	require.NoError(t, w.Close())
	require.Len(t, files(t, dir), 3)

	r := readBack(t, dir)
	assert.Equal(t, []string{"0: 0.0", "1: 1.0", "2: 2.0", "3: 3.0", "4: 40.0", "5: 50.0"}, values(r.Scalars["loss"]))
	assert.Equal(t, []string{"0: 9.0", "1: 9.0", "2: 9.0", "3: 9.0"}, values(r.Scalars["other"]), "a curve that did not go on")
}

// TestSharedByGoroutines checks that records of several goroutines do not mix.
func TestSharedByGoroutines(t *testing.T) {
	dir := t.TempDir()
	w, err := tensorboard.Create(dir)
	require.NoError(t, err)
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			for step := range 100 {
				w.Scalar(fmt.Sprint(g), step, float64(step))
			}
		})
	}
	all.Wait()
	require.NoError(t, w.Close())
	r := readBack(t, dir)
	for g := range 4 {
		assert.Len(t, r.Scalars[fmt.Sprint(g)], 100)
	}
}

func TestErrors(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o666))
	_, err := tensorboard.Create(file)
	assert.ErrorContains(t, err, "tensorboard.Create: ")
	_, err = tensorboard.Resume(file, 1)
	assert.ErrorContains(t, err, "tensorboard.Resume: ")

	w, err := tensorboard.Create(dir)
	require.NoError(t, err)
	for _, tag := range []string{"", "a\xff"} {
		assert.ErrorContains(t, autograd.Try(func() { w.Scalar(tag, 0, 1) }), fmt.Sprintf("tensorboard.Scalar: the tag is %q, want", tag))
	}
	assert.ErrorContains(t, autograd.Try(func() { w.Histogram("", 0, []float32{1}) }), "tensorboard.Histogram: ")
	assert.ErrorContains(t, autograd.Try(func() { w.Text("", 0, "") }), "tensorboard.Text: ")
	assert.ErrorContains(t, autograd.Try(func() { w.Image("a", 0, image.NewGray(image.Rectangle{})) }), "tensorboard.Image: ")
	require.NoError(t, w.Err())
	require.NoError(t, w.Close())
	before, err := os.ReadFile(files(t, dir)[0])
	require.NoError(t, err)
	w.Scalar("late", 0, 1)
	assert.NoError(t, w.Close(), "a second time")
	after, err := os.ReadFile(files(t, dir)[0])
	require.NoError(t, err)
	assert.Equal(t, before, after)
}

func TestNilWriter(t *testing.T) {
	var w *tensorboard.Writer
	w.Scalar("", 0, 1)
	w.Histogram("a", 0, []float32{1})
	w.Image("a", 0, nil)
	w.Text("a", 0, "b")
	assert.NoError(t, w.Err())
	assert.NoError(t, w.Close())
}

// TestName checks that the names of files sort in the order of their creation and that no two are the same.
func TestName(t *testing.T) {
	dir := t.TempDir()
	var created []string
	for range 50 {
		w, err := tensorboard.Create(dir)
		require.NoError(t, err)
		require.NoError(t, w.Close())
		for _, path := range files(t, dir) {
			if !slices.Contains(created, path) {
				created = append(created, path)
			}
		}
	}
	assert.Len(t, created, 50)
	assert.True(t, slices.IsSorted(created), strings.Join(created, "\n"))
	assert.Regexp(t, `^events\.out\.tfevents\.\d{10}\.[-.\w]+\.\d{9}$`, filepath.Base(created[0]))
}
