import ArgumentParser

/// Measures this machine: every figure beside a reference taken in the same run, since absolute
/// times mean little on a shared machine.
@main struct Bench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench", abstract: "Measure Tutti's speed on this machine.",
    subcommands: [Step.self, KernelBench.self, AllReduce.self, Features.self, StoreBench.self])
}
