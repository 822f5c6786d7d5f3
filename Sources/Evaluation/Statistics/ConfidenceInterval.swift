import Engine
import Foundation

/// A range that covers what is estimated in a share of all experiments.
public struct ConfidenceInterval: Equatable, Sendable {
  public let low: Double
  public let high: Double

  public init(low: Double, high: Double) {
    self.low = low
    self.high = high
  }

  /// Of an AUROC, symmetric in its logit, so that it stays within 0 and 1 and covers as it should near them (Qin and Hotilovac, "Comparison of
  /// non-parametric confidence intervals for the area under the ROC curve of a continuous-scale diagnostic test", Statistical Methods in
  /// Medical Research 2008).
  ///
  /// Nil where the AUROC is 0 or 1, whose logit is none, or the variance is undefined.
  public init?(auroc: Double, variance: Double?, confidence: Double = 0.95) {
    guard let variance, variance >= 0, auroc > 0, auroc < 1 else { return nil }
    let z = NormalDistribution.quantile((1 + confidence) / 2)
    let logit = log(auroc / (1 - auroc))
    let margin = z * variance.squareRoot() / (auroc * (1 - auroc))
    self.init(low: sigmoid(logit - margin), high: sigmoid(logit + margin))
  }

  /// Of a proportion, `hits` of `count` (Wilson, "Probable inference, the law of succession, and statistical inference", JASA 1927).
  ///
  /// Nil where nothing was counted.
  public init?(hits: Int, of count: Int, confidence: Double = 0.95) {
    guard count > 0 else { return nil }
    let z = NormalDistribution.quantile((1 + confidence) / 2)
    let (p, n) = (Double(hits) / Double(count), Double(count))
    let center = (p + z * z / (2 * n)) / (1 + z * z / n)
    let margin = z / (1 + z * z / n) * (p * (1 - p) / n + z * z / (4 * n * n)).squareRoot()
    self.init(low: hits == 0 ? 0 : center - margin, high: hits == count ? 1 : center + margin)
  }
}
