import Audio
import Foundation
import Kernels
import Synchronization

/// A model put to many sounds: on all cores, a sound at a time on each, with the answers in the order
/// of the questions. What it says of a sound does not depend on the threads or on other sounds.
package struct Tagging: Sendable {
  package let model: TaggingModel
  private let hearing: Hearing?
  /// Fewer than asked for where memory is short.
  package let threads: Int
  /// What a person should know: windows that are very short, threads that are fewer than asked for.
  package let notes: [String]

  /// What came of one input.
  package typealias Outcome = Result<TagProbabilities, any Error>

  /// To tag sounds.
  ///
  /// - Parameters:
  ///   - path: the model's, for messages
  ///   - window: seconds; with neither window nor hop, one excerpt from a file's middle is tagged
  ///   - hop: seconds from one window's start to the next
  ///   - memory: what may be taken
  /// - Throws: `TrainingError`, `CheckpointError` if the model cannot tag sounds so, or not here
  package init(
    _ model: TaggingModel, path: String, window: Double?, hop: Double?, threads: Int,
    memory: MemoryBudget = .machine
  ) throws {
    let hearing = try Hearing(model, path: path, window: window, hop: hop)
    try self.init(model, path: path, hearing, threads, memory)
  }

  /// To tag maps of features.
  package init(
    maps model: TaggingModel, path: String, threads: Int, memory: MemoryBudget = .machine
  ) throws {
    try self.init(model, path: path, nil, threads, memory)
  }

  private init(
    _ model: TaggingModel, path: String, _ hearing: Hearing?, _ wanted: Int, _ memory: MemoryBudget
  ) throws {
    let tagger = Tagger.memory(model, hearing)
    try memory.require(
      tagger, for: "tagging with \(path)",
      advice: "tag on another machine, or in shorter windows")
    self.model = model
    self.hearing = hearing
    threads = min(wanted, memory.bytes / tagger)
    let threadNote =
      threads < wanted ? "\(threads) of \(wanted) threads: there is no memory for more" : nil
    notes = [hearing?.note, threadNote].compactMap(\.self)
  }

  /// Tags all inputs.
  ///
  /// - Parameters:
  ///   - isStopped: asked often, from any thread; if so, what is not done is left
  ///   - output: called for each input in their order, as soon as those before are done; one call at a
  ///     time. Returning false, or throwing, ends it all
  /// - Returns: how many inputs were answered
  package func run(
    _ inputs: [TaggingInput], isStopped: @Sendable () -> Bool = { false },
    output: @Sendable (TaggingInput, Outcome) throws -> Bool
  ) throws -> Int {
    let next = Atomic<Int>(0)
    let answers = Mutex(Answers())
    DispatchQueue.concurrentPerform(iterations: max(1, min(threads, inputs.count))) { _ in
      do {
        let tagger = try Tagger(model, hearing)
        while !isStopped(), answers.withLock({ !$0.isOver }) {
          let index = next.add(1, ordering: .relaxed).oldValue
          guard index < inputs.count else { return }
          let outcome = Outcome { try tagger.tag(inputs[index], isStopped: isStopped) }
          if case .failure(is CancellationError) = outcome { return }
          answers.withLock { $0.add(outcome, at: index, inputs, output) }
        }
      } catch {
        answers.withLock { $0.failure = $0.failure ?? error }
      }
    }
    return try answers.withLock { answers in
      if let failure = answers.failure { throw failure }
      return answers.given
    }
  }

  /// Answers that wait for those before them.
  private struct Answers {
    var waiting: [Int: Outcome] = [:]
    var given = 0
    var isRefused = false
    var failure: (any Error)?
    var isOver: Bool { isRefused || failure != nil }

    mutating func add(
      _ outcome: Outcome, at index: Int, _ inputs: [TaggingInput],
      _ output: (TaggingInput, Outcome) throws -> Bool
    ) {
      waiting[index] = outcome
      while !isOver, let outcome = waiting.removeValue(forKey: given) {
        do { isRefused = try !output(inputs[given], outcome) } catch { failure = error }
        given += 1
      }
    }
  }
}
