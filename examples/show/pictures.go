package show

import (
	"fmt"
	"image"
	"image/color"
	"math"
	"strconv"

	"github.com/unroll-go/unroll/metrics"
	"gonum.org/v1/plot/vg"
)

// table is where the cells and headings of a table of squares or rectangles lie.
type table struct{ left, top, width, height vg.Length }

func (t table) x(column int) vg.Length       { return t.left + vg.Length(column)*t.width }
func (t table) y(row int) vg.Length          { return t.top + vg.Length(row)*t.height }
func (t table) middleX(column int) vg.Length { return t.x(column) + t.width/2 }
func (t table) middleY(row int) vg.Length    { return t.y(row) + t.height/2 }

// fill colours a cell: share 0 is white, share 1 is c.
func (s sheet) fill(t table, row, column int, c color.RGBA, share float64) {
	fade := func(v uint8) uint8 { return uint8(math.Round(255 - share*(255-float64(v)))) }
	s.box(color.RGBA{fade(c.R), fade(c.G), fade(c.B), 0xff}, t.x(column)+1, t.y(row)+1, t.width-2, t.height-2)
}

// WriteConfusion draws a confusion matrix and writes it to path as a PNG: one row for each label, one column for each
// guess, headed by m.Names or by numbers. Right guesses are blue, the deeper the higher the recall of their class; mistakes are orange, the deeper the more
// frequent they are beside the most frequent mistake. The recall of a class stands behind its row, its precision below
// its column. Labels and guesses that are no class (metrics.None) have a row and a column if there are any.
func WriteConfusion(path string, m *metrics.ConfusionMatrix) error {
	const title, size = 13, 11
	var classes []int
	var names []string
	for i := range m.Classes {
		name := strconv.Itoa(i)
		if m.Names != nil {
			name = m.Names[i]
		}
		classes, names = append(classes, i), append(names, name)
	}
	if m.Support(metrics.None)+guessed(m, metrics.None) > 0 {
		classes, names = append(classes, metrics.None), append(names, "none")
	}
	n, side := len(classes), widest(size, names)
	// The first column of the sheet is the word "label", the second the names of the labels.
	t := table{left: 46 + max(side, widest(10, []string{"precision"})) + 12, top: 56, width: max(36, side+10), height: 36}
	s := newSheet(t.x(n+1)+14, t.y(n+1)+8)
	most := 1
	for _, label := range classes {
		for _, guess := range classes {
			if label != guess {
				most = max(most, m.Count(label, guess))
			}
		}
	}
	besides := (46 + t.left) / 2
	s.label((t.x(0)+t.x(n))/2, 14, title, "guess")
	s.label(24, (t.y(0)+t.y(n))/2, title, "label")
	s.label(t.middleX(n), t.top-16, 10, "recall")
	s.label(besides, t.middleY(n), 10, "precision")
	for i, label := range classes {
		s.label(t.middleX(i), t.top-16, size, names[i])
		s.label(besides, t.middleY(i), size, names[i])
		for j, guess := range classes {
			count := m.Count(label, guess)
			switch {
			case count == 0:
				continue
			case label == guess && label != metrics.None:
				s.fill(t, i, j, blue, 0.1+0.4*m.Recall(label))
			default:
				s.fill(t, i, j, orange, math.Sqrt(float64(count)/float64(most)))
			}
			s.label(t.middleX(j), t.middleY(i), size, strconv.Itoa(count))
		}
		if label != metrics.None {
			s.label(t.middleX(n), t.middleY(i), 9, percent(m.Recall(label)))
			s.label(t.middleX(i), t.middleY(n), 9, percent(m.Precision(label)))
		}
	}
	return s.write(path)
}

// guessed returns how many rows were guessed to be of a class.
func guessed(m *metrics.ConfusionMatrix, class int) (rows int) {
	for label := metrics.None; label < m.Classes; label++ {
		rows += m.Count(label, class)
	}
	return rows
}

// percent writes a share; a share of nothing, NaN, is a dash.
func percent(share float64) string {
	if math.IsNaN(share) {
		return "-"
	}
	return fmt.Sprintf("%.1f %%", 100*share)
}

// WriteWeights draws weights between 0 and 1, such as those of attention, and writes them to path as a PNG: a table
// with one row for each of rows, one column for each of columns, and a cell for each of weights, row by row. 0 is white, 1 is
// blue.
func WriteWeights(path, title string, rows, columns []string, weights []float32) error {
	const size = 11
	t := table{left: widest(size, rows) + 20, top: 60, width: max(24, widest(size, columns)+10), height: 24}
	s := newSheet(max(t.x(len(columns)), widest(13, []string{title}))+14, t.y(len(rows))+10)
	s.label((t.x(len(columns))+14)/2, 16, 13, title)
	for j, name := range columns {
		s.label(t.middleX(j), t.top-12, size, name)
	}
	for i, name := range rows {
		s.label(t.left/2, t.middleY(i), size, name)
		for j := range columns {
			s.box(color.Gray{0xdd}, t.x(j), t.y(i), t.width, t.height)
			s.fill(t, i, j, blue, float64(min(1, max(0, weights[i*len(columns)+j]))))
		}
	}
	return s.write(path)
}

// Captioned is a grey picture with a caption below it.
type Captioned struct {
	Pixels  []uint8 // row by row, from 0 (white) to 255 (black)
	Width   int     // pixels in a row
	Caption string
}

// WritePictures draws pictures below a title, ten in a row, and writes them to path as a PNG.
func WritePictures(path, title string, pictures []Captioned) error {
	const across, size, below, gap, top = 10, 63, 18, 9, 36 // whole pixels; a picture of 28 pixels becomes one of 84
	rows := max(1, (len(pictures)+across-1)/across)
	s := newSheet(across*(size+gap)+gap, vg.Length(top+rows*(size+below+gap)))
	s.label((across*(size+gap)+gap)/2, top/2, 13, title)
	for i, p := range pictures {
		x, y := vg.Length(gap+i%across*(size+gap)), vg.Length(top+i/across*(size+below+gap))
		s.box(color.Gray{0xc0}, x-1, y-1, size+2, size+2)
		s.DrawImage(vg.Rectangle{Min: vg.Point{X: x, Y: s.height - y - size}, Max: vg.Point{X: x + size, Y: s.height - y}}, enlarged(p))
		s.label(x+size/2, y+size+below/2, 9, p.Caption)
	}
	return s.write(path)
}

// enlarged returns the picture, black on white, with a square of 3x3 pixels for each pixel.
func enlarged(p Captioned) image.Image {
	const times = 3
	height := len(p.Pixels) / p.Width
	img := image.NewGray(image.Rect(0, 0, times*p.Width, times*height))
	for y := range times * height {
		for x := range times * p.Width {
			img.SetGray(x, y, color.Gray{255 - p.Pixels[y/times*p.Width+x/times]})
		}
	}
	return img
}
