/// What the players of a clip play, in seconds.

struct Note: Equatable, Sendable {
  var start: Double
  var duration: Double
  /// MIDI number; 60 is the middle C.
  var pitch: Int
  /// 0…1.
  var velocity: Float
}

/// What a drummer can hit.
enum DrumSound: Int, Sendable, CaseIterable {
  case bassDrum, snare, clap, hiHat, ride, frameDrum, shaker
}

struct Stroke: Equatable, Sendable {
  var start: Double
  var sound: DrumSound
  /// 0…1.
  var velocity: Float
}

struct Score: Equatable, Sendable {
  var lead: [Note] = []
  var accompaniment: [Note] = []
  var bass: [Note] = []
  var strokes: [Stroke] = []
}
