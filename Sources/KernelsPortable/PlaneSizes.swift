/// The sizes of a kernel and of the pools after it, where there is one input channel.
///
/// The work on a position is a few instructions, so loops over taps and places must cost nothing: for
/// the networks' own sizes they are constants, and the compiler unrolls them.
protocol PlaneSizes {
  var kernelF: Int { get }
  var kernelT: Int { get }
  var poolF: Int { get }
  var poolT: Int { get }
}

struct FixedPlane<let f: Int, let t: Int, let poolsF: Int, let poolsT: Int>: PlaneSizes {
  var kernelF: Int { f }
  var kernelT: Int { t }
  var poolF: Int { poolsF }
  var poolT: Int { poolsT }
}

struct AnyPlane: PlaneSizes {
  let kernelF, kernelT, poolF, poolT: Int
}

extension FusedBlock {
  enum KnownPlane {
    case narrow(FixedPlane<1, 4, 1, 4>)
    case square(FixedPlane<3, 3, 2, 2>)
    case wide(FixedPlane<3, 3, 2, 4>)
    case others(AnyPlane)
  }

  var planeSizes: KnownPlane {
    let (g, s) = (geometry, geometry.shape)
    return switch (s.kernelF, s.kernelT, g.poolF, g.poolT) {
    case (1, 4, 1, 4): .narrow(FixedPlane())
    case (3, 3, 2, 2): .square(FixedPlane())
    case (3, 3, 2, 4): .wide(FixedPlane())
    default:
      .others(
        AnyPlane(kernelF: s.kernelF, kernelT: s.kernelT, poolF: g.poolF, poolT: g.poolT))
    }
  }
}
