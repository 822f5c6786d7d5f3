import CCUDAKernels
import Engine
import Foundation
import Platform

/// A kernel of the fatbin, loaded on a device. Its handle may be used by any thread.
struct CUDAKernel: @unchecked Sendable {
  let name: String
  let function: CUDAHandle
  /// Of a block.
  let threads: Int
  /// Of dynamic shared memory.
  let sharedBytes: Int
  /// Pixels that a block computes at a time.
  let tile: Int
  /// Blocks that a multiprocessor of the device has room for at once.
  let residentBlocks: Int
  let parameterBytes: Int

  /// Whether it is told its matrices as maps.
  var copiesInBulk: Bool { name.contains("_bulk_") }

  /// That it takes for so many.
  func tiles(_ pixels: Int) -> Int { (pixels + tile - 1) / tile }
}

/// One GPU: its primary context, with the kernels loaded.
///
/// The context is made current in each call that needs it, so that a session may move between threads.
final class CUDADevice: @unchecked Sendable {
  /// The version that the fatbin is made by, and that a driver must speak.
  static let neededVersion = 13_000

  let functions: CUDAFunctions
  /// From 0, among those that the driver shows.
  let index: Int
  /// `NVIDIA H200`.
  let name: String
  let capability: (major: Int, minor: Int)
  let multiprocessors: Int
  /// As the driver says it: 13000 for CUDA 13.0.
  let driverVersion: Int
  /// By name. Not among them are those for another capability, and those whose block needs more shared memory than one has on the device.
  var kernels: [String: CUDAKernel] { choice.kernels }
  /// Which of them compute what.
  let choice: CUDAKernelChoice
  /// What the kernels that were measured on it are kept under.
  let kept: CUDAMeasuredKernels.Circumstances
  private let handle: CInt
  private let context: CUDAHandle
  private let module: CUDAHandle

  /// `cuda:0 (NVIDIA H200)`.
  var title: String { "cuda:\(index) (\(name))" }

  /// Where it is in the machine: `0000:3b:00`.
  var busAddress: String {
    func hexadecimal(_ attribute: CInt, _ digits: Int) -> String {
      let text = String(self.attribute(attribute) ?? 0, radix: 16)
      return String(repeating: "0", count: max(0, digits - text.count)) + text
    }
    return [(CUDAConstant.domainNumber, 4), (CUDAConstant.busNumber, 2), (CUDAConstant.slotNumber, 2)]
      .map { hexadecimal($0.0, $0.1) }.joined(separator: ":")
  }

  /// The number behind the colon of `cuda:1`; nil where there is none. Throws `badName`.
  static func index(in name: String) throws(BackendError) -> Int? {
    if name == "cuda" { return nil }
    guard name.hasPrefix("cuda:"), let index = UInt16(name.dropFirst(5)) else { throw .device(.badName(name)) }
    return Int(index)
  }

  /// Which of `count` devices a process takes that no number was given for: each of the processes of a host one of its own, or, where a launcher
  /// shows each process one alone, that.
  private static func index(
    _ name: String, of count: Int, local: (rank: Int, size: Int), visible: String?
  ) throws(BackendError) -> Int {
    if count == 1 || local.size == 1 { return 0 }
    guard local.size <= count else {
      throw .device(.fewDevices(device: name, count: count, ranks: local.size, visible: visible))
    }
    return local.rank
  }

