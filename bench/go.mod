module github.com/unroll-go/unroll/bench

go 1.26.0

replace github.com/unroll-go/unroll => ../

require (
	github.com/ebitengine/purego v0.11.3
	github.com/stretchr/testify v1.12.1
	github.com/unroll-go/unroll v0.0.0
	golang.org/x/sys v0.49.0
	gonum.org/v1/gonum v0.17.0
)

require go.yaml.in/yaml/v3 v3.0.5 // indirect
