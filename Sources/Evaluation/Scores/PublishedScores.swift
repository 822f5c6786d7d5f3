import ChestXray

/// AUROCs that others have published for ChestX-ray14's fourteen findings, with what they were measured on.
public enum PublishedScores: String, CaseIterable, Sendable {
  case chexnet, wang, yao, arnoweng, zoogzog, jrzech

  /// A column's title.
  public var title: String {
    switch self {
    case .chexnet: "CheXNet"
    case .wang: "Wang"
    case .yao: "Yao"
    case .arnoweng: "arnoweng"
    case .zoogzog: "zoogzog"
    case .jrzech: "jrzech"
    }
  }

  public var source: String {
    switch self {
    case .chexnet: "Rajpurkar et al., CheXNet, arXiv:1711.05225v3, table 2"
    case .wang: "Wang et al., CVPR 2017, as quoted by Rajpurkar et al."
    case .yao: "Yao et al., arXiv:1710.10501, as quoted by Rajpurkar et al."
    case .arnoweng: "github.com/arnoweng/CheXNet, the improved model"
    case .zoogzog: "github.com/zoogzog/chexnet"
    case .jrzech: "github.com/jrzech/reproduce-chexnet, the model of 2022"
    }
  }

  /// The images.
  public var split: String {
    switch self {
    case .chexnet: "70/10/20 lists of its own, never released"
    case .wang, .yao: "70/10/20 lists of its own"
    case .arnoweng, .zoogzog: "the 70/10/20 test list, labels of 2017"
    case .jrzech: "the 70/10/20 test list, labels of v2020"
    }
  }

  /// The list that it was measured on, where that is one that is known.
  public var list: KnownList? {
    switch self {
    case .chexnet, .wang, .yao: nil
    case .arnoweng, .zoogzog, .jrzech: .test
    }
  }

  /// 0 … 1; nil for what is none of the fourteen findings.
  public func auroc(of name: String) -> Double? {
    Finding(named: name).flatMap { Finding.allCases.firstIndex(of: $0) }.map { values[$0] }
  }

  /// Over the fourteen.
  public var mean: Double { values.reduce(0, +) / Double(values.count) }

  /// In the order of `Finding`.
  private var values: [Double] {
    switch self {
    case .chexnet:
      [
        0.8094, 0.9248, 0.8638, 0.7345, 0.8676, 0.7802, 0.7680, 0.8887, 0.7901, 0.8878, 0.9371, 0.8047, 0.8062, 0.9164,
      ]
    case .wang: [0.716, 0.807, 0.784, 0.609, 0.706, 0.671, 0.633, 0.806, 0.708, 0.835, 0.815, 0.769, 0.708, 0.767]
    case .yao: [0.772, 0.904, 0.859, 0.695, 0.792, 0.717, 0.713, 0.841, 0.788, 0.882, 0.829, 0.767, 0.765, 0.914]
    case .arnoweng:
      [
        0.8311, 0.9220, 0.8891, 0.7146, 0.8627, 0.7883, 0.7820, 0.8844, 0.8148, 0.8992, 0.9343, 0.8385, 0.7914, 0.9206,
      ]
    case .zoogzog:
      [
        0.8321, 0.9107, 0.8860, 0.7145, 0.8653, 0.8037, 0.7655, 0.8857, 0.8157, 0.9017, 0.9422, 0.8523, 0.7948, 0.9416,
      ]
    case .jrzech:
      [
        0.8180, 0.9090, 0.8827, 0.7156, 0.8377, 0.7756, 0.7617, 0.8776, 0.8002, 0.8945, 0.9316, 0.8251, 0.7889, 0.9175,
      ]
    }
  }
}

extension ConfidenceInterval {
  /// Where `value` lies: `in` this interval, `above` or `below` it.
  func place(of value: Double) -> String { value < low ? "below" : value > high ? "above" : "in" }
}
