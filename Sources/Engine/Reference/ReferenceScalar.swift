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
    let (rows, columns, depth) = (CInt(m), CInt(n), CInt(k))
    OpenBLAS.shared.sgemm(
      OpenBLAS.rowMajor, transposeA ? OpenBLAS.transpose : OpenBLAS.noTranspose,
      transposeB ? OpenBLAS.transpose : OpenBLAS.noTranspose, rows, columns, depth, 1, a, transposeA ? rows : depth, b,
      transposeB ? depth : columns, beta, c, columns)
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
    let (rows, columns, depth) = (CInt(m), CInt(n), CInt(k))
    OpenBLAS.shared.dgemm(
      OpenBLAS.rowMajor, transposeA ? OpenBLAS.transpose : OpenBLAS.noTranspose,
      transposeB ? OpenBLAS.transpose : OpenBLAS.noTranspose, rows, columns, depth, 1, a, transposeA ? rows : depth, b,
      transposeB ? depth : columns, beta, c, columns)
  }

  public static func exponential(_ x: Double) -> Double { exp(x) }
  public static func logarithmOfOnePlus(_ x: Double) -> Double { log1p(x) }
}
