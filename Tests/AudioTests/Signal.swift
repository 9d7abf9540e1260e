import Foundation

/// Signals that Python computes too, bit for bit: integers, then one exact division.
/// Keep them in step with `Goldens/make_goldens.py`.
enum Signal: String, Decodable, CaseIterable, Sendable {
  case noise, chord, tone, bursts, quiet, clipped, impulse

  func samples(_ count: Int) -> [Float] {
    switch self {
    case .noise:
      var state: UInt32 = 1
      return (0..<count).map { _ in
        state = 1_664_525 &* state &+ 1_013_904_223
        return Float(Int(state >> 16) - 32_768) / 65_536
      }
    case .chord:
      return (0..<count).map { n in
        let saws = [1_201, 1_523, 1_789].map { n * $0 % 65_536 - 32_768 }
        return Float(saws.reduce(0, +)) / 131_072
      }
    case .tone:
      return (0..<count).map { n in
        Float((sin(2 * .pi * Double(n) / 12) * 30_000 + 0.5).rounded(.down)) / 32_768
      }
    case .bursts:
      return Signal.noise.samples(count).enumerated().map { $0 % 9_000 < 2_500 ? $1 : 0 }
    case .quiet:
      return Signal.noise.samples(count).map { $0 / 1_024 }
    case .clipped:
      return Signal.chord.samples(count).map { max(-1, min(1, $0 * 16)) }
    case .impulse:
      var samples = [Float](repeating: 0, count: count)
      samples[count / 2] = 0.5
      return samples
    }
  }
}
