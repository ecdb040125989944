package show

import (
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/metrics"
)

// drawn returns the picture that write writes.
func drawn(t *testing.T, write func(path string) error) image.Image {
	t.Helper()
	path := filepath.Join(t.TempDir(), "picture.png")
	require.NoError(t, write(path))
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	picture, err := png.Decode(f)
	require.NoError(t, err)
	assert.IsType(t, &image.Paletted{}, picture)
	return picture
}

// at returns the colour of a pixel, given by its distance in points from the top left corner.
func at(picture image.Image, x, y float64) color.RGBA {
	return color.RGBAModel.Convert(picture.At(int(x*96/72), int(y*96/72))).(color.RGBA)
}

// span returns the first and the last column, and the first and the last row, that have a pixel of a colour.
func span(picture image.Image, c color.RGBA) (columns, rows [2]int) {
	columns, rows = [2]int{math.MaxInt, -1}, [2]int{math.MaxInt, -1}
	b := picture.Bounds()
	for y := range b.Dy() {
		for x := range b.Dx() {
			if color.RGBAModel.Convert(picture.At(x, y)) == c {
				columns = [2]int{min(columns[0], x), max(columns[1], x)}
				rows = [2]int{min(rows[0], y), max(rows[1], y)}
			}
		}
	}
	return columns, rows
}

func TestPlots(t *testing.T) {
	white := color.RGBA{0xff, 0xff, 0xff, 0xff}
	loss := Plot{Title: "loss", Curves: []Curve{{Name: "training", Values: []float64{4, 3, 2}}, {Name: "validation", Values: []float64{4, 3, 3}}}}
	picture := drawn(t, func(path string) error { return WritePlots(path, loss) })
	assert.Equal(t, image.Rect(0, 0, 960, 384), picture.Bounds())
	assert.Equal(t, white, at(picture, 1, 1))
	_, first := span(picture, blue)
	assert.Less(t, first[0], 60, "the legend")
	columns, lowest := span(picture, red)
	assert.Less(t, columns[1], 955, "the last marker is not cut")
	assert.Less(t, lowest[1], first[1], "the first curve ends lower than the second")

	loss.Zero = true
	_, raised := span(drawn(t, func(path string) error { return WritePlots(path, loss) }), blue)
	assert.Less(t, raised[1], first[1]-80, "an axis from 0 leaves room below the curves")
	loss.Curves[1].Values[1] = -1
	assert.NotPanics(t, func() { drawn(t, func(path string) error { return WritePlots(path, loss) }) }, "Zero with a negative value")

	assert.Equal(t, image.Rect(0, 0, 1440, 384), drawn(t, func(path string) error { return WritePlots(path, loss, loss, loss) }).Bounds())
	many := Plot{Title: "seven curves, one value each", X: "t"}
	for range 7 {
		many.Curves = append(many.Curves, Curve{Name: "c", X: []float64{-3}, Values: []float64{5}})
	}
	drawn(t, func(path string) error { return WritePlots(path, many) })

	path := filepath.Join(t.TempDir(), "none.png")
	loss.Curves[1].Values[1] = math.NaN()
	assert.ErrorContains(t, WritePlots(path, loss), "plotting loss: validation: ")
	assert.ErrorContains(t, WritePlots(path, Plot{Title: "empty", Curves: []Curve{{Name: "nothing"}}}), "plotting empty: nothing: no value")
	assert.NoFileExists(t, path)
}

func TestTicks(t *testing.T) {
	for _, c := range []struct {
		lo, hi, apart float64
		want          []string
	}{
		{0, 4.2, 1, []string{"0", "1", "2", "3", "4"}},
		{-0.6, 14.6, 1, []string{"0", "2", "4", "6", "8", "10", "12", "14"}},
		{-0.3, 0.25, 0, []string{"-0.3", "-0.2", "-0.1", "0.0", "0.1", "0.2"}},
		{0.9366, 0.97, 0, []string{"0.940", "0.945", "0.950", "0.955", "0.960", "0.965", "0.970"}},
		{0, 9e5, 0, []string{"0", "100000", "200000", "300000", "400000", "500000", "600000", "700000", "800000", "900000"}},
		{-0.5, 0.5, 1, []string{"0"}},
	} {
		var labels []string
		for _, tick := range (ticks{c.apart}).Ticks(c.lo, c.hi) {
			labels = append(labels, tick.Label)
			assert.GreaterOrEqual(t, tick.Value, c.lo-1e-9)
			assert.LessOrEqual(t, tick.Value, c.hi+1e-9)
		}
		assert.Equal(t, c.want, labels)
	}
}

