import Audio
import Cluster
import Dataset
import Kernels
import Models
import Synthesis

/// How a program ends; the README's table has the same numbers.
package enum ExitStatus: Int32, Sendable {
  case done = 0
  /// The command line asks for something that does not exist.
  case usage = 64
  /// A file, a store or a configuration is not what it should be.
  case badInput = 65
  /// A peer, a port, a disk or another resource is not to be had; the state is saved.
  case unavailable = 69
  /// Our own bug.
  case fault = 70
  /// Interrupted by a person or a scheduler; the state is saved.
  case interrupted = 130

  /// The status for an error that ended a program.
  package init(_ error: any Error) {
    switch error {
    case let error as TrainingError: self = error.status
    case is KernelChoice.Refusal: self = .usage
    case let error as DatasetError: self = ExitStatus(rawValue: error.exitCode) ?? .badInput
    case is FileError, is ClusterError: self = .unavailable
    case let error as RunError: self = error.code == .inUse ? .unavailable : .badInput
    case let error as SynthesisError:
      switch error.code {
      case .tooFewClips: self = .usage
      case .occupied: self = .badInput
      case .busy, .notWritable, .diskFull: self = .unavailable
      }
    case let error as KeyError: self = error.code == .unavailable ? .unavailable : .badInput
    case is ConfigurationError, is NetworkError, is CheckpointError, is AudioError: self = .badInput
    default: self = .fault
    }
  }
}

/// Something that ends a run or a tool: one sentence, and the status it ends with.
package struct TrainingError: Error, CustomStringConvertible, Equatable {
  package let status: ExitStatus
  package let description: String

  package init(_ status: ExitStatus, _ description: String) {
    self.status = status
    self.description = description
  }
}
