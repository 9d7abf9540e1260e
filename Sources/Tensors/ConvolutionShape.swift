/// The sizes of a two-dimensional convolution with stride one (cross-correlation, as networks use it).
package struct ConvolutionShape: Hashable, Sendable {
  package let inChannels, outChannels: Int
  /// Input bands and frames.
  package let inF, inT: Int
  package let kernelF, kernelT: Int
  /// Zeros before the first band and frame; those after follow from the output's size.
  package let padF, padT: Int
  package let outF, outT: Int

  package enum Padding: Sendable, Hashable {
    /// As large as the input; the extra zero of an even kernel goes after.
    case same
    /// No zeros.
    case valid
  }

  package init(
    inChannels: Int, outChannels: Int, inF: Int, inT: Int, kernelF: Int, kernelT: Int,
    paddingF: Padding = .same, paddingT: Padding = .same
  ) {
    precondition(
      (paddingF == .same || inF >= kernelF) && (paddingT == .same || inT >= kernelT),
      "ConvolutionShape: a \(kernelF) × \(kernelT) kernel does not fit into \(inF) × \(inT)")
    self.init(
      inChannels: inChannels, outChannels: outChannels, inF: inF, inT: inT, kernelF: kernelF,
      kernelT: kernelT, padF: paddingF == .same ? (kernelF - 1) / 2 : 0,
      padT: paddingT == .same ? (kernelT - 1) / 2 : 0,
      outF: paddingF == .same ? inF : inF - kernelF + 1,
      outT: paddingT == .same ? inT : inT - kernelT + 1)
  }

  private init(
    inChannels: Int, outChannels: Int, inF: Int, inT: Int, kernelF: Int, kernelT: Int, padF: Int,
    padT: Int, outF: Int, outT: Int
  ) {
    self.inChannels = inChannels
    self.outChannels = outChannels
    self.inF = inF
    self.inT = inT
    self.kernelF = kernelF
    self.kernelT = kernelT
    self.padF = padF
    self.padT = padT
    self.outF = outF
    self.outT = outT
  }

  /// Floats of one clip's input, output, and the products behind one output value.
  package var inCount: Int { inChannels * inF * inT }
  package var outCount: Int { outChannels * outF * outT }
  package var inner: Int { inChannels * kernelF * kernelT }
  package var weightCount: Int { outChannels * inner }
  package var multiplyAdds: Int { outF * outT * weightCount }
}
