import CCUDAKernels
import Engine
import Foundation
import Platform

/// The GPUs of the processes that train together, one a process, which add up their values by NCCL.
///
/// NCCL never waits here: joining and sums are begun, and asked for until they are done, the other side has failed, or `collective.timeout` is over.
final class NCCLCommunicator {
  /// As NCCL says it: 22803 for 2.28.3.
  let version: Int
  private let functions: NCCLFunctions
  private let device: CUDADevice
  private let collective: any Collective
  private let handle: CUDAHandle

  /// Joins all processes of `collective`; each calls this with its own device.
  ///
  /// Throws `device` where there is no NCCL, or two processes have one GPU; in all processes where in one.
  init(_ device: CUDADevice, _ collective: any Collective) throws(BackendError) {
    let functions = try collective.together(wrapped: BackendError.ofRank) { () throws(BackendError) in
      try Self.open(device)
    }
    let version = functions.version
    let versions = try collective.sum((0..<collective.size).map { $0 == collective.rank ? Double(version) : 0 })
    let places = try collective.gather(Array(device.busAddress.utf8))
    // All find the same, and one tells it.
    try collective.together(wrapped: BackendError.ofRank) { () throws(BackendError) in
      if let other = versions.first(where: { $0 != versions[0] }) {
        throw .device(
          .ncclVersions(NCCLFunctions.text(version: Int(versions[0])), NCCLFunctions.text(version: Int(other))))
      }
      try Self.check(places, collective.hosts)
    }

    var identifier = nccl_unique_id()
    let made = try collective.together(wrapped: BackendError.ofRank) { () throws(BackendError) in
      guard collective.rank == 0 else { return [UInt8]() }
      try device.makeCurrent()
      let status = functions.makeIdentifier(&identifier)
      try Self.check("ncclGetUniqueId", status, functions, device, nil, collective.place)
      return withUnsafeBytes(of: identifier) { Array($0) }
    }
    let bytes = try collective.broadcast(made)
    withUnsafeMutableBytes(of: &identifier) { $0.copyBytes(from: bytes) }
    (self.functions, self.device, self.collective, self.version) = (functions, device, collective, version)

    try device.makeCurrent()
    var handle: CUDAHandle?
    var configuration = nccl_config(
      size: MemoryLayout<nccl_config>.size, magic: 0xcafe_beef, version: CUnsignedInt(NCCLFunctions.neededVersion),
      blocking: 0)
    let status = functions.join(&handle, CInt(collective.size), identifier, CInt(collective.rank), &configuration)
    guard status == 0 || status == NCCLFunctions.inProgress, let handle else {
      throw Self.fault("ncclCommInitRankConfig", status, functions, device, handle, collective.place)
    }
    self.handle = handle
    do throws(BackendError) {
      try wait("ncclCommInitRankConfig") { () throws(BackendError) in true }
    } catch {
      _ = functions.abort(handle)
      throw error
    }
  }

  deinit {
    try? device.makeCurrent()
    // Sums that others never came to end with this.
    _ = functions.abort(handle)
  }

  private static func open(_ device: CUDADevice) throws(BackendError) -> NCCLFunctions {
    let functions: NCCLFunctions
    do {
      functions = try NCCLFunctions()
    } catch {
      throw .device(.noNCCL(device: device.title, error))
    }
    guard functions.version >= NCCLFunctions.neededVersion else {
      throw .device(
        .oldNCCL(
          found: NCCLFunctions.text(version: functions.version),
          needed: NCCLFunctions.text(version: NCCLFunctions.neededVersion)))
    }
    return functions
  }

  /// NCCL has one GPU a process. `places`: `CUDADevice.busAddress` of each.
  private static func check(_ places: [[UInt8]], _ hosts: [String]) throws(BackendError) {
    for (rank, place) in places.enumerated() {
      for other in 0..<rank where places[other] == place && hosts[other] == hosts[rank] {
        throw .device(
          .sharedDevice(
            ranks: (other, rank), host: hosts[rank], address: String(decoding: place, as: UTF8.self)))
      }
    }
  }

  /// Asks `stream` for the sums of `count` Floats at `address` over all processes, in their place.
  func sum(_ count: Int, at address: DeviceAddress, on stream: borrowing CUDAStream) throws(BackendError) {
    let pointer = UnsafeMutableRawPointer(bitPattern: UInt(address))
    let status = functions.sum(
      UnsafeRawPointer(pointer), pointer, count, NCCLFunctions.float, NCCLFunctions.sum, handle, stream.handle)
    guard status == 0 || status == NCCLFunctions.inProgress else { throw fault("ncclAllReduce", status) }
    // In progress until it is in the stream: nothing else may be asked before.
    try wait("ncclAllReduce") { () throws(BackendError) in true }
  }

  /// Until `stream` has done what it was asked for.
  func wait(for stream: borrowing CUDAStream) throws(BackendError) {
    let handle = stream.handle
    try wait("ncclAllReduce") { () throws(BackendError) in
      let status = device.functions.query(handle)
      if status == CUDAConstant.notReady { return false }
      try device.check("cuStreamQuery", status, "sums over \(collective.size) GPUs")
      return true
    }
  }

  /// Until NCCL has nothing to do any more and `isDone`. Throws `device` where a call or the other side fails, or after the timeout.
  private func wait(_ call: String, _ isDone: () throws(BackendError) -> Bool) throws(BackendError) {
    let clock = ContinuousClock()
    let began = clock.now
    var state: CInt = 0
    while true {
      let status = functions.state(handle, &state)
      guard status == 0, state == 0 || state == NCCLFunctions.inProgress else {
        throw fault(call, status == 0 ? state : status)
      }
      if try isDone(), state == 0 { return }
      let seconds = (clock.now - began) / .seconds(1)
      if seconds > collective.timeout {
        throw .device(
          .ncclSilent(call, device: device.title, place: collective.place, seconds: Int(collective.timeout)))
      }
      if seconds > Self.patience { usleep(200) } else { sched_yield() }
    }
  }

  /// Seconds in which it is asked without a pause.
  private static let patience = 0.05

  private func fault(_ call: String, _ status: CInt) -> BackendError {
    Self.fault(call, status, functions, device, handle, collective.place)
  }

  private static func check(
    _ call: String, _ status: CInt, _ functions: NCCLFunctions, _ device: CUDADevice, _ handle: CUDAHandle?,
    _ place: String
  ) throws(BackendError) {
    if status != 0 { throw fault(call, status, functions, device, handle, place) }
  }

  private static func fault(
    _ call: String, _ status: CInt, _ functions: NCCLFunctions, _ device: CUDADevice, _ handle: CUDAHandle?,
    _ place: String
  ) -> BackendError {
    .device(
      .nccl(
        call, device: device.title, code: Int(status), error: functions.text(of: status, handle), place: place,
        isRemote: status == NCCLFunctions.remoteError))
  }
}
