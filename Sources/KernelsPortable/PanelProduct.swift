import Tensors

/// A small matrix product in registers, from which every convolution is built:
///
///     c[r][0 ..< 8·width] (+)= Σ_k a[r·aRow + k·aStep] · b[k·bStep + 0 ..< 8·width]
///
/// Blocking: twelve sums of eight floats stay in registers (6 rows × 2 vectors, or 4 × 3), a vector
/// of b is loaded once for all rows and a value of a is spread over all columns, so that a step of k
/// is 12 multiply-adds for 7 or 8 loads. Its bound is the processor's rate of multiply-adds.
///
/// The order of each sum is k = 0, 1, …, whatever surrounds it.
struct PanelProduct {
  /// Rows are worked on in groups: up to this many less one, behind the last row, are written too.
  static let slackRows = 5

  /// - Parameters:
  ///   - width: vectors of eight columns, 1 to 3
  ///   - adding: add to what c holds
  @inline(never)
  static func multiply(
    width: Int, rows: Int, steps: Int, _ a: Pointer, aRow: Int, aStep: Int, _ b: Pointer,
    bStep: Int, into c: Pointer, cRow: Int, adding: Bool
  ) {
    var row = 0
    switch width {
    case 3:
      while row < rows {
        four(
          steps, a + row &* aRow, aRow, aStep, b, bStep, c + row &* cRow, cRow, adding)
        row &+= 4
      }
    case 2:
      while row < rows {
        six(steps, a + row &* aRow, aRow, aStep, b, bStep, c + row &* cRow, cRow, adding)
        row &+= 6
      }
    default:
      while row < rows {
        sixNarrow(steps, a + row &* aRow, aRow, aStep, b, bStep, c + row &* cRow, cRow, adding)
        row &+= 6
      }
    }
  }

  /// Calls `body(first vector, vectors)` for panels that cover `vectors` columns of eight: an odd
  /// count begins with one of three.
  @inline(__always)
  static func forEachPanel(_ vectors: Int, _ body: (_ start: Int, _ width: Int) -> Void) {
    var start = 0
    while start < vectors {
      let rest = vectors &- start
      let width = rest == 1 ? 1 : rest & 1 == 1 ? 3 : 2
      body(start, width)
      start &+= width
    }
  }

  /// 6 rows × 2 vectors.
  @inline(__always)
  private static func six(
    _ steps: Int, _ a: Pointer, _ aRow: Int, _ aStep: Int, _ b: Pointer, _ bStep: Int, _ c: Pointer,
    _ cRow: Int, _ adding: Bool
  ) {
    let c0 = c
    let c1 = c0 + cRow
    let c2 = c1 + cRow
    let c3 = c2 + cRow
    let c4 = c3 + cRow
    let c5 = c4 + cRow
    var s00 = Vector.zero
    var s01 = Vector.zero
    var s10 = Vector.zero
    var s11 = Vector.zero
    var s20 = Vector.zero
    var s21 = Vector.zero
    var s30 = Vector.zero
    var s31 = Vector.zero
    var s40 = Vector.zero
    var s41 = Vector.zero
    var s50 = Vector.zero
    var s51 = Vector.zero
    if adding {
      s00 = Vector(loading: c0, 0)
      s01 = Vector(loading: c0, 8)
      s10 = Vector(loading: c1, 0)
      s11 = Vector(loading: c1, 8)
      s20 = Vector(loading: c2, 0)
      s21 = Vector(loading: c2, 8)
      s30 = Vector(loading: c3, 0)
      s31 = Vector(loading: c3, 8)
      s40 = Vector(loading: c4, 0)
      s41 = Vector(loading: c4, 8)
      s50 = Vector(loading: c5, 0)
      s51 = Vector(loading: c5, 8)
    }
    var low = a
    var high = a + 3 &* aRow
    var b = b
    var left = steps
    while left > 0 {
      let b0 = Vector(loading: b, 0)
      let b1 = Vector(loading: b, 8)
      var x = splat(low[0])
      s00 = s00.adding(x, times: b0)
      s01 = s01.adding(x, times: b1)
      x = splat(low[aRow])
      s10 = s10.adding(x, times: b0)
      s11 = s11.adding(x, times: b1)
      x = splat(low[2 &* aRow])
      s20 = s20.adding(x, times: b0)
      s21 = s21.adding(x, times: b1)
      x = splat(high[0])
      s30 = s30.adding(x, times: b0)
      s31 = s31.adding(x, times: b1)
      x = splat(high[aRow])
      s40 = s40.adding(x, times: b0)
      s41 = s41.adding(x, times: b1)
      x = splat(high[2 &* aRow])
      s50 = s50.adding(x, times: b0)
      s51 = s51.adding(x, times: b1)
      low += aStep
      high += aStep
      b += bStep
      left &-= 1
    }
    s00.store(c0, 0)
    s01.store(c0, 8)
    s10.store(c1, 0)
    s11.store(c1, 8)
    s20.store(c2, 0)
    s21.store(c2, 8)
    s30.store(c3, 0)
    s31.store(c3, 8)
    s40.store(c4, 0)
    s41.store(c4, 8)
    s50.store(c5, 0)
    s51.store(c5, 8)
  }

