package show

import (
	"fmt"
	"image"
	"image/color"
	"io"
	"math"

	"github.com/unroll-go/unroll/internal/atomicfile"
	"github.com/unroll-go/unroll/metrics"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
)

var (
	ink   = color.Gray{0x20}
	right = color.RGBA{0xd5, 0xec, 0xd4, 0xff}
)

// sheet is a white picture that is drawn on from the top left corner.
type sheet struct {
	canvas *vgimg.Canvas
	draw.Canvas
	height vg.Length
}

func newSheet(width, height vg.Length) sheet {
	canvas := vgimg.New(width, height)
	return sheet{canvas, draw.New(canvas), height}
}

// box fills a rectangle, x and y being its top left corner.
func (s sheet) box(c color.Color, x, y, width, height vg.Length) {
	top := s.height - y
	s.FillPolygon(c, []vg.Point{{X: x, Y: top}, {X: x + width, Y: top}, {X: x + width, Y: top - height}, {X: x, Y: top - height}})
}

// label writes a text around x, y.
func (s sheet) label(x, y, size vg.Length, words string) {
	s.FillText(draw.TextStyle{Color: ink, Font: font.From(plot.DefaultFont, size), XAlign: draw.XCenter, YAlign: draw.YCenter,
		Handler: plot.DefaultTextHandler}, vg.Point{X: x, Y: s.height - y}, words)
}

func (s sheet) write(path string) error {
	return atomicfile.Write(path, func(w io.Writer) error {
		_, err := vgimg.PngCanvas{Canvas: s.canvas}.WriteTo(w)
		return err
	})
}

// WriteConfusion draws how often each class, in rows, was taken for which, in columns, and writes it to path as a PNG. Mistakes
// are shaded by their number, beside the largest of them. Behind each row is its recall, below each column its precision.
func WriteConfusion(path string, m *metrics.ConfusionMatrix) error {
	const cell, edge = 36, 60
	classes := m.Classes
	s := newSheet(vg.Length(edge+cell*(classes+1)+10), vg.Length(edge+cell*(classes+1)+10))
	at := func(i int) vg.Length { return vg.Length(edge + cell*i) }
	middle := func(i int) vg.Length { return at(i) + cell/2 }
	most := 1
	for i := range classes {
		for j := range classes {
			if i != j {
				most = max(most, m.Count(i, j))
			}
		}
	}
	s.label(at(0)+vg.Length(classes*cell)/2, 14, 13, "guess")
	s.label(20, at(0)+vg.Length(classes*cell)/2, 13, "label")
	s.label(middle(classes), 40, 10, "recall")
	s.label(34, middle(classes), 10, "precision")
	for i := range classes {
		s.label(middle(i), 40, 12, fmt.Sprint(i))
		s.label(46, middle(i), 12, fmt.Sprint(i))
		for j := range classes {
			n, shade := m.Count(i, j), color.Color(right)
			if i != j {
				pale := uint8(255 - math.Round(170*math.Sqrt(float64(n)/float64(most))))
				shade = color.RGBA{0xff, pale, pale, 0xff}
			}
			s.box(shade, at(j)+1, at(i)+1, cell-2, cell-2)
			if n > 0 {
				s.label(middle(j), middle(i), 11, fmt.Sprint(n))
			}
		}
		s.label(middle(classes), middle(i), 10, percent(m.Recall(i)))
		s.label(middle(i), middle(classes), 10, percent(m.Precision(i)))
	}
	return s.write(path)
}

func percent(share float64) string { return fmt.Sprintf("%.1f %%", 100*share) }

// Captioned is a grey picture, its pixels from 0 (white) to 255 (black), and what is said below it.
type Captioned struct {
	Pixels  []uint8
	Width   int
	Caption string
}

// WritePictures draws pictures below a title, in rows of ten, and writes them to path as a PNG.
func WritePictures(path, title string, pictures []Captioned) error {
	const across, size, below, gap, top = 10, 64, 18, 10, 34
	rows := max(1, (len(pictures)+across-1)/across)
	s := newSheet(across*(size+gap)+gap, vg.Length(top+rows*(size+below+gap)))
	s.label((across*(size+gap)+gap)/2, top/2, 13, title)
	for i, p := range pictures {
		x, y := vg.Length(gap+i%across*(size+gap)), vg.Length(top+i/across*(size+below+gap))
		s.box(color.Gray{0xc0}, x-1, y-1, size+2, size+2)
		s.DrawImage(vg.Rectangle{Min: vg.Point{X: x, Y: s.height - y - size}, Max: vg.Point{X: x + size, Y: s.height - y}}, enlarged(p))
		s.label(x+size/2, y+size+below/2, 10, p.Caption)
	}
	return s.write(path)
}

// enlarged returns a picture of squares where pixels were, black on white.
func enlarged(p Captioned) image.Image {
	const times = 8
	height := len(p.Pixels) / p.Width
	img := image.NewGray(image.Rect(0, 0, times*p.Width, times*height))
	for y := range times * height {
		for x := range times * p.Width {
			img.SetGray(x, y, color.Gray{255 - p.Pixels[y/times*p.Width+x/times]})
		}
	}
	return img
}
