/// A curve of any length in bounded memory.
///
/// Each point stands for equally many consecutive values: their mean, and the least and the greatest of
/// them. When there are `capacity` points, neighbours merge, and from then on a point takes twice as many
/// values. So the curve of a minute and that of a month both have at most `capacity` points, and more
/// than half as many once they were full; a value costs O(1), spread over all.
package struct ThinnedCurve: Equatable, Sendable {
  package struct Point: Equatable, Sendable {
    /// The step of its last value.
    package fileprivate(set) var step: Int
    package fileprivate(set) var mean: Double
    package fileprivate(set) var least: Double
    package fileprivate(set) var greatest: Double
    /// How many values it stands for.
    package fileprivate(set) var count = 1

    fileprivate mutating func absorb(_ later: Point) {
      step = later.step
      mean += (later.mean - mean) * Double(later.count) / Double(count + later.count)
      least = min(least, later.least)
      greatest = max(greatest, later.greatest)
      count += later.count
    }
  }

  private let capacity: Int
  package private(set) var points: [Point] = []
  /// How many values a point stands for; the last one perhaps for fewer.
  package private(set) var valuesInPoint = 1

  /// - Precondition: `capacity` is even and positive
  package init(capacity: Int = 600) {
    precondition(
      capacity > 0 && capacity.isMultiple(of: 2), "a curve of at most \(capacity) points")
    self.capacity = capacity
  }

  /// Adds a value; one that is not finite is left out.
  package mutating func append(_ value: Double, step: Int) {
    guard value.isFinite else { return }
    let point = Point(step: step, mean: value, least: value, greatest: value)
    if let last = points.last, last.count < valuesInPoint {
      points[points.count - 1].absorb(point)
      return
    }
    if points.count == capacity { merge() }
    points.append(point)
  }

  private mutating func merge() {
    for index in 0..<capacity / 2 {
      var point = points[2 * index]
      point.absorb(points[2 * index + 1])
      points[index] = point
    }
    points.removeLast(capacity / 2)
    valuesInPoint *= 2
  }
}
