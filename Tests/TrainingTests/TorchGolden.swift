import Foundation
import Kernels
import Layers
import Models
import Testing
import Training

/// A whole network as PyTorch computed it in double precision: a fixture of `Goldens/torch`.
///
/// `make_goldens.py` there says what each tensor is, and the formula of the clips and labels, which
/// are not stored: they come from integers, so nothing rounds.
struct TorchGolden {
  let network: Models.Network
  let clips: Int
  let tags: Int
  private let file: SafetensorsFile

  static func file(_ name: String) throws -> SafetensorsFile {
    let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(
      path: "Goldens/torch")
    return try SafetensorsFile(path: folder.appending(path: "\(name).safetensors").path)
  }

  init(_ name: String) throws {
    struct Settings: Decodable {
      let pool, inputNormalization, reset, gate, cell, recurrence: String?
      let poolFrames: Int?
    }
    let file = try Self.file(name)
    func metadata<Value: Decodable>(_ key: String, as type: Value.Type) throws -> Value {
      try JSONDecoder().decode(type, from: Data(try #require(file.metadata[key]).utf8))
    }
    let settings = try metadata("settings", as: Settings.self)
    clips = try metadata("clips", as: Int.self)
    tags = try metadata("tags", as: Int.self)
    network = try Architectures.network(
      NetworkSettings(
        network: try #require(file.metadata["network"]),
        widths: .explicit(try metadata("widths", as: [Int].self)), tags: tags,
        pooling: settings.pool.flatMap(ConvolutionBlock.Pooling.init) ?? .max,
        convolutionDropout: 0, denseDropout: 0,
        inputNormalization: settings.inputNormalization == "frame" ? .frame : .band,
        reset: settings.reset == "after" ? .after : .before,
        gate: settings.gate.flatMap(Gate.init) ?? .sigmoid,
        cell: settings.cell.flatMap(NetworkSettings.Cell.init) ?? .gru,
        recurrence: settings.recurrence.flatMap(NetworkSettings.Recurrence.init) ?? .lastStep,
        poolFrames: settings.poolFrames))
    self.file = file
  }

  /// The values of a tensor such as `gradient.conv1.weight`.
  func values(_ name: String, shape: Shape? = nil) throws -> [Float] {
    try file.read(name, shape: shape?.extents)
  }

  /// All tensors of a network under a prefix, as they lie in a flat vector.
  func flat(_ prefix: String, _ windows: [Models.Network.Window]) throws -> [Float] {
    try windows.flatMap { try values("\(prefix).\($0.name)", shape: $0.shape) }
  }

  /// How many tensors the fixture has under a prefix.
  func count(_ prefix: String) -> Int {
    file.tensors.count { $0.name.hasPrefix(prefix + ".") }
  }

  // MARK: The batch

  /// `[N, 1, 96, 1366]`
  var input: [Float] {
    let (bands, frames) = (network.input[1], network.input[2])
    return (0..<clips).flatMap { n in
      let period = 61 + 16 * n
      return (0..<bands).flatMap { f in
        (0..<frames).map { t in
          let noise = Int(Self.mix(UInt32((n * bands + f) * frames + t)) >> 20)
          let slope = 16 * (n + 1) * (bands - 1 - f)
          let beat = 24 * (period - 1 - (t + f) % period)
          return Float(noise + slope + beat) / 128 - 60
        }
      }
    }
  }

  /// `[N, K]`
  var labels: [Float] {
    (0..<(clips * tags)).map { Float(Self.mix(0x8000_0000 + UInt32($0)) >> 31) }
  }

  private static func mix(_ i: UInt32) -> UInt32 {
    var h = i &* 2_654_435_761 &+ 12_345
    h ^= h >> 16
    h = h &* 2_246_822_507
    h ^= h >> 13
    h = h &* 3_266_489_909
    return h ^ h >> 16
  }
}

/// Expects two tensors to differ by at most `tolerance` of the expected one's largest value.
func expectNear(
  _ found: some Collection<Float>, _ expected: some Collection<Float>, within tolerance: Double,
  _ name: String, _ location: SourceLocation = #_sourceLocation
) {
  guard found.count == expected.count else {
    Issue.record("\(name): \(found.count) for \(expected.count)", sourceLocation: location)
    return
  }
  let largest = expected.reduce(0) { max($0, abs(Double($1))) }
  // not `max`, which would pass over a NaN
  let worst = zip(found, expected).reduce(0.0) { worst, pair in
    let difference = abs(Double(pair.0) - Double(pair.1))
    return difference <= worst ? worst : difference
  }
  #expect(
    worst <= tolerance * largest,
    "\(name) is off by \(worst / largest) of its largest value", sourceLocation: location)
}
