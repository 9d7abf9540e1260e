import Foundation
import Kernels
import Layers

/// What each layer computes, in double precision and in the plainest loops: the text that the
/// layers in use are compared with.
protocol Referenced: Layer {
  func reference(_ pass: ReferencePass) -> Reference
}

struct ReferencePass {
  let clips: Int
  let training: RandomStream?
  var x: [Double]
  var parameters: [[Double]]
  var statistics: [[Double]]

  init(_ run: LayerRun) {
    clips = run.clips
    training = run.training
    x = run.x.tensor.values.map(Double.init)
    parameters = run.parameters.map { $0.tensor.values.map(Double.init) }
    statistics = run.statistics.map { $0.tensor.values.map(Double.init) }
  }
}

struct Reference {
  var y: [Double]
  var batchStatistics: [[Double]] = []
}

// MARK: Value by value

extension Dense: Referenced {
  func reference(_ pass: ReferencePass) -> Reference {
    let weight = Rows(pass.parameters[0], columns: input.count)
    let bias = pass.parameters[1]
    return Reference(
      y: Rows(pass.x, columns: input.count).rows.flatMap { x in
        (0..<outputs).map { bias[$0] + weight.times($0, x) }
      })
  }
}

extension Activation: Referenced {
  func reference(_ pass: ReferencePass) -> Reference {
    Reference(
      y: pass.x.map { x in
        switch function {
        case .elu: elu(x)
        case .relu: max(x, 0)
        }
      })
  }
}

extension DropoutLayer: Referenced {
  func reference(_ pass: ReferencePass) -> Reference {
    Reference(y: dropped(pass.x, rate, pass.training))
  }
}

// MARK: Maps

extension BandNormalization: Referenced {
  func reference(_ pass: ReferencePass) -> Reference {
    var statistics = pass.statistics
    let y = normalized(
      pass.x, planes: input[0] * input[1], pass, gamma: pass.parameters[0],
      beta: pass.parameters[1], &statistics)
    return Reference(y: y, batchStatistics: statistics)
  }
}

extension FrameNormalization: Referenced {
  func reference(_ pass: ReferencePass) -> Reference {
    var statistics = pass.statistics
    let y = normalized(
      pass.x, planes: input[0] * input[2], pass, gamma: pass.parameters[0],
      beta: pass.parameters[1], &statistics
    ) { i in i / (input[1] * input[2]) % input[0] * input[2] + i % input[2] }
    return Reference(y: y, batchStatistics: statistics)
  }
}

extension ConvolutionBlock: Referenced {
  /// Convolution, normalization, ELU, pool, dropout, one after another.
  func reference(_ pass: ReferencePass) -> Reference {
    var statistics = pass.statistics
    let raw = convolved(pass)
    let z = normalized(
      raw, planes: shape.outChannels, pass, gamma: pass.parameters[2], beta: pass.parameters[3],
      &statistics)
    let pooled = pooled(z.map(elu))
    return Reference(y: dropped(pooled, dropout, pass.training), batchStatistics: statistics)
  }

  private func convolved(_ pass: ReferencePass) -> [Double] {
    let (x, w, bias) = (pass.x, pass.parameters[0], pass.parameters[1])
    var y: [Double] = []
    for n in 0..<pass.clips {
      for o in 0..<shape.outChannels {
        for f in 0..<shape.outF {
          for t in 0..<shape.outT {
            var sum = bias[o]
            for i in 0..<shape.inChannels {
              for kf in 0..<shape.kernelF {
                let row = f + kf - shape.padF
                if row < 0 || row >= shape.inF { continue }
                for kt in 0..<shape.kernelT {
                  let frame = t + kt - shape.padT
                  if frame < 0 || frame >= shape.inT { continue }
                  sum +=
                    w[((o * shape.inChannels + i) * shape.kernelF + kf) * shape.kernelT + kt]
                    * x[((n * shape.inChannels + i) * shape.inF + row) * shape.inT + frame]
                }
              }
            }
            y.append(sum)
          }
        }
      }
    }
    return y
  }

