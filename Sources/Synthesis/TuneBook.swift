/// All tunes that clips are made of.

extension Tune {
  package static let all: [Tune] = nursery + folk + hymnsAndThemes

  /// A tune of our own data files; a slip of the pen there is our bug, and tests read them all.
  static func written(_ title: String, _ mode: Mode, _ meter: Meter, _ notation: String) -> Tune {
    do {
      return try Tune(title, mode, meter, notation: notation)
    } catch {
      preconditionFailure(error.description)
    }
  }
}
