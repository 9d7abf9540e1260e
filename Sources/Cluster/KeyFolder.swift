import Glibc

/// The folder that `--keys` names:
/// ```
/// keys/                           at the coordinator         keys/               at a worker
///   coordinator.secret            stays there                  worker.secret
///   coordinator.public                                         coordinator.public
///   allowed/oboe.public           who may join
///   hosts/oboe/                   to be copied to that host as its folder of keys
/// ```
/// A worker joins by a file in `allowed`, and is shut out when that is removed.
package struct KeyFolder: Sendable {
  package let path: String

  package init(_ path: String) { self.path = path }

  package var coordinatorSecret: String { path + "/coordinator.secret" }
  package var coordinatorPublic: String { path + "/coordinator.public" }
  package var workerSecret: String { path + "/worker.secret" }
  package var allowed: String { path + "/allowed" }

  /// What a coordinator needs: its own key, and whom it admits.
  ///
  /// - Throws: `KeyError` for the first file that is missing, damaged or open to others
  package func coordinatorKeys() throws(KeyError) -> Keys {
    let own = try require(
      coordinatorSecret, "tutti keygen --keys \(path) makes it", KeyFile.readSecret)
    for folder in [path, allowed] { try Self.requireOwnersAlone(folder) }
    return Keys(own: own, from: coordinatorSecret, admitting: try AllowList(folder: allowed))
  }

  /// What a worker needs: its own key, and the coordinator's public one.
  ///
  /// - Throws: `KeyError` for the first file that is missing, damaged or open to others
  package func workerKeys() throws(KeyError) -> Keys {
    let advice =
      "on the coordinator's machine, tutti keygen --keys KEYS --worker NAME makes a folder "
      + "KEYS/hosts/NAME to copy here"
    let own = try require(workerSecret, advice, KeyFile.readSecret)
    let server = try require(coordinatorPublic, advice, KeyFile.readPublic)
    return Keys(own: own, from: workerSecret).connecting(to: server, from: coordinatorPublic)
  }

  private func require<Key>(
    _ file: String, _ advice: String, _ read: (String) throws(KeyError) -> Key
  ) throws(KeyError) -> Key {
    do { return try read(file) } catch {
      guard error.code == .missing else { throw error }
      throw KeyError(.missing, path: file, detail: "is missing: \(advice)")
    }
  }

  /// Who may write there decides who may join.
  private static func requireOwnersAlone(_ folder: String) throws(KeyError) {
    var status = stat()
    guard stat(folder, &status) == 0 else {
      guard errno == ENOENT else { throw KeyError.system(folder, errno) }
      throw KeyError(
        .missing, path: folder,
        detail: "is missing: tutti keygen makes such a folder, with all in it")
    }
    guard status.st_mode & 0o022 == 0 else {
      throw KeyError(
        .tooOpen, path: folder,
        detail: "can be changed by others, who could let anybody join: chmod go-w \(folder)")
    }
  }

  // MARK: Making keys

  /// Makes the coordinator's keys where there are none.
  ///
  /// - Returns: whether they are new
  /// - Throws: `KeyError`
  package func makeCoordinator() throws -> Bool {
    for folder in [path, allowed] { try Self.makeFolder(folder) }
    guard access(coordinatorSecret, F_OK) != 0 else {
      let pair = try KeyFile.readSecret(coordinatorSecret)
      if access(coordinatorPublic, F_OK) != 0 {
        try KeyFile.write(pair, secret: false, to: coordinatorPublic)
      }
      return false
    }
    let pair = try KeyPair.random()
    try KeyFile.write(pair, secret: true, to: coordinatorSecret)
    try KeyFile.write(pair, secret: false, to: coordinatorPublic)
    return true
  }

  /// Makes a worker's keys beside the coordinator's, and lets it join.
  ///
  /// - Returns: the folder to copy to its host, and the file that lets it join
  /// - Throws: `KeyError`; `.exists` if there are keys of that name
  package func makeWorker(_ name: String) throws -> (host: KeyFolder, permit: String) {
    let coordinator = try KeyFile.readSecret(coordinatorSecret)
    let host = KeyFolder("\(path)/hosts/\(name)")
    let permit = "\(allowed)/\(name).public"
    for place in [permit, host.path] where access(place, F_OK) == 0 {
      throw KeyError(
        .exists, path: place,
        detail: "is there already: remove \(permit) and \(host.path) to make new keys for \(name)")
    }
    for folder in ["\(path)/hosts", host.path] { try Self.makeFolder(folder) }
    let pair = try KeyPair.random()
    try KeyFile.write(pair, secret: true, to: host.workerSecret)
    try KeyFile.write(coordinator, secret: false, to: host.coordinatorPublic)
    try KeyFile.write(pair, secret: false, to: permit)
    return (host, permit)
  }

  /// Makes a worker's keys on its own host, so that the private one never travels.
  ///
  /// - Returns: the public key's file, to be copied to the coordinator
  /// - Throws: `KeyError`; `.exists` if there is one
  package func makeOwnWorker(_ name: String) throws -> String {
    try Self.makeFolder(path)
    let pair = try KeyPair.random()
    let permit = "\(path)/\(name).public"
    try KeyFile.write(pair, secret: true, to: workerSecret)
    try KeyFile.write(pair, secret: false, to: permit)
    return permit
  }

  private static func makeFolder(_ path: String) throws(KeyError) {
    guard mkdir(path, 0o700) == 0 || errno == EEXIST else { throw KeyError.system(path, errno) }
  }
}
