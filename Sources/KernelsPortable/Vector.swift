import CVector
import Tensors

/// Eight floats, one instruction wide. See `CVector`.
typealias Vector = SIMD8<Float>
typealias Integers = SIMD8<Int32>

extension SIMD8 where Scalar == Float {
  @inline(__always) init(loading p: UnsafePointer<Float>, _ i: Int) {
    self = UnsafeRawPointer(p + i).loadUnaligned(as: Vector.self)
  }

  @inline(__always) init(loading p: UnsafeMutablePointer<Float>, _ i: Int) {
    self = UnsafeRawPointer(p + i).loadUnaligned(as: Vector.self)
  }

  /// The first `n` of eight floats, the rest zero: the ragged end of a row.
  @inline(__always) init(loading p: UnsafeMutablePointer<Float>, _ i: Int, first n: Int) {
    self = .zero
    for k in 0..<n { self[k] = p[i + k] }
  }

  @inline(__always) func store(_ p: UnsafeMutablePointer<Float>, _ i: Int) {
    UnsafeMutableRawPointer(p + i).storeBytes(of: self, as: Vector.self)
  }

  @inline(__always) func store(_ p: UnsafeMutablePointer<Float>, _ i: Int, first n: Int) {
    for k in 0..<n { p[i + k] = self[k] }
  }

  /// self + a·b, rounded once.
  @inline(__always) func adding(_ a: Vector, times b: Vector) -> Vector { cv_fma(a, b, self) }

  /// The eight lanes summed in a fixed tree.
  @inline(__always) var total: Float {
    let four = lowHalf + highHalf
    let two = four.lowHalf + four.highHalf
    return two.x + two.y
  }
}

@inline(__always) func splat(_ x: Float) -> Vector { Vector(repeating: x) }

/// Calls `whole` for every full vector of 0..<count and `ragged(start, n)` for what is left.
@inline(__always)
func forVectors(_ count: Int, whole: (Int) -> Void, ragged: (Int, Int) -> Void) {
  var i = 0
  while i &+ 8 <= count {
    whole(i)
    i &+= 8
  }
  if i < count { ragged(i, count &- i) }
}

/// y[i] = f(x[i]): every element takes the same vector path, also at the ragged end.
@inline(__always)
func map(_ x: Pointer, into y: Pointer, _ count: Int, _ f: (Vector) -> Vector) {
  forVectors(count) { i in
    f(Vector(loading: x, i)).store(y, i)
  } ragged: { i, n in
    f(Vector(loading: x, i, first: n)).store(y, i, first: n)
  }
}

/// z[i] = f(x[i], y[i]).
@inline(__always)
func map(
  _ x: Pointer, _ y: Pointer, into z: Pointer, _ count: Int, _ f: (Vector, Vector) -> Vector
) {
  forVectors(count) { i in
    f(Vector(loading: x, i), Vector(loading: y, i)).store(z, i)
  } ragged: { i, n in
    f(Vector(loading: x, i, first: n), Vector(loading: y, i, first: n)).store(z, i, first: n)
  }
}
