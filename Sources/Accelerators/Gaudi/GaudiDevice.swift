import CSynapse
import Engine
import Foundation
import Platform

/// Synapse, initialised as long as somebody has one of these.
final class Synapse: @unchecked Sendable {
  let functions: SynapseFunctions
  /// `1.19.0.561`.
  let release: String

  private static let lock = NSLock()
  nonisolated(unsafe) private static var users = 0

  /// `name`: the device that it is asked for, for errors. `library`: what to open in Synapse's place. Throws `noSynapse`, or `call` where it cannot start.
  init(_ name: String, library: String? = nil) throws(BackendError) {
    do throws(PlatformError) {
      functions = try SynapseFunctions(library)
    } catch {
      throw .device(.gaudi(.noSynapse(device: name, error)))
    }
    release = functions.version
    Self.lock.lock()
    defer { Self.lock.unlock() }
    let status = Self.users == 0 ? functions.initialize() : 0
    if status == SynapseConstant.noDevice {
      throw .device(.gaudi(.noCard(device: name, visible: GaudiDevice.visibleModules)))
    }
    guard status == 0 || status == SynapseConstant.alreadyInitialized else {
      throw .device(
        .gaudi(
          .call(
            "synInitialize", device: name, code: Int(status), error: functions.text(of: status), operation: "")))
    }
    Self.users += 1
  }

  deinit {
    Self.lock.lock()
    defer { Self.lock.unlock() }
    Self.users -= 1
    if Self.users == 0 { _ = functions.destroy() }
  }

  /// `operation`: what the call was for.
  func fault(_ call: String, _ status: SynapseStatus, on device: String, _ operation: String = "") -> BackendError {
    .device(
      .gaudi(
        .call(call, device: device, code: Int(status), error: functions.text(of: status), operation: operation)))
  }
}

/// The generations that graphs are compiled for: synDeviceType.
enum GaudiGeneration: CInt, CaseIterable {
  case gaudi3 = 5
  case gaudi2 = 4
  case gaudi = 2

  var title: String {
    switch self {
    case .gaudi: "Gaudi"
    case .gaudi2: "Gaudi 2"
    case .gaudi3: "Gaudi 3"
    }
  }
}

/// One card, which no other process has meanwhile.
final class GaudiDevice: @unchecked Sendable {
  let synapse: Synapse
  let generation: GaudiGeneration
  /// The module's number, where it is known.
  let module: Int?
  /// As Synapse calls it.
  let name: String
  /// What stands for it in Synapse's calls.
  let handle: UInt32

  var functions: SynapseFunctions { synapse.functions }

  /// `gaudi:0 (Gaudi 2)`.
  var title: String { (module.map { "gaudi:\($0)" } ?? "gaudi") + " (\(generation.title))" }

  static var visibleModules: String? { ProcessInfo.processInfo.environment["HABANA_VISIBLE_MODULES"] }

  /// The number behind the colon of `gaudi:1`; nil where there is none. Throws `badName`.
  private static func module(in name: String) throws(BackendError) -> Int? {
    if name == "gaudi" { return nil }
    guard name.hasPrefix("gaudi:"), let module = UInt16(name.dropFirst(6)) else {
      throw .device(.gaudi(.badName(name)))
    }
    return Int(module)
  }

  /// Takes a card: the module that `name` says; else, of several processes of a host, each the module of its place; else, what the launcher's
  /// HLS_MODULE_ID says; else a free one.
  ///
  /// HCCL connects cards of several machines by their modules, which must then be the same on each: so ranks do not take what is free.
  init(
    named name: String, library: String? = nil, local: (rank: Int, size: Int) = (0, 1)
  ) throws(BackendError) {
    let asked = try Self.module(in: name)
    let synapse = try Synapse(name, library: library)
    let functions = synapse.functions
    let (visible, environment) = (Self.visibleModules, ProcessInfo.processInfo.environment)
    var counts: [(generation: GaudiGeneration, count: Int)] = []
    for generation in GaudiGeneration.allCases {
      var count: UInt32 = 0
      // A release may not know a generation that is newer or older than it.
      if functions.countDevices(&count, generation.rawValue) == 0, count > 0 { counts.append((generation, Int(count))) }
    }
    let all = counts.reduce(0) { $0 + $1.count }
    guard all > 0 else { throw .device(.gaudi(.noCard(device: name, visible: visible))) }

    let modules = Self.modules(functions, count: all)
    var module = asked ?? (local.size == 1 ? environment["HLS_MODULE_ID"].flatMap(Int.init) : nil)
    if module == nil, local.size > 1 {
      guard local.size <= modules.count else {
        throw .device(.gaudi(.fewCards(device: name, count: modules.count, ranks: local.size, visible: visible)))
      }
      module = modules[local.rank]
    }
    if let module, !modules.contains(module) {
      throw .device(.gaudi(.noSuchCard(device: name, modules: modules, visible: visible)))
    }
    var handle: UInt32 = 0
    let (call, status): (String, SynapseStatus)
    if let module {
      (call, status) = ("synDeviceAcquireByModuleId", functions.acquireModule(&handle, UInt32(module)))
    } else {
      (call, status) = ("synDeviceAcquireByDeviceType", Self.acquireFree(functions, counts.map(\.generation), &handle))
    }
    if [
      SynapseConstant.alreadyAcquired, SynapseConstant.notEnoughDevices, SynapseConstant.allTaken,
      SynapseConstant.noDevice, SynapseConstant.busy,
    ].contains(status) {
      throw .device(.gaudi(.taken(device: name, count: all)))
    }
    guard status == 0 else { throw synapse.fault(call, status, on: name) }

    var info = synapse_device_info()
    let found = functions.deviceInfo(handle, &info)
    guard found == 0, let generation = GaudiGeneration(rawValue: info.type) else {
      _ = functions.release(handle)
      throw synapse.fault("synDeviceGetInfoV2", found, on: name, "a device of the unknown type \(info.type)")
    }
    var text = [CChar](repeating: 0, count: 256)
    self.name = functions.deviceName(&text, CInt(text.count), handle) == 0 ? text.string : generation.title
    (self.synapse, self.handle, self.generation, self.module) = (synapse, handle, generation, module)
  }

  deinit { _ = functions.release(handle) }

  /// The numbers of the modules that this process may have.
  static func modules(_ functions: SynapseFunctions, count: Int) -> [Int] {
    var (numbers, size) = ([UInt32](repeating: 0, count: count), UInt32(count))
    guard let find = functions.moduleNumbers, find(&numbers, &size) == 0, size > 0, size <= count else {
      return Array(0..<count)
    }
    return numbers.prefix(Int(size)).map(Int.init).sorted()
  }

  private static func acquireFree(
    _ functions: SynapseFunctions, _ generations: [GaudiGeneration], _ handle: inout UInt32
  ) -> SynapseStatus {
    var status: SynapseStatus = 0
    for generation in generations {
      status = functions.acquireType(&handle, generation.rawValue)
      if status == 0 { break }
    }
    return status
  }

  /// Throws `call` where `status`, what `call` has answered, is not 0. `operation`: what it was for.
  func check(
    _ call: String, _ status: SynapseStatus, _ operation: @autoclosure () -> String = ""
  ) throws(BackendError) {
    if status != 0 { throw synapse.fault(call, status, on: title, operation()) }
  }

  /// Of device memory, in bytes.
  func memory() throws(BackendError) -> (free: Int, total: Int) {
    var (free, total): (UInt64, UInt64) = (0, 0)
    try check("synDeviceGetMemoryInfo", functions.memoryInfo(handle, &free, &total))
    return (Int(free), Int(total))
  }
}
