import Cluster

/// Who may take part in a run: the same build, and a processor that rounds as the coordinator's does.
struct Admission {
  let build: String
  /// The coordinator's processor, for words.
  let processor: String
  /// Hash of the probe's gradient as the coordinator computes it; nil takes whoever computes another.
  let proof: UInt64?

  /// - Returns: why a worker that says this is refused
  func objection(to hello: Hello) -> String? {
    guard hello.build != build else { return nil }
    return "this worker is build \(hello.build) and the coordinator is build \(build): "
      + "install the same on both"
  }

  /// - Returns: why a worker that comes to this gradient is refused
  func objection(to proof: UInt64, of hello: Hello) -> String? {
    guard let own = self.proof, own != proof else { return nil }
    return "this worker computes on \(hello.processor) and the coordinator on \(processor), "
      + "and they round differently (the probe's gradient has hash \(String(proof, radix: 16)) and "
      + "\(String(own, radix: 16))): --allow-mixed-cpus takes it, and the result may then depend on who "
      + "computes what"
  }
}
