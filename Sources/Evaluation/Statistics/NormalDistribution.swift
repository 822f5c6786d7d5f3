import Foundation

/// The standard normal distribution.
public enum NormalDistribution {
  /// The chance of a value further from 0 than `z`, on either side.
  public static func twoSided(_ z: Double) -> Double { erfc(abs(z) / 2.0.squareRoot()) }

  /// The value that a share `p` of all are below, 0 < p < 1: the root of Φ(x) = p.
  ///
  /// Newton's steps on erfc from the middle of a bracket, which is halved where one leaves it: to the last digits of Double without a table of
  /// coefficients.
  public static func quantile(_ p: Double) -> Double {
    precondition(p > 0 && p < 1, "quantiles are of 0 < p < 1")
    if p > 0.5 { return -quantile(1 - p) }
    if p == 0.5 { return 0 }
    var (low, high) = (-40.0, 0.0)
    var x = -1.0
    for _ in 0..<200 {
      let error = erfc(-x / 2.0.squareRoot()) / 2 - p
      if error > 0 { high = x } else { low = x }
      let density = exp(-x * x / 2) / (2 * Double.pi).squareRoot()
      let next = x - error / density
      let step = next > low && next < high ? next : (low + high) / 2
      if abs(step - x) <= 1e-15 * max(abs(x), 1) { return step }
      x = step
    }
    return x
  }
}
