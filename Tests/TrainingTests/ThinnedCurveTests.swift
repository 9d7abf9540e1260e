import Foundation
import Testing
import Training

@Suite("A thinned curve")
struct ThinnedCurveTests {
  @Test("of few values has each of them")
  func short() {
    var curve = ThinnedCurve(capacity: 8)
    for step in 1...8 { curve.append(Double(step * step), step: step) }
    #expect(curve.points.map(\.step) == Array(1...8))
    #expect(curve.points.map(\.mean) == (1...8).map { Double($0 * $0) })
    #expect(curve.points.allSatisfy { $0.least == $0.mean && $0.greatest == $0.mean })
    #expect(curve.valuesInPoint == 1)
  }

  @Test(
    "stays bounded, and keeps means, extremes and the last step", arguments: [9, 1000, 1_000_000])
  func bounded(count: Int) {
    var curve = ThinnedCurve(capacity: 600)
    func value(_ step: Int) -> Double { sin(Double(step) / 1000) + (step == count / 2 ? 50 : 0) }
    var sum = 0.0
    for step in 1...count {
      curve.append(value(step), step: step)
      sum += value(step)
      if step % 997 == 0 { #expect(curve.points.count <= 600) }
    }
    let points = curve.points
    #expect(points.count <= 600 && points.count >= min(count, 300))
    #expect(points.last?.step == count)
    #expect(points.map(\.count).reduce(0, +) == count)
    // All but the last stand for equally many.
    #expect(points.dropLast().allSatisfy { $0.count == curve.valuesInPoint })
    #expect(zip(points, points.dropFirst()).allSatisfy { $0.step < $1.step })
    let mean = points.reduce(0) { $0 + $1.mean * Double($1.count) } / Double(count)
    // Sums in another order.
    #expect(abs(mean - sum / Double(count)) < 1e-9)
    // No spike is lost.
    #expect(points.map(\.greatest).max() == value(count / 2))
    #expect(points.allSatisfy { $0.least <= $0.mean && $0.mean <= $0.greatest })
  }

  @Test("leaves out what is not finite")
  func notFinite() {
    var curve = ThinnedCurve(capacity: 4)
    for value in [1, .nan, .infinity, -.infinity, 2] as [Double] { curve.append(value, step: 1) }
    #expect(curve.points.map(\.mean) == [1, 2])
  }
}
