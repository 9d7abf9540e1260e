import Dataset
import Foundation
import Testing
import Training

@Suite struct TagCategoryTests {
  /// As the Million Song Dataset's split lists them.
  static let lastFM = """
    rock,pop,alternative,indie,electronic,female vocalists,dance,00s,alternative rock,jazz,beautiful,\
    metal,chillout,male vocalists,classic rock,soul,indie rock,Mellow,electronica,80s,folk,90s,chill,\
    instrumental,punk,oldies,blues,hard rock,ambient,acoustic,experimental,female vocalist,guitar,\
    Hip-Hop,70s,party,country,easy listening,sexy,catchy,funk,electro,heavy metal,Progressive rock,\
    60s,rnb,indie pop,sad,House,happy
    """.split(separator: ",").map(String.init)

  @Test("the 50 tags of last.fm are 28 genres, 12 moods, 5 instruments and 5 eras")
  func lastFM() {
    #expect(Self.lastFM.count == 50)
    let counts = Dictionary(grouping: Self.lastFM, by: TagCategory.init(tag:)).mapValues(\.count)
    #expect(counts == [.genre: 28, .mood: 12, .instrument: 5, .era: 5])
  }

  @Test("the embedded set's tags are 6 genres, 4 moods, 7 instruments and 3 eras")
  func embedded() {
    let tags =
      "folk,rock,dance,jazz,classical,ambient,happy,sad,calm,energetic,piano,organ,strings,flute,"
      + "voice,guitar,drums,30s,60s,80s"
    let categories = tags.split(separator: ",").map { TagCategory(tag: String($0)) }
    #expect(
      categories == Array(repeating: .genre, count: 6) + Array(repeating: .mood, count: 4)
        + Array(repeating: .instrument, count: 7) + Array(repeating: .era, count: 3))
  }

  @Test(
    "a tag's own name goes before the table, and words before nothing",
    arguments: [
      ("genre---guitar", TagCategory.genre), ("instrument---rock", .instrument),
      ("mood/theme---film", .mood), ("genre---xyz", .genre), ("a---b", .other),
      ("female vocal", .instrument), ("Soul-RnB", .genre), ("hip hop", .genre), ("HIPHOP", .genre),
      ("Old-Time / Historic", .genre), ("1980s", .era), ("80s", .era), ("the 80s sound", .era),
      ("85s", .other), ("8s", .other), ("", .other), ("---", .other), ("zzz", .other),
      ("Psych-Rock", .genre), ("no vocals", .instrument), ("reggae", .genre), ("disco", .genre),
    ])
  func names(tag: String, category: TagCategory) {
    #expect(TagCategory(tag: tag) == category)
  }

  @Test("a prefix that says the category is not shown, another is")
  func shortNames() {
    #expect(TagCategory.shortName("genre---rock") == "rock")
    #expect(TagCategory.shortName("my---rock") == "my---rock")
    #expect(TagCategory.shortName("rock") == "rock")
  }
}
