import Foundation
import Models

/// What a machine takes for the parts of a step: all that a plan must know and cannot compute.
///
/// `tutti plan --json` prints it with the plan, and `--rates` takes it from there, so that a laptop can plan
/// for the machines of a cluster.
package struct PlanRates: Codable, Equatable, Sendable {
  /// What the figures are of; a plan for something else needs others.
  package struct Subject: Codable, Equatable, Sendable {
    package var network: String
    package var weights: Int
    package var multiplyAdds: Int
    package var clipsPerLane: Int
    package var threads: Int

    package init(
      network: String, weights: Int, multiplyAdds: Int, clipsPerLane: Int, threads: Int
    ) {
      (self.network, self.weights, self.multiplyAdds) = (network, weights, multiplyAdds)
      (self.clipsPerLane, self.threads) = (clipsPerLane, threads)
    }
  }

  /// What moving something costs: on this machine, with coordinator and workers on its cores, and in seconds of
  /// processors, sending and receiving together.
  package struct Cost: Codable, Equatable, Sendable {
    package var seconds: Double
    package var processorSeconds: Double

    package init(seconds: Double, processorSeconds: Double) {
      (self.seconds, self.processorSeconds) = (seconds, processorSeconds)
    }
  }

  package var subject: Subject
  package var processor: String
  package var cores: Int
  /// Forward and backward pass of a lane, on `subject.threads` threads.
  package var secondsPerLane: Double
  /// Forward pass of one clip, likewise.
  package var secondsPerClip: Double
  /// The coordinator's work between sum and weights: Adam, norm, looking for NaN, hash, copies.
  package var updateSeconds: Double
  /// A byte of a vector added to another.
  package var secondsPerByteAdded: Double
  /// A byte of a vector copied and hashed.
  package var secondsPerByteCopied: Double
  /// Weights out and a sum in, of a few bytes, with one worker: the ways from thread to thread.
  package var roundTripSeconds: Double
  /// One of the messages that a worker and the coordinator exchange at a step.
  package var message: Cost
  /// A byte of a vector, one way in frames over TCP; encrypted or not.
  package var plainByte: Cost
  package var encryptedByte: Cost

  package init(
    subject: Subject, processor: String, cores: Int, secondsPerLane: Double,
    secondsPerClip: Double, updateSeconds: Double, secondsPerByteAdded: Double,
    secondsPerByteCopied: Double, roundTripSeconds: Double, message: Cost, plainByte: Cost,
    encryptedByte: Cost
  ) {
    (self.subject, self.processor, self.cores) = (subject, processor, cores)
    (self.secondsPerLane, self.secondsPerClip) = (secondsPerLane, secondsPerClip)
    self.updateSeconds = updateSeconds
    (self.secondsPerByteAdded, self.secondsPerByteCopied) = (
      secondsPerByteAdded, secondsPerByteCopied
    )
    (self.roundTripSeconds, self.message) = (roundTripSeconds, message)
    (self.plainByte, self.encryptedByte) = (plainByte, encryptedByte)
  }

  /// Reads what `tutti plan --json` has written.
  ///
  /// - Throws: `TrainingError` if it is something else, or its figures cannot be
  package init(path: String) throws {
    struct File: Decodable { let rates: PlanRates }
    guard let data = try? Data(contentsOf: URL(fileURLWithPath: path)) else {
      throw TrainingError(.badInput, "there is no file \(path) that can be read")
    }
    guard let file = try? JSONDecoder().decode(File.self, from: data) else {
      throw TrainingError(
        .badInput, "\(path) has no rates: --rates takes what `tutti plan --json` has printed")
    }
    self = file.rates
    let costs = [message, plainByte, encryptedByte].flatMap { [$0.seconds, $0.processorSeconds] }
    let seconds = [secondsPerLane, secondsPerClip, updateSeconds, roundTripSeconds]
    let perByte = [secondsPerByteAdded, secondsPerByteCopied]
    let counts = 1...65_536
    guard counts.contains(cores), counts.contains(subject.threads),
      (seconds + perByte + costs).allSatisfy({ $0 >= 0 && $0 < 1e6 }), secondsPerLane > 0
    else {
      throw TrainingError(.badInput, "\(path) has rates that cannot be: measure them anew")
    }
  }

  /// - Throws: `TrainingError` if they are of something else than `wanted`
  package func require(_ wanted: Subject, path: String) throws(TrainingError) {
    let differences = [
      ("network", subject.network, wanted.network),
      ("weights", "\(subject.weights)", "\(wanted.weights)"),
      ("multiply-adds a clip", "\(subject.multiplyAdds)", "\(wanted.multiplyAdds)"),
      ("clips a lane", "\(subject.clipsPerLane)", "\(wanted.clipsPerLane)"),
      ("threads", "\(subject.threads)", "\(wanted.threads)"),
    ].filter { $0.1 != $0.2 }
    guard let (what, theirs, ours) = differences.first else { return }
    throw TrainingError(
      .badInput,
      "the rates in \(path) are of another job: \(what) \(theirs), and here \(ours); give the "
        + "configuration and --threads that they were measured with, or measure anew")
  }
}
