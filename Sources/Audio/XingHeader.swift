/// Whether an MP3 says how long it is.
///
/// Encoders write the number of its frames into the first one, behind the mark `Xing` or `Info`.
/// Where it is missing libsndfile guesses from the size of the file, tags and pictures included, and
/// the middle of its guess is not the middle. (Nor does it read beyond the guess, which is too short
/// for some MP3s of varying bit rate: librosa, which reads through it too, sees as much of them.)

import Foundation

enum XingHeader {
  /// - Parameter path: a file that libsndfile takes for an MP3
  static func declaresLength(ofFile path: String) -> Bool {
    guard let file = fopen(path, "rb") else { return false }
    defer { fclose(file) }
    func read(_ count: Int) -> [UInt8] {
      var bytes = [UInt8](repeating: 0, count: count)
      let got = fread(&bytes, 1, count, file)
      return Array(bytes.prefix(got))
    }
    var offset = 0
    var head = read(10)
    while head.count == 10, head.starts(with: "ID3".utf8) {
      offset += 10 + head[6...].reduce(0) { $0 << 7 | Int($1 & 0x7F) }
      guard fseek(file, offset, SEEK_SET) == 0 else { return false }
      head = read(10)
    }
    // The first frame is at most 1,441 bytes long, but tags may end in padding.
    let bytes = head + read(4_086)
    return bytes.indices.dropLast(8).contains { index in
      let mark = bytes[index..<index + 4]
      guard mark.elementsEqual("Xing".utf8) || mark.elementsEqual("Info".utf8) else { return false }
      let framesAreCounted = bytes[index + 7] & 1 != 0
      return framesAreCounted
    }
  }
}
