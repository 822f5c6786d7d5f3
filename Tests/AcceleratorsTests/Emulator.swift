import CCUDAKernels
import Engine
import Platform
import Tensors
import TestSupport
import Testing

@testable import Accelerators

/// The tests that run kernels in the emulator: one after the other, for it is one device.
@Suite(.serialized) enum Emulated {}

/// The emulator of this process (Tests/CUDAEmulator/include/CUDAEmulator.h says what its functions do).
struct Emulator {
  static let shared = Result { try Emulator() }

  private let library: DynamicLibrary
  private let violationText: @convention(c) () -> UnsafePointer<CChar>
  private let sitesText: @convention(c) () -> UnsafePointer<CChar>
  private let countersText: @convention(c) () -> UnsafePointer<CChar>
  private let liveText: @convention(c) () -> UnsafePointer<CChar>
  private let resetAll: @convention(c) () -> Void
  private let setSeed: @convention(c) (UInt64) -> Void
  private let setTruncation: @convention(c) (CInt) -> Void
  private let record: @convention(c) (CInt) -> Void
  private let plantFault: @convention(c) (UnsafePointer<CChar>?) -> CInt
  private let failCall: @convention(c) (UnsafePointer<CChar>, CInt, CInt) -> Void

  private init() throws {
    library = try DynamicLibrary([builtCUDAEmulator])
    violationText = try library.symbol("emulator_violation")
    sitesText = try library.symbol("emulator_sites")
    countersText = try library.symbol("emulator_counters")
    liveText = try library.symbol("emulator_live")
    resetAll = try library.symbol("emulator_reset")
    setSeed = try library.symbol("emulator_seed")
    setTruncation = try library.symbol("emulator_truncate_sums")
    record = try library.symbol("emulator_record_sites")
    plantFault = try library.symbol("emulator_plant")
    failCall = try library.symbol("emulator_fail")
  }

  /// Of the kernels that have run, and of the calls that were refused; empty where nothing was wrong.
  var violation: String { String(cString: violationText()) }
  /// What is alive on the device.
  var live: [Substring] { String(cString: liveText()).split(separator: "\n") }
  /// Places where a kernel can be made to err, of the launches since recording began.
  var sites: [String] { String(cString: sitesText()).split(separator: "\n").map(String.init) }
  /// What a kernel has done since the last reset; nil where it has not run.
  func counters(of kernel: String) -> Counters? {
    let lines = String(cString: countersText()).split(separator: "\n").map { $0.split(separator: "\t") }
    guard let line = lines.first(where: { $0[0] == kernel }) else { return nil }
    let numbers = line.dropFirst().compactMap { Int($0) }
    return Counters(
      launches: numbers[0], read: numbers[1], written: numbers[2], distinctRead: numbers[3],
      distinctWritten: numbers[4], warpgroupRead: numbers[8])
  }

  func reset() { resetAll() }
  func seed(_ seed: UInt64) { setSeed(seed) }
  func truncateSums(_ on: Bool) { setTruncation(on ? 1 : 0) }
  func recordSites(_ on: Bool) { record(on ? 1 : 0) }
  func plant(_ site: String?) -> Bool { plantFault(site) != 0 }
  /// The `after`-th next call of that function fails.
  func fail(_ call: String, _ code: Int32, after: Int32 = 1) { failCall(call, code, after) }
}

extension Emulator {
  /// Bytes of global memory: as threads asked for them, and each word of four once a launch. And of shared memory, as products of warpgroups read it.
  struct Counters: Equatable {
    var launches, read, written, distinctRead, distinctWritten: Int
    var warpgroupRead = 0
  }
}

/// An emulated device, as new. `multiprocessors`: few make kernels of large tiles the choice, which a real card takes for large batches. `preference`: of
/// kernels; by default the rule's.
func emulatedDevice(
  multiprocessors: Int? = nil, preference: CUDAKernelChoice.Preference = .measured(CUDAMeasuredKernels())
) throws -> (Emulator, CUDADevice) {
  let emulator = try Emulator.shared.get()
  emulator.reset()
  return (
    emulator,
    try CUDADevice(
      named: "cuda", library: builtCUDAEmulator, multiprocessors: multiprocessors, preference: preference)
  )
}

/// `count` images in turn of each kind that there is: a window, gray for all channels; gray; a mirrored window of all channels; all channels; values.
/// The windows are of one image for each channel count.
func imagesOfEveryKind(_ shape: FeatureShape, count: Int, _ tables: PixelTables) -> ImageBatch {
  func bytes(_ count: Int, _ step: Int) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: $0 &* step &+ $0 / 11) }
  }
  let (height, width) = (shape.height + 5, shape.width + 9)
  let (gray, planar) = (bytes(height * width, 37), bytes(shape.channels * height * width, 91))
  let images: [ImagePixels] = (0..<count).map { index in
    switch index % 5 {
    case 0: .window(ImageWindow(bytes: gray, width: width, height: height, left: 3 + index, top: 2))
    case 1: .bytes(bytes(shape.area, 53 + index))
    case 2: .window(ImageWindow(bytes: planar, width: width, height: height, left: 4, top: 5, isMirrored: true))
    case 3: .bytes(bytes(shape.count, 61 + index))
    default:
      .values(tables.values(.bytes(bytes(shape.area, 71 + index)), height: shape.height, width: shape.width))
    }
  }
  return ImageBatch(images, shape: shape, tables: tables)
}

extension PixelTables {
  /// ImageNet's, of its first channels.
  static func imageNet(channels: Int) -> PixelTables {
    PixelTables(
      mean: Array(Preprocessing.imageNetMean.prefix(channels)),
      deviation: Array(Preprocessing.imageNetDeviation.prefix(channels)))
  }
}

/// What `words` are behind one of the emulator's own kernels, which are in no table. `told`: of their address on the device, what the kernel is told.
func runEmulated<Told: BitwiseCopyable>(
  _ name: String, threads: Int, sharedBytes: Int, blocks: Int, on words: [UInt32], _ device: CUDADevice,
  _ told: (DeviceAddress) -> ([CUDATensor], Told)
) throws -> [UInt32] {
  let functions = device.functions
  var (module, function): (CUDAHandle?, CUDAHandle?) = (nil, nil)
  try device.check("cuModuleLoadData", functions.loadModule(&module, chexnet_cuda_image()))
  defer { _ = functions.unloadModule(module) }
  try device.check("cuModuleGetFunction", functions.function(&function, module, name))
  let kernel = CUDAKernel(
    name: name, function: try #require(function), threads: threads, sharedBytes: sharedBytes, tile: 0,
    residentBlocks: 1, parameterBytes: MemoryLayout<Told>.size)
  guard let memory = try CUDAMemory.allocate(4 * words.count, on: device) else { return [] }
  let stream = try CUDAStream(device)
  let staged = try PinnedMemory(memory.bytes, for: device)
  words.withUnsafeBytes {
    UnsafeMutableRawBufferPointer(start: staged.pointer, count: staged.bytes).copyMemory(from: $0)
  }
  try stream.copy(staged.bytes, from: staged.pointer, to: memory.address)
  let (tensors, parameters) = told(memory.address)
  try stream.launch(CUDALaunch(kernel, name, grid: (blocks, 1, 1), tensors: tensors, parameters))
  try stream.copy(staged.bytes, from: memory.address, to: staged.pointer)
  try stream.wait(name)
  return Array(
    UnsafeBufferPointer(start: staged.pointer.assumingMemoryBound(to: UInt32.self), count: words.count))
}
