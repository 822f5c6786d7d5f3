import Foundation
import Platform

/// A place in a device's memory; 0 is none.
typealias DeviceAddress = UInt64
/// A context, module, function, stream, event or graph of the driver's.
typealias CUDAHandle = UnsafeMutableRawPointer

/// The functions of the CUDA driver that are used, by the names that its library exports (CUDA driver API reference, 13.0; a `_v2` is part of
/// a name where the interface has changed once).
struct CUDAFunctions: Sendable {
  let initialize: @convention(c) (CUnsignedInt) -> CInt
  let driverVersion: @convention(c) (UnsafeMutablePointer<CInt>) -> CInt
  let deviceCount: @convention(c) (UnsafeMutablePointer<CInt>) -> CInt
  let device: @convention(c) (UnsafeMutablePointer<CInt>, CInt) -> CInt
  let deviceName: @convention(c) (UnsafeMutablePointer<CChar>, CInt, CInt) -> CInt
  /// Value, attribute, device.
  let attribute: @convention(c) (UnsafeMutablePointer<CInt>, CInt, CInt) -> CInt
  let retainContext: @convention(c) (UnsafeMutablePointer<CUDAHandle?>, CInt) -> CInt
  let releaseContext: @convention(c) (CInt) -> CInt
  let setContext: @convention(c) (CUDAHandle?) -> CInt

  /// Free, total.
  let memoryInfo: @convention(c) (UnsafeMutablePointer<Int>, UnsafeMutablePointer<Int>) -> CInt
  let allocate: @convention(c) (UnsafeMutablePointer<DeviceAddress>, Int) -> CInt
  let free: @convention(c) (DeviceAddress) -> CInt
  /// Pointer, bytes, flags.
  let allocateHost: @convention(c) (UnsafeMutablePointer<UnsafeMutableRawPointer?>, Int, CUnsignedInt) -> CInt
  let freeHost: @convention(c) (UnsafeMutableRawPointer?) -> CInt
  let copyToDevice: @convention(c) (DeviceAddress, UnsafeRawPointer, Int, CUDAHandle?) -> CInt
  let copyToHost: @convention(c) (UnsafeMutableRawPointer, DeviceAddress, Int, CUDAHandle?) -> CInt
  /// Address, byte, count, stream.
  let setBytes: @convention(c) (DeviceAddress, CUnsignedChar, Int, CUDAHandle?) -> CInt
  /// Address, word of 4 bytes, count, stream.
  let setWords: @convention(c) (DeviceAddress, CUnsignedInt, Int, CUDAHandle?) -> CInt

  let loadModule: @convention(c) (UnsafeMutablePointer<CUDAHandle?>, UnsafeRawPointer) -> CInt
  let unloadModule: @convention(c) (CUDAHandle?) -> CInt
  let function: @convention(c) (UnsafeMutablePointer<CUDAHandle?>, CUDAHandle?, UnsafePointer<CChar>) -> CInt
  let setFunctionAttribute: @convention(c) (CUDAHandle?, CInt, CInt) -> CInt
  let functionAttribute: @convention(c) (UnsafeMutablePointer<CInt>, CInt, CUDAHandle?) -> CInt
  /// Blocks, function, threads of a block, bytes of its dynamic shared memory.
  let residentBlocks: @convention(c) (UnsafeMutablePointer<CInt>, CUDAHandle?, CInt, Int) -> CInt
  /// Function, grid, block, shared bytes, stream, parameters, extra.
  let launch:
    @convention(c) (
      CUDAHandle?, CUnsignedInt, CUnsignedInt, CUnsignedInt, CUnsignedInt, CUnsignedInt, CUnsignedInt, CUnsignedInt,
      CUDAHandle?, UnsafeMutablePointer<UnsafeMutableRawPointer?>?, UnsafeMutableRawPointer?
    ) -> CInt
  /// Map, type of an element, dimensions, address, sizes, strides, box, steps, interleaving, swizzle, what is fetched, what is outside.
  let encodeTensor:
    @convention(c) (
      UnsafeMutableRawPointer?, CInt, CUnsignedInt, UnsafeMutableRawPointer?, UnsafePointer<UInt64>,
      UnsafePointer<UInt64>, UnsafePointer<UInt32>, UnsafePointer<UInt32>, CInt, CInt, CInt, CInt
    ) -> CInt

