import CSynapse
import Engine
import Foundation
import Platform

/// The cards of the processes that train together, one a process, which add up their gradients by HCCL.
///
/// Sums are begun, and asked for until they are done, HCCL has failed, or `collective.timeout` is over. Joining waits for the others in HCCL itself, right
/// after all have said by MPI that they are there.
final class GaudiReduction {
  private let functions: HCCLFunctions
  private let device: GaudiDevice
  private let collective: any Collective
  private let handle: SynapseHandle
  private var isAtWork = false

  /// Joins all processes of `collective`; each calls this with its own card. Throws `device` where there is no HCCL, or the releases differ; in all where
  /// in one.
  init(_ device: GaudiDevice, _ collective: any Collective) throws(BackendError) {
    let functions = try collective.together(wrapped: BackendError.ofRank) { () throws(BackendError) in
      do throws(PlatformError) {
        return try HCCLFunctions(device.functions.library)
      } catch {
        throw .device(.gaudi(.noHCCL(device: device.title, error)))
      }
    }
    let releases = try collective.gather(Array(device.synapse.release.utf8)).map { String(decoding: $0, as: UTF8.self) }
    try collective.together(wrapped: BackendError.ofRank) { () throws(BackendError) in
      if let other = releases.first(where: { $0 != releases[0] }) {
        throw .device(.gaudi(.releases(releases[0], other)))
      }
    }
    var identifier = hccl_unique_id()
    let made = try collective.together(wrapped: BackendError.ofRank) { () throws(BackendError) in
      guard collective.rank == 0 else { return [UInt8]() }
      let status = functions.makeIdentifier(&identifier)
      guard status == 0 else { throw Self.fault("hcclGetUniqueId", status, functions, device, collective.place) }
      return withUnsafeBytes(of: identifier) { Array($0) }
    }
    let bytes = try collective.broadcast(made)
    withUnsafeMutableBytes(of: &identifier) { $0.copyBytes(from: bytes) }
    var handle: SynapseHandle?
    let status = functions.join(&handle, CInt(collective.size), identifier, CInt(collective.rank))
    guard status == 0, let handle else {
      throw Self.fault("hcclCommInitRank", status, functions, device, collective.place)
    }
    (self.functions, self.device, self.collective, self.handle) = (functions, device, collective, handle)
  }

  deinit {
    // Sums that others never came to end with this.
    _ = isAtWork ? functions.abort(handle) : functions.destroy(handle)
  }

  /// Replaces the Floats at each address by their sums over all processes, once `stream` has done what it was asked for, and waits for it.
  func sum(
    _ parts: [(address: UInt64, count: Int)], on stream: borrowing GaudiStream
  ) throws(BackendError) {
    isAtWork = true
    for part in parts {
      let pointer = UnsafeMutableRawPointer(bitPattern: UInt(part.address))
      let status = functions.sum(
        UnsafeRawPointer(pointer), pointer, part.count, HCCLFunctions.float, HCCLFunctions.sum, handle, stream.handle)
      guard status == 0 else { throw Self.fault("hcclAllReduce", status, functions, device, collective.place) }
    }
    let clock = ContinuousClock()
    let began = clock.now
    while true {
      var state: CInt = 0
      let status = functions.state(handle, &state)
      guard status == 0, state == 0 else {
        throw Self.fault("hcclAllReduce", status == 0 ? state : status, functions, device, collective.place)
      }
      let found = device.functions.queryStream(stream.handle)
      if found == 0 { break }
      if found != SynapseConstant.busy {
        try device.check("synStreamQuery", found, "sums over \(collective.size) cards")
      }
      let seconds = (clock.now - began) / .seconds(1)
      if seconds > collective.timeout {
        throw .device(
          .gaudi(
            .hcclSilent(
              "hcclAllReduce", device: device.title, place: collective.place, seconds: Int(collective.timeout))))
      }
      if seconds > Self.patience { usleep(200) } else { sched_yield() }
    }
    isAtWork = false
  }

  /// Seconds in which it is asked without a pause.
  private static let patience = 0.05

  private static func fault(
    _ call: String, _ status: CInt, _ functions: HCCLFunctions, _ device: GaudiDevice, _ place: String
  ) -> BackendError {
    .device(
      .gaudi(.hccl(call, device: device.title, code: Int(status), error: functions.text(of: status), place: place)))
  }
}
