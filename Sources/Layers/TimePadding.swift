import Kernels

/// Zeros before and after the frames of a map: `[C, F, T]` to `[C, F, frames]`, the map in the
/// middle (one more zero after it, where the number is odd).
package struct TimePadding: Layer {
  package let name: String
  package let input: Shape
  package let frames: Int

  package init(name: String, input: Shape, frames: Int) {
    precondition(input.rank == 3 && frames >= input[2], "TimePadding: \(input) to \(frames)")
    self.name = name
    self.input = input
    self.frames = frames
  }

  package var output: Shape { [input[0], input[1], frames] }
  package var summary: String { "zero-pad time to \(frames)" }

  package func forward(_ pass: Pass) {
    let y = rows(pass.y, frames, pass)
    y.fill(0)
    middle(y).copy(rows(pass.x, input[2], pass))
  }

  package func backward(_ pass: Pass) {
    guard let dx = pass.dx else { return }
    rows(dx, input[2], pass).copy(middle(rows(pass.outputGradient, frames, pass)))
  }

  private func rows(_ x: Tensor, _ columns: Int, _ pass: Pass) -> Matrix {
    x.reshaped([pass.clips * input[0] * input[1], columns]).matrix()
  }

  private func middle(_ y: Matrix) -> Matrix {
    let before = (frames - input[2]) / 2
    return y.columns(before..<(before + input[2]))
  }
}
