import Foundation
import Synchronization

extension Tagging {
  /// Tags all inputs: the answers go to standard output as soon as they are known, in the order of
  /// the inputs, and what is wrong with the others to standard error.
  ///
  /// Ctrl-C ends it between two windows; what is answered by then has been written.
  /// - Throws: `TrainingError`: at the end, `.badInput` if there were broken inputs; `.interrupted`;
  ///   `.unavailable` if standard output cannot be written
  package func report(_ inputs: [TaggingInput], _ text: TaggingText, asJSON: Bool) throws {
    let interruption = Interruption {}
    let showsProgress =
      inputs.count > 1 && isatty(STDERR_FILENO) == 1 && isatty(STDOUT_FILENO) == 0
    let counter = showsProgress ? Counter() : nil
    let done = Atomic<Int>(0)
    let broken = Atomic<Int>(0)
    let isStopped: @Sendable () -> Bool = { interruption.signalName != nil }
    let answered = try run(inputs, isStopped: isStopped) { input, outcome in
      let count = done.add(1, ordering: .relaxed).newValue
      defer { counter?.show("tagging", done: count, of: inputs.count) }
      switch outcome {
      case .failure(let error):
        broken.add(1, ordering: .relaxed)
        // The line of the progress ends first.
        Program.say((showsProgress ? "\n" : "") + "\(error)")
        return asJSON ? try Program.writeToStandardOutput(text.json(input, outcome)) : true
      case .success(let probabilities):
        return try Program.writeToStandardOutput(
          asJSON ? text.json(input, outcome) : text.plain(input, probabilities))
      }
    }
    counter?.finish()
    if let signal = interruption.signalName, answered < inputs.count {
      throw TrainingError(
        .interrupted, "\(signal): \(answered) of \(inputs.count) inputs were tagged")
    }
    let failures = broken.load(ordering: .relaxed)
    guard failures == 0 else {
      throw TrainingError(.badInput, "\(failures) of \(inputs.count) inputs could not be tagged")
    }
  }
}