  /// Opens the driver and the device that `name` says, and loads the kernels. `library`: what to open in the driver's place.
  ///
  /// `multiprocessors`: to choose kernels as if there were so many; nil for those that there are. `local`: this process among those of its host, each of
  /// which takes another device where `name` says none. `preference`: of kernels; nil for what was measured of this device, if it was.
  init(
    named name: String, library: String? = nil, multiprocessors: Int? = nil, local: (rank: Int, size: Int) = (0, 1),
    preference: CUDAKernelChoice.Preference? = nil
  ) throws(BackendError) {
    let number = try Self.index(in: name)
    let functions: CUDAFunctions
    do {
      functions = try CUDAFunctions(library)
    } catch {
      throw .device(.noDriver(device: name, error))
    }
    func call(
      _ call: String, _ status: CInt, _ operation: String = "", on device: String = name
    ) throws(BackendError) {
      try Self.check(functions, call, status, operation, on: device)
    }
    func value(_ attribute: CInt, _ device: CInt) throws(BackendError) -> Int {
      var value: CInt = 0
      try call("cuDeviceGetAttribute", functions.attribute(&value, attribute, device))
      return Int(value)
    }

    let visible = ProcessInfo.processInfo.environment["CUDA_VISIBLE_DEVICES"]
    let status = functions.initialize(0)
    if status == CUDAConstant.noDevice { throw .device(.noDevice(device: name, visible: visible)) }
    try call("cuInit", status)
    var version: CInt = 0
    try call("cuDriverGetVersion", functions.driverVersion(&version))
    guard version >= Self.neededVersion else {
      throw .device(
        .oldDriver(
          device: name, found: Self.text(version: Int(version)), needed: Self.text(version: Self.neededVersion)))
    }
    var count: CInt = 0
    try call("cuDeviceGetCount", functions.deviceCount(&count))
    guard count > 0 else { throw .device(.noDevice(device: name, visible: visible)) }
    let index: Int
    if let number {
      index = number
    } else {
      index = try Self.index(name, of: Int(count), local: local, visible: visible)
    }
    guard index < count else { throw .device(.noSuchDevice(name, count: Int(count), visible: visible)) }

    var handle: CInt = 0
    try call("cuDeviceGet", functions.device(&handle, CInt(index)))
    var text = [CChar](repeating: 0, count: 256)
    try call("cuDeviceGetName", functions.deviceName(&text, CInt(text.count), handle))
    self.name = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self).printable
    let title = "cuda:\(index) (\(self.name))"
    capability = (try value(CUDAConstant.capabilityMajor, handle), try value(CUDAConstant.capabilityMinor, handle))
    guard capability.major >= 8 else {
      throw .device(
        .unsupported(device: name, name: self.name, capability: "\(capability.major).\(capability.minor)"))
    }
    let those = try value(CUDAConstant.multiprocessors, handle)
    self.multiprocessors = multiprocessors ?? those
    kept = CUDAMeasuredKernels.Circumstances(device: self.name, capability: capability, multiprocessors: those)
    var context: CUDAHandle?
    try call("cuDevicePrimaryCtxRetain", functions.retainContext(&context, handle), on: title)
    guard let context else { preconditionFailure("a context that was retained is there") }
    do {
      try call("cuCtxSetCurrent", functions.setContext(context), on: title)
      let most = try value(CUDAConstant.sharedMemoryPerBlock, handle)
      let loaded = try Self.load(functions, for: capability, sharedMemory: most, on: title)
      module = loaded.module
      choice = CUDAKernelChoice(
        kernels: loaded.kernels, multiprocessors: self.multiprocessors,
        preference: preference ?? .measured(.load(from: CUDAMeasuredKernels.path(kept))))
    } catch {
      _ = functions.releaseContext(handle)
      throw error
    }
    (self.functions, self.index, self.handle, self.context) = (functions, index, handle, context)
    driverVersion = Int(version)
  }

  deinit {
    _ = functions.setContext(context)
    _ = functions.unloadModule(module)
    _ = functions.releaseContext(handle)
  }

  /// `sharedMemory`: bytes that a block can have.
  private static func load(
    _ functions: CUDAFunctions, for capability: (major: Int, minor: Int), sharedMemory: Int, on device: String
  ) throws(BackendError) -> (module: CUDAHandle, kernels: [String: CUDAKernel]) {
    var module: CUDAHandle?
    try check(
      functions, "cuModuleLoadData", functions.loadModule(&module, chexnet_cuda_image()),
      "the kernels that come with chexnet",
      on: device)
    guard let module else { preconditionFailure("a module that was loaded is there") }
    var kernels: [String: CUDAKernel] = [:]
    for row in kernelTable where row.shared_bytes <= sharedMemory {
      let name = String(cString: row.name)
      guard Self.isThere(name, for: capability) else { continue }
      var function: CUDAHandle?
      try check(functions, "cuModuleGetFunction", functions.function(&function, module, row.name), name, on: device)
      guard let function else { preconditionFailure("a function that was found is there") }
      try check(
        functions, "cuFuncSetAttribute",
        functions.setFunctionAttribute(function, CUDAConstant.dynamicSharedBytes, row.shared_bytes),
        "\(name) with \(row.shared_bytes) bytes of shared memory", on: device)
      var blocks: CInt = 0
      try check(
        functions, "cuOccupancyMaxActiveBlocksPerMultiprocessor",
        functions.residentBlocks(&blocks, function, row.threads, Int(row.shared_bytes)), name, on: device)
      kernels[name] = CUDAKernel(
        name: name, function: function, threads: Int(row.threads), sharedBytes: Int(row.shared_bytes),
        tile: Int(row.tile), residentBlocks: Int(blocks), parameterBytes: Int(row.parameter_bytes))
    }
    return (module, kernels)
  }

  /// Whether the fatbin has more of a kernel than a trap: with `_90a` in its name it is for Hopper alone, whose instructions no later card has, and with
  /// `_90` for Hopper and what came later.
  private static func isThere(_ kernel: String, for capability: (major: Int, minor: Int)) -> Bool {
    let parts = kernel.split(separator: "_")
    if parts.contains("90a") { return capability == (9, 0) }
    return !parts.contains("90") || capability >= (9, 0)
  }

  /// `13.0` of 13000.
  static func text(version: Int) -> String { "\(version / 1000).\(version % 1000 / 10)" }

  private static func check(
    _ functions: CUDAFunctions, _ call: String, _ status: CInt, _ operation: String, on device: String
  ) throws(BackendError) {
    guard status != 0 else { return }
    throw .device(
      .call(call, device: device, code: Int(status), error: functions.name(of: status), operation: operation))
  }

  /// Throws `device(.call)` where `status`, what `call` has answered, is not 0. `operation`: what it was for, with its shapes.
  func check(_ call: String, _ status: CInt, _ operation: @autoclosure () -> String = "") throws(BackendError) {
    guard status != 0 else { return }
    try Self.check(functions, call, status, operation(), on: title)
  }

  /// Makes the context the calling thread's.
  func makeCurrent() throws(BackendError) { try check("cuCtxSetCurrent", functions.setContext(context)) }

  /// Of device memory, in bytes.
  func memory() throws(BackendError) -> (free: Int, total: Int) {
    var (free, total) = (0, 0)
    try check("cuMemGetInfo", functions.memoryInfo(&free, &total))
    return (free, total)
  }

  /// A number that the driver knows of the device; nil where it does not.
  func attribute(_ attribute: CInt) -> Int? {
    var value: CInt = 0
    return functions.attribute(&value, attribute, handle) == 0 ? Int(value) : nil
  }

  /// The kernel of that name, which the device has.
  func kernel(_ name: String) -> CUDAKernel { choice.kernel(name) }

  /// Of the fatbin, SHA-256 in hexadecimal.
  static let imageDigest = SHA256.hex(
    of: Array(UnsafeRawBufferPointer(start: chexnet_cuda_image(), count: chexnet_cuda_image_size())))
}

private var kernelTable: UnsafeBufferPointer<cuda_kernel> {
  UnsafeBufferPointer(start: chexnet_cuda_kernel_table(), count: Int(chexnet_cuda_kernel_count()))
}
