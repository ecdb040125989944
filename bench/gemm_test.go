package main

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
)

// Speeds mean something if all compute the same.
func TestProductsAgree(t *testing.T) {
	library, err := loadOpenBLAS()
	if err != nil {
		t.Log("without OpenBLAS:", err)
	}
	p := newProduct(13, 31, 17)
	for _, transA := range []bool{false, true} {
		runs := map[string]func(){ours: p.packed(), packing: p.packing()}
		if transA {
			runs = map[string]func(){ours: p.transposed()}
		}
		if library != nil {
			runs[openBLAS] = library.product(p, transA, 1)
		}
		clear(p.c)
		p.gonum(transA, 1)()
		want := slices.Clone(p.c)
		for name, run := range runs {
			clear(p.c)
			run()
			assert.InDeltaSlice(t, want, p.c, 1e-5, "%s, transposed: %v", name, transA)
		}
	}
}
