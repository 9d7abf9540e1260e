import Kernels
import Testing

@Suite("SpecAugment's masks")
struct SpectrogramMasksTests {
  static func stream(_ number: Int) -> RandomStream {
    RandomStream(seed: 3, purpose: .mask, time: number, lane: 1, place: 2)
  }

  struct Case: Sendable, CustomTestStringConvertible {
    let bands, frames: Int
    let timeMasks, widestTime, bandMasks, widestBand: Int
    var testDescription: String {
      "\(bands) × \(frames), \(timeMasks) of \(widestTime) frames, \(bandMasks) of \(widestBand) bands"
    }
    var masks: SpectrogramMasks {
      SpectrogramMasks(
        timeMasks: timeMasks, widestTimeMask: widestTime, bandMasks: bandMasks,
        widestBandMask: widestBand)
    }
  }

  static let cases = [
    Case(bands: 9, frames: 31, timeMasks: 1, widestTime: 7, bandMasks: 0, widestBand: 3),
    Case(bands: 9, frames: 31, timeMasks: 0, widestTime: 7, bandMasks: 2, widestBand: 4),
    Case(bands: 96, frames: 257, timeMasks: 3, widestTime: 100, bandMasks: 2, widestBand: 27),
    Case(bands: 5, frames: 8, timeMasks: 2, widestTime: 8, bandMasks: 2, widestBand: 5),
    Case(bands: 1, frames: 1, timeMasks: 1, widestTime: 1, bandMasks: 1, widestBand: 1),
    Case(bands: 4, frames: 6, timeMasks: 3, widestTime: 0, bandMasks: 0, widestBand: 0),
  ]

  @Test("each mask lies where its two words say, and hides it with the mean", arguments: cases)
  func definition(_ example: Case) {
    for number in 0..<20 {
      let map = Window((example.bands, example.frames), seed: number, in: -80...0)
      let before = map.values
      example.masks.apply(to: map.matrix, stream: Self.stream(number))

      func range(_ mask: Int, _ widest: Int, of extent: Int) -> Range<Int> {
        func draw(_ choices: Int, _ index: Int) -> Int {
          Int(Double(Self.stream(number).word(index)) / 0x1p32 * Double(choices))
        }
        let width = draw(widest + 1, 2 * mask)
        let start = draw(extent - width + 1, 2 * mask + 1)
        return start..<start + width
      }
      let times = (0..<example.timeMasks).map {
        range($0, example.widestTime, of: example.frames)
      }
      let bands = (0..<example.bandMasks).map {
        range(example.timeMasks + $0, example.widestBand, of: example.bands)
      }
      let mean = before.map(Double.init).reduce(0, +) / Double(before.count)
      let wrong = map.values.enumerated().filter { i, value in
        let (band, frame) = i.quotientAndRemainder(dividingBy: example.frames)
        let isHidden =
          times.contains { $0.contains(frame) } || bands.contains { $0.contains(band) }
        return isHidden ? abs(Double(value) - mean) > 1e-4 : value != before[i]
      }
      #expect(wrong.isEmpty && map.marginIsIntact)
    }
  }

  @Test("widths are even from none to the widest, starts over all places where a mask fits")
  func evenness() {
    let (frames, widest, draws) = (20, 4, 50_000)
    let masks = SpectrogramMasks(
      timeMasks: 1, widestTimeMask: widest, bandMasks: 0, widestBandMask: 0)
    var widths = [Int](repeating: 0, count: widest + 1)
    var starts = [[Int]](repeating: Array(repeating: 0, count: frames), count: widest + 1)
    for draw in 0..<draws {
      // No frame has the mean, 9.5.
      let map = Tensor((0..<frames).map(Float.init), shape: [1, frames])
      masks.apply(to: map.matrix(), stream: Self.stream(draw))
      let hidden = map.values.indices.filter { map.values[$0] == 9.5 }
      widths[hidden.count] += 1
      if let first = hidden.first {
        #expect(hidden == Array(first..<first + hidden.count))
        starts[hidden.count][first] += 1
      }
    }
    /// Chi-squared of counts that should be equal, in deviations from its mean.
    func excess(_ counts: some Collection<Int>) -> Double {
      let expected = Double(counts.reduce(0, +)) / Double(counts.count)
      let sum = counts.reduce(0) { $0 + (Double($1) - expected) * (Double($1) - expected) }
      let freedom = Double(counts.count - 1)
      return (sum / expected - freedom) / (2 * freedom).squareRoot()
    }
    #expect(excess(widths) < 5, "\(widths)")
    for width in 1...widest {
      let places = frames - width + 1
      #expect(excess(starts[width].prefix(places)) < 5, "\(starts[width])")
      #expect(starts[width].dropFirst(places).allSatisfy { $0 == 0 })
    }
  }

  @Test("no masks change nothing, and other streams mask elsewhere")
  func streams() {
    let map = Tensor.noise([12, 40], seed: 1)
    let before = map.values
    let none = SpectrogramMasks(timeMasks: 0, widestTimeMask: 9, bandMasks: 0, widestBandMask: 9)
    none.apply(to: map.matrix(), stream: Self.stream(0))
    #expect(map.values == before)
    let masks = SpectrogramMasks(timeMasks: 2, widestTimeMask: 10, bandMasks: 2, widestBandMask: 4)
    let masked = (0..<50).map { number in
      let map = Tensor(before, shape: [12, 40])
      masks.apply(to: map.matrix(), stream: Self.stream(number))
      return map.values
    }
    #expect(Set(masked).count > 45)
  }

  @Test("the mean is that of all values, and not a number if one is not", arguments: 1...17)
  func mean(columns: Int) {
    let map = Window((5, columns), seed: columns, in: -80...0)
    let expected = map.values.map(Double.init).reduce(0, +) / Double(5 * columns)
    #expect(abs(Double(map.matrix.mean) - expected) < 1e-5)
    map.matrix.row(3)[columns - 1] = .nan
    #expect(map.matrix.mean.isNaN)
  }
}
