import Kernels
import Layers
import Testing

/// Gradients of a weighted sum of the output, with respect to every parameter and to the input, in
/// training.
@Suite("Gradients of every layer")
struct GradientTests {
  /// The layer differentiated by itself: the loss at steps of ±h and ±2h, in the formula whose error
  /// is of order h⁴.
  ///
  /// Single precision leaves noise in the loss, about 2⁻²⁴ of each term, which dividing by h
  /// enlarges: h may not be small. At h = 1/64 what the formula leaves out of smooth functions is far
  /// less than that; where a step crosses ELU's bend at zero, the error of that value is up to h/6.
  /// Two in a thousand of the largest gradient cover one such value among several.
  @Test("analytic gradients equal central differences", arguments: LayerCase.all)
  func differences(_ example: LayerCase) {
    let run = LayerRun(example, separated: true)
    run.forward()
    run.backward()
    let h: Float = 1 / 64
    let analytic = (run.gradients + [run.dx!]).map { $0.tensor.values.map(Double.init) }
    let terms = zip(run.y.tensor.values, run.upstream).map { Double($0 * $1) }
    let noise = 0x1p-22 * terms.reduce(0) { $0 + $1 * $1 }.squareRoot() / Double(h)
    for (place, tensor) in (run.parameters + [run.x]).enumerated() {
      let largest = analytic[place].map(abs).max() ?? 0
      for i in sample(tensor.tensor.count, example.samples) {
        let at = tensor.tensor.base + i
        let value = at.pointee
        func loss(_ step: Float) -> Double {
          at.pointee = value + step
          run.forward()
          at.pointee = value
          return run.loss
        }
        let (near, far) = (loss(h) - loss(-h), loss(2 * h) - loss(-2 * h))
        let slope = (8 * near - far) / (12 * Double(h))
        let difference = abs(analytic[place][i] - slope)
        #expect(
          difference <= 2e-3 * largest + noise,
          "\(name(example, place))[\(i)] is \(analytic[place][i]), by differences \(slope)")
      }
    }
  }

  /// The definition differentiated, in double precision: steps can be so small that nothing bends
  /// within them and no other value of a pool becomes the largest; some gates of the hard sigmoid are
  /// beyond its corners here. What is left is the rounding of
  /// the layer's own backward pass, 32 times 2⁻²⁴ of the largest gradient at most, and 1e-7 of the
  /// differences.
  @Test("analytic gradients equal those of the definition", arguments: LayerCase.all)
  func definition(_ example: LayerCase) {
    guard let layer = example.layer as? any Referenced else { return }
    let run = LayerRun(example)
    run.forward()
    run.backward()
    let h = 1e-6
    let analytic = (run.gradients + [run.dx!]).map { $0.tensor.values.map(Double.init) }
    let pass = ReferencePass(run)
    for place in analytic.indices {
      let largest = analytic[place].map(abs).max() ?? 0
      for i in sample(analytic[place].count, example.samples) {
        func loss(_ step: Double) -> Double {
          var moved = pass
          if place < moved.parameters.count {
            moved.parameters[place][i] += step
          } else {
            moved.x[i] += step
          }
          let y = layer.reference(moved).y
          return zip(y, run.upstream).reduce(0) { $0 + $1.0 * Double($1.1) }
        }
        let slope = (loss(h) - loss(-h)) / (2 * h)
        #expect(
          abs(analytic[place][i] - slope) <= 2e-6 * largest + 1e-7,
          "\(name(example, place))[\(i)] is \(analytic[place][i]), by differences \(slope)")
      }
    }
  }

  private func name(_ example: LayerCase, _ place: Int) -> String {
    let parameters = example.layer.parameters
    return place < parameters.count ? parameters[place].name : "input"
  }

  /// Up to `limit` positions, spread over `count`.
  private func sample(_ count: Int, _ limit: Int) -> [Int] {
    count <= limit ? Array(0..<count) : (0..<limit).map { ($0 * count + count / 2) / limit }
  }
}