  let createStream: @convention(c) (UnsafeMutablePointer<CUDAHandle?>, CUnsignedInt) -> CInt
  let destroyStream: @convention(c) (CUDAHandle?) -> CInt
  let synchronize: @convention(c) (CUDAHandle?) -> CInt
  let query: @convention(c) (CUDAHandle?) -> CInt
  /// Stream, mode.
  let beginCapture: @convention(c) (CUDAHandle?, CInt) -> CInt
  let endCapture: @convention(c) (CUDAHandle?, UnsafeMutablePointer<CUDAHandle?>) -> CInt
  let instantiate: @convention(c) (UnsafeMutablePointer<CUDAHandle?>, CUDAHandle?, CUnsignedLongLong) -> CInt
  let launchGraph: @convention(c) (CUDAHandle?, CUDAHandle?) -> CInt
  let destroyExecutableGraph: @convention(c) (CUDAHandle?) -> CInt
  let destroyGraph: @convention(c) (CUDAHandle?) -> CInt
  let createEvent: @convention(c) (UnsafeMutablePointer<CUDAHandle?>, CUnsignedInt) -> CInt
  let destroyEvent: @convention(c) (CUDAHandle?) -> CInt
  let recordEvent: @convention(c) (CUDAHandle?, CUDAHandle?) -> CInt
  let waitForEvent: @convention(c) (CUDAHandle?, CUDAHandle?, CUnsignedInt) -> CInt
  /// Milliseconds, from, to.
  let elapsed: @convention(c) (UnsafeMutablePointer<Float>, CUDAHandle?, CUDAHandle?) -> CInt
  let errorName: @convention(c) (CInt, UnsafeMutablePointer<UnsafePointer<CChar>?>) -> CInt

  /// No function of the driver's: what watches memory in its place (Tests/CUDAEmulator) is told the parts of an allocation by it, address, bytes and
  /// name. nil where nothing watches.
  let announce: (@convention(c) (DeviceAddress, Int, UnsafePointer<CChar>) -> CInt)?

  /// The file that they come from, as the loader found it by name.
  let library: DynamicLibrary

  /// Where drivers lie that the loader does not find by itself: containers, and Windows' Linux.
  private static let places = [
    "libcuda.so.1", "/usr/local/nvidia/lib64/libcuda.so.1", "/usr/lib/wsl/lib/libcuda.so.1",
    "/run/opengl-driver/lib/libcuda.so.1",
  ]

