// Package onnx reads models of the format ONNX (Open Neural Network Exchange, https://onnx.ai).
//
// [Read] reads a file: its initialisers, which are the weights and other constants, as tensors by name, and its nodes. A tensor of
// [Graph.Tensors] has the methods Float32, Float64 and Int64 of a [safetensors.Tensor]:
//
//	file, err := os.Open("model.onnx")
//	...
//	model, err := onnx.Read(file)
//	...
//	weights, err := model.Tensor("fc.weight").Float32()
//
// If the names and layouts are PyTorch's, [Model.File] and [safetensors.Loading.Apply] set the weights of a model here:
//
//	report, err := safetensors.Loading{Prefix: "model.", Partial: true}.Apply(model.File(), params)
package onnx
