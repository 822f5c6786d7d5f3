import CSynapse
import Foundation
import Platform

/// A handle of Synapse's: of a stream, event, graph, section, tensor, recipe or communicator.
typealias SynapseHandle = OpaquePointer

/// A number that Synapse answers; 0 where all is well.
typealias SynapseStatus = CInt

/// The functions of Synapse that are used, from `libSynapse.so`. Declarations: as CSynapse says for its structs; each function here is one that Intel's own
/// bridge of release 1.19 asks for by name (gaudi-pytorch-bridge, pytorch_helpers/synapse_shim/synapse_api_shim.h), but for `synDeviceGetModuleIDs`.
struct SynapseFunctions: Sendable {
  let initialize: @convention(c) () -> SynapseStatus
  let destroy: @convention(c) () -> SynapseStatus
  let driverVersion: @convention(c) (UnsafeMutablePointer<CChar>, CInt) -> SynapseStatus
  let describe: @convention(c) (SynapseStatus, UnsafeMutablePointer<CChar>, UInt64) -> SynapseStatus

  // A device: the number that stands for it here, how many there are of a type, the one of a module's number.
  let countDevices: @convention(c) (UnsafeMutablePointer<UInt32>, CInt) -> SynapseStatus
  let acquireType: @convention(c) (UnsafeMutablePointer<UInt32>, CInt) -> SynapseStatus
  let acquireModule: @convention(c) (UnsafeMutablePointer<UInt32>, UInt32) -> SynapseStatus
  let release: @convention(c) (UInt32) -> SynapseStatus
  let deviceInfo: @convention(c) (UInt32, UnsafeMutablePointer<synapse_device_info>) -> SynapseStatus
  let deviceName: @convention(c) (UnsafeMutablePointer<CChar>, CInt, UInt32) -> SynapseStatus
  /// Free and total bytes.
  let memoryInfo: @convention(c) (UInt32, UnsafeMutablePointer<UInt64>, UnsafeMutablePointer<UInt64>) -> SynapseStatus
  /// The numbers of the modules that this process may have, and how many. nil in older releases, where they are counted from 0.
  var moduleNumbers: (@convention(c) (UnsafeMutablePointer<UInt32>, UnsafeMutablePointer<UInt32>) -> SynapseStatus)?

  // Memory: device, bytes, a wish for the address, flags, the address; of the host: flags, the pointer.
  let allocate: @convention(c) (UInt32, UInt64, UInt64, UInt32, UnsafeMutablePointer<UInt64>) -> SynapseStatus
  let free: @convention(c) (UInt32, UInt64, UInt32) -> SynapseStatus
  let allocateHost:
    @convention(c) (UInt32, UInt64, UInt32, UnsafeMutablePointer<UnsafeMutableRawPointer?>) -> SynapseStatus
  let freeHost: @convention(c) (UInt32, UnsafeRawPointer, UInt32) -> SynapseStatus
  /// Stream, source, bytes, destination, direction.
  let copy: @convention(c) (SynapseHandle, UInt64, UInt64, UInt64, CInt) -> SynapseStatus
  /// Address, value, how many words, stream.
  let setWords: @convention(c) (UInt64, UInt32, UInt64, SynapseHandle) -> SynapseStatus

  let createStream: @convention(c) (UnsafeMutablePointer<SynapseHandle?>, UInt32, UInt32) -> SynapseStatus
  let destroyStream: @convention(c) (SynapseHandle) -> SynapseStatus
  let synchronize: @convention(c) (SynapseHandle) -> SynapseStatus
  let queryStream: @convention(c) (SynapseHandle) -> SynapseStatus
  let waitForEvent: @convention(c) (SynapseHandle, SynapseHandle, UInt32) -> SynapseStatus
  let createEvent: @convention(c) (UnsafeMutablePointer<SynapseHandle?>, UInt32, UInt32) -> SynapseStatus
  let destroyEvent: @convention(c) (SynapseHandle) -> SynapseStatus
  let recordEvent: @convention(c) (SynapseHandle, SynapseHandle) -> SynapseStatus
  let synchronizeEvent: @convention(c) (SynapseHandle) -> SynapseStatus

