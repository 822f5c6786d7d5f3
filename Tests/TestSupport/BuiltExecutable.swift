import Foundation
import Platform

/// The `chexnet` that was built beside the test bundle.
public let builtExecutable = URL(fileURLWithPath: ProcessInfo.processInfo.arguments[0]).deletingLastPathComponent()
  .appendingPathComponent("chexnet").path

/// Makes `builtExecutable` what is started to read HDF5 files: the test runner itself does not know how.
let startsBuiltExecutable: Void = { ChildProcess.program = builtExecutable }()

/// The library of `Tests/FaultyDisk`, which was built beside it.
public let builtFaultyDisk = URL(fileURLWithPath: builtExecutable).deletingLastPathComponent()
  .appendingPathComponent("libFaultyDisk.so").path

/// The stand-in for NVIDIA's driver of `Tests/CUDAEmulator`, which was built beside it.
public let builtCUDAEmulator = URL(fileURLWithPath: builtExecutable).deletingLastPathComponent()
  .appendingPathComponent("libCUDAEmulator.so").path

/// The stand-in for Synapse of `Tests/GaudiStub`, which was built beside it.
public let builtGaudiStub = URL(fileURLWithPath: builtExecutable).deletingLastPathComponent()
  .appendingPathComponent("libGaudiStub.so").path

/// The program of `Tests/GaudiMisuse`, which was built beside it.
public let builtGaudiMisuse = URL(fileURLWithPath: builtExecutable).deletingLastPathComponent()
  .appendingPathComponent("GaudiMisuse").path
