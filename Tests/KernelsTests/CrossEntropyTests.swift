import Foundation
import Kernels
import Testing

@Suite("Losses from logits")
struct CrossEntropyTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let clips, tags: Int
    var spread: Float = 4
    var testDescription: String { "\(clips) clips, \(tags) tags, logits within ±\(spread)" }

    var logits: Window { Window((clips, tags), seed: 1, in: (-spread)...spread) }
  }

  static let cases =
    (1...17).map { Case(clips: 3, tags: $0) } + [
      Case(clips: 8, tags: 50), Case(clips: 8, tags: 50, spread: 80),
      Case(clips: 2, tags: 9, spread: 1e-3),
    ]

  @Test("binary cross-entropy and its gradient follow the definition", arguments: cases)
  func binary(_ example: Case) {
    let (x, gradient) = (example.logits, Window((example.clips, example.tags), seed: 9))
    // Some labels are exactly 0 or 1, some between.
    let labels = Window((example.clips, example.tags), seed: 2, in: 0...1)
    for r in 0..<example.clips { labels.matrix.row(r)[0] = Float(r % 2) }
    let value = x.matrix.binaryCrossEntropy(
      labels: labels.matrix, gradient: gradient.matrix, scale: 0.25)

    var sum = ExactSum()
    var slopes: [Double] = []
    for (logit, label) in zip(x.values, labels.values) {
      let p = 1 / (1 + exp(-Double(logit)))
      // −log p and −log(1 − p), without cancellation
      sum.add(Double(label) * log1p(exp(-Double(logit))))
      sum.add((1 - Double(label)) * log1p(exp(Double(logit))))
      slopes.append((p - Double(label)) * 0.25)
    }
    // A term is a difference of values as large as the logit.
    let magnitude = sum.magnitude + Double(example.spread) * Double(slopes.count)
    #expect(abs(value - sum.value) <= 1e-6 * magnitude)
    expectClose(gradient.values, slopes, within: { _ in 1e-7 }, "gradient")
    #expect(gradient.marginIsIntact && x.marginIsIntact && labels.marginIsIntact)
  }

  @Test("positive weights multiply what a tag's positives cost, and its gradient", arguments: cases)
  func weighted(_ example: Case) {
    let (x, gradient) = (example.logits, Window((example.clips, example.tags), seed: 9))
    let labels = Window((example.clips, example.tags), seed: 2, in: 0...1)
    for r in 0..<example.clips { labels.matrix.row(r)[0] = Float(r % 2) }
    let weights = Tensor.noise([example.tags], seed: 3, in: 0.1...20)
    let value = x.matrix.binaryCrossEntropy(
      labels: labels.matrix, gradient: gradient.matrix, scale: 0.25, positiveWeights: weights)

    /// −w·y·log p − (1 − y)·log(1 − p), without cancellation
    func loss(_ logit: Double, _ label: Double, _ weight: Double) -> Double {
      weight * label * log1p(exp(-logit)) + (1 - label) * log1p(exp(logit))
    }
    var (sum, magnitude) = (0.0, 0.0)
    var (slopes, allowances): ([Double], [Double]) = ([], [])
    for (i, (logit, label)) in zip(x.values, labels.values).enumerated() {
      let (x, y) = (Double(logit), Double(label))
      let weight = Double(weights.values[i % example.tags])
      sum += loss(x, y, weight)
      // A term is a difference of values as large as the logit, times the weight.
      magnitude += (1 + weight) * (abs(x) + 1)
      let step = 1e-4
      let slope = (loss(x + step, y, weight) - loss(x - step, y, weight)) / (2 * step)
      slopes.append(slope * 0.25)
      allowances.append(1e-6 * (1 + weight))
    }
    #expect(abs(value - sum) <= 3e-7 * magnitude)
    expectClose(gradient.values, slopes, within: { allowances[$0] }, "gradient")
    #expect(gradient.marginIsIntact && x.marginIsIntact && labels.marginIsIntact)
  }

  @Test("weights of one leave the bits that no weights leave", arguments: cases)
  func weightsOfOne(_ example: Case) {
    let labels = Window((example.clips, example.tags), seed: 2, in: 0...1)
    let ones = Tensor([Float](repeating: 1, count: example.tags), shape: [example.tags])
    let results = [nil, ones].map { weights in
      let gradient = Window((example.clips, example.tags), seed: 9)
      let value = example.logits.matrix.binaryCrossEntropy(
        labels: labels.matrix, gradient: gradient.matrix, scale: 0.3, positiveWeights: weights)
      return bits(gradient.values) + [UInt32(truncatingIfNeeded: value.bitPattern)]
    }
    #expect(results[0] == results[1])
  }

  @Test("softmax cross-entropy and its gradient follow the definition", arguments: cases)
  func softmax(_ example: Case) {
    let (x, gradient) = (example.logits, Window((example.clips, example.tags), seed: 9))
    let labels = Window((example.clips, example.tags), seed: 2, in: 0...0)
    for r in 0..<example.clips { labels.matrix.row(r)[r % example.tags] = 1 }
    let value = x.matrix.softmaxCrossEntropy(
      labels: labels.matrix, gradient: gradient.matrix, scale: 0.25)

    var sum = 0.0
    var (slopes, shares): ([Double], [Double]) = ([], [])
    for r in 0..<example.clips {
      let logits = (0..<example.tags).map { Double(x[r, $0]) }
      let total = logits.map { exp($0) }.reduce(0, +)
      sum += log(total) - logits[r % example.tags]
      let row = logits.map { exp($0) / total }
      shares += row
      slopes += row.indices.map { (row[$0] - Double(labels[r, $0])) * 0.25 }
    }
    #expect(abs(value - sum) <= 1e-6 * Double(example.spread + 2) * Double(example.clips))
    expectClose(gradient.values, slopes, within: { _ in 5e-7 }, "gradient")
    #expect(gradient.marginIsIntact && x.marginIsIntact && labels.marginIsIntact)

    x.matrix.softmax()
    expectClose(x.values, shares, within: { 2e-7 + 1e-5 * shares[$0] }, "softmax")
    #expect(x.marginIsIntact)
  }

  @Test("NaN in a logit or a label is seen in the loss", arguments: 0..<11)
  func notANumber(place: Int) {
    for inLabels in [false, true] {
      let (x, labels) = (
        Tensor.noise([1, 11], seed: 1), Tensor.noise([1, 11], seed: 2, in: 0...1)
      )
      (inLabels ? labels : x).base[place] = .nan
      let gradient = Tensor(shape: [1, 11])
      let binary = x.matrix().binaryCrossEntropy(
        labels: labels.matrix(), gradient: gradient.matrix(), scale: 1)
      #expect(binary.isNaN && gradient.values[place].isNaN)
      let softmax = x.matrix().softmaxCrossEntropy(
        labels: labels.matrix(), gradient: gradient.matrix(), scale: 1)
      #expect(softmax.isNaN && gradient.values[place].isNaN)
    }
  }
}
