import Kernels

/// The mean over every `frames` frames of a map: `[C, F, T]` to `[C, F, T / frames]`; frames that do
/// not fill a window are left out.
package struct TimePooling: Layer {
  package let name: String
  package let input: Shape
  package let frames: Int

  package init(name: String, input: Shape, frames: Int) {
    precondition(
      input.rank == 3 && frames > 0 && frames <= input[2], "TimePooling: \(frames) of \(input)")
    self.name = name
    self.input = input
    self.frames = frames
  }

  package var output: Shape { [input[0], input[1], input[2] / frames] }
  package var summary: String { "mean over every \(frames) frames" }

  package func forward(_ pass: Pass) {
    let y = rows(pass.y, output[2], pass)
    let x = rows(pass.x, input[2], pass)
    for t in 0..<output[2] {
      let mean = y.columns(t..<(t + 1))
      mean.fill(0)
      for k in 0..<frames { mean.add(x.columns((t * frames + k)..<(t * frames + k + 1))) }
      mean.scale(1 / Float(frames))
    }
  }

  package func backward(_ pass: Pass) {
    guard let dx = pass.dx else { return }
    let from = rows(pass.outputGradient, output[2], pass)
    let to = rows(dx, input[2], pass)
    to.fill(0)
    for t in 0..<(output[2] * frames) {
      let column = to.columns(t..<(t + 1))
      column.copy(from.columns((t / frames)..<(t / frames + 1)))
      column.scale(1 / Float(frames))
    }
  }

  private func rows(_ x: Tensor, _ frames: Int, _ pass: Pass) -> Matrix {
    x.reshaped([pass.clips * input[0] * input[1], frames]).matrix()
  }
}
