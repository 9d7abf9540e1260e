/// What a process shows and expects on encrypted connections.
///
/// One that listens needs whom it admits, one that connects needs the listener's public key; one that does both,
/// such as a worker that talks to other workers, has one pair for all of it:
/// ```
/// let keys = Keys(own: pair, from: "worker.secret", admitting: others)
/// ZeroMQTransport(keys: keys).listen(at: …)
/// ZeroMQTransport(keys: keys.connecting(to: otherKey, from: "the coordinator's list")).connect(to: …)
/// ```
package struct Keys: Sendable {
  package let own: KeyPair
  /// Who may connect. Nobody, unless said otherwise.
  package let admitted: AllowList
  /// Whose key the listener has that this one connects to.
  package private(set) var server: PublicKey?
  /// Where the keys come from, for words.
  let ownPlace: String
  private(set) var serverPlace = ""

  package init(own: KeyPair, from place: String, admitting admitted: AllowList = AllowList()) {
    (self.own, ownPlace, self.admitted) = (own, place, admitted)
  }

  /// The same for connections to the owner of `server`.
  package func connecting(to server: PublicKey, from place: String) -> Keys {
    var keys = self
    (keys.server, keys.serverPlace) = (server, place)
    return keys
  }

  // MARK: For a worker on the same machine

  /// A fresh key, admitted under `name`, in a line of text that its owner reads back.
  ///
  /// - Throws: `ClusterError.system`
  package func makeCredentials(for name: String) throws(ClusterError) -> String {
    let pair = try KeyPair.random()
    admitted.allow(pair.publicKey, as: name)
    return "\(pair.secretText) \(own.publicKey.text)"
  }

  /// What `makeCredentials` has written.
  package init?(credentials line: String, from place: String) {
    let words = line.split(separator: " ").map(String.init)
    guard words.count == 2, let own = KeyPair(secret: words[0]), let server = PublicKey(words[1])
    else { return nil }
    self = Keys(own: own, from: place).connecting(to: server, from: place)
  }
}
