import Synthesis

/// What kind of thing a tag says, as the paper sorts the 50 tags of last.fm: 28 genres, 12 moods,
/// 5 instruments (voices among them) and 5 eras.
///
/// Stores know no categories. A tag's own name may say it (`genre---rock`, as MTG-Jamendo writes);
/// else it is looked up here, whole and then word by word; decades are known by their form.
package enum TagCategory: String, CaseIterable, Sendable {
  case genre, mood, instrument, era, other

  /// As a heading.
  var title: String {
    switch self {
    case .genre: "Genres"
    case .mood: "Moods"
    case .instrument: "Instruments and voices"
    case .era: "Eras"
    case .other: "Other tags"
    }
  }

  package init(tag: String) {
    let parts = tag.split(separator: "---", maxSplits: 1)
    if parts.count == 2, let named = Self.prefixes[parts[0].lowercased()] {
      self = named
      return
    }
    let words = tag.split { !$0.isLetter && !$0.isNumber }.map(String.init)
    // The last word first: a female vocal is a voice, an indie pop song pop.
    let found = ([tag] + words.reversed()).lazy.compactMap { Self.table[Self.key($0)] }.first
    self = found ?? (words.contains(where: Self.isDecade) ? .era : .other)
  }

  /// A tag without the prefix that says its category.
  package static func shortName(_ tag: String) -> String {
    let parts = tag.split(separator: "---", maxSplits: 1)
    guard parts.count == 2, prefixes[parts[0].lowercased()] != nil else { return tag }
    return String(parts[1])
  }

  private static let prefixes: [String: TagCategory] = [
    "genre": .genre, "mood": .mood, "mood/theme": .mood, "instrument": .instrument, "era": .era,
  ]

  /// As in 80s and 1980s.
  private static func isDecade(_ word: String) -> Bool {
    let digits = word.dropLast()
    return word.hasSuffix("s") && [2, 4].contains(digits.count) && digits.hasSuffix("0")
      && digits.allSatisfy(\.isWholeNumber)
  }

  /// Hip-Hop, hip hop and hiphop are one.
  private static func key(_ name: String) -> String {
    name.lowercased().filter { $0.isLetter || $0.isNumber }
  }

  private static let table: [String: TagCategory] = {
    var table: [String: TagCategory] = [:]
    for rule in TagRule.all {
      table[key(rule.name)] = TagCategory(rawValue: rule.category.rawValue)
    }
    for (category, lists) in names {
      for name in lists.joined(separator: ",").split(separator: ",") {
        table[key(String(name))] = category
      }
    }
    return table
  }()

  /// Of last.fm in the Million Song Dataset; then of MagnaTagATune, FMA and GTZAN.
  private static let names: [(TagCategory, [String])] = [
    (
      .genre,
      [
        "rock,pop,alternative,indie,electronic,dance,alternative rock,jazz,metal,classic rock,soul",
        "indie rock,electronica,folk,punk,blues,hard rock,ambient,experimental,Hip-Hop,country,funk",
        "electro,heavy metal,Progressive rock,rnb,indie pop,House",
        "classical,classic,techno,new age,opera,indian,world,disco,reggae,latin,rap,trance,trip hop",
        "lounge,soundtrack,gospel,ska,avant-garde,international,old-time / historic,soul-rnb,spoken",
        "bluegrass,noise,grunge,dub,dubstep,drum n bass,jungle,eastern,celtic,irish,medieval,baroque",
      ]
    ),
    (
      .mood,
      [
        "beautiful,chillout,Mellow,chill,oldies,acoustic,party,easy listening,sexy,catchy,sad,happy",
        "calm,energetic,slow,fast,quiet,loud,soft,hard,heavy,light,weird,strange,dark,scary,eerie",
        "upbeat,relaxing,space,airy,low,deep",
      ]
    ),
    (
      .instrument,
      [
        "guitar,instrumental,male vocalists,female vocalists,female vocalist",
        "vocalist,vocalists,vocal,vocals,voice,voices,singer,singing,choir,choral,chorus,chant,male",
        "female,man,woman,men,women,piano,organ,strings,flute,drum,drums,violin,synth,harpsichord",
        "sitar,harp,cello,bass,percussion,trumpet,sax,saxophone,horn,horns,brass,clarinet,oboe,fiddle",
        "banjo,lute,mandolin,accordion,keyboard,orchestra,orchestral,viola,bells,claps,clapping,beat",
        "beats,solo,duet",
      ]
    ),
  ]
}