  let createGraph: @convention(c) (UnsafeMutablePointer<SynapseHandle?>, CInt) -> SynapseStatus
  let destroyGraph: @convention(c) (SynapseHandle) -> SynapseStatus
  /// The section, a descriptor that is no longer used, the graph.
  let createSection: @convention(c) (UnsafeMutablePointer<SynapseHandle?>, UInt64, SynapseHandle) -> SynapseStatus
  let setPersistent: @convention(c) (SynapseHandle, Bool) -> SynapseStatus
  let destroySection: @convention(c) (SynapseHandle) -> SynapseStatus
  /// The tensor, the graph, its kind, its name.
  let createTensor:
    @convention(c) (UnsafeMutablePointer<SynapseHandle?>, SynapseHandle, CInt, UnsafePointer<CChar>) -> SynapseStatus
  let setGeometry: @convention(c) (SynapseHandle, UnsafePointer<synapse_geometry>, CInt) -> SynapseStatus
  let setType: @convention(c) (SynapseHandle, CInt) -> SynapseStatus
  let assignSection: @convention(c) (SynapseHandle, SynapseHandle, UInt64) -> SynapseStatus
  let destroyTensor: @convention(c) (SynapseHandle) -> SynapseStatus
  /// Graph, inputs, outputs, their numbers, parameters and their bytes, guid, name, layouts of inputs and of outputs.
  let createNode:
    @convention(c) (
      SynapseHandle, UnsafePointer<SynapseHandle?>?, UnsafePointer<SynapseHandle?>?, UInt32, UInt32, UnsafeRawPointer?,
      CUnsignedInt, UnsafePointer<CChar>, UnsafePointer<CChar>, UnsafeRawPointer?, UnsafeRawPointer?
    ) -> SynapseStatus
  /// The recipe, the graph, a name, a log or nil.
  let compile:
    @convention(c) (
      UnsafeMutablePointer<SynapseHandle?>, SynapseHandle, UnsafePointer<CChar>, UnsafePointer<CChar>?
    ) -> SynapseStatus

  let workspaceBytes: @convention(c) (UnsafeMutablePointer<UInt64>, SynapseHandle) -> SynapseStatus
  let identifiers:
    @convention(c) (
      SynapseHandle, UnsafeMutablePointer<UnsafePointer<CChar>?>, UnsafeMutablePointer<UInt64>, UInt32
    ) -> SynapseStatus
  /// Stream, tensors and how many, the workspace's address, recipe, flags.
  let launch:
    @convention(c) (
      SynapseHandle, UnsafePointer<synapse_launch_tensor>, UInt32, UInt64, SynapseHandle, UInt32
    ) -> SynapseStatus
  let serialize: @convention(c) (SynapseHandle, UnsafePointer<CChar>) -> SynapseStatus
  let deserialize: @convention(c) (UnsafeMutablePointer<SynapseHandle?>, UnsafePointer<CChar>) -> SynapseStatus
  let destroyRecipe: @convention(c) (SynapseHandle) -> SynapseStatus

  let library: DynamicLibrary

  /// Where Intel's packages put it, for a loader that does not know of it.
  private static let places = ["libSynapse.so", "/usr/lib/habanalabs/libSynapse.so", "libSynapse.so.1"]

