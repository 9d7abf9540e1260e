/// Attacks the readers of files and messages with inputs that nobody meant.
///
///     fuzz                                  lists the targets, with the bytes of the longest input
///     fuzz --target=npy --material=FOLDER   writes valid inputs and a dictionary to start from
///     fuzz --target=npy FILE…               reads these inputs once
///     fuzz --target=npy FOLDER -runs=…      fuzzes, if built with libFuzzer: its options follow
///
/// `cluster/fuzz` builds it with libFuzzer and runs it. Whatever a reader makes of an input is right
/// if it is an error of Tutti's own, in one sentence, or a value that can be read and written again;
/// a trap, a hang or memory that the input's size does not justify is a finding.

import CLibFuzzer
import Foundation

@main struct Fuzz {
  static func main() {
    func value(of option: String) -> String? {
      CommandLine.arguments.first { $0.hasPrefix(option + "=") }
        .map { String($0.dropFirst(option.count + 1)) }
    }
    guard let name = value(of: "--target") else {
      for target in Target.all { print(target.name, target.longest) }
      return
    }
    guard let target = Target.named(name) else {
      stop("there is no target \(name); fuzz lists them", status: 64)
    }
    do {
      if let folder = value(of: "--material") {
        try target.writeMaterial(to: URL(fileURLWithPath: folder))
      } else {
        try attack(target)
      }
    } catch {
      stop("\(error)", status: 69)
    }
  }

  private static func stop(_ message: String, status: Int32) -> Never {
    FileHandle.standardError.write(Data("fuzz: \(message)\n".utf8))
    exit(status)
  }

  #if LIBFUZZER
    /// What libFuzzer calls; it takes no context.
    nonisolated(unsafe) private static var attacked = Target.all[0]

    private static func attack(_ target: Target) throws {
      attacked = target
      var count = CommandLine.argc
      // libFuzzer passes over arguments that begin with two dashes.
      var arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = CommandLine.unsafeArgv
      exit(
        LLVMFuzzerRunDriver(&count, &arguments) { bytes, count in
          Fuzz.attacked.run(Array(UnsafeBufferPointer(start: bytes, count: count)))
          return 0
        })
    }
  #else
    private static func attack(_ target: Target) throws {
      for path in CommandLine.arguments.dropFirst() where !path.hasPrefix("-") {
        target.run(Array(try Data(contentsOf: URL(fileURLWithPath: path))))
        print("\(path): read without a finding")
      }
    }
  #endif
}
