import Foundation
import Platform

/// OpenBLAS, which the reference backend multiplies matrices with. It is opened when it is first asked for: as a library of the
/// executable it would start a thread, and spin, in every command.
///
/// Its own threads are off: the backend gives whole images to its threads, and a product computed by one thread has the same bits
/// whatever the number of threads.
struct OpenBLAS: Sendable {
  // The values of `CBLAS_ORDER` and `CBLAS_TRANSPOSE`.
  static let rowMajor: CInt = 101
  static let noTranspose: CInt = 111
  static let transpose: CInt = 112

  /// Order, transposes, m, n, k, α, A, lda, B, ldb, β, C, ldc (cblas.h; `libopenblas.so.0` has integers of 32 bits).
  let sgemm:
    @convention(c) (
      CInt, CInt, CInt, CInt, CInt, CInt, Float, UnsafePointer<Float>, CInt, UnsafePointer<Float>, CInt, Float,
      UnsafeMutablePointer<Float>, CInt
    ) -> Void
  let dgemm:
    @convention(c) (
      CInt, CInt, CInt, CInt, CInt, CInt, Double, UnsafePointer<Double>, CInt, UnsafePointer<Double>, CInt, Double,
      UnsafeMutablePointer<Double>, CInt
    ) -> Void
  let coreName: String

  static let loaded: Result<OpenBLAS, PlatformError> = {
    do throws(PlatformError) {
      return .success(try OpenBLAS())
    } catch {
      return .failure(error)
    }
  }()

  static var isThere: Bool { if case .success = loaded { true } else { false } }

  private init() throws(PlatformError) {
    // Read when the library is opened: it then makes no threads at all.
    setenv("OPENBLAS_NUM_THREADS", "1", 1)
    let library = try DynamicLibrary(["libopenblas.so.0", "libopenblas.so"])
    sgemm = try library.symbol("cblas_sgemm")
    dgemm = try library.symbol("cblas_dgemm")
    let name: @convention(c) () -> UnsafePointer<CChar>? = try library.symbol("openblas_get_corename")
    coreName = name().map { String(cString: $0) } ?? "unknown"
  }
}

/// The name of the kernels that OpenBLAS chose for this processor, for reports; nil where it is not there.
public func openBLASCoreName() -> String? { try? OpenBLAS.loaded.get().coreName }
