/// The mel scale as triangles over the bins of a power spectrum.
///
/// Slaney's scale is linear up to 1000 Hz (15 mels) and logarithmic above. Band b rises from edge b
/// to edge b+1 and falls to edge b+2, edges being equally spaced in mels; every triangle has the
/// same area (librosa's `norm="slaney"`). A band touches a few bins only, so the product is stored
/// as one short run of weights per band.

import Foundation

struct MelFilterBank {
  struct Band {
    /// Bins of the spectrum under the triangle.
    var bins: Range<Int>
    /// Where its weights start in `weights`.
    var firstWeight: Int
  }

  private(set) var bands: [Band] = []
  private(set) var weights: [Float] = []

  /// - Throws: `AudioError.settings` if a band lies between two bins, so that it would stay empty
  init(_ settings: FeatureSettings) throws(AudioError) {
    let lowest = mels(ofHertz: settings.lowestHz)
    let highest = mels(ofHertz: settings.highestHz)
    let edges = (0...settings.melBands + 1).map { index in
      hertz(ofMels: lowest + (highest - lowest) * Double(index) / Double(settings.melBands + 1))
    }
    let binWidth = Double(settings.sampleRateHz) / Double(settings.windowLength)
    for band in 0..<settings.melBands {
      let (left, peak, right) = (edges[band], edges[band + 1], edges[band + 2])
      let area = 2 / (right - left)
      let run = (0...settings.windowLength / 2).compactMap { bin -> (bin: Int, weight: Float)? in
        let frequency = Double(bin) * binWidth
        let height = min((frequency - left) / (peak - left), (right - frequency) / (right - peak))
        return height > 0 ? (bin, Float(Double(Float(height)) * area)) : nil
      }
      guard let first = run.first?.bin, let last = run.last?.bin else {
        throw AudioError(
          .settings, attempt: "make features",
          detail: """
            melBands is \(settings.melBands), but band \(band) (\(Int(left))–\(Int(right)) Hz) \
            holds no bin of a window of \(settings.windowLength); take fewer bands or a longer one
            """)
      }
      bands.append(Band(bins: first..<last + 1, firstWeight: weights.count))
      weights += run.map(\.weight)
    }
  }
}

private let hertzPerMel = 200.0 / 3
private let logarithmicFromHertz = 1_000.0
private let logarithmicFromMels = 15.0
private let logarithmicStep = log(6.4) / 27

private func mels(ofHertz hertz: Double) -> Double {
  hertz < logarithmicFromHertz
    ? hertz / hertzPerMel
    : logarithmicFromMels + log(hertz / logarithmicFromHertz) / logarithmicStep
}

private func hertz(ofMels mels: Double) -> Double {
  mels < logarithmicFromMels
    ? mels * hertzPerMel
    : logarithmicFromHertz * exp(logarithmicStep * (mels - logarithmicFromMels))
}
