package kernel

import (
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAVX2Registers: of vector registers, AVX2 has sixteen. avo knows of the 32 of AVX-512 only, and takes from them.
func TestAVX2Registers(t *testing.T) {
	source, err := os.ReadFile("avx2_amd64.s")
	require.NoError(t, err)
	require.Empty(t, regexp.MustCompile(`\b(Z\d+|[XY](1[6-9]|[23]\d))\b`).FindAll(source, -1))
	require.Regexp(t, `\bY15\b`, string(source))
}
