import ArgumentParser
import Models
import Training

/// Which networks are measured, and how.
struct NetworkOptions: ParsableArguments {
  @Option(
    name: .customLong("network"), parsing: .singleValue,
    help: ArgumentHelp(
      "k1c2, k2c1, k2c2, crnn, mlp or rnn, any number of times, or all. (default: crnn)",
      valueName: "name"))
  var names: [String] = []
  @Option(help: "0.1M, 0.25M, 0.5M, 1M or 3M.")
  var size = "0.25M"
  @Option(
    name: .customLong("set"), parsing: .singleValue,
    help: ArgumentHelp("Another setting of a configuration.", valueName: "key=value"))
  var overrides: [String] = []
  @Option(help: "Threads that share the work.")
  var threads = 1

  /// A network of 50 tags for clips of 96 bands × 1366 frames, with the settings it trains by.
  struct Subject {
    let configuration: Configuration
    let network: Network
  }

  func validate() throws {
    guard (1...1024).contains(threads) else {
      throw ValidationError("--threads must be from 1 to 1024, not \(threads)")
    }
    do { _ = try subjects } catch { throw ValidationError("\(error)") }
  }

  var networks: [String] {
    if names.contains("all") { return Configuration.Network.allCases.map(\.rawValue) }
    return names.isEmpty ? ["crnn"] : names
  }

  var subjects: [Subject] {
    get throws {
      try networks.map { name in
        let configuration = try Configuration(
          overrides: ["model.network=\(name)", "model.size=\(size)"] + overrides)
        return Subject(
          configuration: configuration,
          network: try configuration.network(tags: 50, bands: 96, frames: 1366))
      }
    }
  }
}
