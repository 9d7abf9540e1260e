import Glibc

/// The public keys of those who may connect, by name: files in a folder, and what the program adds.
///
/// A file `oboe.public` lets the owner of its key in as oboe. `refresh` notices what was copied in, replaced
/// or removed; a file that cannot be read is passed over, with a complaint.
package final class AllowList: Sendable {
  fileprivate struct State: Sendable {
    var added: [PublicKey: String] = [:]
    var found: [PublicKey: String] = [:]
    var complaints: [String] = []
    /// Complaints that were told.
    var told: Set<String> = []
  }

  /// For words: where to put a key.
  package let folder: String?
  private let state = Guarded(State())

  /// Nobody.
  package init() { folder = nil }

  /// Those in `folder`.
  ///
  /// - Throws: `KeyError` for the folder, or the first file in it that is no public key
  package init(folder: String) throws(KeyError) {
    self.folder = folder
    let (found, complaints) = try Self.read(folder)
    if let complaint = complaints.first { throw complaint }
    state.update { $0.found = found }
  }

  package func allow(_ key: PublicKey, as name: String) {
    state.update { $0.added[key] = name }
  }

  /// Those whom the program has added are from now on just these.
  func allowOnly(_ keys: [PublicKey], as name: String) {
    let added = Dictionary(keys.map { ($0, name) }) { first, _ in first }
    state.update { $0.added = added }
  }

  package func revoke(_ key: PublicKey) { state.update { $0.added[key] = nil } }

  /// Under which name a key is allowed; nil if it is not.
  package func name(of key: PublicKey) -> String? {
    let state = state.value
    return state.added[key] ?? state.found[key]
  }

  /// Whether nobody may join.
  package var isEmpty: Bool {
    let state = state.value
    return state.added.isEmpty && state.found.isEmpty
  }

  /// Looks at the folder again. If the system cannot do that now, all stays as it is, with a complaint:
  /// who is in must not be sent away because files have run out.
  func refresh() {
    guard let folder else { return }
    do throws(KeyError) {
      let (found, complaints) = try Self.read(folder)
      state.update { state in
        state.found = found
        state.complain(complaints, "; it lets nobody in")
      }
    } catch {
      state.update { state in
        guard error.code == .unavailable else {
          state.found = [:]
          return state.complain([error], "; it lets nobody in")
        }
        state.complain([error], "; who may join stays as it was")
      }
    }
  }

  /// Complaints that were not told yet.
  func takeComplaints() -> [String] {
    guard folder != nil else { return [] }
    return state.update { state in
      defer { state.complaints = [] }
      return state.complaints
    }
  }

  private static func read(
    _ folder: String
  ) throws(KeyError) -> (found: [PublicKey: String], complaints: [KeyError]) {
    guard let stream = opendir(folder) else { throw KeyError.system(folder, errno) }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      names.append(
        withUnsafePointer(to: &entry.pointee.d_name) { pointer in
          pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        })
    }
    var found: [PublicKey: String] = [:]
    var complaints: [KeyError] = []
    for file in names.sorted() where !file.hasPrefix(".") {
      let path = "\(folder)/\(file)"
      do throws(KeyError) {
        let name = String(file.dropLast(".public".count))
        guard file.hasSuffix(".public"), isName(name) else {
          throw KeyError(
            .damaged, path: path,
            detail: "is not named like a public key: NAME.public, the name of letters, digits and "
              + "- _ .")
        }
        found[try KeyFile.readPublic(path)] = name
      } catch {
        if error.code == .unavailable { throw error }
        // One that is removed in this moment is no defect.
        if error.code != .missing { complaints.append(error) }
      }
    }
    return (found, complaints)
  }

  /// Whether a worker can be called so: what is good for a file and for a line in a log.
  package static func isName(_ name: String) -> Bool {
    (1...64).contains(name.utf8.count) && !name.hasPrefix(".")
      && name.utf8.allSatisfy { byte in
        let character = Character(UnicodeScalar(byte))
        return byte < 128 && (character.isLetter || character.isNumber || "-_.".contains(character))
      }
  }
}

extension AllowList.State {
  /// Each once, as long as it holds; however many files there are, few of them.
  fileprivate mutating func complain(_ defects: [KeyError], _ consequence: String) {
    let sentences = defects.prefix(16).map { "\($0)\(consequence)" }
    complaints += sentences.filter { !told.contains($0) }
    told = Set(sentences)
  }
}
