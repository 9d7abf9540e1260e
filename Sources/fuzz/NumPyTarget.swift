import Dataset

extension Target {
  /// A `.npy` file.
  static let numPy = Target(
    name: "npy", longest: 2048,
    words: [
      "\u{93}NUMPY", "'descr'", "'fortran_order'", "'shape'", "False", "True", "()", "(0, 4)",
      "(1,)", "'<f4'", "'<f2'", "'<i8'", "'|b1'", "9223372036854775807", "4611686018427387904",
    ],
    seeds: {
      [
        array("<f4", "(2, 3)", [Float](repeating: 0.5, count: 6)),
        array("<f8", "(3,)", [1, -0.0, .nan] as [Double]),
        array("<f2", "(2, 2)", [0x3C00, 0x7C00, 0x0001, 0xFE00] as [UInt16]),
        array("<i8", "()", [Int64.min]), array("<i4", "(1,)", [Int32.max]),
        array("<i2", "(1, 1, 1)", [Int16(-3)]), array("|b1", "(4,)", [0, 1, 1, 0] as [UInt8]),
        array("|i1", "(0, 50)", [Int8]()), array("|u1", "(1,)", [UInt8(9)], version: 2),
      ]
    },
    read: { bytes in
      try Scratch.use { scratch in
        let array = try NumPyArray(try scratch.file("array.npy", bytes))
        let floats = array.floats()
        expect(floats.count == array.shape.reduce(1, *), "\(floats.count): \(array.shape)")
        let last = max(0, array.count - 1)..<array.count
        expect(
          array.floats(last).map(\.bitPattern) == floats[last].map(\.bitPattern),
          "the last number is not the last one")
      }
    })

  /// A file as `numpy.save` writes it.
  static func array<T>(
    _ type: String, _ shape: String, _ values: [T], version: UInt8 = 1
  ) -> [UInt8] {
    var header = "{'descr': '\(type)', 'fortran_order': False, 'shape': \(shape), }"
    let prefix = version == 1 ? 10 : 12
    header += String(repeating: " ", count: 63 - (prefix + header.utf8.count) % 64) + "\n"
    let length = (0..<prefix - 8).map { UInt8(truncatingIfNeeded: header.utf8.count >> ($0 * 8)) }
    let magic = [0x93] + Array("NUMPY".utf8) + [version, 0]
    return magic + length + Array(header.utf8) + values.withUnsafeBytes { Array($0) }
  }
}
