package show

import (
	"cmp"
	"image"
	"image/color"
	"image/png"
	"io"
	"slices"

	"github.com/unroll-go/unroll/internal/atomicfile"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
)

// sheet is a white picture whose coordinates start at the top left corner. Lengths are in points, of which 72 are an
// inch, or 96 pixels.
type sheet struct {
	canvas *vgimg.Canvas
	draw.Canvas
	height vg.Length
}

func newSheet(width, height vg.Length) sheet {
	canvas := vgimg.New(width, height)
	return sheet{canvas, draw.New(canvas), height}
}

// words is the style of text of the given size, centred on its position.
func words(size vg.Length) text.Style {
	sans := plot.DefaultFont
	sans.Variant = "Sans"
	return text.Style{Color: ink, Font: font.From(sans, size), XAlign: draw.XCenter, YAlign: draw.YCenter,
		Handler: plot.DefaultTextHandler}
}

// widest returns the width of the widest of some texts.
func widest(size vg.Length, texts []string) (width vg.Length) {
	for _, s := range texts {
		width = max(width, words(size).Width(s))
	}
	return width
}

// box fills a rectangle whose top left corner is at (x, y).
func (s sheet) box(c color.Color, x, y, width, height vg.Length) {
	top := s.height - y
	s.FillPolygon(c, []vg.Point{{X: x, Y: top}, {X: x + width, Y: top}, {X: x + width, Y: top - height}, {X: x, Y: top - height}})
}

// label writes a text with its centre at (x, y).
func (s sheet) label(x, y, size vg.Length, text string) {
	s.FillText(words(size), vg.Point{X: x, Y: s.height - y}, text)
}

// write writes the picture to path as a PNG of at most 256 colours, which is about a third as large as one of all colours.
func (s sheet) write(path string) error {
	return atomicfile.Write(path, func(w io.Writer) error {
		encoder := png.Encoder{CompressionLevel: png.BestCompression}
		return encoder.Encode(w, limited(s.canvas.Image()))
	})
}

// limited returns the picture with its 256 most frequent colours; each pixel of another colour, which are few and
// lie at the edges of lines and letters, takes the nearest of them.
func limited(picture image.Image) *image.Paletted {
	bounds := picture.Bounds()
	at := func(x, y int) color.RGBA { return color.RGBAModel.Convert(picture.At(x, y)).(color.RGBA) }
	pixels := map[color.RGBA]int{} // how many pixels have a colour
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			pixels[at(x, y)]++
		}
	}
	var colours []color.RGBA
	for c := range pixels {
		colours = append(colours, c)
	}
	slices.SortFunc(colours, func(a, b color.RGBA) int { // the last keys make the order, and so the file, always the same
		return cmp.Or(pixels[b]-pixels[a], int(a.R)-int(b.R), int(a.G)-int(b.G), int(a.B)-int(b.B), int(a.A)-int(b.A))
	})
	var palette color.Palette
	for _, c := range colours[:min(256, len(colours))] {
		palette = append(palette, c)
	}
	index := map[color.RGBA]uint8{}
	for _, c := range colours {
		index[c] = uint8(palette.Index(c))
	}
	result := image.NewPaletted(bounds, palette)
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			result.SetColorIndex(x, y, index[at(x, y)])
		}
	}
	return result
}
