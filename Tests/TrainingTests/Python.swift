import Foundation

/// The machine's Python, for what other programs read of our files.
enum Python {
  /// Runs a script; nil if there is no Python or the script fails.
  static func run(_ script: String, _ argument: String = "") -> String? {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = ["python3", "-c", script, argument]
    let output = Pipe()
    (process.standardOutput, process.standardError) = (output, FileHandle.nullDevice)
    guard (try? process.run()) != nil else { return nil }
    let data = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return process.terminationStatus == 0 ? String(decoding: data, as: UTF8.self) : nil
  }

  static let hasSafetensors = run("import numpy, safetensors.numpy") != nil
}
