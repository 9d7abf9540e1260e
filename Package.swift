// swift-tools-version: 6.1
import PackageDescription

// The kernels are compiled from one source for each kind of processor, and the module Kernels chooses
// among them at start. Swift takes its instruction set from Clang's: without a flag it emits baseline
// code, on x86-64 less than half as fast.
//
// The name x86v3Kernels has to be the last in the alphabet. The compiler emits copies of small functions
// (of arrays, say) into every module that uses them, with the instructions of that module; the linker
// keeps the first copy for all, and SwiftPM links modules in the order of their names. The copy of the
// last module is never the first, so that nothing but its own code runs on AVX2: cluster/test.sh looks.
let kernelDependencies: [Target.Dependency] = ["Tensors", "CVector"]
#if arch(x86_64)
  let processorKernels: [Target] = [
    .target(
      name: "x86v3Kernels", dependencies: kernelDependencies,
      swiftSettings: [.unsafeFlags(["-Xcc", "-march=x86-64-v3"])])
  ]
#else
  let processorKernels: [Target] = []
#endif

// Most tests compute little and are many: what optimising them would save is less than what it takes.
let quicklyBuilt: [SwiftSetting] = [.unsafeFlags(["-Onone"])]

let package = Package(
  name: "tutti",
  products: [
    .executable(name: "coordinator", targets: ["coordinator"]),
    .executable(name: "worker", targets: ["worker"]),
    .executable(name: "tutti", targets: ["tutti"]),
    .executable(name: "bench", targets: ["bench"]),
    .executable(name: "fuzz", targets: ["fuzz"]),
    // Not shipped: tests preload it into a program, to end it at a chosen call.
    .library(name: "CCrash", type: .dynamic, targets: ["CCrash"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
  ],
  targets: [
    // C libraries, as Debian packages them
    .systemLibrary(name: "CLibFuzzer"),
    .systemLibrary(name: "COpenBLAS", providers: [.apt(["libopenblas-dev"])]),
    .systemLibrary(name: "CFFTW", providers: [.apt(["libfftw3-dev"])]),
    .systemLibrary(name: "CSndfile", providers: [.apt(["libsndfile1-dev"])]),
    .systemLibrary(name: "CSodium", providers: [.apt(["libsodium-dev"])]),
    .systemLibrary(name: "CSoxr", providers: [.apt(["libsoxr-dev"])]),
    .systemLibrary(name: "CXXHash", providers: [.apt(["libxxhash-dev"])]),
    .systemLibrary(name: "CZeroMQ", providers: [.apt(["libzmq3-dev"])]),
    .target(name: "CVector"),
    .target(name: "CCrash", path: "Tests/CCrash"),
    .target(name: "CMemory"),

    // The modules; each may import only what its line names
    .target(name: "Tensors", dependencies: ["COpenBLAS"]),
    .target(name: "KernelsPortable", dependencies: kernelDependencies),
    .target(
      name: "Kernels",
      dependencies: ["Tensors", "KernelsPortable", "CVector"]
        + processorKernels.map { .byName(name: $0.name) }),
    .target(name: "Layers", dependencies: ["Kernels"]),
    .target(name: "Models", dependencies: ["Layers", "Kernels"]),
    .target(name: "Audio", dependencies: ["CSndfile", "CFFTW", "CSoxr"]),
    .target(name: "Dataset", dependencies: ["CXXHash", "CSodium", "CMemory"]),
    .target(name: "Cluster", dependencies: ["CZeroMQ", "CXXHash", "CSodium", "CMemory"]),
    .target(name: "Synthesis", dependencies: ["Audio"]),
    .target(
      name: "Training",
      dependencies: [
        "Models", "Layers", "Kernels", "Audio", "Dataset", "Cluster", "Synthesis", "CMemory",
        "CSodium", .product(name: "Yams", package: "Yams"),
      ]),
    .target(
      name: "Sight",
      dependencies: [
        "Training", "Cluster",
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
      ],
      resources: [.embedInCode("page.html")]),

    // The programs: argument parsing and wiring only
    .executableTarget(
      name: "coordinator",
      dependencies: [
        "Training", "Synthesis", "Cluster", "Sight",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),
    .executableTarget(
      name: "worker",
      dependencies: [
        "Training", "Cluster",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),
    .executableTarget(
      name: "tutti",
      dependencies: [
        "Training", "Synthesis", "Audio", "Dataset", "Models", "Cluster",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),
    .executableTarget(
      name: "bench",
      dependencies: [
        "Training", "Models", "Layers", "Kernels", "Audio", "Dataset", "Cluster", "CZeroMQ",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),
    .executableTarget(
      name: "fuzz",
      dependencies: [
        "Training", "Models", "Kernels", "Audio", "Dataset", "Cluster", "CLibFuzzer", "CSodium",
        "CXXHash",
      ]),

    .testTarget(name: "KernelsTests", dependencies: ["Kernels"]),
    .testTarget(
      name: "LayersTests", dependencies: ["Layers", "Kernels"], exclude: ["Goldens"]),
    .testTarget(name: "ModelsTests", dependencies: ["Models", "Layers", "Kernels"]),
    .testTarget(name: "AudioTests", dependencies: ["Audio"], exclude: ["Goldens"]),
    .testTarget(
      name: "DatasetTests", dependencies: ["Dataset"], exclude: ["ImporterFixtures"],
      swiftSettings: quicklyBuilt),
    .testTarget(name: "ClusterTests", dependencies: ["Cluster"], swiftSettings: quicklyBuilt),
    .testTarget(name: "FuzzTests", dependencies: ["fuzz", "Dataset"]),
    .testTarget(name: "SynthesisTests", dependencies: ["Synthesis", "Audio"]),
    .testTarget(
      name: "TrainingTests",
      dependencies: ["Training", "Models", "Layers", "Kernels", "Audio", "Dataset", "Cluster"],
      exclude: ["Goldens"], swiftSettings: quicklyBuilt),
    .testTarget(name: "SightTests", dependencies: ["Sight", "Training", "Cluster"]),
    .testTarget(
      name: "ProgramTests",
      dependencies: ["coordinator", "worker", "tutti", "bench", "Cluster"],
      swiftSettings: quicklyBuilt),
  ] + processorKernels,
  swiftLanguageModes: [.v6]
)