  /// Opens the library: `path`, else what CHEXNET_SYNAPSE names, else the first of the usual places. Throws `libraryMissing`, also where it has not all
  /// of these functions, as an older release.
  init(_ path: String? = nil) throws(PlatformError) {
    let named = path ?? ProcessInfo.processInfo.environment["CHEXNET_SYNAPSE"].flatMap { $0.isEmpty ? nil : $0 }
    let found = Self.places.filter { !$0.hasPrefix("/") || FileManager.default.fileExists(atPath: $0) }
    library = try DynamicLibrary(named.map { [$0] } ?? found)
    initialize = try library.symbol("synInitialize")
    destroy = try library.symbol("synDestroy")
    driverVersion = try library.symbol("synDriverGetVersion")
    describe = try library.symbol("synStatusGetBriefDescription")
    countDevices = try library.symbol("synDeviceGetCountByDeviceType")
    acquireType = try library.symbol("synDeviceAcquireByDeviceType")
    acquireModule = try library.symbol("synDeviceAcquireByModuleId")
    release = try library.symbol("synDeviceRelease")
    deviceInfo = try library.symbol("synDeviceGetInfoV2")
    deviceName = try library.symbol("synDeviceGetName")
    memoryInfo = try library.symbol("synDeviceGetMemoryInfo")
    moduleNumbers = library.has("synDeviceGetModuleIDs") ? try library.symbol("synDeviceGetModuleIDs") : nil
    allocate = try library.symbol("synDeviceMalloc")
    free = try library.symbol("synDeviceFree")
    allocateHost = try library.symbol("synHostMalloc")
    freeHost = try library.symbol("synHostFree")
    copy = try library.symbol("synMemCopyAsync")
    setWords = try library.symbol("synMemsetD32Async")
    createStream = try library.symbol("synStreamCreateGeneric")
    destroyStream = try library.symbol("synStreamDestroy")
    synchronize = try library.symbol("synStreamSynchronize")
    queryStream = try library.symbol("synStreamQuery")
    waitForEvent = try library.symbol("synStreamWaitEvent")
    createEvent = try library.symbol("synEventCreate")
    destroyEvent = try library.symbol("synEventDestroy")
    recordEvent = try library.symbol("synEventRecord")
    synchronizeEvent = try library.symbol("synEventSynchronize")
    createGraph = try library.symbol("synGraphCreate")
    destroyGraph = try library.symbol("synGraphDestroy")
    createSection = try library.symbol("synSectionCreate")
    setPersistent = try library.symbol("synSectionSetPersistent")
    destroySection = try library.symbol("synSectionDestroy")
    createTensor = try library.symbol("synTensorHandleCreate")
    setGeometry = try library.symbol("synTensorSetGeometry")
    setType = try library.symbol("synTensorSetDeviceDataType")
    assignSection = try library.symbol("synTensorAssignToSection")
    destroyTensor = try library.symbol("synTensorDestroy")
    createNode = try library.symbol("synNodeCreate")
    compile = try library.symbol("synGraphCompile")
    workspaceBytes = try library.symbol("synWorkspaceGetSize")
    identifiers = try library.symbol("synTensorRetrieveIds")
    launch = try library.symbol("synLaunch")
    serialize = try library.symbol("synRecipeSerialize")
    deserialize = try library.symbol("synRecipeDeSerialize")
    destroyRecipe = try library.symbol("synRecipeDestroy")
  }

  /// What Synapse calls a status.
  func text(of status: SynapseStatus) -> String {
    // STATUS_DESCRIPTION_MAX_SIZE is 56.
    var text = [CChar](repeating: 0, count: 256)
    guard describe(status, &text, UInt64(text.count)) == 0, text[0] != 0 else { return "an unknown status" }
    return text.string
  }

  /// As the library says it: `1.19.0.561`, or what it has in its place.
  var version: String {
    var text = [CChar](repeating: 0, count: 256)
    guard driverVersion(&text, CInt(text.count)) == 0, text[0] != 0 else { return "an unknown release" }
    return text.string
  }
}

extension [CChar] {
  /// Up to the first 0.
  var string: String { String(decoding: prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self).printable }
}

/// Numbers of Synapse's enumerations (synapse_common_types.h, as CSynapse's `[api]`).
enum SynapseConstant {
  // synStatus
  static let outOfDeviceMemory: SynapseStatus = 4
  static let noDevice: SynapseStatus = 8
  static let failedAllocation: SynapseStatus = 14
  static let notEnoughDevices: SynapseStatus = 16
  static let alreadyAcquired: SynapseStatus = 20
  static let busy: SynapseStatus = 22
  static let allTaken: SynapseStatus = 23
  static let alreadyInitialized: SynapseStatus = 29
  // synDmaDir
  static let hostToDevice: CInt = 0
  static let deviceToHost: CInt = 1
  // synTensorType, synGeometryType
  static let dataTensor: CInt = 0
  static let geometrySizes: CInt = 1
}
