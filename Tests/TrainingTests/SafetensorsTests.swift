import Foundation
import Testing
import Training

/// A header and what is wrong with it; the data after it are `dataCount` zeros.
struct BadHeader: CustomTestStringConvertible, Sendable {
  let json: String
  let dataCount: Int
  let code: CheckpointError.Code
  let saying: String
  var testDescription: String { String(json.prefix(100)) }

  init(
    _ json: String, data: Int = 0, as code: CheckpointError.Code = .malformed, _ saying: String
  ) {
    (self.json, dataCount, self.code, self.saying) = (json, data, code, saying)
  }
}

@Suite struct SafetensorsTests {
  let folder: TemporaryFolder
  var path: String { folder / "file.safetensors" }

  init() throws { folder = try TemporaryFolder() }

  static let tensors = [
    SafetensorsTensor("conv1.weight", shape: [2, 1, 1, 3]),
    SafetensorsTensor("adam.m", .float64, shape: [2]),
    SafetensorsTensor("step", .int64, shape: []),
    SafetensorsTensor("empty", shape: [0, 4]),
  ]
  static let metadata = ["tags": "[\"ぽっぷ\"]", "odd": "\"\\\n\t\u{1}\u{7f}/", "": ""]

  func writeExample(_ fileSystem: FileSystem = .real) throws {
    try SafetensorsWriter.write(
      path, tensors: Self.tensors, metadata: Self.metadata, fileSystem: fileSystem
    ) { writer in
      try writer.append([1, -0.0, .infinity, .nan, .leastNonzeroMagnitude, 1 / 3] as [Float])
      try writer.append([.pi, 1 / 3] as [Double])
      try writer.append([Int64.min])
      try writer.append([Float]())
    }
  }

  func write(_ bytes: some Sequence<UInt8>) throws {
    try Data(bytes).write(to: URL(fileURLWithPath: path))
  }

  func write(header: some Collection<UInt8>, dataCount: Int) throws {
    let length = (0..<8).map { UInt8(truncatingIfNeeded: header.count >> ($0 * 8)) }
    try write(length + header + [UInt8](repeating: 0, count: dataCount))
  }

  func bytes() throws -> [UInt8] { [UInt8](try Data(contentsOf: URL(fileURLWithPath: path))) }

