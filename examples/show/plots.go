package show

import (
	"fmt"
	"image/color"
	"math"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Plot is a picture of curves.
type Plot struct {
	Title  string
	X      string // what the horizontal axis shows; empty: epochs
	Zero   bool   // the vertical axis starts at 0, as is right for a loss
	Curves []Curve
}

// Curve is one line of a plot.
type Curve struct {
	Name   string
	X      []float64 // the position of each value; nil: 0, 1, 2 and so on
	Values []float64
}

// looks are the colours, dashes and markers of a plot's curves, in their order.
var looks = []struct {
	color  color.Color
	dashes []vg.Length
	marker draw.GlyphDrawer
}{
	{blue, nil, draw.CircleGlyph{}},
	{red, []vg.Length{6, 2}, draw.PyramidGlyph{}},
	{green, []vg.Length{2, 2}, draw.BoxGlyph{}},
	{purple, []vg.Length{6, 2, 1, 2}, draw.CrossGlyph{}},
	{orange, []vg.Length{10, 3}, draw.PlusGlyph{}},
	{ink, []vg.Length{1, 3}, draw.RingGlyph{}},
}

// look returns the line and the marker of curve i.
func look(i int) (draw.LineStyle, draw.GlyphStyle) {
	l := looks[i%len(looks)]
	return draw.LineStyle{Color: l.color, Width: 1.5, Dashes: l.dashes}, draw.GlyphStyle{Color: l.color, Radius: 3, Shape: l.marker}
}

// WritePlots draws plots side by side and writes them to path as a PNG. The legend stands above the axes, where it covers no
// curve. A curve without a value, or with one that is NaN or infinite, is an error.
func WritePlots(path string, plots ...Plot) error {
	const side, height, title, legend, axes = 5 * vg.Inch, 4 * vg.Inch, 14, 34, 48 // the last three: distances from the top
	s := newSheet(max(2, vg.Length(len(plots)))*side, height)
	row := make([]*plot.Plot, len(plots))
	for i, p := range plots {
		var err error
		if row[i], err = p.axes(); err != nil {
			return fmt.Errorf("plotting %s: %w", p.Title, err)
		}
	}
	tiles := draw.Tiles{Rows: 1, Cols: len(row), PadX: vg.Centimeter, PadTop: axes, PadBottom: 8, PadLeft: 8, PadRight: 14}
	for i, c := range plot.Align([][]*plot.Plot{row}, tiles, s.Canvas)[0] {
		row[i].Draw(c)
		middle := (c.Min.X + c.Max.X) / 2
		s.label(middle, title, 12, plots[i].Title)
		s.legend(middle, legend, plots[i].Curves)
	}
	return s.write(path)
}

// axes returns the plot without its title and its legend.
func (p Plot) axes() (*plot.Plot, error) {
	drawn := plot.New()
	drawn.X.Label.Text = p.X
	drawn.X.Tick.Marker, drawn.Y.Tick.Marker = ticks{}, ticks{}
	if p.X == "" {
		drawn.X.Label.Text, drawn.X.Tick.Marker = "epoch", ticks{apart: 1}
	}
	for _, axis := range []*plot.Axis{&drawn.X, &drawn.Y} {
		axis.Label.TextStyle.Font, axis.Tick.Label.Font = words(11).Font, words(10).Font
	}
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = color.Gray{0xbb}, color.Gray{0xbb}
	drawn.Add(grid)
	for i, c := range p.Curves {
		points := c.points()
		if len(points) == 0 {
			return nil, fmt.Errorf("%s: no value", c.Name)
		}
		line, err := plotter.NewLine(points)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.Name, err)
		}
		var marked plotter.XYs // about 20 of the points: more would hide the line
		for j := 0; j < len(points); j += (len(points) + 19) / 20 {
			marked = append(marked, points[j])
		}
		line.LineStyle, _ = look(i)
		markers := &plotter.Scatter{XYs: marked}
		_, markers.GlyphStyle = look(i)
		drawn.Add(line, markers)
	}
	drawn.X.Min, drawn.X.Max = roomy(drawn.X.Min, drawn.X.Max)
	least := drawn.Y.Min
	drawn.Y.Min, drawn.Y.Max = roomy(drawn.Y.Min, drawn.Y.Max)
	if p.Zero && least >= 0 {
		drawn.Y.Min = 0
	}
	return drawn, nil
}

// roomy widens a range, so that no line or marker is cut by the end of an axis.
func roomy(lo, hi float64) (float64, float64) {
	room := 0.04 * (hi - lo)
	if room == 0 {
		room = 0.5
	}
	return lo - room, hi + room
}

func (c Curve) points() plotter.XYs {
	points := make(plotter.XYs, len(c.Values))
	for i, v := range c.Values {
		points[i] = plotter.XY{X: float64(i), Y: v}
		if c.X != nil {
			points[i].X = c.X[i]
		}
	}
	return points
}

// legend names the curves in one line around (x, y).
func (s sheet) legend(x, y vg.Length, curves []Curve) {
	const stroke, gap, between, size = 28, 5, 18, 10
	width := vg.Length(-between)
	for _, c := range curves {
		width += stroke + gap + words(size).Width(c.Name) + between
	}
	x -= width / 2
	for i, c := range curves {
		line, marker := look(i)
		s.StrokeLine2(line, x, s.height-y, x+stroke, s.height-y)
		s.DrawGlyphNoClip(marker, vg.Point{X: x + stroke/2, Y: s.height - y})
		name := words(size).Width(c.Name)
		s.label(x+stroke+gap+name/2, y, size, c.Name)
		x += stroke + gap + name + between
	}
}

// ticks puts labels at round numbers, at most nine or ten on an axis and at least so far apart.
type ticks struct{ apart float64 }

func (t ticks) Ticks(lo, hi float64) (marks []plot.Tick) {
	every := t.apart
	for power := math.Pow(10, math.Floor(math.Log10((hi-lo)/9))); every < (hi-lo)/9; power *= 10 {
		for _, leading := range []float64{1, 2, 5} {
			if every < (hi-lo)/9 {
				every = max(t.apart, leading*power)
			}
		}
	}
	decimals := max(0, int(math.Ceil(-math.Log10(every)-1e-9)))
	for i := math.Ceil(lo/every - 1e-9); i*every <= hi+1e-9*every; i++ {
		value := i*every + 0 // not -0
		marks = append(marks, plot.Tick{Value: value, Label: strconv.FormatFloat(value, 'f', decimals, 64)})
	}
	return marks
}