  private func pooled(_ x: [Double]) -> [Double] {
    let plane = shape.outF * shape.outT
    return stride(from: 0, to: x.count, by: plane).flatMap { start in
      (0..<(shape.outF / poolF)).flatMap { f in
        (0..<(shape.outT / poolT)).map { t in
          let window = (0..<(poolF * poolT)).map { k in
            x[start + (f * poolF + k / poolT) * shape.outT + t * poolT + k % poolT]
          }
          switch pooling {
          case .max: return window.max()!
          case .average: return window.reduce(0, +) / Double(window.count)
          }
        }
      }
    }
  }
}

extension TimePadding: Referenced {
  func reference(_ pass: ReferencePass) -> Reference {
    let before = (frames - input[2]) / 2
    let zeros = { (count: Int) in Array(repeating: 0.0, count: count) }
    return Reference(
      y: Rows(pass.x, columns: input[2]).rows.flatMap {
        zeros(before) + $0 + zeros(frames - input[2] - before)
      })
  }
}

extension TimePooling: Referenced {
  func reference(_ pass: ReferencePass) -> Reference {
    Reference(
      y: Rows(pass.x, columns: input[2]).rows.flatMap { row in
        (0..<(input[2] / frames)).map { t in
          row[(t * frames)..<((t + 1) * frames)].reduce(0, +) / Double(frames)
        }
      })
  }
}

extension TimeMajor: Referenced {
  func reference(_ pass: ReferencePass) -> Reference {
    let (height, frames) = (input[0] * input[1], input[2])
    var y: [Double] = []
    for n in 0..<pass.clips {
      for t in 0..<frames {
        for row in 0..<height { y.append(pass.x[(n * height + row) * frames + t]) }
      }
    }
    return Reference(y: y)
  }
}

// MARK: Functions they share

/// A matrix, row by row.
struct Rows {
  let rows: [[Double]]

  init(_ values: [Double], columns: Int) {
    rows = stride(from: 0, to: values.count, by: columns).map {
      Array(values[$0..<($0 + columns)])
    }
  }

  /// Row `r` times the vector `x`.
  func times(_ r: Int, _ x: [Double]) -> Double {
    zip(rows[r], x).reduce(0) { $0 + $1.0 * $1.1 }
  }
}

func elu(_ x: Double) -> Double { x > 0 ? x : expm1(x) }

extension Gate {
  func squash(_ x: Double) -> Double {
    switch self {
    case .sigmoid: 1 / (1 + exp(-x))
    case .hardSigmoid: min(max(0.2 * x + 0.5, 0), 1)
    }
  }
}

/// Value i is dropped where the stream's i-th 16 bits are below the rate.
private func dropped(_ x: [Double], _ rate: Float, _ stream: RandomStream?) -> [Double] {
  guard let stream else { return x }
  let threshold = (Double(rate) * 65_536).rounded()
  return x.enumerated().map { i, value in
    let word = stream.word(i / 2)
    let draw = i % 2 == 0 ? word & 0xFFFF : word >> 16
    return Double(draw) < threshold ? 0 : value * 65_536 / (65_536 - threshold)
  }
}

/// Batch normalization, by the batch in training and by the running statistics otherwise. On return
/// `statistics` hold the batch's mean and unbiased variance.
///
/// - Parameter plane: of which of the `planes` an element is one; by default x is `[clips, planes, …]`
private func normalized(
  _ x: [Double], planes: Int, _ pass: ReferencePass, gamma: [Double], beta: [Double],
  _ statistics: inout [[Double]], plane: ((Int) -> Int)? = nil
) -> [Double] {
  let size = x.count / (pass.clips * planes)
  let plane = plane ?? { $0 / size % planes }
  var y = x
  for c in 0..<planes {
    let positions = x.indices.filter { plane($0) == c }
    var (mean, variance) = (statistics[0][c], statistics[1][c])
    if pass.training != nil {
      let count = Double(positions.count)
      mean = positions.reduce(0) { $0 + x[$1] } / count
      variance = positions.reduce(0) { $0 + (x[$1] - mean) * (x[$1] - mean) } / count
      statistics[0][c] = mean
      statistics[1][c] = variance * count / (count - 1)
    }
    for i in positions {
      y[i] = gamma[c] * (x[i] - mean) / (variance + 1e-5).squareRoot() + beta[c]
    }
  }
  return y
}