  /// 4 rows × 3 vectors.
  @inline(__always)
  private static func four(
    _ steps: Int, _ a: Pointer, _ aRow: Int, _ aStep: Int, _ b: Pointer, _ bStep: Int, _ c: Pointer,
    _ cRow: Int, _ adding: Bool
  ) {
    let c0 = c
    let c1 = c0 + cRow
    let c2 = c1 + cRow
    let c3 = c2 + cRow
    var s00 = Vector.zero
    var s01 = Vector.zero
    var s02 = Vector.zero
    var s10 = Vector.zero
    var s11 = Vector.zero
    var s12 = Vector.zero
    var s20 = Vector.zero
    var s21 = Vector.zero
    var s22 = Vector.zero
    var s30 = Vector.zero
    var s31 = Vector.zero
    var s32 = Vector.zero
    if adding {
      s00 = Vector(loading: c0, 0)
      s01 = Vector(loading: c0, 8)
      s02 = Vector(loading: c0, 16)
      s10 = Vector(loading: c1, 0)
      s11 = Vector(loading: c1, 8)
      s12 = Vector(loading: c1, 16)
      s20 = Vector(loading: c2, 0)
      s21 = Vector(loading: c2, 8)
      s22 = Vector(loading: c2, 16)
      s30 = Vector(loading: c3, 0)
      s31 = Vector(loading: c3, 8)
      s32 = Vector(loading: c3, 16)
    }
    var low = a
    var high = a + 2 &* aRow
    var b = b
    var left = steps
    while left > 0 {
      let b0 = Vector(loading: b, 0)
      let b1 = Vector(loading: b, 8)
      let b2 = Vector(loading: b, 16)
      var x = splat(low[0])
      s00 = s00.adding(x, times: b0)
      s01 = s01.adding(x, times: b1)
      s02 = s02.adding(x, times: b2)
      x = splat(low[aRow])
      s10 = s10.adding(x, times: b0)
      s11 = s11.adding(x, times: b1)
      s12 = s12.adding(x, times: b2)
      x = splat(high[0])
      s20 = s20.adding(x, times: b0)
      s21 = s21.adding(x, times: b1)
      s22 = s22.adding(x, times: b2)
      x = splat(high[aRow])
      s30 = s30.adding(x, times: b0)
      s31 = s31.adding(x, times: b1)
      s32 = s32.adding(x, times: b2)
      low += aStep
      high += aStep
      b += bStep
      left &-= 1
    }
    s00.store(c0, 0)
    s01.store(c0, 8)
    s02.store(c0, 16)
    s10.store(c1, 0)
    s11.store(c1, 8)
    s12.store(c1, 16)
    s20.store(c2, 0)
    s21.store(c2, 8)
    s22.store(c2, 16)
    s30.store(c3, 0)
    s31.store(c3, 8)
    s32.store(c3, 16)
  }

  /// 6 rows × 1 vector, for maps of eight channels or fewer.
  @inline(__always)
  private static func sixNarrow(
    _ steps: Int, _ a: Pointer, _ aRow: Int, _ aStep: Int, _ b: Pointer, _ bStep: Int, _ c: Pointer,
    _ cRow: Int, _ adding: Bool
  ) {
    var s0 = Vector.zero
    var s1 = Vector.zero
    var s2 = Vector.zero
    var s3 = Vector.zero
    var s4 = Vector.zero
    var s5 = Vector.zero
    if adding {
      s0 = Vector(loading: c, 0)
      s1 = Vector(loading: c, cRow)
      s2 = Vector(loading: c, 2 &* cRow)
      s3 = Vector(loading: c, 3 &* cRow)
      s4 = Vector(loading: c, 4 &* cRow)
      s5 = Vector(loading: c, 5 &* cRow)
    }
    var low = a
    var high = a + 3 &* aRow
    var b = b
    var left = steps
    while left > 0 {
      let b0 = Vector(loading: b, 0)
      s0 = s0.adding(splat(low[0]), times: b0)
      s1 = s1.adding(splat(low[aRow]), times: b0)
      s2 = s2.adding(splat(low[2 &* aRow]), times: b0)
      s3 = s3.adding(splat(high[0]), times: b0)
      s4 = s4.adding(splat(high[aRow]), times: b0)
      s5 = s5.adding(splat(high[2 &* aRow]), times: b0)
      low += aStep
      high += aStep
      b += bStep
      left &-= 1
    }
    s0.store(c, 0)
    s1.store(c, cRow)
    s2.store(c, 2 &* cRow)
    s3.store(c, 3 &* cRow)
    s4.store(c, 4 &* cRow)
    s5.store(c, 5 &* cRow)
  }
}
