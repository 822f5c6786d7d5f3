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

extension ReferenceScalar {
  /// `multiply` by its definition. What `doctor` compares with has small products, which need no OpenBLAS.
  @specialized(where Self == Float)
  @specialized(where Self == Double)
  static func multiplyPlainly(
    _ m: Int, _ n: Int, _ k: Int, a: UnsafePointer<Self>, transposeA: Bool, b: UnsafePointer<Self>, transposeB: Bool,
    beta: Self, c: UnsafeMutablePointer<Self>
  ) {
    for row in 0..<m {
      for column in 0..<n {
        var sum: Self = 0
        for inner in 0..<k {
          sum +=
            a[transposeA ? inner * m + row : row * k + inner] * b[transposeB ? column * k + inner : inner * n + column]
        }
        // As BLAS has it: what C was is not read where β is zero.
        c[row * n + column] = beta == 0 ? sum : sum + beta * c[row * n + column]
      }
    }
  }
}

extension Float: ReferenceScalar {
  public static func multiply(
    _ m: Int, _ n: Int, _ k: Int, a: UnsafePointer<Float>, transposeA: Bool, b: UnsafePointer<Float>, transposeB: Bool,
    beta: Float, c: UnsafeMutablePointer<Float>
  ) {
    let (rows, columns, depth) = (CInt(m), CInt(n), CInt(k))
    guard case .success(let openBLAS) = OpenBLAS.loaded else {
      return multiplyPlainly(
        m, n, k, a: a, transposeA: transposeA, b: b, transposeB: transposeB, beta: beta, c: c)
    }
    openBLAS.sgemm(
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
    guard case .success(let openBLAS) = OpenBLAS.loaded else {
      return multiplyPlainly(
        m, n, k, a: a, transposeA: transposeA, b: b, transposeB: transposeB, beta: beta, c: c)
    }
    openBLAS.dgemm(
      OpenBLAS.rowMajor, transposeA ? OpenBLAS.transpose : OpenBLAS.noTranspose,
      transposeB ? OpenBLAS.transpose : OpenBLAS.noTranspose, rows, columns, depth, 1, a, transposeA ? rows : depth, b,
      transposeB ? depth : columns, beta, c, columns)
  }

  public static func exponential(_ x: Double) -> Double { exp(x) }
  public static func logarithmOfOnePlus(_ x: Double) -> Double { log1p(x) }
}