  /// Opens the driver: `path`, else what CHEXNET_CUDA names, else the first of the usual places. Throws `libraryMissing`.
  init(_ path: String? = nil) throws(PlatformError) {
    let named = path ?? ProcessInfo.processInfo.environment["CHEXNET_CUDA"].flatMap { $0.isEmpty ? nil : $0 }
    // A place without a file would be all that the error speaks of.
    let found = Self.places.filter { !$0.hasPrefix("/") || FileManager.default.fileExists(atPath: $0) }
    library = try DynamicLibrary(named.map { [$0] } ?? found)
    initialize = try library.symbol("cuInit")
    driverVersion = try library.symbol("cuDriverGetVersion")
    deviceCount = try library.symbol("cuDeviceGetCount")
    device = try library.symbol("cuDeviceGet")
    deviceName = try library.symbol("cuDeviceGetName")
    attribute = try library.symbol("cuDeviceGetAttribute")
    retainContext = try library.symbol("cuDevicePrimaryCtxRetain")
    releaseContext = try library.symbol("cuDevicePrimaryCtxRelease_v2")
    setContext = try library.symbol("cuCtxSetCurrent")
    memoryInfo = try library.symbol("cuMemGetInfo_v2")
    allocate = try library.symbol("cuMemAlloc_v2")
    free = try library.symbol("cuMemFree_v2")
    allocateHost = try library.symbol("cuMemHostAlloc")
    freeHost = try library.symbol("cuMemFreeHost")
    copyToDevice = try library.symbol("cuMemcpyHtoDAsync_v2")
    copyToHost = try library.symbol("cuMemcpyDtoHAsync_v2")
    setBytes = try library.symbol("cuMemsetD8Async")
    setWords = try library.symbol("cuMemsetD32Async")
    loadModule = try library.symbol("cuModuleLoadData")
    unloadModule = try library.symbol("cuModuleUnload")
    function = try library.symbol("cuModuleGetFunction")
    setFunctionAttribute = try library.symbol("cuFuncSetAttribute")
    functionAttribute = try library.symbol("cuFuncGetAttribute")
    residentBlocks = try library.symbol("cuOccupancyMaxActiveBlocksPerMultiprocessor")
    launch = try library.symbol("cuLaunchKernel")
    encodeTensor = try library.symbol("cuTensorMapEncodeTiled")
    createStream = try library.symbol("cuStreamCreate")
    destroyStream = try library.symbol("cuStreamDestroy_v2")
    synchronize = try library.symbol("cuStreamSynchronize")
    query = try library.symbol("cuStreamQuery")
    beginCapture = try library.symbol("cuStreamBeginCapture_v2")
    endCapture = try library.symbol("cuStreamEndCapture")
    instantiate = try library.symbol("cuGraphInstantiateWithFlags")
    launchGraph = try library.symbol("cuGraphLaunch")
    destroyExecutableGraph = try library.symbol("cuGraphExecDestroy")
    destroyGraph = try library.symbol("cuGraphDestroy")
    createEvent = try library.symbol("cuEventCreate")
    destroyEvent = try library.symbol("cuEventDestroy_v2")
    recordEvent = try library.symbol("cuEventRecord")
    waitForEvent = try library.symbol("cuStreamWaitEvent")
    elapsed = try library.symbol("cuEventElapsedTime")
    errorName = try library.symbol("cuGetErrorName")
    announce = library.has("emulator_divide") ? try library.symbol("emulator_divide") : nil
  }

  /// `CUDA_ERROR_LAUNCH_FAILED`.
  func name(of code: CInt) -> String {
    var text: UnsafePointer<CChar>?
    guard errorName(code, &text) == 0, let text else { return "an unknown error" }
    return String(cString: text)
  }
}

/// Numbers of the driver's enumerations (cuda.h).
enum CUDAConstant {
  static let outOfMemory: CInt = 2
  static let noDevice: CInt = 100
  static let notReady: CInt = 600
  // CUdevice_attribute
  static let clockRate: CInt = 13
  static let multiprocessors: CInt = 16
  static let busNumber: CInt = 33
  static let slotNumber: CInt = 34
  static let domainNumber: CInt = 50
  static let memoryClockRate: CInt = 36
  static let memoryBusWidth: CInt = 37
  static let capabilityMajor: CInt = 75
  static let capabilityMinor: CInt = 76
  static let sharedMemoryPerBlock: CInt = 97
  // CUfunction_attribute
  static let registers: CInt = 4
  static let localBytes: CInt = 3
  static let dynamicSharedBytes: CInt = 8
  // CUtensorMapDataType, CUtensorMapInterleave, CUtensorMapSwizzle, CUtensorMapL2promotion, CUtensorMapFloatOOBfill
  static let bf16: CInt = 9
  static let notInterleaved: CInt = 0
  static let swizzle64: CInt = 2
  static let swizzle128: CInt = 3
  static let fetches128: CInt = 2
  static let zeros: CInt = 0
  /// CU_STREAM_NON_BLOCKING: no waiting for the default stream.
  static let nonBlocking: CUnsignedInt = 1
  /// CU_STREAM_CAPTURE_MODE_THREAD_LOCAL: other threads may do what they like meanwhile.
  static let captureThreadLocal: CInt = 1
}
