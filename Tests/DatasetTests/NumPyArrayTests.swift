import Dataset
import Foundation
import Testing

@Suite("NumPy arrays")
struct NumPyArrayTests {
  /// A file as `numpy.save` writes it.
  private static func bytes(
    descr: String = "<f4", order: String = "False", shape: String = "(2, 3)", version: UInt8 = 1,
    body: [UInt8]
  ) -> [UInt8] {
    var header = "{'descr': '\(descr)', 'fortran_order': \(order), 'shape': \(shape), }"
    let prefix = version == 1 ? 10 : 12
    header += String(repeating: " ", count: 63 - (prefix + header.utf8.count) % 64) + "\n"
    let length = UInt32(header.utf8.count)
    let lengthBytes = (0..<(version == 1 ? 2 : 4)).map {
      UInt8(truncatingIfNeeded: length >> ($0 * 8))
    }
    return [0x93] + Array("NUMPY".utf8) + [version, 0] + lengthBytes + Array(header.utf8) + body
  }

  private static func array(_ bytes: [UInt8]) throws -> NumPyArray {
    let url = FileManager.default.temporaryDirectory
      .appendingPathComponent("tutti-test-\(UUID().uuidString).npy")
    try Data(bytes).write(to: url)
    defer { try? FileManager.default.removeItem(at: url) }
    return try NumPyArray(url)
  }

  private static func raw<T>(_ values: [T]) -> [UInt8] { values.withUnsafeBytes(Array.init) }

  @Test("every element type is read, in every version", arguments: [1, 2, 3] as [UInt8])
  func elements(version: UInt8) throws {
    let cases: [(String, [UInt8])] = [
      ("|b1", [0, 1, 1, 0, 1, 0]), ("|u1", [0, 1, 1, 0, 1, 0]), ("|i1", [0, 1, 1, 0, 1, 0]),
      ("<i2", Self.raw([0, 1, 1, 0, 1, 0] as [Int16])),
      ("<i4", Self.raw([0, 1, 1, 0, 1, 0] as [Int32])),
      ("<i8", Self.raw([0, 1, 1, 0, 1, 0] as [Int64])),
      ("<f2", Self.raw([0, 0x3C00, 0x3C00, 0, 0x3C00, 0] as [UInt16])),
      ("<f4", Self.raw([0, 1, 1, 0, 1, 0] as [Float])),
      ("<f8", Self.raw([0, 1, 1, 0, 1, 0] as [Double])),
    ]
    for (descr, body) in cases {
      let array = try Self.array(Self.bytes(descr: descr, version: version, body: body))
      #expect(array.shape == [2, 3])
      #expect(array.floats() == [0, 1, 1, 0, 1, 0], "\(descr)")
      #expect(array.floats(3..<5) == [0, 1])
    }
  }

  @Test("a scalar, a vector and an empty array have their shapes")
  func shapes() throws {
    #expect(try Self.array(Self.bytes(shape: "()", body: Self.raw([7] as [Float]))).floats() == [7])
    #expect(try Self.array(Self.bytes(shape: "(1,)", body: Self.raw([7] as [Float]))).shape == [1])
    #expect(try Self.array(Self.bytes(shape: "(0, 50)", body: [])).floats().isEmpty)
  }

  @Test(
    "what is no plain array is refused",
    arguments: [
      ([], "no .npy file"),
      (Array("clip_id,path\n".utf8), "no .npy file"),
      (bytes(version: 9, body: raw([Float](repeating: 0, count: 6))), "version 9"),
      (bytes(order: "True", body: raw([Float](repeating: 0, count: 6))), "Fortran"),
      (bytes(descr: ">f4", body: raw([Float](repeating: 0, count: 6))), ">f4"),
      (bytes(descr: "|O", body: []), "plain array"),
      (bytes(descr: "<c8", body: []), "<c8"),
      (bytes(shape: "(2, 4)", body: raw([Float](repeating: 0, count: 6))), "24 bytes follow"),
      (bytes(shape: "(2, 2)", body: raw([Float](repeating: 0, count: 6))), "24 bytes follow"),
      (bytes(shape: "(9223372036854775807, 4)", body: []), "0 bytes follow"),
      (bytes(shape: "(99999999999999999999, 4)", body: []), "is not one of an array"),
      (bytes(shape: "(-1, 4)", body: []), "plain array"),
      (Array(bytes(body: []).prefix(40)), "cut off"),
    ] as [([UInt8], String)])
  func refusals(bytes: [UInt8], reason: String) {
    #expect {
      _ = try Self.array(bytes)
    } throws: { "\($0)".contains(reason) }
  }
}
