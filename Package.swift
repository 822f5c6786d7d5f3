// swift-tools-version: 6.3
import PackageDescription

// Targets stand in the order of their arrows: a target imports only what is above it.
// The house (what lives where, and why) is described in README.md, "Where things live".

/// Warnings are errors in everything we write; dependencies keep their own rules.
let strict: [SwiftSetting] = [.treatAllWarnings(as: .error)]

let package = Package(
  name: "chexnet",
  products: [
    .executable(name: "chexnet", targets: ["chexnet"]),
    // What tests preload into it. As a product it is built beside it, by what builds everything.
    .library(name: "FaultyDisk", type: .dynamic, targets: ["FaultyDisk"]),
    // What tests open in the place of NVIDIA's driver.
    .library(name: "CUDAEmulator", type: .dynamic, targets: ["CUDAEmulator"]),
    // And in the place of Intel's Synapse.
    .library(name: "GaudiStub", type: .dynamic, targets: ["GaudiStub"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
    .package(url: "https://github.com/hummingbird-project/swift-mustache", exact: "2.1.1"),
  ],
  targets: [
    // 0 · libraries that we did not write: module maps and shims of macros, no logic
    .systemLibrary(
      name: "CZlib", path: "Sources/System/CZlib", pkgConfig: "zlib",
      providers: [.apt(["zlib1g-dev"])]),
    .systemLibrary(
      name: "CDeflate", path: "Sources/System/CDeflate", pkgConfig: "libdeflate",
      providers: [.apt(["libdeflate-dev"])]),
    .systemLibrary(
      name: "CPNG", path: "Sources/System/CPNG", pkgConfig: "libpng",
      providers: [.apt(["libpng-dev"])]),
    .systemLibrary(
      name: "CJPEG", path: "Sources/System/CJPEG", pkgConfig: "libturbojpeg",
      providers: [.apt(["libturbojpeg0-dev"])]),
    .systemLibrary(
      name: "CCrypto", path: "Sources/System/CCrypto", pkgConfig: "libcrypto",
      providers: [.apt(["libssl-dev"])]),
    .target(name: "CPlatform", path: "Sources/System/CPlatform"),
    // Declarations of what is opened at run time: nothing is linked.
    .systemLibrary(name: "CSynapse", path: "Sources/System/CSynapse"),
    // libpng reports errors by longjmp, which must never cross a Swift frame.
    .target(name: "CPNGShim", dependencies: ["CPNG"], path: "Sources/System/CPNGShim"),
    // libhdf5, opened when it is first asked for: only its headers are needed here.
    .target(name: "CHDF5", path: "Sources/System/CHDF5"),

    // 1 · shapes and named numbers, the machine, and arithmetic in C
    // Each file of CKernels names its instruction set by a function attribute, so the target needs no flags.
    .target(name: "CKernels"),
    .target(name: "Tensors", swiftSettings: strict),
    .target(name: "Platform", dependencies: ["CCrypto", "CDeflate", "CPlatform"], swiftSettings: strict),

    // 2 · the network, and other people's files
    .target(
      name: "Engine", dependencies: ["Tensors", "Platform", "CKernels"], swiftSettings: strict),
    .target(
      name: "WeightFormats", dependencies: ["Tensors", "Platform", "CHDF5", "CZlib"],
      swiftSettings: strict),

    // 3 · radiographs and label tables; weight files as parameters
    .target(
      name: "ChestXray", dependencies: ["Tensors", "Platform", "CKernels", "CPNGShim", "CJPEG"], swiftSettings: strict),
    .target(name: "Checkpoints", dependencies: ["Engine", "WeightFormats"], swiftSettings: strict),

    // 4 · how well it ranks, where it looked
    .target(
      name: "Evaluation",
      dependencies: [
        "Checkpoints", "ChestXray", "Engine", "CKernels", .product(name: "Mustache", package: "swift-mustache"),
      ],
      swiftSettings: strict),

    // 4 · the plan on another device, opened at run time; its kernels are built by Tools/cuda
    .target(name: "CCUDAKernels", path: "Sources/Accelerators/CUDA/Kernels", sources: ["fatbin.c", "kernel_table.c"]),
    .target(
      name: "Accelerators", dependencies: ["Engine", "Tensors", "Platform", "CCUDAKernels", "CSynapse"],
      exclude: ["CUDA/Kernels"], swiftSettings: strict),

    // 5 · finetuning
    .target(
      name: "Training", dependencies: ["Evaluation", "Checkpoints", "ChestXray", "Engine"],
      swiftSettings: strict),

    // 6 · the command line
    .executableTarget(
      name: "chexnet",
      dependencies: [
        "Training", "Accelerators", .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ], swiftSettings: strict),

    // Measures; nothing depends on it, and `swift build --product chexnet` leaves it out.
    .target(name: "CInt8", path: "Tools/bench/Int8"),
    .executableTarget(
      name: "bench",
      dependencies: [
        "Evaluation", "Checkpoints", "ChestXray", "Engine", "CKernels", "CInt8",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ], path: "Tools/bench/Sources", swiftSettings: strict),

    .target(
      name: "TestSupport", dependencies: ["Engine", "WeightFormats", "Platform"], path: "Tests/TestSupport",
      swiftSettings: strict
    ),
    .target(name: "FaultyDisk", path: "Tests/FaultyDisk"),
    // Runs the kernels' own sources. Nothing links it: with two copies there would be two devices.
    .target(
      name: "CUDAEmulator", path: "Tests/CUDAEmulator",
      cxxSettings: [.headerSearchPath("."), .headerSearchPath("../../Sources/Accelerators/CUDA/Kernels")]),
    // Plain C that shares nothing with the engine. Nothing links it either.
    .target(name: "GaudiStub", path: "Tests/GaudiStub", linkerSettings: [.linkedLibrary("m")]),
    // Opens that library by its path, and misuses it in every way that it knows. Tests run it; what builds everything
    // builds it.
    .executableTarget(name: "GaudiMisuse", path: "Tests/GaudiMisuse", linkerSettings: [.linkedLibrary("dl")]),
    .target(name: "ConfinementProbe", dependencies: ["CPlatform"], path: "Tests/ConfinementProbe"),
    .testTarget(name: "TensorsTests", dependencies: ["Tensors", "TestSupport"], swiftSettings: strict),
    .testTarget(
      name: "PlatformTests", dependencies: ["Platform", "TestSupport", "ConfinementProbe"], swiftSettings: strict),
    .testTarget(name: "CKernelsTests", dependencies: ["CKernels", "Platform"], swiftSettings: strict),
    .testTarget(name: "EngineTests", dependencies: ["Engine", "TestSupport"], swiftSettings: strict),
    .testTarget(name: "WeightFormatsTests", dependencies: ["WeightFormats", "TestSupport"], swiftSettings: strict),
    .testTarget(name: "CheckpointsTests", dependencies: ["Checkpoints", "TestSupport"], swiftSettings: strict),
    .testTarget(name: "ChestXrayTests", dependencies: ["ChestXray", "CKernels", "TestSupport"], swiftSettings: strict),
    .testTarget(name: "EvaluationTests", dependencies: ["Evaluation", "TestSupport"], swiftSettings: strict),
    .testTarget(
      name: "AcceleratorsTests",
      dependencies: ["Accelerators", "CCUDAKernels", "CSynapse", "Engine", "Tensors", "TestSupport"],
      swiftSettings: strict),
    .testTarget(name: "TrainingTests", dependencies: ["Training", "TestSupport"], swiftSettings: strict),
    .testTarget(
      name: "CommandTests", dependencies: ["chexnet", "Engine", "Training", "TestSupport", "FaultyDisk"],
      swiftSettings: strict),
  ],
  swiftLanguageModes: [.v6],
  cLanguageStandard: .c11,
  cxxLanguageStandard: .cxx20
)