  @Test("what is written is read back, bit for bit")
  func roundTrip() throws {
    try writeExample()
    let file = try SafetensorsFile(path: path)
    #expect(file.tensors == Self.tensors)
    #expect(file.metadata.filter { $0.key != "checksum" } == Self.metadata)
    #expect(file.hasChecksum)
    try file.verify()
    let weights = try file.read("conv1.weight", as: Float.self, shape: [2, 1, 1, 3])
    #expect(
      weights.map(\.bitPattern)
        == ([1, -0.0, .infinity, .nan, .leastNonzeroMagnitude, 1 / 3] as [Float]).map(\.bitPattern))
    #expect(try file.read("adam.m") == [.pi, 1 / 3] as [Double])
    #expect(try file.read("step") == [Int64.min])
    #expect(try file.read("empty") == [Float]())
    #expect(file.tensor("none") == nil)
  }

  static func golden(_ name: String) -> String {
    URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .appendingPathComponent("Goldens/" + name).path
  }

  @Test("the same tensors and metadata make the same bytes, and Python reads them")
  func deterministic() throws {
    try writeExample()
    // make_safetensors.py opens this golden with Python's safetensors and recomputes the checksum.
    let golden = try Data(contentsOf: URL(fileURLWithPath: Self.golden("tutti.safetensors")))
    #expect(try bytes() == [UInt8](golden))
  }

  @Test("a tensor is read into a buffer of the caller's, which must fit")
  func readsInto() throws {
    try writeExample()
    let file = try SafetensorsFile(path: path)
    var doubles: [Double] = [0, 0]
    var span = doubles.mutableSpan
    try file.read("adam.m", into: &span)
    #expect(doubles == [.pi, 1 / 3])
    var three: [Double] = [0, 0, 0]
    var tooLong = three.mutableSpan
    #expect(throws: CheckpointError.self) { try file.read("adam.m", into: &tooLong) }
    #expect(three == [0, 0, 0])
  }

  @Test("a file by Python's safetensors is read")
  func python() throws {
    let file = try SafetensorsFile(path: Self.golden("python.safetensors"))
    #expect(!file.hasChecksum)
    try file.verify()
    #expect(
      file.metadata == [
        "step": "12", "tags": "[\"rock\", \"ぽっぷ\", \"a\\\"b\"]", "line": "a\nb\tc\u{1}",
      ])
    #expect(
      try file.read("conv1.weight", shape: [2, 1, 3, 4]) == (0..<24).map { Float($0) / 7 })
    let bias: [Float] = try file.read("conv1.bias")
    #expect(bias == [0, .infinity, .leastNonzeroMagnitude] && bias[0].sign == .minus)
    #expect(try file.read("adam.beta") == [0.9, 1.0 / 3])
    #expect(try file.read("bn1.num_batches_tracked", shape: []) == [Int64(-5)])
    #expect(file.tensor("empty")?.shape == [0, 3])
  }

  @Test("asking for what is not there says what is")
  func mismatches() throws {
    try writeExample()
    let file = try SafetensorsFile(path: path)
    func detail(_ body: () throws -> Void) throws -> String {
      let error = try #require(throws: CheckpointError.self) { try body() }
      #expect(error.code == .mismatched && error.path == path)
      return error.detail
    }
    #expect(try detail { _ = try file.read("gru1", as: Float.self) } == "it has no tensor gru1")
    #expect(
      try detail { _ = try file.read("step", as: Float.self) }
        == "step is I64 [], and F32 is needed")
    #expect(
      try detail { _ = try file.read("adam.m", as: Double.self, shape: [2, 1]) }
        == "adam.m is F64 [2], and F64 [2, 1] is needed")
  }

  @Test("any changed byte is noticed, by the header's check or by the checksum")
  func bitFlips() throws {
    try writeExample()
    let good = try bytes()
    for index in good.indices {
      var bad = good
      bad[index] ^= 1 << (index % 8)
      try write(bad)
      #expect(throws: CheckpointError.self, "byte \(index)") {
        let file = try SafetensorsFile(path: path)
        // A checksum that is no longer recognised as one is the one change that opens.
        if !file.hasChecksum { throw CheckpointError(.damaged, path: path, detail: "") }
        try file.verify()
      }
    }
  }

  @Test("any shortened or lengthened file is refused when it is opened")
  func truncations() throws {
    try writeExample()
    let good = try bytes()
    for count in 0..<good.count {
      try write(good[..<count])
      let error = try #require(throws: CheckpointError.self) { try SafetensorsFile(path: path) }
      #expect(error.code == .truncated, "\(count): \(error)")
    }
    try write(good + [0])
    let error = try #require(throws: CheckpointError.self) { try SafetensorsFile(path: path) }
    #expect(error.detail == "1 bytes follow the last tensor")
  }

  @Test("a file cut while it is open is an error, not the end of the process")
  func cutWhileOpen() throws {
    try writeExample()
    let file = try SafetensorsFile(path: path)
    #expect(truncate(path, off_t(try bytes().count - 4)) == 0)
    let error = try #require(throws: CheckpointError.self) { try file.verify() }
    #expect(error.code == .truncated)
    #expect(throws: CheckpointError.self) { try file.read("step", as: Int64.self) }
  }

  static func entry(
    _ name: String, _ shape: String, _ offsets: String, type: String = "F32"
  ) -> String {
    "\"\(name)\":{\"dtype\":\"\(type)\",\"shape\":\(shape),\"data_offsets\":\(offsets)}"
  }

  @Test(
    "bad headers are refused, each for its reason",
    arguments: [
      BadHeader("", "where { should be"),
      BadHeader("[]", "where { should be"),
      BadHeader("{", "where \" should be"),
      BadHeader("{}x", "the end of the header"),
      BadHeader("{\"a\":1}", "where { should be"),
      BadHeader("{\"a\":{}}", "a lacks its dtype, shape or data_offsets"),
      BadHeader("{\(entry("a", "[1]", "[0]"))}", data: 4, "lacks its"),
      BadHeader("{\(entry("a", "[1]", "[0,4]")),}", data: 4, "where \" should be"),
      BadHeader(
        "{\(entry("a", "[1]", "[0,4]")),\(entry("a", "[1]", "[4,8]"))}", data: 8, "a stands twice"),
      BadHeader(
        "{\(entry("a", "[1]", "[0,4]")),\(entry("b", "[1]", "[0,4]"))}", data: 4,
        "b begins at byte 0"),
      BadHeader(
        "{\(entry("a", "[2]", "[0,8]")),\(entry("b", "[1]", "[4,8]"))}", data: 8, "begins at byte 4"
      ),
      BadHeader(
        "{\(entry("a", "[1]", "[0,4]")),\(entry("b", "[1]", "[8,12]"))}", data: 12,
        "begins at byte 8"),
      BadHeader("{\(entry("a", "[1]", "[4,8]"))}", data: 8, "begins at byte 4"),
      BadHeader("{\(entry("a", "[1]", "[4,0]"))}", data: 4, "cannot be bytes 4 to 0"),
      BadHeader("{\(entry("a", "[2]", "[0,4]"))}", data: 4, "cannot be bytes 0 to 4"),
      BadHeader("{\(entry("a", "[1]", "[0,4]"))}", data: 3, as: .truncated, "the file has 3"),
      BadHeader("{\(entry("a", "[1]", "[0,4]"))}", data: 5, "1 bytes follow"),
      BadHeader("{\(entry("a", "[4611686018427387904]", "[0,0]"))}", "cannot be bytes"),
      BadHeader("{\(entry("a", "[4294967296,4294967296]", "[0,0]"))}", "cannot be bytes"),
      BadHeader("{\(entry("a", "[9223372036854775808]", "[0,0]"))}", as: .tooLarge, "63 bits"),
      BadHeader(
        "{\(entry("a", "[1,1,1,1,1,1,1,1,1]", "[0,4]"))}", data: 4, as: .tooLarge, "dimensions"),
      BadHeader("{\(entry("a", "[-1]", "[0,4]"))}", data: 4, "an integer"),
      BadHeader("{\(entry("a", "[1.0]", "[0,4]"))}", data: 4, "where ] should be"),
      BadHeader("{\(entry("a", "[01]", "[0,4]"))}", data: 4, "an integer"),
      BadHeader(
        "{\(entry("a", "[1]", "[0,4]", type: "F8_E4M3"))}", data: 1, as: .unsupported,
        "Tutti reads F16, BF16, F32, F64, I64"),
      BadHeader("{\(entry("", "[1]", "[0,4]"))}", data: 4, "printable ASCII"),
      BadHeader("{\(entry("é", "[1]", "[0,4]"))}", data: 4, "printable ASCII"),
      BadHeader("{\(entry("a\\n", "[1]", "[0,4]"))}", data: 4, "printable ASCII"),
      BadHeader(
        "{\(entry(String(repeating: "a", count: 257), "[1]", "[0,4]"))}", data: 4, "printable ASCII"
      ),
      BadHeader("{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\"}}", "dtype twice"),
      BadHeader("{\"a\":{\"stride\":[1]}}", "stride"),
      BadHeader("{\"__metadata__\":{},\"__metadata__\":{}}", "two __metadata__"),
      BadHeader("{\"__metadata__\":{\"a\":\"1\",\"a\":\"2\"}}", "a stands twice in the metadata"),
      BadHeader("{\"__metadata__\":{\"a\":1}}", "where \" should be"),
      BadHeader("{\"__metadata__\":{\"a\":\"\n\"}}", "control character"),
      BadHeader("{\"__metadata__\":{\"a\":\"\\x\"}}", "an escape"),
      BadHeader("{\"__metadata__\":{\"a\":\"\\ud800\"}}", "surrogate"),
      BadHeader("{\"__metadata__\":{\"a\":\"\\ud800\\u0041\"}}", "surrogate"),
      BadHeader("{\"__metadata__\":{\"a\":\"\\u+041\"}}", "hexadecimal"),
      BadHeader("{\"__metadata__\":{\"a\":\"\\", "an escape"),
      BadHeader("{\"__metadata__\":{\"a\":\"\\u00", "hexadecimal"),
      BadHeader("{\"__metadata__\":{\"a\":\"", "end of a string"),
      BadHeader(String(repeating: "{\"a\":", count: 50_000), "a has a twice"),
    ])
  func badHeaders(bad: BadHeader) throws {
    try write(header: Array(bad.json.utf8), dataCount: bad.dataCount)
    let error = try #require(throws: CheckpointError.self) { try SafetensorsFile(path: path) }
    #expect(error.code == bad.code, "\(error)")
    #expect(error.detail.contains(bad.saying), "\(error)")
    #expect(error.path == path)
  }

  @Test("good headers that look odd are read")
  func oddHeaders() throws {
    try write(
      header: Array("\t{ \"__metadata__\" : {\"\\ud83c\\udfb5\\/\":\"\\u00e9\"} }  ".utf8),
      dataCount: 0)
    #expect(try SafetensorsFile(path: path).metadata == ["🎵/": "é"])
    // Tensors may stand in any order, as long as their bytes leave no gaps.
    let json = "{\(Self.entry("b", "[1]", "[4,8]")),\(Self.entry("a", "[]", "[0,4]"))}"
    try write(header: Array(json.utf8), dataCount: 8)
    #expect(try SafetensorsFile(path: path).tensors.map(\.name) == ["a", "b"])
  }

  @Test("strings that are not UTF-8 are refused")
  func notUTF8() throws {
    let json = Array("{\"__metadata__\":{\"a\":\"".utf8) + [0xc3, 0x28] + Array("\"}}".utf8)
    try write(header: json, dataCount: 0)
    let error = try #require(throws: CheckpointError.self) { try SafetensorsFile(path: path) }
    #expect(error.detail == "a string is not UTF-8")
  }

  @Test("a header's length is bounded before anything is allocated")
  func hugeHeaders() throws {
    for (length, code) in [
      (UInt64.max, CheckpointError.Code.tooLarge), (1 << 63, .tooLarge),
      ((16 << 20) + 1, .tooLarge),
      (16 << 20, .truncated), (9, .truncated),
    ] {
      try write(
        (0..<8).map { UInt8(truncatingIfNeeded: length >> ($0 * 8)) } + Array("{}      ".utf8))
      let error = try #require(throws: CheckpointError.self) { try SafetensorsFile(path: path) }
      #expect(error.code == code, "\(error)")
    }
  }

  @Test("missing files, folders and devices are refused", arguments: ["missing", ".", "/dev/zero"])
  func notFiles(name: String) throws {
    let path = name.hasPrefix("/") ? name : folder / name
    let error = try #require(throws: CheckpointError.self) { try SafetensorsFile(path: path) }
    #expect(error.code == .unreadable && error.path == path)
  }

  @Test("metadata beyond the header's bound is refused when writing")
  func tooMuchMetadata() throws {
    let text = String(repeating: "x", count: SafetensorsHeader.largest)
    let error = try #require(throws: CheckpointError.self) {
      try SafetensorsWriter.write(path, tensors: [], metadata: ["a": text]) { _ in }
    }
    #expect(error.code == .tooLarge)
    #expect(try folder.names == [])
  }

  @Test("a crash at any call of writing leaves the old file readable", arguments: 0..<10)
  func crashes(call: Int) throws {
    try writeExample()
    let crashing = FailingFileSystem(failAt: call, mode: .crash)
    #expect(throws: FailingFileSystem.Crash.self) { try writeExample(crashing.fileSystem) }
    try SafetensorsFile(path: path).verify()
  }
}
