/// Why somebody and this process did not come to talk: found before any message, while both sides make
/// out who they are.
package enum AccessProblem: Hashable, Sendable {
  // At the one who listens; the address is the other's, as far as it is known
  /// It has shown a key, but not one that is allowed.
  case unknownKey(PublicKey, address: String?, folder: String?)
  /// What it encrypts cannot be read with this side's key.
  case otherServer(address: String?, own: PublicKey)
  /// It does not encrypt, and this side does.
  case withoutKeys(address: String?)
  /// It encrypts, and this side does not.
  case withKeys(address: String?)
  /// It says something else than ZeroMQ would.
  case otherProtocol(address: String?)
  /// It left, or kept silent too long, before it had said who it is.
  case leftEarly(address: String?)
  /// A public key's file that cannot be used.
  case keyFile(String)

  // At the one who connects
  case refused(own: PublicKey, place: String)
  case serverWithoutKeys
  case serverWithKeys
  case serverSpeaksOtherwise
  /// Again and again the other side hung up before the handshake was over.
  case hungUp(server: PublicKey?, place: String)

  /// What is counted as the same; see `AccessCounters`.
  enum Kind: Hashable, Sendable {
    case key(PublicKey)
    case otherServer, withoutKeys, withKeys, otherProtocol, leftEarly
  }

  /// Nil for what is told whenever it comes.
  var kind: Kind? {
    switch self {
    case .unknownKey(let key, _, _): .key(key)
    case .otherServer: .otherServer
    case .withoutKeys: .withoutKeys
    case .withKeys: .withKeys
    case .otherProtocol: .otherProtocol
    case .leftEarly: .leftEarly
    default: nil
    }
  }

  /// Whether another attempt will end in the same way.
  var isFinal: Bool {
    switch self {
    case .refused, .serverWithoutKeys, .serverWithKeys: true
    default: false
    }
  }

  /// For programs: what a record of it says beside the sentence.
  package var name: String {
    switch self {
    case .unknownKey: "unknown key"
    case .otherServer: "wrong coordinator key"
    case .withoutKeys: "no keys"
    case .withKeys: "unwanted keys"
    case .otherProtocol: "other protocol"
    case .leftEarly: "left early"
    case .keyFile: "key file"
    default: "refused"
    }
  }

  package var address: String? {
    switch self {
    case .unknownKey(_, let address, _), .otherServer(let address, _), .withoutKeys(let address),
      .withKeys(let address), .otherProtocol(let address), .leftEarly(let address):
      address
    default: nil
    }
  }

  package var key: PublicKey? {
    if case .unknownKey(let key, _, _) = self { key } else { nil }
  }
}

extension AccessProblem: CustomStringConvertible {
  package var description: String {
    let who = "somebody" + (address.map { " at \($0)" } ?? "")
    return switch self {
    case .unknownKey(let key, _, let folder):
      "refused \(who) with the \(key), which is not "
        + (folder.map { "in \($0): copy the worker's public key there to let it join" }
          ?? "one of this run's")
    case .otherServer(_, let own):
      "refused \(who) who has another coordinator's public key than this one's (\(own)), or repeats "
        + "what others have said: a worker's coordinator.public must be the one of this folder of keys"
    case .withoutKeys: "refused \(who) without keys: a worker needs --keys here"
    case .withKeys: "refused \(who) with keys, and this side has none: start it with --keys, too"
    case .otherProtocol: "refused \(who) who does not speak as ZeroMQ does"
    case .leftEarly: "\(who) connected, but left or kept silent before the handshake was over"
    case .keyFile(let sentence): sentence
    case .refused(let own, let place):
      "it does not know this worker's \(own) (\(place)): copy its public key into the folder allowed of "
        + "the coordinator's keys, if this worker may join"
    case .serverWithoutKeys:
      "it has no keys, and this side does: start the coordinator with --keys, or this worker without"
    case .serverWithKeys: "it takes only workers with keys: start this worker with --keys"
    case .serverSpeaksOtherwise:
      "somebody listens who does not speak as ZeroMQ does; is the port right?"
    case .hungUp(let server?, let place):
      "it hung up before the handshake was over: its key is not the \(server) (\(place)), or it is no "
        + "coordinator; copy its coordinator.public here"
    case .hungUp(nil, _):
      "somebody listens, but hung up before the handshake was over; is it a coordinator of Tutti?"
    }
  }
}

/// How often each problem came. However often, only a few are worth telling: the first, the tenth, the
/// hundredth, and of keys that nobody knows only so many.
struct AccessCounters: Sendable {
  private static let mostKeys = 32
  private var counts: [AccessProblem.Kind: Int] = [:]
  private var keys = 0
  private var otherKeys = 0

  /// - Returns: how often it has come by now, if that is worth telling
  mutating func count(_ problem: AccessProblem) -> Int? {
    guard let kind = problem.kind else { return 1 }
    if case .key = kind, counts[kind] == nil {
      guard keys < Self.mostKeys else {
        otherKeys += 1
        return Self.isTold(otherKeys) ? otherKeys : nil
      }
      keys += 1
    }
    let count = counts[kind, default: 0] + 1
    counts[kind] = count
    return Self.isTold(count) ? count : nil
  }

  private static func isTold(_ count: Int) -> Bool {
    var power = 1
    while power < count { power *= 10 }
    return power == count
  }
}
