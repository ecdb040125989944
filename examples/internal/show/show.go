// Package show is what the examples have in common that is not learning: progress on a terminal and
// pictures of results.
package show

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"

	"github.com/schollz/progressbar/v3"
	"github.com/unroll-go/unroll/internal/atomicfile"
	"golang.org/x/term"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
)

// Bar is a progress bar on standard error, gone once it is done. Where that is no terminal
// nothing is shown.
type Bar struct{ bar *progressbar.ProgressBar }

// NewBar returns a bar for something of total parts.
func NewBar(what string, total int) Bar {
	visible := term.IsTerminal(int(os.Stderr.Fd()))
	return Bar{progressbar.NewOptions(total, progressbar.OptionSetDescription(what), progressbar.OptionSetWriter(os.Stderr),
		progressbar.OptionSetVisibility(visible), progressbar.OptionClearOnFinish(), progressbar.OptionThrottle(100e6),
		progressbar.OptionFullWidth(), progressbar.OptionShowCount())}
}

// Set says how many parts are done.
func (b Bar) Set(done int) { b.bar.Set(done) }

// Add says that n more parts are done.
func (b Bar) Add(n int) { b.bar.Add(n) }

// Done takes the bar off the screen.
func (b Bar) Done() { b.bar.Finish() }

// WritableFolder makes the folder if need be and returns an error if files cannot be written into it.
func WritableFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	probe, err := os.CreateTemp(dir, ".probe-*")
	if err != nil {
		return err
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name()))
}

// Plot is a picture of curves over epochs, or over what X names.
type Plot struct {
	Title, X string
	Curves   []Curve
}

// Curve is a line of a plot: a value an epoch, or at each of X.
type Curve struct {
	Name      string
	X, Values []float64
}

// WritePlots draws plots side by side and writes them to path as a PNG.
func WritePlots(path string, plots ...Plot) error {
	row := make([]*plot.Plot, len(plots))
	for i, p := range plots {
		row[i] = plot.New()
		row[i].Title.Text = p.Title
		row[i].X.Label.Text = p.X
		row[i].Legend.Top, row[i].Legend.Left = true, true
		if p.X == "" {
			row[i].X.Label.Text = "epoch"
			row[i].X.Tick.Marker = wholeNumbers{}
			row[i].Legend.Top, row[i].Legend.Left = p.Title == "loss", false
		}
		row[i].Add(plotter.NewGrid())
		for j, c := range p.Curves {
			line, points, err := plotter.NewLinePoints(c.points())
			if err != nil {
				return fmt.Errorf("plotting %s: %w", c.Name, err)
			}
			line.Color, points.Color, points.Shape = plotutil.Color(j), plotutil.Color(j), plotutil.Shape(j)
			points.Radius = 2
			row[i].Add(line, points)
			row[i].Legend.Add(c.Name, line, points)
		}
	}
	canvas := vgimg.New(max(2, vg.Length(len(row)))*5*vg.Inch, 4*vg.Inch)
	tiles := draw.Tiles{Rows: 1, Cols: len(row), PadX: vg.Centimeter, PadTop: vg.Millimeter * 3, PadBottom: vg.Millimeter * 3,
		PadLeft: vg.Millimeter * 3, PadRight: vg.Millimeter * 5}
	for i, c := range plot.Align([][]*plot.Plot{row}, tiles, draw.New(canvas))[0] {
		row[i].Draw(c)
	}
	return atomicfile.Write(path, func(w io.Writer) error {
		_, err := vgimg.PngCanvas{Canvas: canvas}.WriteTo(w)
		return err
	})
}

func (c Curve) points() plotter.XYs {
	xys := make(plotter.XYs, len(c.Values))
	for i, v := range c.Values {
		xys[i] = plotter.XY{X: float64(i), Y: v}
		if c.X != nil {
			xys[i].X = c.X[i]
		}
	}
	return xys
}

// wholeNumbers puts labels at whole epochs alone.
type wholeNumbers struct{}

func (wholeNumbers) Ticks(lo, hi float64) []plot.Tick {
	every := max(1, math.Ceil((hi-lo)/10))
	var ticks []plot.Tick
	for x := math.Ceil(lo/every) * every; x <= hi; x += every {
		ticks = append(ticks, plot.Tick{Value: x, Label: strconv.Itoa(int(x))})
	}
	return ticks
}
