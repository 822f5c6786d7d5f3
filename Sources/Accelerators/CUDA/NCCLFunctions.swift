import CCUDAKernels
import Foundation
import Platform

/// The functions of NCCL that are used, from its library. Declarations: nccl.h of NCCL 2.14 and later, whose interface has only grown since.
struct NCCLFunctions: Sendable {
  /// The file that they come from, as the loader found it.
  let library: String
  /// 22800 for 2.28.0.
  let version: Int
  let makeIdentifier: @convention(c) (UnsafeMutablePointer<nccl_unique_id>) -> CInt
  let join:
    @convention(c) (UnsafeMutablePointer<CUDAHandle?>, CInt, nccl_unique_id, CInt, UnsafeMutablePointer<nccl_config>) ->
      CInt
  let state: @convention(c) (CUDAHandle?, UnsafeMutablePointer<CInt>) -> CInt
  let sum:
    @convention(c) (UnsafeRawPointer?, UnsafeMutableRawPointer?, Int, CInt, CInt, CUDAHandle?, CUDAHandle?) -> CInt
  let abort: @convention(c) (CUDAHandle?) -> CInt
  let finalize: @convention(c) (CUDAHandle?) -> CInt
  let destroy: @convention(c) (CUDAHandle?) -> CInt
  private let errorText: @convention(c) (CInt) -> UnsafePointer<CChar>?
  private let lastError: @convention(c) (CUDAHandle?) -> UnsafePointer<CChar>?

  /// ncclResult_t, ncclDataType_t, ncclRedOp_t.
  static let inProgress: CInt = 7, remoteError: CInt = 6
  static let float: CInt = 7, sum: CInt = 0
  /// The first with communicators that do not block.
  static let neededVersion = 21400

  /// Opens what CHEXNET_NCCL names, or the library by its name. Throws `libraryMissing`.
  init() throws(PlatformError) {
    let named = ProcessInfo.processInfo.environment["CHEXNET_NCCL"].flatMap { $0.isEmpty ? nil : $0 }
    let library = try DynamicLibrary([named ?? "libnccl.so.2"])
    self.library = library.name
    let getVersion: @convention(c) (UnsafeMutablePointer<CInt>) -> CInt = try library.symbol("ncclGetVersion")
    var version: CInt = 0
    _ = getVersion(&version)
    self.version = Int(version)
    makeIdentifier = try library.symbol("ncclGetUniqueId")
    join = try library.symbol("ncclCommInitRankConfig")
    state = try library.symbol("ncclCommGetAsyncError")
    sum = try library.symbol("ncclAllReduce")
    abort = try library.symbol("ncclCommAbort")
    finalize = try library.symbol("ncclCommFinalize")
    destroy = try library.symbol("ncclCommDestroy")
    errorText = try library.symbol("ncclGetErrorString")
    lastError = try library.symbol("ncclGetLastError")
  }

  /// `2.28.3` of 22803.
  static func text(version: Int) -> String { "\(version / 10000).\(version % 10000 / 100).\(version % 100)" }

  /// What NCCL calls an error, and what it said last, if anything.
  func text(of error: CInt, _ communicator: CUDAHandle?) -> String {
    let name = errorText(error).map { String(cString: $0) } ?? "error"
    let last = lastError(communicator).map { String(cString: $0) } ?? ""
    return last.isEmpty ? name : "\(name): \(last)"
  }
}
