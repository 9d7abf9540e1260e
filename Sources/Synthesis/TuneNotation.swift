/// Reads melodies written as text: notes between spaces, bars between `|`.
///
///     1 2 3        degrees of the scale, one beat each; 0 is a rest
///     1' 5,        an octave higher, an octave lower; repeat for more
///     #4 b2        a semitone higher, lower
///     5_ 5__       half, a quarter of a beat
///     5. 5_.       half as long again
///     5- 5---      a beat, three beats longer
///
/// Marks stand in this order: accidental, degree, octave, `_`, `.`, `-`. Every bar has to be full;
/// an upbeat is a bar that begins with rests.

package struct TuneNotationError: Error, Equatable, Sendable, CustomStringConvertible {
  package enum Code: String, Sendable {
    case note, barLength, noBars, silent
  }

  package let code: Code
  package let title: String
  /// Counted from 1; nil if the whole tune is meant.
  package let bar: Int?
  package let detail: String

  package var description: String {
    "cannot read the tune \(title)\(bar.map { ", bar \($0)" } ?? ""): \(detail)"
  }
}

extension Tune {
  /// - Throws: `TuneNotationError` with the bar that is wrong
  package init(
    _ title: String, _ mode: Mode = .major, _ meter: Meter = .four, notation: String
  ) throws(TuneNotationError) {
    func refusal(
      _ code: TuneNotationError.Code, bar: Int? = nil, _ detail: String
    ) -> TuneNotationError {
      TuneNotationError(code: code, title: title, bar: bar, detail: detail)
    }
    let written = notation.split(separator: "|").map { $0.split(whereSeparator: \.isWhitespace) }
      .filter { !$0.isEmpty }
    guard !written.isEmpty else { throw refusal(.noBars, "it has no bars") }

    var bars: [[TuneNote]] = []
    for (index, words) in written.enumerated() {
      var bar: [TuneNote] = []
      for word in words {
        guard let note = TuneNote(word) else {
          throw refusal(
            .note, bar: index + 1,
            "\"\(word)\" is not a note; write a degree 0 to 7 with its marks, such as #4'_.")
        }
        bar.append(note)
      }
      let beats = Double(bar.reduce(0) { $0 + $1.ticks }) / Double(Tune.ticksPerBeat)
      guard beats == Double(meter.beatsPerBar) else {
        throw refusal(
          .barLength, bar: index + 1, "it has \(beats) beats and should have \(meter.beatsPerBar)")
      }
      bars.append(bar)
    }
    guard bars.contains(where: { $0.contains { $0.degree != nil } }) else {
      throw refusal(.silent, "it has only rests")
    }
    self.init(title: title, mode: mode, meter: meter, bars: bars)
  }
}

extension TuneNote {
  /// Reads one word; nil if it is not a note.
  package init?(_ word: some StringProtocol) {
    var rest = Array(word.utf8)[...]
    func count(_ mark: Character) -> Int {
      let run = rest.prefix { $0 == mark.asciiValue }
      rest = rest.dropFirst(run.count)
      return run.count
    }
    let (sharps, flats) = (count("#"), count("b"))
    guard let digit = rest.popFirst(), digit >= 48, digit <= 55 else { return nil }
    let (raised, lowered) = (count("'"), count(","))
    let (halvings, dots, longer) = (count("_"), count("."), count("-"))
    let isRest = digit == 48
    guard rest.isEmpty, sharps + flats <= 1, raised <= 2, lowered <= 2, halvings <= 2, dots <= 1,
      longer <= 5, raised == 0 || lowered == 0,
      !isRest || sharps + flats + raised + lowered == 0
    else { return nil }

    var length = Tune.ticksPerBeat >> halvings
    if dots == 1 { length += length / 2 }
    self.init(
      degree: isRest ? nil : Int(digit) - 49 + 7 * (raised - lowered), alteration: sharps - flats,
      ticks: length + longer * Tune.ticksPerBeat)
  }
}
