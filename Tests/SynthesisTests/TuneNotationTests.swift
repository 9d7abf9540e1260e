import Synthesis
import Testing

@Suite("Tune notation")
struct TuneNotationTests {
  @Test(
    "a word is a note",
    arguments: [
      ("1", TuneNote(degree: 0, ticks: 24)),
      ("0", TuneNote(degree: nil, ticks: 24)),
      ("7,", TuneNote(degree: -1, ticks: 24)),
      ("1'", TuneNote(degree: 7, ticks: 24)),
      ("3''", TuneNote(degree: 16, ticks: 24)),
      ("#4", TuneNote(degree: 3, alteration: 1, ticks: 24)),
      ("b2_", TuneNote(degree: 1, alteration: -1, ticks: 12)),
      ("5__", TuneNote(degree: 4, ticks: 6)),
      ("5.", TuneNote(degree: 4, ticks: 36)),
      ("5_.", TuneNote(degree: 4, ticks: 18)),
      ("5---", TuneNote(degree: 4, ticks: 96)),
      ("0--", TuneNote(degree: nil, ticks: 72)),
      ("#6,_.", TuneNote(degree: -2, alteration: 1, ticks: 18)),
    ])
  func note(word: String, expected: TuneNote) {
    #expect(TuneNote(word) == expected)
  }

  @Test(
    "a word that is not a note is refused with its bar",
    arguments: [
      "8", "x", "-", "1x", "#", "##1", "#b1", "1''',", "1',", "1___", "1..", "0'", "#0", "1-_",
      "1_'", "１", "1------", "",
    ])
  func refusal(word: String) {
    #expect(TuneNote(word) == nil)
    guard !word.isEmpty else { return }
    let error = #expect(throws: TuneNotationError.self) {
      try Tune("Test", notation: "1 2 3 4 | 1 2 3 \(word)")
    }
    #expect(error?.code == .note)
    #expect(error?.bar == 2)
  }

  @Test("a bar that is not full is refused", arguments: ["1 2 3", "1 2 3 4_", "1 2 3 4 5"])
  func bar(notation: String) {
    let error = #expect(throws: TuneNotationError.self) {
      try Tune("Test", notation: "1--- | \(notation)")
    }
    #expect(error?.code == .barLength)
    #expect(error?.bar == 2)
    #expect(error?.description.hasPrefix("cannot read the tune Test, bar 2: it has ") == true)
  }

  @Test("a tune without notes is refused")
  func empty() {
    let codes = ["", " | ", "0--- | 0---"].map { notation in
      #expect(throws: TuneNotationError.self) { try Tune("Test", notation: notation) }?.code
    }
    #expect(codes == [.noBars, .noBars, .silent])
  }

  @Test("degrees continue over the octaves", arguments: Mode.allCases)
  func degrees(mode: Mode) {
    for degree in -14...14 {
      #expect(mode.semitones(degree: degree + 7) == mode.semitones(degree: degree) + 12)
    }
    #expect(mode.semitones(degree: -1) == (mode == .major ? -1 : -2))
  }

  @Test("the tune book has a few dozen different tunes of both modes and all meters")
  func book() {
    #expect(Tune.all.count >= 36)
    #expect(Set(Tune.all.map(\.title)).count == Tune.all.count)
    #expect(Tune.all.count { $0.mode == .minor } >= 10)
    for meter in Meter.allCases { #expect(Tune.all.contains { $0.meter == meter }) }
  }

  @Test("a tune can be sung, and fits into tags.csv", arguments: Tune.all)
  func singable(tune: Tune) {
    let degrees = tune.notes.compactMap(\.degree)
    #expect(degrees.max()! - degrees.min()! <= 12)
    #expect(degrees.min()! >= -5 && degrees.max()! <= 10)
    #expect((8...20).contains(tune.bars.count))
    #expect(!tune.title.contains("\""))
    #expect(tune.notesPerBeat > 0.3 && tune.notesPerBeat < 2)
  }
}
