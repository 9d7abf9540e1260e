/// How an instrument sounds that is made of harmonics: which of them, and how they come and go.
struct Timbre: Sendable {
  /// Seconds until the tone is there.
  var attack: Double
  /// Seconds in which the tone falls by 60 dB while it is held; nil if it does not fall.
  var decay: Double?
  /// Seconds until it is gone after its end.
  var release: Double
  /// Seconds in which the bright spectrum gives way to the dull one; nil if it stays bright.
  var mellowing: Double?
  var vibratoCents = 0.0
  /// Depth of a regular change of loudness, 0…1.
  var tremolo = 0.0
  /// Players in unison, and how far they are apart.
  var unison = 1
  var unisonCents = 0.0
  /// Level of the noise of breath, beside a tone of 1.
  var breath: Float = 0
  /// Amplitude of harmonic k (from 1) of a tone of so many hertz, at the beginning and later.
  var bright: @Sendable (_ k: Double, _ hertz: Double) -> Double
  var dull: @Sendable (_ k: Double, _ hertz: Double) -> Double = { k, _ in power(k, -2) }

  /// `k` to a power, by our own arithmetic.
  static func power(_ k: Double, _ exponent: Double) -> Double {
    Elementary.exp2(exponent * Elementary.log2(k))
  }

  /// A resonance at `center`, 1 at its peak.
  static func resonance(_ hertz: Double, _ center: Double, _ width: Double) -> Double {
    let x = (hertz - center) / width
    return 1 / (1 + x * x)
  }
}

extension Instrument {
  /// The harmonics of an instrument; nil for those with strings that are plucked.
  var timbre: Timbre? {
    switch self {
    case .piano:
      // The hammer strikes at an eighth of the string, so every eighth harmonic is weak.
      Timbre(
        attack: 0.003, decay: 3.5, release: 0.15, mellowing: 0.5,
        bright: { k, _ in
          Timbre.power(k, -0.8) * abs(Elementary.sine(turns: k / 16))
        },
        dull: { k, _ in Timbre.power(k, -2.2) })
    case .organ:
      Timbre(
        attack: 0.015, decay: nil, release: 0.05, vibratoCents: 5, tremolo: 0.12,
        bright: { k, _ in
          let drawbars = [0, 1.0, 0.9, 0.5, 0.7, 0, 0.4, 0, 0.5, 0, 0, 0, 0.15, 0, 0, 0, 0.3]
          return Int(k) < drawbars.count ? drawbars[Int(k)] : 0
        })
    case .strings:
      Timbre(
        attack: 0.11, decay: nil, release: 0.22, vibratoCents: 14, unison: 3, unisonCents: 9,
        bright: { k, hertz in
          Timbre.power(k, -0.95) * (0.4 + 2 * Timbre.resonance(k * hertz, 2_700, 900))
        })
    case .flute:
      Timbre(
        attack: 0.06, decay: nil, release: 0.09, vibratoCents: 9, tremolo: 0.15, breath: 0.16,
        bright: { k, _ in
          let harmonics = [0, 1, 0.3, 0.12, 0.04, 0.02]
          return Int(k) < harmonics.count ? harmonics[Int(k)] : 0
        })
    case .voice:
      // An open vowel: its formants stay where they are, whatever the note.
      Timbre(
        attack: 0.09, decay: nil, release: 0.15, vibratoCents: 38, unison: 2, unisonCents: 8,
        breath: 0.03,
        bright: { k, hertz in
          Timbre.power(k, -0.7)
            * (Timbre.resonance(k * hertz, 720, 110)
              + 0.6 * Timbre.resonance(k * hertz, 1_150, 110)
              + 0.35 * Timbre.resonance(k * hertz, 2_850, 180))
        })
    case .brass:
      Timbre(
        attack: 0.035, decay: nil, release: 0.08, mellowing: 0.7, vibratoCents: 7,
        bright: { k, hertz in Timbre.power(k, -0.3) * Timbre.resonance(k * hertz, 1_300, 1_100) },
        dull: { k, hertz in Timbre.power(k, -0.9) * Timbre.resonance(k * hertz, 900, 700) })
    case .vibraphone:
      Timbre(
        attack: 0.002, decay: 3.2, release: 0.5, mellowing: 0.12, tremolo: 0.35,
        bright: { k, _ in k == 1 ? 1 : k == 4 ? 0.6 : k == 10 ? 0.25 : 0 },
        dull: { k, _ in k == 1 ? 1 : k == 4 ? 0.08 : 0 })
    case .synthLead:
      Timbre(
        attack: 0.004, decay: nil, release: 0.06, mellowing: 0.3, unison: 2, unisonCents: 14,
        bright: { k, _ in Timbre.power(k, -0.6) },
        dull: { k, _ in Timbre.power(k, -1.2) })
    case .synthPad:
      Timbre(
        attack: 0.3, decay: nil, release: 0.5, unison: 3, unisonCents: 15,
        bright: { k, hertz in Timbre.power(k, -0.9) * Timbre.resonance(k * hertz, 0, 1_500) })
    case .uprightBass:
      Timbre(
        attack: 0.008, decay: 2.2, release: 0.1, mellowing: 0.15,
        bright: { k, _ in Timbre.power(k, -1.1) },
        dull: { k, _ in Timbre.power(k, -2.2) })
    case .synthBass:
      Timbre(
        attack: 0.004, decay: nil, release: 0.04, mellowing: 0.12,
        bright: { k, _ in Timbre.power(k, -0.8) },
        dull: { k, _ in Timbre.power(k, -1.8) })
    case .acousticGuitar, .electricGuitar, .electricBass: nil
    }
  }
}
