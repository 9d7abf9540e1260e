import Tensors

/// How Winograd's filtering cuts a map into tiles, and their transforms, on vectors of eight channels.
///
/// Wherever a tile's position is a pointer, the next column is `column` floats on and the next row `row`;
/// its products are `point` floats apart.
protocol WinogradTile {
  /// Outputs of a tile.
  static var outputs: (f: Int, t: Int) { get }
  /// Products of a tile.
  static var points: Int { get }

  /// x̂ = Bᵀ x
  static func transformInput(
    _ x: Pointer, row: Int, column: Int, into to: Pointer, point: Int, scratch: Pointer)
  /// A dy
  static func transformOutputGradient(
    _ dy: Pointer, row: Int, column: Int, into to: Pointer, point: Int, scratch: Pointer)
  /// y = Aᵀ m
  static func transformOutput(
    _ m: Pointer, point: Int, into y: Pointer, row: Int, column: Int, scratch: Pointer)
  /// Kernels of eight outputs for one input: ŵ = G w; `w` has a vector for each tap.
  static func transformWeight(_ w: Pointer, into to: Pointer, point: Int, scratch: Pointer)
  /// Back: Gᵀ u, a vector for each tap.
  static func transformWeightGradient(
    _ u: Pointer, point: Int, into dw: Pointer, scratch: Pointer)
}

extension Winograd {
  /// Floats that a transform keeps between its two directions.
  static let scratchCount = 36 * 8

  @inline(__always)
  fileprivate static func three(_ p: Pointer, _ at: Int, _ step: Int) -> Three {
    (Vector(loading: p, at), Vector(loading: p, at &+ step), Vector(loading: p, at &+ 2 &* step))
  }

  @inline(__always)
  fileprivate static func four(_ p: Pointer, _ at: Int, _ step: Int) -> Four {
    (
      Vector(loading: p, at), Vector(loading: p, at &+ step), Vector(loading: p, at &+ 2 &* step),
      Vector(loading: p, at &+ 3 &* step)
    )
  }

  @inline(__always)
  fileprivate static func six(_ p: Pointer, _ at: Int, _ step: Int) -> Six {
    (
      Vector(loading: p, at), Vector(loading: p, at &+ step), Vector(loading: p, at &+ 2 &* step),
      Vector(loading: p, at &+ 3 &* step), Vector(loading: p, at &+ 4 &* step),
      Vector(loading: p, at &+ 5 &* step)
    )
  }

  @inline(__always)
  fileprivate static func store(_ v: Three, _ p: Pointer, _ at: Int, _ step: Int) {
    v.0.store(p, at)
    v.1.store(p, at &+ step)
    v.2.store(p, at &+ 2 &* step)
  }

  @inline(__always)
  fileprivate static func store(_ v: Four, _ p: Pointer, _ at: Int, _ step: Int) {
    v.0.store(p, at)
    v.1.store(p, at &+ step)
    v.2.store(p, at &+ 2 &* step)
    v.3.store(p, at &+ 3 &* step)
  }

  @inline(__always)
  fileprivate static func store(_ v: Six, _ p: Pointer, _ at: Int, _ step: Int) {
    v.0.store(p, at)
    v.1.store(p, at &+ step)
    v.2.store(p, at &+ 2 &* step)
    v.3.store(p, at &+ 3 &* step)
    v.4.store(p, at &+ 4 &* step)
    v.5.store(p, at &+ 5 &* step)
  }
}

/// F(4×4, 3×3): 36 products for 144, in both directions one after the other.
enum Winograd3x3: WinogradTile {
  static var outputs: (f: Int, t: Int) { (4, 4) }
  static var points: Int { 36 }

  @inline(__always)
  static func transformInput(
    _ x: Pointer, row: Int, column: Int, into to: Pointer, point: Int, scratch: Pointer
  ) {
    for j in 0..<6 {
      Winograd.store(
        Winograd.input(Winograd.six(x, j &* column, row)), scratch, j &* 8, 48)
    }
    for i in 0..<6 {
      Winograd.store(
        Winograd.input(Winograd.six(scratch, i &* 48, 8)), to, i &* 6 &* point, point)
    }
  }

  @inline(__always)
  static func transformOutputGradient(
    _ dy: Pointer, row: Int, column: Int, into to: Pointer, point: Int, scratch: Pointer
  ) {
    for j in 0..<4 {
      Winograd.store(
        Winograd.outputGradients(Winograd.four(dy, j &* column, row)), scratch, j &* 8, 32)
    }
    for i in 0..<6 {
      Winograd.store(
        Winograd.outputGradients(Winograd.four(scratch, i &* 32, 8)), to, i &* 6 &* point, point)
    }
  }

  @inline(__always)
  static func transformOutput(
    _ m: Pointer, point: Int, into y: Pointer, row: Int, column: Int, scratch: Pointer
  ) {
    for j in 0..<6 {
      let outputs = Winograd.outputs(Winograd.six(m, j &* point, 6 &* point))
      Winograd.store(outputs, scratch, j &* 8, 48)
    }
    for i in 0..<4 {
      let outputs = Winograd.outputs(Winograd.six(scratch, i &* 48, 8))
      Winograd.store(outputs, y, i &* row, column)
    }
  }

  @inline(__always)
  static func transformWeight(_ w: Pointer, into to: Pointer, point: Int, scratch: Pointer) {
    for j in 0..<3 {
      Winograd.store(Winograd.weights(Winograd.three(w, j &* 8, 24)), scratch, j &* 8, 24)
    }
    for i in 0..<6 {
      Winograd.store(
        Winograd.weights(Winograd.three(scratch, i &* 24, 8)), to, i &* 6 &* point, point)
    }
  }

  @inline(__always)
  static func transformWeightGradient(
    _ u: Pointer, point: Int, into dw: Pointer, scratch: Pointer
  ) {
    for j in 0..<6 {
      let taps = Winograd.weightGradients(
        Winograd.six(u, j &* point, 6 &* point))
      Winograd.store(taps, scratch, j &* 8, 48)
    }
    for i in 0..<3 {
      let taps = Winograd.weightGradients(Winograd.six(scratch, i &* 48, 8))
      Winograd.store(taps, dw, i &* 24, 8)
    }
  }
}
