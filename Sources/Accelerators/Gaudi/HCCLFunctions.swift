import CSynapse
import Platform

/// The functions of HCCL that are used, which released libraries have in `libSynapse.so` itself (gaudi-pytorch-bridge, pytorch_helpers/synapse_shim/
/// hccl_api_shim.h takes them from there). Declarations: as CSynapse's hccl.h says.
struct HCCLFunctions: Sendable {
  let makeIdentifier: @convention(c) (UnsafeMutablePointer<hccl_unique_id>) -> CInt
  /// The communicator, how many ranks, the identifier, this rank. Waits for the others.
  let join: @convention(c) (UnsafeMutablePointer<SynapseHandle?>, CInt, hccl_unique_id, CInt) -> CInt
  /// From, to, count, type, operation, communicator, stream.
  let sum:
    @convention(c) (
      UnsafeRawPointer?, UnsafeMutableRawPointer?, Int, CInt, CInt, SynapseHandle, SynapseHandle
    ) -> CInt
  let state: @convention(c) (SynapseHandle, UnsafeMutablePointer<CInt>) -> CInt
  let abort: @convention(c) (SynapseHandle) -> CInt
  let destroy: @convention(c) (SynapseHandle) -> CInt
  private let errorText: @convention(c) (CInt) -> UnsafePointer<CChar>?

  /// hcclDataType_t, hcclRedOp_t. Averages are in the header, but no released library has them: sums only.
  static let float: CInt = 7, sum: CInt = 0

  /// Throws `libraryMissing` where `library` has them not all.
  init(_ library: DynamicLibrary) throws(PlatformError) {
    makeIdentifier = try library.symbol("hcclGetUniqueId")
    join = try library.symbol("hcclCommInitRank")
    sum = try library.symbol("hcclAllReduce")
    state = try library.symbol("hcclCommGetAsyncError")
    abort = try library.symbol("hcclCommAbort")
    destroy = try library.symbol("hcclCommDestroy")
    errorText = try library.symbol("hcclGetErrorString")
  }

  func text(of error: CInt) -> String { errorText(error).map { String(cString: $0).printable } ?? "an unknown error" }
}
