package autograd

import (
	"fmt"
	"strings"
	"text/tabwriter"
)

// Summary is a table of weights, one line for each weight and one for the totals. fmt prints it by its String method.
type Summary []*Param

// Summary returns a table of the weights under p's prefix.
func (p *Params) Summary() (s Summary) {
	for w := range p.All() {
		s = append(s, w)
	}
	return s
}

// String returns the table: the name, the shape, the number of values and of bytes of each weight, whether the weight is
// frozen, and the totals.
func (s Summary) String() string {
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "name\tshape\tcount\tbytes\t")
	count := 0
	for _, p := range s {
		n, frozen := p.Value.Len(), ""
		if p.Frozen {
			frozen = "  frozen"
		}
		fmt.Fprintf(w, "%s\t%v\t%d\t%d\t%s\n", p.Name, p.Value.Shape(), n, 4*n, frozen)
		count += n
	}
	fmt.Fprintf(w, "%d weights\t\t%d\t%d\t\n", len(s), count, 4*count)
	w.Flush()
	return out.String()
}
