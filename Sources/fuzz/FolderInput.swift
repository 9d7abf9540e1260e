/// A folder of named files as one input: a line of its own, then each file behind `cut`, its name and
/// a line feed.
struct FolderInput {
  static let cut = "--cut--"

  let head: String
  let files: [(name: String, bytes: [UInt8])]

  init(
    _ head: String, texts: [(name: String, text: String)],
    others: [(name: String, bytes: [UInt8])] = []
  ) {
    self.head = head
    files = texts.map { ($0.name, Array($0.text.utf8)) } + others
  }

  var bytes: [UInt8] {
    files.reduce(Array((head + "\n").utf8)) { bytes, file in
      bytes + Array("\(Self.cut)\(file.name)\n".utf8) + file.bytes
    }
  }

  init(_ bytes: [UInt8]) {
    var parts = pieces(of: bytes, cutBy: Self.cut).map { part in
      let name = part.prefix { $0 != UInt8(ascii: "\n") }
      return (name: String(decoding: name, as: UTF8.self), bytes: part.dropFirst(name.count + 1))
    }
    head = parts.removeFirst().name
    // Odd names of files are the file system's matter, not a reader's.
    files = parts.filter { Self.isName($0.name) }.map { ($0.name, Array($0.bytes)) }
  }

  private static func isName(_ name: String) -> Bool {
    (1...100).contains(name.utf8.count) && !name.hasPrefix(".")
      && name.unicodeScalars.allSatisfy { $0 != "/" && $0.properties.generalCategory != .control }
  }

  func write(to scratch: Scratch) throws {
    for (name, bytes) in files { _ = try scratch.file(name, bytes) }
  }
}

/// The parts of an input between the places where `cut` stands; one at least.
func pieces(of bytes: [UInt8], cutBy cut: String) -> [ArraySlice<UInt8>] {
  let cut = Array(cut.utf8)
  var pieces: [ArraySlice<UInt8>] = []
  var (start, place) = (0, 0)
  while place + cut.count <= bytes.count {
    if bytes[place] == cut[0], bytes[place..<place + cut.count] == cut[...] {
      pieces.append(bytes[start..<place])
      place += cut.count
      start = place
    } else {
      place += 1
    }
  }
  return pieces + [bytes[start...]]
}
