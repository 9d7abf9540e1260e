import Audio
import Cluster
import Dataset
import Foundation
import Models
import Training

/// One reader, and what an attack on it starts from. A new one is a file and a line in `all`.
package struct Target: Sendable {
  package let name: String
  /// Bytes of the longest input worth trying.
  package let longest: Int
  /// Words of the format, to put into inputs.
  let words: [String]
  /// Inputs that are read without an error, made by Tutti's own writers where there are some.
  package let seeds: @Sendable () throws -> [[UInt8]]
  /// Puts lengths and checksums right, which random changes seldom leave so.
  package var repair: (@Sendable ([UInt8]) -> [UInt8])?
  /// Reads an input and checks what came of it; throws what the reader throws.
  package let read: @Sendable ([UInt8]) throws -> Void

  package static let all: [Target] = [
    .tagsFile, .importers, .numPy, .safetensors, .checkpoint, .model, .weights, .configuration,
    .frames, .preparation, .store, .keyFile,
  ]

  package static func named(_ name: String) -> Target? { all.first { $0.name == name } }

  /// Reads an input, as it is and repaired; the process ends if that gives anything but a value or
  /// a proper error.
  package func run(_ input: [UInt8]) {
    for input in [input] + (repair.map { [$0(input)] } ?? []) {
      do {
        try read(input)
      } catch {
        expect(Self.isProper(error), "\(name): an error no user should see: \(error)")
      }
    }
  }

  /// Whether an error blames the input, in lines of readable length.
  private static func isProper(_ error: any Error) -> Bool {
    let blamesInput =
      switch error {
      case let error as DatasetError: error.exitCode == 65
      case let error as CheckpointError: error.code != .unreadable
      case let error as ConfigurationError: error.code != .unreadable
      case let error as TrainingError: error.status == .badInput
      case is Defect, is NetworkError, is AudioError, is KeyError: true
      default: false
      }
    let longestLine = "\(error)".split(separator: "\n").map(\.utf8.count).max() ?? 0
    return blamesInput && (1...2_000).contains(longestLine) && isReadable("\(error)")
  }

  /// Whether a text from which people learn something is only text, not orders to their terminal.
  static func isReadable(_ text: String) -> Bool {
    text.unicodeScalars.allSatisfy {
      $0 == "\n" || $0.properties.generalCategory != .control
    }
  }

  /// Writes the seeds and what once was a finding as files, and the words as libFuzzer's dictionary.
  func writeMaterial(to folder: URL) throws {
    let seeds = folder.appendingPathComponent("seeds")
    try FileManager.default.createDirectory(at: seeds, withIntermediateDirectories: true)
    let findings = try Finding.all.filter { $0.target == name }.map { try $0.input() }
    for (number, input) in (try self.seeds() + findings).enumerated() where input.count <= longest {
      try Data(input).write(to: seeds.appendingPathComponent("\(number)"))
    }
    let lines = words.map { word in
      "\"" + word.utf8.map { "\\x" + ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        + "\"\n"
    }
    try Data(lines.joined().utf8).write(to: folder.appendingPathComponent("words"))
  }
}

/// Ends the process, with the reason even in a release build.
func expect(_ condition: Bool, _ finding: @autoclosure () -> String) {
  if !condition { fatalError("finding: " + finding()) }
}
