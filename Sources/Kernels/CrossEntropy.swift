/// Losses from logits, and their gradients. Few values a clip, so a row at a time and no threads;
/// the sum over rows is in double, from the first to the last.
extension Matrix {
  /// Binary cross-entropy of logits `self` `[N, K]` against labels 0…1, in nats:
  /// −w·y·log p − (1 − y)·log(1 − p), p being sigmoid(x).
  ///
  /// - Parameters:
  ///   - gradient: receives ((1 + (w − 1)·y)·p − w·y) · scale, which is (p − y) · scale for w = 1
  ///   - positiveWeights: w `[K]`; nil is ones, with the same bits
  /// - Returns: the sum over rows and columns, not scaled. NaN if any logit or label is.
  package func binaryCrossEntropy(
    labels: Matrix, gradient: Matrix, scale: Float, positiveWeights: Tensor? = nil
  ) -> Double {
    kernels.binaryCrossEntropy(
      logits: self, labels: labels, gradient: gradient, scale: scale,
      positiveWeights: positiveWeights)
  }

  /// Softmax cross-entropy of logits `self` `[N, K]` against labels that sum to one a row, in nats.
  ///
  /// - Parameters:
  ///   - gradient: receives (softmax(x) − label) · scale
  /// - Returns: the sum over rows, not scaled
  package func softmaxCrossEntropy(labels: Matrix, gradient: Matrix, scale: Float) -> Double {
    kernels.softmaxCrossEntropy(logits: self, labels: labels, gradient: gradient, scale: scale)
  }

  /// Every row becomes its softmax.
  package func softmax() { kernels.softmax(self) }
}
