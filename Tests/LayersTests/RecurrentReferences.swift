import Foundation
import Kernels
import Layers

/// The recurrent layers, step by step and unit by unit, as their papers and PyTorch write them.

extension GRU: Referenced {
  func reference(_ pass: ReferencePass) -> Reference {
    let w = Rows(pass.parameters[0], columns: input[1])
    let u = Rows(pass.parameters[1], columns: hidden)
    let b = pass.parameters[2]
    let c = reset == .after ? pass.parameters[3] : Array(repeating: 0, count: 3 * hidden)
    return steps(pass, input, state: Array(repeating: 0, count: hidden)) { x, h in
      let units = 0..<hidden
      let r = units.map {
        gate.squash(w.times($0, x) + b[$0] + u.times($0, h) + c[$0])
      }
      let z = units.map { j in
        let row = hidden + j
        return gate.squash(w.times(row, x) + b[row] + u.times(row, h) + c[row])
      }
      let n = units.map { j in
        let row = 2 * hidden + j
        switch reset {
        case .before:
          return tanh(w.times(row, x) + b[row] + u.times(row, units.map { r[$0] * h[$0] }))
        case .after:
          return tanh(w.times(row, x) + b[row] + r[j] * (u.times(row, h) + c[row]))
        }
      }
      h = units.map { (1 - z[$0]) * n[$0] + z[$0] * h[$0] }
      return h
    }
  }
}

extension LSTM: Referenced {
  func reference(_ pass: ReferencePass) -> Reference {
    let w = Rows(pass.parameters[0], columns: input[1])
    let u = Rows(pass.parameters[1], columns: hidden)
    let b = pass.parameters[2]
    let zero = Array(repeating: 0.0, count: hidden)
    return steps(pass, input, state: (h: zero, c: zero)) { x, state in
      let sums = (0..<(4 * hidden)).map { w.times($0, x) + u.times($0, state.h) + b[$0] }
      for j in 0..<hidden {
        let (i, f) = (gate.squash(sums[j]), gate.squash(sums[hidden + j]))
        let (g, o) = (tanh(sums[2 * hidden + j]), gate.squash(sums[3 * hidden + j]))
        state.c[j] = f * state.c[j] + i * g
        state.h[j] = o * tanh(state.c[j])
      }
      return state.h
    }
  }
}

extension TanhRecurrence: Referenced {
  func reference(_ pass: ReferencePass) -> Reference {
    let w = Rows(pass.parameters[0], columns: input[1])
    let u = Rows(pass.parameters[1], columns: hidden)
    let b = pass.parameters[2]
    return steps(pass, input, state: Array(repeating: 0, count: hidden)) { x, h in
      h = (0..<hidden).map { tanh(w.times($0, x) + u.times($0, h) + b[$0]) }
      return h
    }
  }
}

extension OutputRecurrence: Referenced {
  func reference(_ pass: ReferencePass) -> Reference {
    let w = Rows(pass.parameters[0], columns: input[1])
    let u = Rows(pass.parameters[1], columns: outputs)
    let b = pass.parameters[2]
    let v = Rows(pass.parameters[3], columns: hidden)
    let c = pass.parameters[4]
    return steps(pass, input, state: Array(repeating: 0, count: outputs)) { x, o in
      let h = (0..<hidden).map { tanh(w.times($0, x) + u.times($0, o) + b[$0]) }
      o = (0..<outputs).map { v.times($0, h) + c[$0] }
      return o
    }
  }
}

extension StepReadout: Referenced {
  func reference(_ pass: ReferencePass) -> Reference {
    Reference(
      y: Rows(pass.x, columns: input.count).rows.flatMap { clip in
        (0..<input[1]).map { j in
          let values = (0..<input[0]).map { clip[$0 * input[1] + j] }
          return choice == .last ? values[input[0] - 1] : values.reduce(0, +) / Double(input[0])
        }
      })
  }
}

/// The outputs of `cell` at every step of every clip, each clip from the first state on.
private func steps<State>(
  _ pass: ReferencePass, _ input: Shape, state: State,
  _ cell: (_ x: [Double], _ state: inout State) -> [Double]
) -> Reference {
  var y: [Double] = []
  let inputs = Rows(pass.x, columns: input[1]).rows
  for n in 0..<pass.clips {
    var state = state
    for t in 0..<input[0] { y += cell(inputs[n * input[0] + t], &state) }
  }
  return Reference(y: y)
}
