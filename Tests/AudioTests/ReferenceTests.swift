import Audio
import Foundation
import Testing

/// The definition, slowly and in double precision, for settings of all kinds, without librosa's own
/// way to end (see `LogMelExtractor.endsAsLibrosa`).
private func slowLogMel(_ samples: [Float], _ settings: FeatureSettings) -> [Double] {
  let (length, half) = (settings.windowLength, settings.windowLength / 2)
  func sample(_ index: Int) -> Double {
    let last = samples.count - 1
    return Double(samples[index < 0 ? -index : index > last ? 2 * last - index : index])
  }
  func mels(_ hertz: Double) -> Double {
    hertz < 1_000 ? hertz * 3 / 200 : 15 + 27 * log(hertz / 1_000) / log(6.4)
  }
  func hertz(_ mels: Double) -> Double {
    mels < 15 ? mels * 200 / 3 : 1_000 * pow(6.4, (mels - 15) / 27)
  }
  let (low, high) = (mels(settings.lowestHz), mels(settings.highestHz))
  let edges = (0...settings.melBands + 1).map {
    hertz(low + (high - low) * Double($0) / Double(settings.melBands + 1))
  }
  let turn = (0..<length).map { 2 * Double.pi * Double($0) / Double(length) }
  let (cosines, sines) = (turn.map { cos($0) }, turn.map { sin($0) })

  var map = [Double](repeating: 0, count: settings.values)
  for frame in 0..<settings.frames {
    let windowed = (0..<length).map { n in
      sample(frame * settings.hopLength - half + n) * (0.5 - 0.5 * cosines[n])
    }
    for bin in 0...half {
      var (real, imaginary) = (0.0, 0.0)
      for n in 0..<length {
        real += windowed[n] * cosines[bin * n % length]
        imaginary += windowed[n] * sines[bin * n % length]
      }
      let frequency = Double(bin * settings.sampleRateHz) / Double(length)
      for band in 0..<settings.melBands {
        let (left, peak, right) = (edges[band], edges[band + 1], edges[band + 2])
        let height = min((frequency - left) / (peak - left), (right - frequency) / (right - peak))
        guard height > 0 else { continue }
        map[band * settings.frames + frame] +=
          2 / (right - left) * height * (real * real + imaginary * imaginary)
      }
    }
  }
  let levels = map.map {
    10 * log10(max(pow($0, settings.melExponent), settings.decibelFloor))
  }
  let floor = levels.max()! - settings.dynamicRangeDecibels
  return levels.map { max($0, floor) }
}

struct ReferenceTests {
  static let settings: [FeatureSettings] = [
    settings { _ in },
    settings { $0.durationSeconds = 257 / 12_000 },  // one more than is reflected
    settings { $0.hopLength = 512 },
    settings { $0.hopLength = 100 },
    settings { $0.windowLength = 600 },
    settings {
      $0.windowLength = 254
      $0.hopLength = 127
      $0.melBands = 20
    },
    settings {
      $0.sampleRateHz = 22_050
      $0.highestHz = 11_025
    },
    settings {
      $0.lowestHz = 500
      $0.highestHz = 2_000
      $0.melBands = 30
    },
    settings { $0.dynamicRangeDecibels = 25 },
    settings { $0.decibelFloor = 1e-2 },
    settings { $0.melBands = 1 },
    settings {
      $0.melExponent = 2
      $0.decibelFloor = 1e-3
    },
  ]

  private static func settings(_ change: (inout FeatureSettings) -> Void) -> FeatureSettings {
    var settings = FeatureSettings()
    settings.durationSeconds = 0.1
    change(&settings)
    return settings
  }

  /// What is left is the rounding of powers and decibels to single precision.
  @Test(
    "maps equal the definition's",
    arguments: settings, [Signal.noise, .chord, .tone, .impulse])
  func equalsDefinition(_ settings: FeatureSettings, _ signal: Signal) throws {
    let samples = signal.samples(settings.samples)
    let map = try LogMelExtractor(settings: settings).logMel(samples)
    let expected = slowLogMel(samples, settings)
    let largest = zip(map, expected).map { abs(Double($0) - $1) }.max()!
    #expect(largest < 1e-5)
  }

  @Test(
    "own decibels stay within 1e-5 dB of the logarithm, beyond ±100 dB within 1e-7 of its value")
  func logarithm() {
    var worst = 0.0
    for pattern in stride(from: UInt32(0x0080_0000), to: 0x7F80_0000, by: 9_973) {
      let x = Float(bitPattern: pattern)
      let exact = 10 * log10(Double(x))
      worst = max(worst, abs(Double(decibels(x)) - exact) / max(1, abs(exact) / 100))
    }
    #expect(worst < 1e-5)
    #expect(decibels(1) == 0)
  }
}
