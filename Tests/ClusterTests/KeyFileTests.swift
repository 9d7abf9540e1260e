import Cluster
import Foundation
import Testing

/// Keys in files: what is written is read, and what is wrong is said.
@Suite struct KeyFileTests {
  let keys: KeysFolder

  init() throws { keys = try KeysFolder() }

  @Test("a folder of keys serves a coordinator and a worker")
  func wholeFolder() throws {
    let coordinator = try keys.folder.coordinatorKeys()
    let worker = try keys.host.workerKeys()
    #expect(worker.server == coordinator.own.publicKey)
    #expect(coordinator.admitted.name(of: worker.own.publicKey) == "oboe")
    #expect(coordinator.admitted.name(of: coordinator.own.publicKey) == nil)
    let made = try FileManager.default.subpathsOfDirectory(atPath: keys.path).sorted()
    #expect(
      made == [
        "allowed", "allowed/oboe.public", "coordinator.public", "coordinator.secret", "hosts",
        "hosts/oboe", "hosts/oboe/coordinator.public", "hosts/oboe/worker.secret",
      ])
    for file in made where file.hasSuffix(".secret") {
      let attributes = try FileManager.default.attributesOfItem(atPath: "\(keys.path)/\(file)")
      #expect(attributes[.posixPermissions] as? Int == 0o600)
    }
  }

  @Test("keys are never written over; the coordinator's are kept")
  func neverOver() throws {
    let before = try keys.text(of: keys.folder.coordinatorSecret)
    #expect(try keys.folder.makeCoordinator() == false)
    #expect(try keys.text(of: keys.folder.coordinatorSecret) == before)
    let error = #expect(throws: KeyError.self) { try keys.folder.makeWorker("oboe") }
    #expect(error?.code == .exists && error?.path == keys.permit)
    _ = try keys.folder.makeWorker("flute")
    #expect(throws: KeyError.self) { try keys.host.makeOwnWorker("oboe") }
  }

  @Test("a worker's keys can be made where they stay")
  func onHost() throws {
    let host = KeyFolder(keys.path + "/elsewhere")
    let permit = try host.makeOwnWorker("horn")
    #expect(throws: KeyError.self) { try host.workerKeys() }
    try FileManager.default.copyItem(
      atPath: keys.folder.coordinatorPublic, toPath: host.coordinatorPublic)
    try FileManager.default.copyItem(
      atPath: permit, toPath: keys.folder.allowed + "/horn.public")
    let worker = try host.workerKeys()
    #expect(
      try keys.folder.coordinatorKeys().admitted.name(of: worker.own.publicKey) == "horn")
  }

  struct Damage: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let words: String
    let change: @Sendable (String) -> String

    init(_ what: String, says words: String, _ change: @escaping @Sendable (String) -> String) {
      (testDescription, self.words, self.change) = (what, words, change)
    }

    private static func replacing(
      _ name: String, _ value: @escaping @Sendable (String) -> String
    ) -> @Sendable (String) -> String {
      { text in
        text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
          guard line.contains("\(name) = ") else { return String(line) }
          return value(String(line))
        }.joined(separator: "\n")
      }
    }

    static let all = [
      Damage("nothing", says: "has no public-key under curve") { _ in "" },
      Damage("a long file", says: "at most 4096") { $0 + String(repeating: "#", count: 5000) },
      Damage("an unknown section", says: "line 2 is neither metadata nor curve") {
        $0.replacing("metadata", with: "data")
      },
      Damage("no section", says: "line 2 is not NAME") { $0.replacing("metadata\n", with: "") },
      Damage("a line without a value", says: "line 3 has no value in quotes") {
        $0.replacing("fingerprint = \"", with: "fingerprint = ")
      },
      Damage("a line twice", says: "line 6 repeats") {
        replacing("public-key") { "\($0)\n\($0)" }($0)
      },
      Damage("no public key", says: "has no public-key under curve") {
        replacing("public-key") { _ in "" }($0)
      },
      Damage("a short public key", says: "public-key is not 40 characters of Z85") {
        replacing("public-key") { String($0.dropLast(2)) + "\"" }($0)
      },
      Damage("a public key of other characters", says: "public-key is not 40 characters of Z85") {
        replacing("public-key") { String($0.dropLast(2)) + "~\"" }($0)
      },
      Damage("another public key", says: "does not have the fingerprint") {
        replacing("public-key") { String($0.dropLast(2)) + ($0.hasSuffix("0\"") ? "1\"" : "0\"") }(
          $0)
      },
      Damage("another public key without a fingerprint", says: "do not belong together") {
        replacing("fingerprint") { _ in "" }(
          replacing("public-key") {
            String($0.dropLast(2)) + ($0.hasSuffix("0\"") ? "1\"" : "0\"")
          }($0))
      },
      Damage("a short secret key", says: "secret-key is not 40 characters of Z85") {
        replacing("secret-key") { String($0.dropLast(2)) + "\"" }($0)
      },
      Damage("no secret key", says: "holds no secret-key") {
        replacing("secret-key") { _ in "" }($0)
      },
    ]
  }

  @Test("a damaged private key is refused with what is wrong", arguments: Damage.all)
  func damaged(_ damage: Damage) throws {
    let text = try keys.text(of: keys.host.workerSecret)
    let changed = damage.change(text)
    try #require(changed != text)
    let file = try keys.write(changed, to: "hosts/oboe/worker.secret")
    let error = #expect(throws: KeyError.self) { try keys.host.workerKeys() }
    #expect(error?.path == file && error?.code == .damaged)
    #expect("\(try #require(error))".contains(damage.words), "\(error!)")
    #expect(!"\(error!)".contains("secret-key = "))
  }

  @Test("a certificate of CZMQ or pyzmq is a key, too")
  func foreign() throws {
    let pair = try KeyPair.random()
    let file = try keys.write(
      """
      #   ****  Generated on 2021-03-04 by pyzmq  ****
      #   ZeroMQ CURVE Public Certificate

      metadata
      \temail = "somebody"
      curve
          public-key = "\(pair.publicKey.text)"\r

      """, to: "allowed/foreign.public", mode: 0o644)
    #expect(try KeyFile.readPublic(file) == pair.publicKey)
  }

  @Test("a private key that others may read is refused", arguments: [0o640, 0o604, 0o660])
  func tooOpen(mode: Int) throws {
    for (file, read) in [
      (keys.folder.coordinatorSecret, { _ = try keys.folder.coordinatorKeys() }),
      (keys.host.workerSecret, { _ = try keys.host.workerKeys() }),
    ] {
      try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: file)
      let error = #expect(throws: KeyError.self) { try read() }
      #expect(error?.code == .tooOpen)
      #expect(error?.detail.contains("chmod 600 \(file)") == true)
    }
  }

  @Test("a list that others may change is refused")
  func openList() throws {
    try FileManager.default.setAttributes(
      [.posixPermissions: 0o770], ofItemAtPath: keys.folder.allowed)
    let error = #expect(throws: KeyError.self) { try keys.folder.coordinatorKeys() }
    #expect(error?.code == .tooOpen && error?.path == keys.folder.allowed)
  }

  @Test(
    "a missing file is named, with what makes it",
    arguments: ["worker.secret", "coordinator.public"])
  func missing(file: String) throws {
    try FileManager.default.removeItem(atPath: "\(keys.host.path)/\(file)")
    let error = #expect(throws: KeyError.self) { try keys.host.workerKeys() }
    #expect(error?.code == .missing && error?.path == "\(keys.host.path)/\(file)")
    #expect(error?.detail.contains("tutti keygen --keys KEYS --worker NAME") == true)
  }

  @Test("a coordinator without keys is told how to make them")
  func noCoordinator() throws {
    let error = #expect(throws: KeyError.self) {
      try KeyFolder(keys.path + "/nowhere").coordinatorKeys()
    }
    #expect(error?.code == .missing)
    #expect(error?.detail.contains("tutti keygen --keys \(keys.path)/nowhere") == true)
  }

  @Test("a folder or a pipe in a key's place is no key")
  func noFile() throws {
    let file = keys.host.workerSecret
    try FileManager.default.removeItem(atPath: file)
    try FileManager.default.createDirectory(atPath: file, withIntermediateDirectories: false)
    #expect(throws: KeyError.self) { try keys.host.workerKeys() }
    try FileManager.default.removeItem(atPath: file)
    mkfifo(file, 0o600)
    let error = #expect(throws: KeyError.self) { try keys.host.workerKeys() }
    #expect(error?.detail.contains("is not a file") == true)
  }

  @Test(
    "what does not belong into the list is refused at the start",
    arguments: [
      ("private", "holds a private key"), ("oboe.pub", "is not named like a public key"),
      ("empty.public", "has no public-key"), ("o boe.public", "is not named like a public key"),
    ])
  func strangeFiles(name: String, words: String) throws {
    let isPrivate = name == "private"
    let text = isPrivate ? try keys.text(of: keys.host.workerSecret) : ""
    _ = try keys.write(text, to: "allowed/" + (isPrivate ? "horn.public" : name))
    let error = #expect(throws: KeyError.self) { try keys.folder.coordinatorKeys() }
    #expect(error?.detail.contains(words) == true, "\(String(describing: error))")
  }

  @Test("credentials are read as they were written, and nothing else is")
  func credentials() throws {
    let coordinator = try keys.folder.coordinatorKeys()
    let line = try coordinator.makeCredentials(for: "local")
    let read = try #require(Keys(credentials: line, from: "a line"))
    #expect(read.server == coordinator.own.publicKey)
    #expect(coordinator.admitted.name(of: read.own.publicKey) == "local")
    for wrong in ["", " ", "\(line) x", String(line.dropLast()), "x" + line] {
      #expect(Keys(credentials: wrong, from: "a line") == nil)
    }
  }

  @Test("no description gives a secret away")
  func descriptions() throws {
    let worker = try keys.host.workerKeys()
    let secret = worker.own.secretText
    #expect(
      !"\(worker.own)".contains(secret)
        && "\(worker.own)".contains(worker.own.publicKey.fingerprint))
  }
}
