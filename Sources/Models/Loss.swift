import Foundation
import Kernels

/// What training makes small.
package struct Loss: Sendable, Hashable {
  package enum Kind: String, Sendable {
    /// Binary cross-entropy, the mean over clips and tags: any number of tags a clip.
    case binary
    /// Softmax cross-entropy, the mean over clips: one tag a clip.
    case softmax
  }

  package let kind: Kind
  /// 1 trains and reports in nats, 1 / ln 2 in bits.
  package let unit: Float
  /// What the binary loss multiplies a tag's positive term with, as PyTorch's `pos_weight`: a number for
  /// each tag, one for all of them, or none.
  package let positiveWeights: [Float]

  package init(_ kind: Kind, bits: Bool = false, positiveWeights: [Float] = []) {
    self.kind = kind
    unit = bits ? 1.4426950408889634 : 1
    self.positiveWeights = positiveWeights
  }

  /// The share that some of a step's clips have in its loss, and its gradient.
  ///
  /// - Parameters:
  ///   - logits, labels, gradient: `[clips, tags]`
  ///   - clipsInStep: the division is by all clips of the step, whoever computes them
  /// - Precondition: `positiveWeights` are as many as the tags, or one, or none
  /// - Returns: these clips' sum over `clipsInStep` (and over the tags, if they are independent)
  package func share(logits: Tensor, labels: Tensor, gradient: Tensor, clipsInStep: Int) -> Float {
    let (x, y, dx) = (logits.matrix(), labels.matrix(), gradient.matrix())
    switch kind {
    case .binary:
      let share = unit / Float(clipsInStep * x.columns)
      let sum = x.binaryCrossEntropy(
        labels: y, gradient: dx, scale: share, positiveWeights: weights(of: x.columns))
      return Float(sum * Double(share))
    case .softmax:
      let share = unit / Float(clipsInStep)
      return Float(x.softmaxCrossEntropy(labels: y, gradient: dx, scale: share) * Double(share))
    }
  }

  private func weights(of tags: Int) -> Tensor? {
    switch positiveWeights.count {
    case 0: nil
    case 1: Tensor(Array(repeating: positiveWeights[0], count: tags), shape: [tags])
    default: Tensor(positiveWeights, shape: [tags])
    }
  }

  /// Turns logits into probabilities, in place.
  package func probabilities(_ logits: Tensor) {
    switch kind {
    case .binary: logits.matrix().sigmoid()
    case .softmax: logits.matrix().softmax()
    }
  }
}
