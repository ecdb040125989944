// Package metrics measures how good a model's predictions are, over any number of batches.
//
// # Which metric
//
//   - Which class is it? [TopK] is the accuracy: the share of rows whose label is among the K likeliest classes.
//     [ConfusionMatrix] counts which class was taken for which, and gives precision, recall and F1 of each class. Look at
//     it where some classes are rare: a model that always answers "no" has an accuracy of 99 % where 99 % are "no".
//   - How much is it? [Regression] has the mean absolute error and the root of the mean squared error, in the unit of the
//     targets, and R2, the share of the targets' variance that the model explains. Targets that were standardized are
//     taken back to their unit first (Standardizer.Undo of package dataset).
//   - What comes next? [Perplexity] is the number of equally likely tokens among which a model in effect chooses.
//   - Anything else, such as the loss: [Mean], weighted.
//
// # How they work
//
// A metric is a small struct whose zero value is ready to use. Add takes one batch as plain slices, without allocating
// once the metric knows its size. The results are over everything that was added, and Reset starts anew. A metric keeps
// sums and not the results of batches, so the way in which examples are cut into batches does not change the result:
//
//	var accuracy metrics.TopK
//	err := train.Evaluate(params, test, 256, model, func(logits *autograd.Node, b *dataset.Batch) {
//		accuracy.Add(logits.Data(), b.Labels)
//	})
//	fmt.Println(accuracy.Value(), "of", accuracy.Count(), "rows")
//
// Rows with the label [Ignore] and numbers with a NaN target do not count. TopK.Count, Regression.Count,
// ConfusionMatrix.Total, Perplexity.Tokens and Mean.Weight say how much was counted. A result over nothing, such as the
// accuracy of no rows or the recall of a class without rows, is NaN. A prediction of NaN is never passed over: it is a
// wrong class, and makes the errors of a Regression NaN.
//
// A metric belongs to one goroutine. Where several goroutines evaluate parts of a dataset, each has a metric of its own,
// and Merge adds one to another.
//
// Slices whose lengths do not fit together panic with a [*tensor.ShapeError], other mistakes with a [*tensor.UsageError].
package metrics

import "github.com/unroll-go/unroll/internal/label"

// Ignore is the label of a row that does not count, such as padding: the ignore_index of PyTorch's losses.
const Ignore = label.Ignore