func TestConfusion(t *testing.T) {
	m := metrics.ConfusionMatrix{Classes: 3}
	m.AddGuesses([]int32{0, 0, 1, 1, 1, 2}, []int32{0, 0, 1, 1, 2, 2})
	picture := drawn(t, func(path string) error { return WriteConfusion(path, &m) })
	// The cells are 36 points wide and begin 56 points below the top, left of the recalls: from the right, 14 points and 36.
	left := float64(picture.Bounds().Dx())*72/96 - 14 - 4*36
	cell := func(label, guess float64) color.RGBA { return at(picture, left+36*guess+5, 56+36*label+5) }
	assert.Equal(t, color.RGBA{0x80, 0xb9, 0xd9, 0xff}, cell(0, 0), "half blue: recall 1")
	assert.Equal(t, cell(0, 0), cell(1, 1))
	assert.Equal(t, color.RGBA{0xb3, 0xd5, 0xe8, 0xff}, cell(2, 2), "paler: recall 1/2")
	assert.Equal(t, orange, cell(2, 1), "the most frequent mistake")
	assert.Equal(t, color.RGBA{0xff, 0xff, 0xff, 0xff}, cell(0, 1), "no mistake")

	m.Names = []string{"a", "a class with a long name", "c"}
	named := drawn(t, func(path string) error { return WriteConfusion(path, &m) })
	wide := int((widest(11, m.Names) + 10 - 36) * 96 / 72) // how much wider each of four columns is, in pixels
	assert.Greater(t, named.Bounds().Dx(), picture.Bounds().Dx()+4*wide, "room for the names")
	assert.Equal(t, picture.Bounds().Dy(), named.Bounds().Dy())
	m.Names = nil

	m.AddGuesses([]int32{metrics.None}, []int32{0})
	wider := drawn(t, func(path string) error { return WriteConfusion(path, &m) })
	assert.Equal(t, picture.Bounds().Dx()+48, wider.Bounds().Dx(), "a column for what was not guessed")
	assert.Equal(t, picture.Bounds().Dy()+48, wider.Bounds().Dy())
}

func TestPercent(t *testing.T) {
	assert.Equal(t, "97.4 %", percent(0.974))
	assert.Equal(t, "-", percent(math.NaN()))
}

func TestWeights(t *testing.T) {
	rows, columns := []string{"1", "9"}, []string{"nineteen", "ninety", "eight"}
	picture := drawn(t, func(path string) error {
		return WriteWeights(path, "what is read", rows, columns, []float32{1, 0, 0, 0, 0.5, 1.00001})
	})
	right := float64(picture.Bounds().Dx())*72/96 - 14
	width := float64(widest(11, columns)) + 10
	cell := func(row, column float64) color.RGBA { return at(picture, right-width*(3-column)+5, 60+24*row+5) }
	assert.Equal(t, blue, cell(0, 0))
	assert.Equal(t, color.RGBA{0xff, 0xff, 0xff, 0xff}, cell(0, 1))
	assert.Equal(t, color.RGBA{0x80, 0xb9, 0xd9, 0xff}, cell(1, 1))
	assert.Equal(t, blue, cell(1, 2), "a little more than 1")
}

func TestPictures(t *testing.T) {
	picture := drawn(t, func(path string) error {
		return WritePictures(path, "two", []Captioned{{Pixels: []uint8{255, 0, 0, 255}, Width: 2, Caption: "a"}, {Pixels: make([]uint8, 28*28), Width: 28}})
	})
	assert.Equal(t, color.RGBA{0, 0, 0, 0xff}, at(picture, 9+15, 36+15))
	assert.Equal(t, color.RGBA{0xff, 0xff, 0xff, 0xff}, at(picture, 9+45, 36+15))
	assert.Equal(t, color.RGBA{0xff, 0xff, 0xff, 0xff}, at(picture, 9+72+30, 36+30))
	rows := func(n int) int {
		return drawn(t, func(path string) error {
			return WritePictures(path, "", make([]Captioned, 0, n))
		}).Bounds().Dy()
	}
	assert.Equal(t, picture.Bounds().Dy(), rows(0), "room for one row where there is none")
}

// TestLimited checks that the colours of most pixels stay as they are and that the others become similar ones.
func TestLimited(t *testing.T) {
	picture := image.NewRGBA(image.Rect(0, 0, 100, 300))
	for y := range 300 {
		for x := range 100 {
			picture.SetRGBA(x, y, blue)
		}
		picture.SetRGBA(0, y, color.RGBA{uint8(y / 2), uint8(y / 2), uint8(y / 2), 0xff})
		picture.SetRGBA(1, y, color.RGBA{uint8(y / 2), uint8(y / 2), uint8(y/2) + 1, 0xff})
	}
	few := limited(picture)
	assert.Len(t, few.Palette, 256)
	assert.Equal(t, blue, few.At(50, 50))
	for y := range 300 {
		assert.InDelta(t, y/2, few.At(0, y).(color.RGBA).G, 25)
	}
	assert.Equal(t, few.Pix, limited(picture).Pix, "the same again")
}

func TestWritableFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	require.NoError(t, WritableFolder(dir))
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Empty(t, files)
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o666))
	assert.Error(t, WritableFolder(file))
	assert.Error(t, WritePictures(filepath.Join(file, "picture.png"), "", nil))
}
