import COpenBLAS
import Foundation

/// The two number formats that the reference backend computes in.
public protocol ReferenceScalar: BinaryFloatingPoint, Sendable {
  /// C ← α · op(A) · op(B) + β · C; all row-major, C is m × n, op(A) is m × k, op(B) is k × n; op transposes where asked.
  static func multiply(
    _ m: Int, _ n: Int, _ k: Int, a: UnsafePointer<Self>, transposeA: Bool, b: UnsafePointer<Self>, transposeB: Bool,
    beta: Self, c: UnsafeMutablePointer<Self>)

  static func exponential(_ x: Self) -> Self
  static func logarithmOfOnePlus(_ x: Self) -> Self
}

extension Float: ReferenceScalar {
  public static func multiply(
    _ m: Int, _ n: Int, _ k: Int, a: UnsafePointer<Float>, transposeA: Bool, b: UnsafePointer<Float>, transposeB: Bool,
    beta: Float, c: UnsafeMutablePointer<Float>
  ) {
    cblas_sgemm(
      CblasRowMajor, transposeA ? CblasTrans : CblasNoTrans, transposeB ? CblasTrans : CblasNoTrans, blasint(m),
      blasint(n), blasint(k), 1, a, blasint(transposeA ? m : k), b, blasint(transposeB ? k : n), beta, c, blasint(n))
  }

  public static func exponential(_ x: Float) -> Float { exp(x) }
  public static func logarithmOfOnePlus(_ x: Float) -> Float { log1p(x) }
}

extension Double: ReferenceScalar {
  public static func multiply(
    _ m: Int, _ n: Int, _ k: Int, a: UnsafePointer<Double>, transposeA: Bool, b: UnsafePointer<Double>,
    transposeB: Bool,
    beta: Double, c: UnsafeMutablePointer<Double>
  ) {
    cblas_dgemm(
      CblasRowMajor, transposeA ? CblasTrans : CblasNoTrans, transposeB ? CblasTrans : CblasNoTrans, blasint(m),
      blasint(n), blasint(k), 1, a, blasint(transposeA ? m : k), b, blasint(transposeB ? k : n), beta, c, blasint(n))
  }

  public static func exponential(_ x: Double) -> Double { exp(x) }
  public static func logarithmOfOnePlus(_ x: Double) -> Double { log1p(x) }
}

/// OpenBLAS's own threads are off: the backend gives whole images to its threads, and a product computed by one thread has
/// the same bits whatever the number of threads.
enum SingleThreadedBLAS {
  static let once: Void = openblas_set_num_threads(1)
}

/// The name of the kernels that OpenBLAS chose for this processor, for reports.
public func openBLASCoreName() -> String { String(cString: openblas_get_corename()) }
